"""How the command fails: one line on stderr with the hint that helps, and an exit code."""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import IO, Any, TypeVar

import click

import dub_uplink  # its names are loaded when they are asked for: the help needs none
from dub_uplink._cli.io.text import printable

R = TypeVar("R")


class ExitCode(enum.IntEnum):
    """What the command ends with. Where several things failed, it is the highest of their codes."""

    DONE = 0
    #: Some rows failed, or the one there was; output that could not be written.
    FAILED = 1
    #: A mistake in the command line, or in a file that it names.
    USAGE = 2
    #: No API key, one that Dub refuses (401), or one that may not do this (403).
    AUTH = 3
    NOT_FOUND = 4
    #: No answer, a 429 or 5XX to the last attempt as well, or an answer that is not Dub's.
    NETWORK = 5
    #: As shells count a process that was ended by SIGINT or SIGPIPE.
    INTERRUPTED = 130
    PIPE_CLOSED = 141


class Failure(click.ClickException):
    """A line on stderr, ``hint`` at its end, and an exit code."""

    def __init__(self, message: str, exit_code: int = ExitCode.FAILED, hint: str = "") -> None:
        super().__init__(message)
        self.exit_code = int(exit_code)  # type: ignore[misc]  # click means it for the class
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}  Hint: {self.hint}" if self.hint else self.message

    def show(self, file: IO[Any] | None = None) -> None:
        """Print it as click prints its own dub_uplink.errors."""
        stderr: Any = sys.stderr
        if stderr is not None:  # closed by the shell: `2>&-`; older releases of click fail there
            click.echo(f"Error: {printable(str(self))}", file, err=True)


def failure(
    error: dub_uplink.errors.DubError | ValueError | TypeError, customer_id: str = ""
) -> Failure:
    """How an error of the client is told; ``customer_id`` is the id that the call was given."""
    about = f"{customer_id}: " if customer_id else ""
    return Failure(f"{about}{error}", exit_code(error), _hint(error))


def exit_code(error: Exception) -> ExitCode:
    """The exit code of an error of the client's; a mistake in an argument is one of usage."""
    if not isinstance(error, dub_uplink.errors.DubError):
        return ExitCode.USAGE
    status = getattr(error, "status_code", 0)
    if status in (401, 403):
        return ExitCode.AUTH
    if isinstance(error, dub_uplink.errors.NotFound):
        return ExitCode.NOT_FOUND
    if status == 429 or status >= 500 or _is_elsewhere(error):
        return ExitCode.NETWORK
    return ExitCode.FAILED


def _is_elsewhere(error: dub_uplink.errors.DubError) -> bool:
    """Whether no server answered, or one that is not Dub's."""
    if isinstance(error, dub_uplink.errors.SDKError):
        return error.data is None
    return isinstance(
        error, (dub_uplink.errors.APIConnectionError, dub_uplink.errors.ResponseValidationError)
    )


def _hint(error: Exception) -> str:
    status = getattr(error, "status_code", 0)
    hint = ""
    if isinstance(error, dub_uplink.errors.APITimeoutError):
        hint = "--timeout gives an attempt more seconds."
    elif isinstance(error, dub_uplink.errors.APIConnectionError):
        hint = "is there a network, and is --server-url (DUB_SERVER_URL) right?"
    elif status == 401:
        hint = "check the API key in --token-file or DUB_API_KEY."
    elif status == 403 and getattr(error, "code", None) == "exceeded_limit":
        hint = "a limit of the workspace's plan is used up."
    elif status == 403:
        hint = "the key's role or the workspace's plan does not allow this."
    elif isinstance(error, dub_uplink.errors.RateLimitExceeded):
        wait = error.retry_after
        hint = "try again in a minute." if wait is None else f"try again in {wait:.0f} s."
    elif isinstance(error, dub_uplink.errors.DubError) and _is_elsewhere(error):
        hint = "is --server-url (DUB_SERVER_URL) that of Dub's API?"
    elif status >= 500:
        hint = "Dub has a trouble of its own; try again later."
    return hint


class Tally:
    """Calls for several ids, one after the other: each failure is a line, the others go on.

    ``worst`` is the highest exit code so far; ``ended`` whether the rest was not tried, because
    it would have failed in the same way.
    """

    def __init__(self) -> None:
        self.worst = int(ExitCode.DONE)
        self.ended = False

    def each(self, ids: Iterable[str], call: Callable[[str], R]) -> Iterator[R]:
        """The results of the calls that went well."""
        left = list(ids)
        while left and not self.ended:
            customer_id = left.pop(0)
            try:
                result = call(customer_id)
            except (dub_uplink.errors.DubError, ValueError) as error:
                told = failure(error, customer_id)
                told.show()
                self.worst = max(self.worst, told.exit_code)
                self.ended = _ends_everything(error)
            else:
                yield result
        if left:
            click.echo(f"Not tried: {printable(' '.join(left))}", err=True)

    def exit(self) -> None:
        """End the command with the worst exit code."""
        if self.worst:
            raise click.exceptions.Exit(self.worst)


def _ends_everything(error: Exception) -> bool:
    """Whether the next call would end the same way: the key is refused, or nobody answers."""
    return (
        isinstance(error, dub_uplink.errors.APIConnectionError) or exit_code(error) == ExitCode.AUTH
    )


#: How click shows the help of a group that is called alone; older releases have no error for it.
_HELP: Any = getattr(click.exceptions, "NoArgsIsHelpError", ())


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Turn whatever ends the command into an exit code and at most one line.

    Not a mistake in this package, which is a traceback to report.
    """
    stdout: Any = sys.stdout
    if stdout is None:  # closed by the shell: `>&-`
        raise Failure("there is nowhere to write to: the standard output is closed.")
    try:
        try:
            yield
        finally:
            stdout.flush()  # here, where a failure can still be told
    except click.exceptions.Exit:
        raise  # before the clauses that would load the client's errors to look at it
    except (KeyboardInterrupt, click.Abort):
        click.echo(err=True)  # ends the line on which a terminal shows ^C
        raise click.exceptions.Exit(ExitCode.INTERRUPTED) from None
    except click.UsageError as error:
        if error.ctx is None or isinstance(error, _HELP):
            raise
        hint = f"{error.ctx.command_path} --help"
        raise Failure(error.format_message(), ExitCode.USAGE, hint) from None
    except BrokenPipeError:
        _discard_output()
        raise click.exceptions.Exit(ExitCode.PIPE_CLOSED) from None
    except OSError as error:
        _discard_output()
        what = error.filename or "cannot write the output"
        raise Failure(f"{what}: {error.strerror or error}.") from error
    except (dub_uplink.errors.DubError, ValueError) as error:
        raise failure(error) from error


def _discard_output() -> None:
    """Let Python flush what is left to nowhere at its exit, which would fail once more."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
