"""``customers import``."""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from dub_uplink import RateLimit
from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.failures import ExitCode, Failure, failure
from dub_uplink._cli.import_job.failed_rows import failed_path, write_failed
from dub_uplink._cli.import_job.job import Import, ImportAborted, OnConflict
from dub_uplink._cli.import_job.journal import Journal, JournalError
from dub_uplink._cli.import_job.rows import FIELD_NAMES, FIELDS, Options, Rows, rows_of
from dub_uplink._cli.import_job.validation import Checked, check
from dub_uplink._cli.interrupts import InterruptHandler
from dub_uplink._cli.io.files import beside
from dub_uplink._cli.io.progress import Progress
from dub_uplink._cli.io.text import printable
from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.transfer_options import (
    format_of,
    open_client,
    quiet_option,
    rate_limit_option,
    server_of,
)

_SHOWN = 20  # problems of a file; the rest is in another

IMPORT_EXAMPLES = """\b
Examples:
  dub-uplink customers import --dry-run customers.csv
  dub-uplink customers import --map "User ID=external_id" --map "Notes=" a.csv
  dub-uplink customers import --on-conflict upsert --rate-limit 500 a.jsonl
  dub-uplink customers import customers.failed.csv
"""


def _mapping(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str | None]:
    """``Column=field`` of each ``--map``; ``Column=`` leaves a column out."""
    mapping: dict[str, str | None] = {}
    for each in given:
        column, equals, name = each.rpartition("=")
        spelled = FIELD_NAMES.get(name.strip())
        if not equals or (name and spelled is None):
            raise click.BadParameter(
                f"{each!r} is not COLUMN=FIELD with one of {', '.join(FIELDS)}."
            )
        if column in mapping:
            raise click.BadParameter(f"{column!r} is there twice.")
        mapping[column] = spelled
    return mapping


def _delimiter(_ctx: click.Context, _param: click.Parameter, given: str) -> str:
    found = {"tab": "\t", "\\t": "\t"}.get(given, given)
    if len(found) != 1 or found in '"\r\n':
        raise click.BadParameter("give one character, or tab.")
    return found


def _encoding(_ctx: click.Context, _param: click.Parameter, given: str) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), given)
        return codecs.lookup(given).name
    except LookupError:
        raise click.BadParameter(f"{given!r} is no encoding of text.") from None


@click.command(
    "import",
    short_help="Create the customers of a file, each exactly once.",
    help="Create the customers of FILE, CSV or JSONL, each exactly once. Columns are found by name,"
    f" in snake_case or camelCase: {', '.join(FIELDS)}. Those that only the API sets are left out,"
    " so that what customers export writes can be read.\n\n"
    "The whole file is checked before anything is sent. FILE.journal records what became of each"
    " row: after Ctrl-C, a crash or a failed network the same command goes on where it was. Rows"
    " that the API refuses are in FILE.failed.csv with the reason, to be mended and imported.",
    epilog=IMPORT_EXAMPLES,
)
@click.argument("path", metavar="FILE", type=click.Path())
@click.option("--dry-run", is_flag=True, help="Check the file, and send nothing.")
@click.option(
    "--on-conflict",
    type=click.Choice(["fail", "skip", "upsert"]),
    default="fail",
    show_default=True,
    help="What becomes of a row whose customer exists: it fails, the customer is left as it is, or"
    " is updated with the row's values.",
)
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="COLUMN=FIELD",
    callback=_mapping,
    help="Which field a column is; COLUMN= leaves it out. May be given several times.",
)
@click.option("--ignore-unknown", is_flag=True, help="Leave out columns that are not known.")
@click.option("--format", "of", type=click.Choice(["csv", "jsonl"]), help="[default: by name]")
@click.option(
    "--encoding", default="utf-8", show_default=True, callback=_encoding, help="As in latin-1."
)
@click.option(
    "--delimiter",
    default=",",
    show_default=True,
    metavar="CHARACTER",
    callback=_delimiter,
    help="What is between two cells of CSV; or tab.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="Requests at a time.",
)
@click.option(
    "--journal",
    "journal_path",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="[default: FILE.journal]",
)
@click.option("--restart", is_flag=True, help="Forget the journal, and begin anew.")
@quiet_option
@rate_limit_option
@connection_options
def import_command(
    *,
    connection: Connection,
    path: str,
    dry_run: bool,
    on_conflict: OnConflict,
    mapping: dict[str, str | None],
    ignore_unknown: bool,
    of: str | None,
    encoding: str,
    delimiter: str,
    workers: int,
    journal_path: str | None,
    restart: bool,
    quiet: bool,
    rate_limit: RateLimit | None,
) -> None:
    """Create the customers of a file."""
    _must_be_file(path)
    kind: Any = format_of(path, of)
    if kind == "parquet":
        raise click.UsageError("import reads CSV and JSONL, not Parquet.")
    options = Options(kind, encoding, delimiter, mapping, ignore_unknown)
    try:
        with _readable(path) as file:
            rows = rows_of(file, options)
            checked = _check(path, rows, quiet=quiet)
            if dry_run or not checked.rows:
                sent = "nothing was sent" if dry_run else "there is nothing to import"
                click.echo(f"{path}: {_rows(checked.rows)}, all of them good; {sent}.")
                return
            about = {
                "file": _identity(file),
                "options": options.plain(),
                "server": server_of(connection),
            }
            journal_file = Path(journal_path) if journal_path else beside(Path(path), ".journal")
            progress = Progress("Importing", checked.rows, quiet=quiet)
            with (
                InterruptHandler() as interrupt,
                open_client(connection, progress, rate_limit, interrupt) as dub,
                Journal(journal_file, about, checked.rows, restart=restart) as journal,
            ):
                most = workers if rate_limit is None else min(workers, rate_limit.limit)
                run = Import(dub.customers, file, rows, journal, on_conflict, most)
                run.check_interrupt = interrupt.check
                _import(run, Path(path), progress)
    except BadFile as error:
        raise Failure(f"{path}: {error}", ExitCode.USAGE) from None
    except JournalError as error:
        raise Failure(f"{error}.", ExitCode.USAGE) from None


@contextlib.contextmanager
def _readable(path: str) -> Iterator[IO[bytes]]:
    """A file, open.

    Raises:
        Failure: it cannot be read.
    """
    try:
        file = open(path, "rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}.", ExitCode.USAGE) from None
    with file:
        yield file


def _must_be_file(path: str) -> None:
    """Refuse what cannot be read twice: a pipe, a device, the standard input.

    Raises:
        Failure: it is none, or cannot be found.
    """
    try:
        mode = os.stat(path).st_mode if path != "-" else stat.S_IFIFO
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}.", ExitCode.USAGE) from None
    if stat.S_ISDIR(mode):
        raise Failure(f"{path} is a directory.", ExitCode.USAGE)
    if not stat.S_ISREG(mode):
        raise Failure(
            f"{path} is no file, and what is imported is read twice.",
            ExitCode.USAGE,
            "save it first.",
        )


def _identity(file: IO[bytes]) -> dict[str, Any]:
    """What tells a file from another, and from itself after a change."""
    digest = hashlib.sha256()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    size = 0
    while chunk := os.read(file.fileno(), 2**20):
        digest.update(chunk)
        size += len(chunk)
    return {"size": size, "sha256": digest.hexdigest()}


def _check(path: str, rows: Rows, *, quiet: bool) -> Checked:
    """Check the whole file.

    Raises:
        Exit: rows are bad; each is told.
    """
    rest = Path(path).with_name(f"{Path(path).stem}.problems.csv")
    with Progress("Checking", passing=True, quiet=quiet) as progress:
        checked = check(rows, _SHOWN, rest, progress.at)
    if not checked.bad_rows:
        return checked
    for line, column, reason in checked.problems:
        click.echo(printable(f"{path}:{line}: {column} {reason}".replace(":  ", ": ")), err=True)
    more = f"; the rest is in {checked.rest}" if checked.rest else ""
    raise Failure(
        f"{checked.bad_rows:,} of {_rows(checked.rows)} cannot be imported{more}."
        " Nothing was sent.",
        ExitCode.USAGE,
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _import(run: Import, path: Path, progress: Progress) -> None:
    """Import, and tell what came of it.

    Raises:
        Failure: it stopped early, or rows are left.
        Exit: some rows failed.
    """
    journal = run.journal
    before = sum(journal.counts().values())
    if before:
        click.echo(f"Going on: {before:,} of {_rows(journal.rows)} are done.", err=True)
    run.done = progress.at
    again = "the same command goes on."
    try:
        with progress:
            progress.at(before)
            left = run.run()
    except ImportAborted as halted:
        _report(journal, path)
        told = failure(halted.error)
        raise Failure(told.message, told.exit_code, f"{told.hint} Then {again}".strip()) from None
    except (OSError, KeyboardInterrupt):
        _report(journal, path)
        click.echo(f"Stopped; {again}", err=True)
        raise
    failed = failed_path(path)
    if journal.counts()["failed"] and not (before == journal.rows and failed.exists()):
        write_failed(failed, run.rows, journal)
    _report(journal, path)
    if left:
        raise Failure(f"{_rows(left)} had no usable answer.", ExitCode.NETWORK, f"{again}")
    if journal.counts()["failed"]:
        raise click.exceptions.Exit(ExitCode.FAILED)


def _report(journal: Journal, path: Path) -> None:
    counts = journal.counts()
    left = journal.rows - sum(counts.values())
    parts = [f"{count:,} {ending}" for ending, count in counts.items()]
    parts += [f"{left:,} left"] if left else []
    failed = failed_path(path)
    where = f" ({failed})" if counts["failed"] and failed.exists() else ""
    click.echo(f"{_rows(journal.rows)}: {', '.join(parts)}{where}")
