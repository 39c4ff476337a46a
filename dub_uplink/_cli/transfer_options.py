"""Define the options and functions that ``customers export`` and ``customers import`` share."""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from dub_uplink import Dub, RateLimit
from dub_uplink._cli.connection import LONG_WAIT_SECONDS, Connection, describe_wait_reason
from dub_uplink._cli.interrupts import InterruptHandler
from dub_uplink._cli.io.progress import Progress
from dub_uplink._cli.io.text import make_printable

F = TypeVar("F", bound=Callable[..., Any])

#: The key in ``click.Context.meta`` that holds the value of ``--rate-limit-storage``.
STORAGE_META_KEY = "dub_uplink.rate_limit_storage"

_FORMAT_BY_SUFFIX = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress bar.")


def _parse_rate_limit(
    ctx: click.Context, _param: click.Parameter, text: str | None
) -> RateLimit | None:
    storage = ctx.meta[STORAGE_META_KEY] = ctx.params.pop("rate_limit_storage")
    if text is None:
        if storage is not None and ctx.get_parameter_source("rate_limit_storage") is _COMMANDLINE:
            raise click.UsageError("--rate-limit-storage needs --rate-limit N; add it.")
        return None
    limit, _, period = text.partition("/")
    per: Any = period or "minute"
    try:
        rate_limit = RateLimit(int(limit), per)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is not a rate; give 1 to 1,000,000 requests, such as 600 or 600/minute."
        ) from None
    if storage is None:
        return rate_limit
    try:
        # If a process that shares the limit has the priority "interactive", it sends first.
        rate_limit = RateLimit(rate_limit.limit, per, storage=storage, priority="bulk")
    except (ValueError, ImportError) as error:  # these messages contain no password
        raise click.UsageError(f"--rate-limit-storage: {error}.") from None
    ctx.call_on_close(rate_limit.close)
    return rate_limit


_COMMANDLINE = click.core.ParameterSource.COMMANDLINE
_RATE_LIMIT_OPTION = click.option(
    "--rate-limit",
    metavar="N",
    callback=_parse_rate_limit,
    help="Send at most N requests per minute, so that other processes can use the rest of the API"
    " key's limit. N/second and N/hour are also accepted.",
)
_STORAGE_OPTION = click.option(
    "--rate-limit-storage",
    metavar="URL",
    envvar="DUB_RATE_LIMIT_STORAGE",
    is_eager=True,  # parsed first, because --rate-limit reads the value
    help="Share the limit of --rate-limit with all processes that use this storage, such as"
    ' redis://localhost. This command has the priority "bulk": requests of processes with the'
    ' priority "interactive" are sent first.  [env var: DUB_RATE_LIMIT_STORAGE]',
)


def rate_limit_option(command: F) -> F:
    """Add the options for a rate limit. The command receives the argument ``rate_limit``."""
    return _STORAGE_OPTION(_RATE_LIMIT_OPTION(command))


def detect_format(path: str, format_option: str | None) -> Any:
    """Return ``format_option`` if it is given; otherwise, detect the format from the suffix.

    Raises:
        click.UsageError: No format is given and the suffix is unknown.
    """
    file_format = format_option or _FORMAT_BY_SUFFIX.get(Path(path).suffix.lower())
    if file_format is None:
        raise click.UsageError(f"{path}: the suffix names no known format; give --format.")
    return file_format


def open_client(
    connection: Connection,
    progress: Progress,
    rate_limit: RateLimit | None,
    interrupt: InterruptHandler | None = None,
    token: str | None = None,
    on_failed_attempt: Callable[[object], object] = lambda failed: None,
) -> Dub:
    """Create a client that shows long waits beside the progress bar, and ends them on Ctrl-C.

    Args:
        connection: The options of the connection.
        progress: The progress bar.
        rate_limit: The rate limit; ``None`` for no limit.
        interrupt: The handler of Ctrl-C. If it is ``None``, Ctrl-C raises ``KeyboardInterrupt``.
        token: The API key. If it is ``None``, ``connection`` reads the key.
        on_failed_attempt: Called before each retry, in the thread of the call. The argument is the
            error or the response of the failed attempt.
    """

    def on_retry(_attempt: int, seconds: float, failed: object) -> None:
        on_failed_attempt(failed)
        if seconds >= LONG_WAIT_SECONDS:
            progress.show_note(
                make_printable(f"{describe_wait_reason(failed)}: waiting {seconds:.0f} s")
            )

    options: dict[str, Any] = {} if interrupt is None else {"clock": interrupt.make_clock()}
    return connection.open(on_retry=on_retry, rate_limit=rate_limit, token=token, **options)


def get_server_url(connection: Connection) -> str:
    """Return the server URL from the options or the environment; empty for Dub's server."""
    return (connection.server_url or os.environ.get("DUB_SERVER_URL", "")).rstrip("/")


def hash_api_key(token: str, file_identity: Mapping[str, Any]) -> str:
    """Hash an API key, to keep it secret. The imported file's hash is the key of the HMAC."""
    return hmac.new(file_identity["sha256"].encode(), token.encode(), hashlib.sha256).hexdigest()
