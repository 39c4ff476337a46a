"""Define the options for the API key, the server, the timeout and the retries."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import click

import dub_uplink  # fast, because a submodule is imported only when it is used
from dub_uplink._cli.failures import ExitCode, Failure
from dub_uplink._cli.io.text import (
    can_prompt,
    interruptible_input,
    is_terminal,
    make_printable,
    read_input,
)

R = TypeVar("R")

#: Waits below this number of seconds are not shown.
LONG_WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Connection:
    """The values of the options that :func:`connection_options` adds.

    Attributes:
        token_file: the path of a file with the API key; ``-`` for the standard input.
        server_url: the URL of the server; ``None`` for the default.
        timeout: the time limit of one attempt, in seconds.
        retries: whether failed attempts are retried.
        verbose: whether attempts are logged to stderr.
    """

    token_file: str | None = None
    server_url: str | None = None
    timeout: float = 30.0
    retries: bool = True
    verbose: bool = False

    def open(self, token: str | None = None, **options: Any) -> dub_uplink.Dub:
        """Create a client. Call this method only while a click command runs.

        Args:
            token: The API key. If it is ``None``, :meth:`read_token` reads it.
            options: Additional keyword arguments of ``Dub``.

        Raises:
            Failure: The API key is missing or malformed, or the URL of the server is invalid.
        """
        if self.verbose:
            _log_attempts_to_stderr()
        elif is_terminal(sys.stderr):
            options.setdefault("on_retry", _show_wait)
        if not self.retries:
            options.setdefault("retry_config", None)
        token = self.read_token() if token is None else token
        with collect_warnings() as user_warnings:
            try:
                client = dub_uplink.Dub(
                    token, server_url=self.server_url, timeout_ms=self.timeout * 1000, **options
                )
            except ValueError as error:
                if str(error).startswith("server_url"):
                    problem = str(error).replace("as token=…", "in DUB_API_KEY or --token-file")
                    raise Failure(
                        f"{problem}; correct --server-url or DUB_SERVER_URL.", ExitCode.USAGE
                    ) from None
                source = "--token-file" if self.token_file else "DUB_API_KEY"
                raise Failure(f"{error} ({source}).", ExitCode.AUTH) from None
        for warning in user_warnings:
            click.echo(f"Warning: {warning.message}.", err=True)
        return client

    def read_token(self) -> str:
        """Read the API key from ``token_file``, from ``DUB_API_KEY`` or from a prompt.

        Raises:
            Failure: There is no API key, or the file is not valid.
        """
        if self.token_file is not None:
            return read_token_file(self.token_file)
        token = os.environ.get("DUB_API_KEY", "")
        if token:
            return token.strip()
        if can_prompt():
            with interruptible_input():
                return str(click.prompt("Dub API key", hide_input=True, err=True)).strip()
        raise Failure(
            "there is no API key.", ExitCode.AUTH, "set DUB_API_KEY, or give --token-file FILE."
        )


def read_token_file(path: str) -> str:
    """Read an API key from a file. Error messages never contain the key.

    Raises:
        Failure: The file cannot be read, is not UTF-8, or does not have exactly one non-blank line.
    """
    source = "the standard input" if path == "-" else path
    try:
        text = read_input(path).decode("utf-8-sig")
    except OSError as error:
        raise Failure(
            f"cannot read the API key from {source}: {error.strerror}.", ExitCode.AUTH
        ) from None
    except ValueError:
        raise Failure(
            f"{source} does not contain an API key: it is not UTF-8 text.", ExitCode.AUTH
        ) from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) != 1:
        problem = "it is empty" if not lines else f"it has {len(lines)} lines instead of 1"
        raise Failure(f"{source} does not contain an API key: {problem}.", ExitCode.AUTH)
    return lines[0]


@contextlib.contextmanager
def collect_warnings() -> Iterator[list[warnings.WarningMessage]]:
    """Collect each ``UserWarning``. Ignore all other warnings, because they are for developers."""
    with warnings.catch_warnings(record=True) as user_warnings:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        yield user_warnings


def describe_wait_reason(failed: object) -> str:
    """Return the HTTP status of a failed attempt; without a response, return the error message."""
    return str(getattr(failed, "status_code", None) or getattr(failed, "message", failed))


def _show_wait(attempt: int, seconds: float, failed: object) -> None:
    if seconds >= LONG_WAIT_SECONDS:
        reason = describe_wait_reason(failed)
        click.echo(
            make_printable(f"{reason}, attempt {attempt}; retrying in {seconds:.0f} s"), err=True
        )


def _log_attempts_to_stderr() -> None:
    """Log attempts to stderr until the command ends. The log contains no secrets."""
    logger, handler = logging.getLogger("dub_uplink"), _StderrHandler()
    previous_level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)

    def restore() -> None:
        logger.removeHandler(handler)
        logger.setLevel(previous_level)

    click.get_current_context().call_on_close(restore)


class _StderrHandler(logging.Handler):
    """Writes to the current ``sys.stderr``, which a progress bar may have replaced."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(make_printable(record.getMessage()), err=True)


_OPTIONS = (
    click.option(
        "--token-file",
        type=click.Path(allow_dash=True),
        metavar="FILE",
        help="Read the API key from FILE; - is the standard input.  [default: the environment"
        " variable DUB_API_KEY; if it is not set, a prompt]",
    ),
    click.option(
        "--server-url",
        metavar="URL",
        help="The URL of the server.  [default: the environment variable DUB_SERVER_URL; if it is"
        " not set, https://api.dub.co]",
    ),
    click.option(
        "--timeout",
        type=click.FloatRange(0, 86_400, min_open=True),
        default=30,
        show_default=True,
        metavar="SECONDS",
        help="The time limit of each attempt, in seconds.",
    ),
    click.option(
        "--retries/--no-retries",
        default=True,
        help="Retry a request after a rate limit, a server error or a failed connection, for up to"
        " 90 seconds.  [default: retries]",
    ),
    click.option(
        "-v", "--verbose", is_flag=True, help="Log each attempt to stderr, without secrets."
    ),
)


def connection_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options of this module. The command receives them as ``connection``."""

    @functools.wraps(command)
    def with_connection(
        *args: Any,
        token_file: str | None,
        server_url: str | None,
        timeout: float,
        retries: bool,
        verbose: bool,
        **arguments: Any,
    ) -> R:
        connection = Connection(token_file, server_url, timeout, retries, verbose)
        return command(*args, connection=connection, **arguments)

    for option in reversed(_OPTIONS):
        with_connection = option(with_connection)
    return with_connection
