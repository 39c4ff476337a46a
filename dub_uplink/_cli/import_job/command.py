"""``customers import``."""

from __future__ import annotations

import codecs
import io
from pathlib import Path
from typing import Any

import click

from dub_uplink import RateLimit
from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.failures import ExitCode, Failure, failure
from dub_uplink._cli.import_job.failed_rows import failed_suffix, write_failed
from dub_uplink._cli.import_job.job import Attempts, Import, ImportAborted, OnConflict
from dub_uplink._cli.import_job.journal import Journal, JournalError
from dub_uplink._cli.import_job.preview import (
    count_rows,
    format_name,
    require_good_rows,
    show_notes,
    show_preview,
    show_recognized,
    show_stale,
    side_file,
)
from dub_uplink._cli.import_job.report import show_counts, show_failures, show_reasons
from dub_uplink._cli.import_job.validation import ValidationReport, check
from dub_uplink._cli.interrupts import InterruptHandler
from dub_uplink._cli.io.files import beside
from dub_uplink._cli.io.progress import Progress
from dub_uplink._cli.io.text import can_ask, confirm
from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.fields import FIELDS, field_named
from dub_uplink._cli.reading.rows import Format, Options, Rows, rows_of
from dub_uplink._cli.reading.source import identity, is_named, open_source
from dub_uplink._cli.transfer_options import (
    configured_server_url,
    hash_api_key,
    open_client,
    quiet_option,
    rate_limit_option,
)

IMPORT_EXAMPLES = """\b
Examples:
  dub-uplink customers import --dry-run customers.xlsx
  dub-uplink customers import --map "User ID=external_id" --map "Notes=" a.csv
  dub-uplink customers import --on-conflict upsert --rate-limit 500 a.jsonl
  dub-uplink customers import customers.failed.csv
"""

_AGAIN = "Run the same command again to continue."


def _mapping(
    _ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]
) -> dict[str, str | None]:
    """``Column=field`` of each ``--map``; ``Column=`` leaves a column out."""
    mapping: dict[str, str | None] = {}
    for each in given:
        column, equals, name = each.rpartition("=")
        spelled = field_named(name) if name.strip() else None
        if not equals or (name.strip() and spelled is None):
            raise click.BadParameter(
                f"{each!r} is not COLUMN=FIELD with one of {', '.join(FIELDS)}."
            )
        if column in mapping:
            raise click.BadParameter(f"{column!r} is given twice.")
        mapping[column] = spelled
    return mapping


def _delimiter(_ctx: click.Context, _param: click.Parameter, given: str | None) -> str | None:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(given or "", given)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise click.BadParameter(f"{given!r} is not one character; give one, or tab.")
    return delimiter


def _encoding(_ctx: click.Context, _param: click.Parameter, given: str | None) -> str | None:
    try:
        if given is not None:
            io.TextIOWrapper(io.BytesIO(), given)
            return codecs.lookup(given).name
    except LookupError:
        raise click.BadParameter(
            f"{given!r} is not the name of a text encoding; common ones are utf-8 and cp1252."
        ) from None
    return None


@click.command(
    "import",
    short_help="Create the customers of a file, each exactly once.",
    help="Create the customers of FILE, each exactly once. FILE is CSV, JSON, JSON Lines or an"
    " Excel workbook (.xlsx), or - for the standard input; format, encoding and delimiter are"
    " recognised."
    f" Columns are matched by name, as in 'External ID': {', '.join(FIELDS)}. Those that only the"
    " API sets are left out, so that what customers export writes can be read.\n\n"
    "The whole file is checked before anything is sent; --dry-run shows what was recognised and"
    " would be sent. FILE.journal records the outcome of each row: after Ctrl-C, a crash or a"
    " network failure, run the same command to continue. Rows that the API rejects are in"
    " FILE.failed.csv with the reason, to be corrected and imported.",
    epilog=IMPORT_EXAMPLES,
)
@click.argument("path", metavar="FILE", type=click.Path())
@click.option("--dry-run", is_flag=True, help="Check the file, show a preview, and send nothing.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask before the import, on a terminal.")
@click.option(
    "--on-conflict",
    type=click.Choice(["fail", "skip", "upsert"]),
    default="fail",
    show_default=True,
    help="What to do with a row whose customer exists: fail reports the row as failed, skip leaves"
    " the customer unchanged, upsert updates the customer. Dub does not update the country.",
)
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="COLUMN=FIELD",
    callback=_mapping,
    help="Import COLUMN as FIELD, such as 'User ID=external_id'. 'COLUMN=' ignores the column. Can"
    " be repeated.",
)
@click.option("--ignore-unknown", is_flag=True, help="Ignore unknown columns instead of an error.")
@click.option(
    "--exact",
    is_flag=True,
    help="Import each cell unchanged, for a file that no spreadsheet has edited. NULL is then a"
    " name, and 1E05 an id.",
)
@click.option(
    "--format",
    "of",
    type=click.Choice(["csv", "json", "jsonl", "xlsx"]),
    help="The format of the file.  [default: recognised by content and name]",
)
@click.option(
    "--sheet", metavar="NAME", help="The sheet of a workbook.  [default: the first visible sheet]"
)
@click.option(
    "--encoding",
    callback=_encoding,
    metavar="NAME",
    help="The encoding of a file without a byte order mark, such as cp1252.  [default: utf-8]",
)
@click.option(
    "--delimiter",
    metavar="CHARACTER",
    callback=_delimiter,
    help="The character between the cells of CSV, or the word tab.  [default: recognised from the"
    " header]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="The number of requests in flight at once.",
)
@click.option(
    "--journal",
    "journal_path",
    type=click.Path(dir_okay=False),
    metavar="JOURNAL",
    help="Record the progress in this file, so that an interrupted import can continue. Failed"
    " rows and problems are written to the same directory.  [default: FILE.journal]",
)
@click.option(
    "--restart",
    is_flag=True,
    help="Discard the journal of an interrupted import, and send every row again. Rows that were"
    " already created are then conflicts; see --on-conflict.",
)
@quiet_option
@rate_limit_option
@connection_options
def import_command(
    *,
    connection: Connection,
    path: str,
    dry_run: bool,
    yes: bool,
    on_conflict: OnConflict,
    mapping: dict[str, str | None],
    ignore_unknown: bool,
    exact: bool,
    of: Format | None,
    sheet: str | None,
    encoding: str | None,
    delimiter: str | None,
    workers: int,
    journal_path: str | None,
    restart: bool,
    quiet: bool,
    rate_limit: RateLimit | None,
) -> None:
    """Create the customers of a file."""
    options = Options(of, encoding, delimiter, sheet, mapping, ignore_unknown, exact)
    try:
        with open_source(path) as file:
            file_identity = identity(file)
            named = Path(path) if is_named(path) else Path(f"stdin-{file_identity['sha256'][:8]}")
            journal_file = Path(journal_path) if journal_path else beside(named, ".journal")
            rows = rows_of(file, options, path)
            _warn_of_unused(options, rows)
            asks = not (dry_run or yes) and can_ask()
            rest = side_file(journal_file, named, ".problems.csv")
            report = _validate(path, rows, rest, preview=dry_run or asks, dry=dry_run, quiet=quiet)
            if dry_run or not report.rows:
                good = f"{count_rows(report.rows)} without problems; nothing was sent"
                empty = "there is nothing to import: it has no rows"
                click.echo(f"{path}: {good if report.rows else empty}.")
                return
            if asks and not confirm(f"Import {count_rows(report.rows)}?"):
                click.echo("Nothing was sent.", err=True)
                raise click.exceptions.Exit(ExitCode.FAILED)
            token = connection.token()
            about = {
                "file": file_identity,
                "server": configured_server_url(connection),
                "API key": hash_api_key(token, file_identity),
                "options": {
                    **rows.recognized,
                    "map": mapping,
                    "ignore_unknown": ignore_unknown,
                    "exact": exact,
                },
                "on_conflict": on_conflict,
            }
            progress = Progress("Importing", report.rows, quiet=quiet)
            attempts = Attempts()
            with (
                InterruptHandler() as interrupt,
                open_client(
                    connection, progress, rate_limit, interrupt, token, attempts.on_retry
                ) as dub,
                _open_journal(journal_file, about, report.rows, restart=restart) as journal,
            ):
                most = workers if rate_limit is None else min(workers, rate_limit.limit)
                run = Import(dub.customers, file, rows, journal, on_conflict, most, attempts)
                run.check_interrupt = interrupt.check
                failed = side_file(journal_file, named, failed_suffix(rows))
                stale = [old for old in (failed, rest) if old.exists() and old != named]
                _import(run, failed, progress)
            show_stale(*stale)
    except BadFile as error:
        raise Failure(f"{path}: {error}", ExitCode.USAGE) from None
    except JournalError as error:
        raise Failure(f"{error}.", ExitCode.USAGE) from None


def _warn_of_unused(options: Options, rows: Rows) -> None:
    """Name the options that say nothing about this format."""
    is_json = rows.recognized["format"] == "json"
    unused = {
        "--sheet": options.sheet is not None and "sheet" not in rows.recognized,
        "--delimiter": options.delimiter is not None and "delimiter" not in rows.recognized,
        "--exact": options.exact and is_json,
        "--encoding": options.encoding is not None
        and options.encoding != rows.recognized.get("encoding"),
    }
    for option in (name for name, is_unused in unused.items() if is_unused):
        why = "a byte order mark decides" if "encoding" in rows.recognized else ""
        why = why if option == "--encoding" and why else f"the file is {format_name(rows)}"
        click.echo(f"Warning: {option} has no effect: {why}.", err=True)


def _open_journal(path: Path, about: dict[str, Any], rows: int, *, restart: bool) -> Journal:
    """Open the journal.

    Raises:
        Failure: it cannot be written there.
        JournalError: it belongs to something else.
    """
    try:
        return Journal(path, about, rows, restart=restart)
    except OSError as error:
        raise Failure(
            f"{path}: {error.strerror}. Nothing was sent.",
            ExitCode.USAGE,
            "--journal FILE names another place for the journal and the files beside it.",
        ) from None


def _validate(
    path: str, rows: Rows, rest: Path, *, preview: bool, dry: bool, quiet: bool
) -> ValidationReport:
    """Check the whole file, and show what a person should see of it.

    Raises:
        BadFile: it cannot be read to its end.
        Failure: rows are bad.
    """
    if rows.header_problem:
        show_recognized(path, rows, err=not dry)
        raise BadFile(rows.header_problem)
    with Progress("Checking", transient=True, quiet=quiet) as progress:
        report = check(rows, rest, progress.at)
    if preview:
        show_recognized(path, rows, err=not dry)
        show_preview(report, rows, err=not dry)
    else:
        show_notes(report, rows, err=True)
    require_good_rows(path, report, rows)
    return report


def _import(run: Import, failed: Path, progress: Progress) -> None:
    """Import, and report; a complete import that was reported has no journal.

    Raises:
        Failure: it stopped early, or rows are left.
        Exit: some rows failed.
    """
    journal = run.journal
    before = sum(journal.counts().values())
    if journal.replaced is not None:
        ended = ", ".join(f"{count:,} {ending}" for ending, count in journal.replaced.items())
        click.echo(f"The previous import has ended ({ended}); this is a new one.", err=True)
    if before == journal.rows:
        click.echo("All rows are done; nothing is sent. The report is repeated.", err=True)
    elif before:
        are = "is" if journal.rows == 1 else "are"
        click.echo(f"Resuming: {before:,} of {count_rows(journal.rows)} {are} done.", err=True)
    run.done = progress.at
    try:
        with progress:
            progress.at(before)
            left = run.run()
    except ImportAborted as aborted:
        _report_stopped(run, failed)
        shown = failure(aborted.error)
        hint = f"{shown.hint} {_AGAIN}".strip()
        raise Failure(shown.message, shown.exit_code, hint) from None
    except (OSError, KeyboardInterrupt):
        _report_stopped(run, failed)
        click.echo(f"Stopped; {_AGAIN[0].lower()}{_AGAIN[1:]}", err=True)
        raise
    if left:
        _report_stopped(run, failed)
        raise Failure(f"{count_rows(left)} had no usable response.", ExitCode.NETWORK, _AGAIN)
    failed, unwritable = _write_failed(run, failed)
    show_counts(journal)
    has_failures = show_failures(journal, failed, run.on_conflict, unwritable=unwritable)
    if not unwritable:
        journal.delete()
    if has_failures:
        raise click.exceptions.Exit(ExitCode.FAILED)


def _report_stopped(run: Import, failed: Path) -> None:
    """Show how far an import came that stopped early, and write the rows that failed so far."""
    failed, unwritable = _write_failed(run, failed)
    show_counts(run.journal)
    if show_reasons(run.journal) and not unwritable:
        click.echo(f"The rows that failed so far are in {failed}.", err=True)
    elif unwritable:
        click.echo(f"{failed} cannot be written ({unwritable}).", err=True)


def _write_failed(run: Import, path: Path) -> tuple[Path, str]:
    """Write the file of failed rows, if there are any; return its path, and why it is not there."""
    try:
        if run.journal.counts()["failed"]:
            path = write_failed(path, run.rows, run.journal)
    except OSError as error:
        named = "" if error.filename is None else f": {error.filename}"
        return path, f"{error.strerror or error}{named}"
    except BadFile as error:  # changed meanwhile
        return path, f"the imported file cannot be read again: {str(error).rstrip('.')}"
    return path, ""
