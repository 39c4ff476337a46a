"""``customers export``."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import click

from dub_uplink import RateLimit
from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.customers.filters import filter_options
from dub_uplink._cli.export.job import Format, Part, PartError, interrupted, stream
from dub_uplink._cli.failures import ExitCode, Failure
from dub_uplink._cli.io.progress import Progress
from dub_uplink._cli.transfer_options import (
    format_of,
    open_client,
    quiet_option,
    rate_limit_option,
    server_of,
)
from dub_uplink.models import errors

EXPORT_EXAMPLES = """\b
Examples:
  dub-uplink customers export customers.csv
  dub-uplink customers export --country GB --sort-order asc british.jsonl
  dub-uplink customers export --resume customers.csv
  dub-uplink customers export --format csv - | gzip > customers.csv.gz
"""


@click.command(
    "export",
    short_help="Write every customer to a file.",
    help="Write every customer, each once, to FILE: CSV, JSONL or Parquet, by its name or --format;"
    " - is the standard output. customers import reads CSV and JSONL back.\n\n"
    "FILE is there when it is whole. Until then FILE.part holds what is there so far, and stays"
    " there where the export is interrupted: --resume goes on with it.",
    epilog=EXPORT_EXAMPLES,
)
@click.argument("path", metavar="FILE", type=click.Path(allow_dash=True))
@click.option(
    "--format",
    "of",
    type=click.Choice(["csv", "jsonl", "parquet"]),
    help="[default: by the name of FILE; jsonl for -]",
)
@click.option("--resume", is_flag=True, help="Go on with an export that was interrupted.")
@click.option("--force", is_flag=True, help="Replace FILE; without --resume, begin anew.")
@quiet_option
@filter_options
@rate_limit_option
@connection_options
def export_command(
    *,
    connection: Connection,
    path: str,
    of: str | None,
    resume: bool,
    force: bool,
    quiet: bool,
    filters: dict[str, Any],
    rate_limit: RateLimit | None,
) -> None:
    """Write every customer to a file."""
    if Path(path).is_dir():
        raise Failure(f"{path} is a directory.", ExitCode.USAGE)
    kind: Any = "jsonl" if path == "-" and of is None else format_of(path, of)
    if kind == "parquet" and find_spec("pyarrow") is None:
        raise Failure("Parquet needs pyarrow.", ExitCode.USAGE, 'pip install "dub-uplink[parquet]"')
    expanded = bool(filters.get("include_expanded_fields"))
    target = Path(os.path.realpath(path))
    if path == "-" or _is_special(target):
        if kind == "parquet" or resume:
            what = "Parquet" if kind == "parquet" else "--resume"
            raise click.UsageError(f"{what} needs a file to write to, not {path}.")
        # Beside what the reader of a pipe shows, a bar would only be in its way.
        bar = Progress("Exporting", quiet=quiet or path == "-")
        with open_client(connection, bar, rate_limit) as dub, _written(path) as file, bar:
            customers = dub.customers.iterate(**filters)
            bar.end(stream(customers, file, kind, expanded=expanded, shown=bar.at))
        return
    _may_write(target, path, resume=resume, force=force)
    _export(
        connection, target, path, kind, filters, resume=resume, quiet=quiet, rate_limit=rate_limit
    )


def _is_special(path: Path) -> bool:
    """Whether this is a device or a pipe: nothing that could be put in place of a file."""
    return path.exists() and not path.is_file() and not path.is_dir()


@contextlib.contextmanager
def _written(path: str) -> Iterator[IO[bytes]]:
    if path == "-":
        yield sys.stdout.buffer
    else:
        with Path(path).open("wb", buffering=2**16) as file:
            yield file


def _may_write(target: Path, path: str, *, resume: bool, force: bool) -> None:
    """Refuse what would take the place of something.

    Raises:
        Failure: there is a file already, or an interrupted export, and nobody said what of it.
    """
    if not target.parent.is_dir():
        raise Failure(f"{target.parent} is no directory.", ExitCode.USAGE)
    if interrupted(target) and not resume and not force:
        raise Failure(
            f"an interrupted export is in {path}.part.",
            ExitCode.USAGE,
            "--resume goes on with it, --force begins anew.",
        )
    if target.exists() and not force and not (resume and interrupted(target)):
        raise Failure(f"{path} exists.", ExitCode.USAGE, "--force replaces it.")


def _export(
    connection: Connection,
    target: Path,
    path: str,
    of: Format,
    filters: dict[str, Any],
    *,
    resume: bool,
    quiet: bool,
    rate_limit: RateLimit | None,
) -> None:
    expanded = bool(filters.get("include_expanded_fields"))
    progress = Progress("Exporting", quiet=quiet)
    with open_client(connection, progress, rate_limit) as dub:
        about = {"format": of, "filters": filters, "server": server_of(connection)}
        try:
            part = Part(target, about, resume=resume)
        except PartError as error:
            raise Failure(f"{error}.", ExitCode.USAGE, "--force begins anew.") from None
        with part:
            before = part.customers
            if before:
                click.echo(f"Going on after {before:,} customers.", err=True)
            customers = dub.customers.iterate(**filters, cursor=part.cursor)
            try:
                with progress:
                    progress.at(before)
                    count = part.fill(customers, of, expanded=expanded, shown=progress.at)
                    progress.end(count)
                    part.finish(_to_parquet(expanded=expanded) if of == "parquet" else None)
            except (errors.DubError, OSError, KeyboardInterrupt):
                if part.customers:
                    click.echo(
                        f"\n{part.customers:,} customers are in {path}.part; --resume goes on.",
                        err=True,
                    )
                raise
    click.echo(f"{count:,} {_customers(count)} in {path}", err=True)


def _to_parquet(*, expanded: bool) -> Callable[[Path, Path], object]:
    from dub_uplink._cli.export.parquet import convert  # noqa: PLC0415 - pyarrow is an extra

    return functools.partial(convert, expanded=expanded)


def _customers(count: int) -> str:
    return "customer" if count == 1 else "customers"
