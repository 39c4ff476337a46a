"""What ``customers export`` and ``customers import`` share: options, formats, and the client."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from dub_uplink import Dub, RateLimit
from dub_uplink._cli.connection import Connection
from dub_uplink._cli.io.progress import Progress
from dub_uplink._cli.io.text import printable

F = TypeVar("F", bound=Callable[..., Any])

_LONG_WAIT = 1.0  # seconds after which someone at a terminal wonders
_SUFFIXES = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}

quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress bar.")


def _rate_limit(ctx: click.Context, _param: click.Parameter, given: str | None) -> RateLimit | None:
    storage = ctx.params.pop("rate_limit_storage")
    if given is None:
        if storage is not None and ctx.get_parameter_source("rate_limit_storage") is _COMMANDLINE:
            raise click.UsageError("--rate-limit-storage needs --rate-limit: how many requests.")
        return None
    limit, _, period = given.partition("/")
    per: Any = period or "minute"
    try:
        rate_limit = RateLimit(int(limit), per)
    except ValueError:
        raise click.BadParameter(f"{given!r} is no rate; write it as 600 or 600/minute.") from None
    if storage is None:
        return rate_limit
    try:
        # Others have the same limit, and somebody may be waiting for them.
        return RateLimit(rate_limit.limit, per, storage=storage, priority="bulk")
    except (ValueError, ImportError) as error:  # their texts show no password
        raise click.UsageError(f"--rate-limit-storage: {error}.") from None


_COMMANDLINE = click.core.ParameterSource.COMMANDLINE
_RATE = click.option(
    "--rate-limit",
    metavar="N",
    callback=_rate_limit,
    help="Send no more than N requests a minute, and leave the rest of the key's limit to others."
    " N/second and N/hour are understood as well.",
)
_STORAGE = click.option(
    "--rate-limit-storage",
    metavar="URL",
    envvar="DUB_RATE_LIMIT_STORAGE",
    is_eager=True,  # the other option reads it
    help="Share --rate-limit with all who have it there, as in redis://localhost, and let them go"
    " first. [env var: DUB_RATE_LIMIT_STORAGE]",
)


def rate_limit_option(command: F) -> F:
    """The options of a rate limit; the command is given ``rate_limit``, a RateLimit or ``None``."""
    return _STORAGE(_RATE(command))


def format_of(path: str, given: str | None) -> str:
    """The format of a file: as it was given, or else by its name.

    Raises:
        click.UsageError: its name says nothing.
    """
    found = given or _SUFFIXES.get(Path(path).suffix.lower())
    if found is None:
        raise click.UsageError(f"{path}: its name does not say the format; give --format.")
    return found


def open_client(connection: Connection, progress: Progress, rate_limit: RateLimit | None) -> Dub:
    """The client; a wait that is worth a word is told beside the progress."""

    def tell(attempt: int, seconds: float, failed: object) -> None:
        if seconds >= _LONG_WAIT:
            why: Any = getattr(failed, "status_code", None) or getattr(failed, "message", failed)
            progress.note(printable(f"{why}: waiting {seconds:.0f} s"))

    return connection.open(on_retry=tell, rate_limit=rate_limit)


def server_of(connection: Connection) -> str:
    """The server as it was given, empty for Dub's own: what is half done belongs to one."""
    return (connection.server_url or os.environ.get("DUB_SERVER_URL", "")).rstrip("/")
