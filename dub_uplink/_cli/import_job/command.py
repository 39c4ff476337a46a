"""Create the customers in a file: ``customers import``."""

from __future__ import annotations

import codecs
import io
from pathlib import Path
from typing import Any

import click

from dub_uplink import RateLimit
from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.failures import ExitCode, Failure, make_failure
from dub_uplink._cli.import_job.failed_rows import get_failed_suffix, write_failed_rows
from dub_uplink._cli.import_job.job import AttemptLog, Import, ImportAborted, OnConflict
from dub_uplink._cli.import_job.journal import Journal, JournalError
from dub_uplink._cli.import_job.preview import (
    format_row_count,
    make_sibling_path,
    require_no_problems,
    show_notes,
    show_preview,
    show_recognized,
    warn_about_old_files,
    warn_about_options,
)
from dub_uplink._cli.import_job.report import (
    format_counts,
    show_counts,
    show_failures,
    show_reasons,
    show_unresolved,
)
from dub_uplink._cli.import_job.validation import ValidationReport, validate_rows
from dub_uplink._cli.interrupts import InterruptHandler
from dub_uplink._cli.io.files import append_suffix
from dub_uplink._cli.io.progress import Progress
from dub_uplink._cli.io.text import can_prompt, confirm
from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.fields import FIELDS, find_field
from dub_uplink._cli.reading.rows import Format, Options, Rows, make_rows
from dub_uplink._cli.reading.source import can_write_siblings, identify_content, open_source
from dub_uplink._cli.transfer_options import (
    get_server_url,
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

_RUN_AGAIN = "Run the same command again to continue."


def _parse_mapping(
    _ctx: click.Context, _param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str | None]:
    """Return the field of each column; ``None`` for a column to ignore."""
    mapping: dict[str, str | None] = {}
    for value in values:
        column, equals, name = value.rpartition("=")
        field = find_field(name) if name.strip() else None
        if not equals or (name.strip() and field is None):
            raise click.BadParameter(
                f"{value!r} is not COLUMN=FIELD; FIELD is one of {', '.join(FIELDS)}."
            )
        if column in mapping:
            raise click.BadParameter(f"{column!r} is given twice; leave one out.")
        mapping[column] = field
    return mapping


def _check_delimiter(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    delimiter = {"tab": "\t", "\\t": "\t"}.get(text or "", text)
    if delimiter is not None and (len(delimiter) != 1 or delimiter in '"\r\n'):
        raise click.BadParameter(f"{text!r} is not a delimiter; give one such as ;, or give tab.")
    return delimiter


def _check_encoding(_ctx: click.Context, _param: click.Parameter, text: str | None) -> str | None:
    try:
        if text is not None:
            io.TextIOWrapper(io.BytesIO(), text)
            return codecs.lookup(text).name
    except LookupError:
        raise click.BadParameter(
            f"{text!r} is not the name of a text encoding; give one such as utf-8 or cp1252."
        ) from None
    return None


@click.command(
    "import",
    short_help="Create the customers in a file, each exactly once.",
    help="Create the customers in FILE, each exactly once. FILE is CSV, JSON, JSONL or an Excel"
    " workbook (.xlsx). If FILE is -, read the standard input. The format and the delimiter are"
    " detected."
    f" The columns are {', '.join(FIELDS)}. Spellings such as 'External ID' are accepted."
    " Columns that only the API can set are ignored, so FILE can be a CSV or JSONL file of"
    " 'dub-uplink customers export'.\n\n"
    "The whole file is checked before anything is sent. The outcome of each row is recorded in"
    " FILE.journal. After Ctrl-C, a crash or a network failure, run the same command again to"
    " continue. Rows that the API rejects are written with the reason to a file such as"
    " customers.failed.csv. Correct that file and import it.",
    epilog=IMPORT_EXAMPLES,
)
@click.argument("path", metavar="FILE", type=click.Path())
@click.option("--dry-run", is_flag=True, help="Check the file, show a preview, and send nothing.")
@click.option(
    "-y",
    "--yes",
    is_flag=True,
    help="Import without a preview or a confirmation. This is the default if stdin or stderr is"
    " not a terminal.",
)
@click.option(
    "--on-conflict",
    type=click.Choice(["fail", "skip", "upsert"]),
    default="fail",
    show_default=True,
    help="What to do if the customer of a row exists: fail reports the row as failed, skip leaves"
    " the customer unchanged, upsert overwrites the customer's fields, except the country.",
)
@click.option(
    "--map",
    "mapping",
    multiple=True,
    metavar="COLUMN=FIELD",
    callback=_parse_mapping,
    help="Import the column COLUMN as the field FIELD, such as 'User ID=external_id'. 'COLUMN='"
    " ignores the column. Can be repeated.",
)
@click.option(
    "--ignore-unknown", is_flag=True, help="Ignore columns that match no field.  [default: error]"
)
@click.option(
    "--exact",
    is_flag=True,
    help="Import each cell unchanged, even if the cell contains NULL or 1E05. Use this option only"
    " if no spreadsheet program has edited the file.",
)
@click.option(
    "--format",
    "file_format",
    type=click.Choice(["csv", "json", "jsonl", "xlsx"]),
    help="The format of FILE.  [default: detected from the content and the name of FILE]",
)
@click.option(
    "--sheet",
    metavar="NAME",
    help="The sheet of an Excel workbook to import.  [default: the first visible sheet]",
)
@click.option(
    "--encoding",
    callback=_check_encoding,
    metavar="NAME",
    help="The encoding of a file without a byte order mark, such as cp1252.  [default: utf-8]",
)
@click.option(
    "--delimiter",
    metavar="CHARACTER",
    callback=_check_delimiter,
    help="The character between the cells of CSV. For a tab, give the word tab.  [default: detected"
    " from the header]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=8,
    show_default=True,
    metavar="N",
    help="The maximum number of concurrent requests.",
)
@click.option(
    "--journal",
    "journal_path",
    type=click.Path(dir_okay=False),
    metavar="JOURNAL",
    help="Record the progress in JOURNAL, so that an interrupted import can continue. The files of"
    " failed rows and of problems are written to the same directory.  [default: FILE.journal]",
)
@click.option(
    "--restart",
    is_flag=True,
    help="Discard the journal of an interrupted import, and send every row again. If the customer"
    " of a row was already created, --on-conflict applies to the row.",
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
    file_format: Format | None,
    sheet: str | None,
    encoding: str | None,
    delimiter: str | None,
    workers: int,
    journal_path: str | None,
    restart: bool,
    quiet: bool,
    rate_limit: RateLimit | None,
) -> None:
    """Create the customers in a file."""
    options = Options(file_format, encoding, delimiter, sheet, mapping, ignore_unknown, exact)
    try:
        with open_source(path) as file:
            file_identity = identify_content(file)
            file_name = path if can_write_siblings(path) else f"stdin-{file_identity['sha256'][:8]}"
            base_path = Path(file_name)
            journal_file = Path(journal_path or append_suffix(base_path, ".journal"))
            rows = make_rows(file, options, path)
            warn_about_options(file, path, options, rows)
            needs_confirmation = not (dry_run or yes) and can_prompt()
            problem_file = make_sibling_path(journal_file, base_path, ".problems.csv")
            preview = dry_run or needs_confirmation
            report = _validate(
                path, rows, problem_file, preview=preview, dry_run=dry_run, quiet=quiet
            )
            if dry_run or not report.rows:
                summary = f"{format_row_count(report.rows)} without problems; nothing was sent"
                if not report.rows:
                    summary = "there is nothing to import: it has no rows"
                click.echo(f"{path}: {summary}.")
                return
            if needs_confirmation and not confirm(f"Import {format_row_count(report.rows)}?"):
                click.echo("Nothing was sent.", err=True)
                raise click.exceptions.Exit(ExitCode.FAILED)
            token = connection.read_token()
            import_identity = {
                "file": file_identity,
                "server": get_server_url(connection),
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
            attempts = AttemptLog()
            with (
                InterruptHandler() as interrupt,
                open_client(
                    connection, progress, rate_limit, interrupt, token, attempts.on_retry
                ) as dub,
                _open_journal(
                    journal_file, import_identity, report.rows, restart=restart
                ) as journal,
            ):
                max_workers = workers if rate_limit is None else min(workers, rate_limit.limit)
                run = Import(dub.customers, file, rows, journal, on_conflict, max_workers, attempts)
                run.check_interrupt = interrupt.check
                failed_path = make_sibling_path(journal_file, base_path, get_failed_suffix(rows))
                old_files = [
                    old for old in (failed_path, problem_file) if old.exists() and old != base_path
                ]
                _run_import(run, failed_path, progress, interrupt)
            warn_about_old_files(*old_files)
    except BadFile as error:
        raise Failure(f"{path}: {error}", ExitCode.USAGE) from None
    except JournalError as error:
        raise Failure(f"{error}.", ExitCode.USAGE) from None


def _open_journal(
    path: Path, import_identity: dict[str, Any], rows: int, *, restart: bool
) -> Journal:
    """Open the journal.

    Raises:
        Failure: the journal cannot be written.
        JournalError: the journal belongs to another import, or is not a journal.
    """
    try:
        return Journal(path, import_identity, rows, restart=restart)
    except OSError as error:
        raise Failure(
            f"{path}: {error.strerror}. Nothing was sent.",
            ExitCode.USAGE,
            "choose another directory with --journal DIRECTORY/FILE.",
        ) from None


def _validate(
    path: str, rows: Rows, problem_file: Path, *, preview: bool, dry_run: bool, quiet: bool
) -> ValidationReport:
    """Validate all rows. Show a preview, or only the notes, which are remarks on values.

    Raises:
        BadFile: the file cannot be read to its end.
        Failure: some rows have problems.
    """
    if rows.header_problem:
        show_recognized(path, rows, err=not dry_run)
        raise BadFile(rows.header_problem)
    with Progress("Checking", transient=True, quiet=quiet) as progress:
        report = validate_rows(rows, problem_file, progress.update)
    if preview:
        show_recognized(path, rows, err=not dry_run)
        show_preview(report, rows, err=not dry_run)
    else:
        show_notes(report, rows, err=True)
    require_no_problems(path, report, rows)
    return report


def _run_import(
    run: Import, failed_path: Path, progress: Progress, interrupt: InterruptHandler
) -> None:
    """Import the rows, show a report, and delete the journal if the import is complete.

    Raises:
        Failure: the import stopped early, or some rows had no usable response.
        Exit: some rows failed.
    """
    journal = run.journal
    completed = sum(journal.count_outcomes().values())
    if journal.replaced_outcome_counts is not None:
        counts = format_counts(journal.replaced_outcome_counts)
        click.echo(f"The previous import was complete ({counts}); this is a new import.", err=True)
    if completed == journal.rows:
        click.echo("This import is already complete; nothing is sent. Its report again:", err=True)
    elif completed:
        click.echo(
            f"Resuming: {completed:,} of {format_row_count(journal.rows)} are complete.", err=True
        )
    run.on_progress = progress.update
    try:
        with progress:
            progress.update(completed)
            unresolved = run.run()
    except ImportAborted as aborted:
        _report_stopped(run, failed_path)
        failure = make_failure(aborted.error)
        run_again = "Then run the command again." if "--server-url" in failure.hint else _RUN_AGAIN
        hint = f"{failure.hint} {run_again}".strip()
        raise Failure(failure.message, failure.exit_code, hint) from None
    except (OSError, KeyboardInterrupt):
        _report_stopped(run, failed_path)
        click.echo(f"Stopped; {_RUN_AGAIN[0].lower()}{_RUN_AGAIN[1:]}", err=True)
        raise
    if unresolved:
        _report_stopped(run, failed_path)
        message = f"{format_row_count(unresolved)} had no usable response."
        raise Failure(message, ExitCode.NETWORK, _RUN_AGAIN)
    interrupt.ignore()  # the import is complete: prevent exit code 130, which asks for another run
    failed_path, write_error = _write_failed(run, failed_path)
    show_counts(journal)
    has_failures = show_failures(journal, failed_path, run.on_conflict, write_error=write_error)
    if not write_error:
        journal.delete()
    if has_failures:
        raise click.exceptions.Exit(ExitCode.FAILED)


def _report_stopped(run: Import, failed_path: Path) -> None:
    """Show the counts of an import that stopped early, and write the failed rows."""
    failed_path, write_error = _write_failed(run, failed_path)
    show_counts(run.journal)
    if show_reasons(run.journal) and not write_error:
        click.echo(f"The rows that failed so far are in {failed_path}.", err=True)
    elif write_error:
        click.echo(
            f"{failed_path} cannot be written ({write_error}). Remove the cause, then run the"
            " command again to write it.",
            err=True,
        )
    show_unresolved(run.unresolved, run.retry_after)


def _write_failed(run: Import, path: Path) -> tuple[Path, str]:
    """Write the failed rows, if any. Return the path, and an error message or ""."""
    try:
        if run.journal.count_outcomes()["failed"]:
            path = write_failed_rows(path, run.rows, run.journal)
    except OSError as error:
        suffix = "" if error.filename is None else f": {error.filename}"
        return path, f"{error.strerror or error}{suffix}"
    except BadFile as error:  # the imported file has changed during the import
        return path, f"the imported file cannot be read again: {str(error).rstrip('.')}"
    return path, ""
