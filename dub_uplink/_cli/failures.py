"""Convert an error to an exit code and one line on stderr with a hint."""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, TypeVar

import click

import dub_uplink  # fast, because a submodule is imported only when it is used
from dub_uplink._cli.io.text import make_printable

R = TypeVar("R")


class ExitCode(enum.IntEnum):
    """The exit codes of the command. If several calls fail, the highest exit code is used."""

    DONE = 0
    #: Some or all calls failed, the user did not confirm, or the output could not be written.
    FAILED = 1
    #: A mistake in the command line, or in a file that it names.
    USAGE = 2
    #: The API key is missing, is rejected (401 or 404), or lacks the permission (403). Dub returns
    #: 404 for a key that does not look like the key of a workspace.
    AUTH = 3
    NOT_FOUND = 4
    #: No response, a 429 or 5XX after the last attempt, or a response that is not from Dub.
    NETWORK = 5
    #: A shell reports this code if SIGINT ends a process.
    INTERRUPTED = 130
    #: A shell reports this code if SIGPIPE ends a process.
    PIPE_CLOSED = 141


class Failure(click.ClickException):
    """An error with an exit code. The error and an optional hint are shown on one line."""

    def __init__(self, message: str, exit_code: int = ExitCode.FAILED, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = int(exit_code)  # type: ignore[misc]  # click declares it on the class
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}  Hint: {self.hint}" if self.hint else self.message

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the line to ``file``, or to stderr if ``file`` is ``None``."""
        stderr: Any = sys.stderr
        if stderr is not None:  # `2>&-` sets it to None; some releases of click then fail
            click.echo(f"Error: {make_printable(str(self))}", file, err=True)


def make_failure(
    error: dub_uplink.errors.DubError | ValueError | TypeError, customer_id: str = ""
) -> Failure:
    """Convert an error of a call to a failure. ``customer_id`` is the prefix of the message."""
    prefix = f"{customer_id}: " if customer_id else ""
    return Failure(f"{prefix}{error}", get_exit_code(error), _get_hint(error))


def get_exit_code(error: Exception) -> ExitCode:
    """Return the exit code for an error of a call; ``USAGE`` for an invalid argument."""
    if not isinstance(error, dub_uplink.errors.DubError):
        return ExitCode.USAGE
    status = getattr(error, "status_code", 0)
    if status in (401, 403) or _is_workspace_missing(error):
        return ExitCode.AUTH
    if isinstance(error, dub_uplink.errors.NotFound):
        return ExitCode.NOT_FOUND
    if status == 429 or status >= 500 or _is_not_from_dub(error):
        return ExitCode.NETWORK
    return ExitCode.FAILED


def _is_workspace_missing(error: Exception) -> bool:
    """Return whether Dub returned 404 because the key is not the key of a workspace."""
    return isinstance(error, dub_uplink.errors.NotFound) and error.message.startswith(
        "Workspace ID not found"
    )


def _is_not_from_dub(error: dub_uplink.errors.DubError) -> bool:
    """Return whether there is no response, or the response is not from Dub's server."""
    if isinstance(error, dub_uplink.errors.SDKError):
        return error.data is None
    return isinstance(
        error, (dub_uplink.errors.APIConnectionError, dub_uplink.errors.ResponseValidationError)
    )


def _get_hint(error: Exception) -> str:
    status = getattr(error, "status_code", 0)
    hint = ""
    if isinstance(error, dub_uplink.errors.APITimeoutError):
        hint = "set a longer limit for an attempt with --timeout."
    elif isinstance(error, dub_uplink.errors.APIConnectionError):
        hint = "check the network and --server-url (DUB_SERVER_URL)."
    elif status == 407 and getattr(error, "data", None) is None:
        hint = "the proxy's URL is in HTTPS_PROXY or HTTP_PROXY."
    elif status == 401 or _is_workspace_missing(error):
        hint = "check the API key in --token-file or DUB_API_KEY."
    elif status == 403 and getattr(error, "code", None) == "exceeded_limit":
        hint = "the workspace has reached a limit of its plan; check the usage in Dub."
    elif status == 403:
        hint = "the API key's role or the workspace's plan does not allow this; check both in Dub."
    elif isinstance(error, dub_uplink.errors.RateLimitExceeded):
        wait = error.retry_after
        hint = "try again in a minute." if wait is None else f"try again in {wait:.0f} s."
    elif isinstance(error, dub_uplink.errors.DubError) and _is_not_from_dub(error):
        hint = "check that --server-url (DUB_SERVER_URL) is the URL of Dub's API."
    elif status >= 500:
        hint = "Dub returned a server error; try again later."
    return hint


class BatchRunner:
    """Makes a call for each id, and shows the error of each failed call.

    After an error that affects all ids, the remaining ids are skipped.

    Attributes:
        exit_code: The highest exit code so far.
        aborted: Whether an error affected all ids.
    """

    def __init__(self) -> None:
        self.exit_code = int(ExitCode.DONE)
        self.aborted = False

    def run(self, ids: Iterable[str], call: Callable[[str], R]) -> Iterator[R]:
        """Make the calls, and yield the results of the successful ones."""
        remaining = list(ids)
        while remaining and not self.aborted:
            customer_id = remaining.pop(0)
            try:
                result = call(customer_id)
            except (dub_uplink.errors.DubError, ValueError) as error:
                failure = make_failure(error, customer_id)
                failure.show()
                self.exit_code = max(self.exit_code, failure.exit_code)
                self.aborted = _affects_all_ids(error)
            else:
                yield result
        if remaining:
            click.echo(f"Not tried: {make_printable(' '.join(remaining))}", err=True)

    def exit(self) -> None:
        """If a call failed, end the command with the exit code."""
        if self.exit_code:
            raise click.exceptions.Exit(self.exit_code)


def _affects_all_ids(error: Exception) -> bool:
    """Return whether an error affects all ids: the key is rejected, or there is no response."""
    return (
        isinstance(error, dub_uplink.errors.APIConnectionError)
        or get_exit_code(error) == ExitCode.AUTH
    )


#: click 8.2 and later raise this error if the name of a subcommand is missing.
_HELP_ERRORS: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


@contextlib.contextmanager
def exit_on_error() -> Iterator[None]:
    """Convert expected exceptions to an exit code and at most one line on stderr.

    Unexpected exceptions are bugs. They keep their traceback for a bug report.
    """
    stdout: Any = sys.stdout
    if stdout is None:  # the shell closed it with `>&-`
        raise Failure("the standard output is closed; redirect it to a file, or leave out >&-.")
    try:
        try:
            yield
        finally:
            stdout.flush()  # the outer try handles an error of this flush
    except click.exceptions.Exit:
        # This clause is first for speed: to check the last clause, Python imports the client.
        raise
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)  # ends the line on which the terminal shows ^C
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except click.UsageError as error:
        if error.ctx is None or isinstance(error, _HELP_ERRORS):
            raise
        hint = f"see  {error.ctx.command_path} --help"
        raise Failure(error.format_message(), ExitCode.USAGE, hint) from None
    except OSError as error:
        _discard_output()
        if _is_closed_pipe(error):
            raise click.exceptions.Exit(ExitCode.PIPE_CLOSED) from None
        subject = error.filename or "cannot write the output"
        raise Failure(f"{subject}: {error.strerror or error}.") from error
    except (dub_uplink.errors.DubError, ValueError) as error:
        raise make_failure(error) from error


def _is_closed_pipe(error: OSError) -> bool:
    # Windows reports a closed pipe as an invalid argument (EINVAL).
    on_windows = os.name == "nt" and error.errno == errno.EINVAL and error.filename is None
    return on_windows or isinstance(error, BrokenPipeError)


def _discard_output() -> None:
    """Redirect stdout to the null device, so that the flush at exit does not fail."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
