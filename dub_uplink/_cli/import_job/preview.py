"""Show what an import detected in a file, and what the import would send.

A problem prevents the import. A note is a remark on a value, and does not prevent the import.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from dub_uplink._cli.failures import ExitCode, Failure
from dub_uplink._cli.import_job.validation import ProblemGroup, ProblemGroups, ValidationReport
from dub_uplink._cli.io.records import format_json
from dub_uplink._cli.io.text import make_printable
from dub_uplink._cli.io.text_file import is_non_ascii_utf_8
from dub_uplink._cli.reading.rows import Options, Rows
from dub_uplink._internal.naming import camel_case

#: The preview shows at most this number of characters of a value.
_MAX_VALUE_LENGTH = 200
_FORMATS = {"csv": "CSV", "json": "JSON", "xlsx": "Excel"}


def format_row_count(count: int) -> str:
    """Format a number of rows, such as ``1,206 rows``."""
    return "1 row" if count == 1 else f"{count:,} rows"


def warn_about_options(file: IO[bytes], path: str, options: Options, rows: Rows) -> None:
    """Warn about options without effect, and about an encoding that is probably wrong."""
    is_json = rows.recognized["format"] == "json"
    encoding = rows.recognized.get("encoding")
    is_unused_by_option = {
        "--sheet": options.sheet is not None and "sheet" not in rows.recognized,
        "--delimiter": options.delimiter is not None and "delimiter" not in rows.recognized,
        "--exact": options.exact and is_json,
        "--encoding": options.encoding is not None and options.encoding != encoding,
    }
    for option in (name for name, is_unused in is_unused_by_option.items() if is_unused):
        reason = f"the file is {_FORMATS[rows.recognized['format']]}"
        if option == "--encoding" and encoding:
            reason = "the byte order mark of the file states the encoding"
        click.echo(f"Warning: {option} has no effect: {reason}.", err=True)
    is_option_used = encoding is not None and encoding == options.encoding
    if is_option_used and not str(encoding).startswith("utf") and is_non_ascii_utf_8(file):
        click.echo(
            f"Warning: {path} is valid UTF-8, but it is read as {encoding}.  Hint: leave out"
            " --encoding.",
            err=True,
        )


def show_recognized(path: str, rows: Rows, *, err: bool) -> None:
    """Show the format of a file, and the field of each column."""
    details = {"format": "csv", **rows.recognized}
    parts = [_FORMATS[details.pop("format")]]
    parts += [
        f"{name} {value!r}" if name != "encoding" else value for name, value in details.items()
    ]
    click.echo(make_printable(f"{path}: {', '.join(parts)}"), err=err)
    width = max(map(len, rows.columns), default=0)
    for column, field in rows.columns.items():
        meaning = {None: "(left out)", "?": "(unknown)"}.get(field, field)
        click.echo(f"  {make_printable(column).ljust(width)} -> {meaning}", err=err)


def show_preview(report: ValidationReport, rows: Rows, *, err: bool) -> None:
    """Show the first customers as they would be sent, and the notes."""
    if report.first_requests:
        click.echo("The first customers as they would be sent:", err=err)
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    for request in report.first_requests:
        sent = {camel_case(name): _shorten(value) for name, value in request.items()}
        click.echo(f"  {format_json(sent, encoding)}", err=err)
    show_notes(report, rows, err=err)


def _shorten(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > _MAX_VALUE_LENGTH
    return f"{value[:_MAX_VALUE_LENGTH]}… ({len(value):,} characters)" if is_long else value


def show_notes(report: ValidationReport, rows: Rows, *, err: bool) -> None:
    """Show the notes."""
    if report.notes.groups:
        click.echo("Check these values; they do not prevent the import:", err=err)
        _show_groups(report.notes, rows, err=err)


def require_no_problems(path: str, report: ValidationReport, rows: Rows) -> None:
    """Show the problems of a file, and raise an error if there are any.

    Raises:
        Failure: some rows have problems.
    """
    if not report.bad_rows:
        return
    click.echo("Problems:", err=True)
    _show_groups(report.problems, rows, err=True)
    suffix, hint = "", ""
    has_control_characters = any("U+00" in reason for _, reason in report.problems.groups)
    if has_control_characters and rows.recognized.get("encoding") == "iso8859-1":
        hint = "try --encoding cp1252, or leave out --encoding if the file is UTF-8."
    if report.problem_file_error:
        suffix = (
            f"; {report.problem_file} with all problems cannot be written"
            f" ({report.problem_file_error})"
        )
        hint = "choose another directory with --journal DIRECTORY/FILE."
    elif report.problem_file is not None:
        suffix = f"; all problems are in {report.problem_file}"
    raise Failure(
        f"{path}: {report.bad_rows:,} of {format_row_count(report.rows)} cannot be"
        f" imported{suffix}. Nothing was sent.",
        ExitCode.USAGE,
        hint,
    )


def _show_groups(groups: ProblemGroups, rows: Rows, *, err: bool) -> None:
    for (column, reason), group in groups.groups.items():
        examples = ", ".join(_format_examples(group))
        count = (
            f"{format_row_count(group.count)}, first " if group.count > len(group.examples) else ""
        )
        plural = "s" if len(group.examples) > 1 else ""
        text = f"{column} {reason}: {count}{rows.unit}{plural} {examples}"
        click.echo(f"  {make_printable(text)}", err=err)


def _format_examples(group: ProblemGroup) -> Iterator[str]:
    for problem in group.examples:
        yield f"{problem.line} ({problem.detail})" if problem.detail else f"{problem.line}"


def make_sibling_path(journal: Path, path: Path, suffix: str) -> Path:
    """Return a path in the directory of the journal, with the name of the imported file.

    ``.failed`` and ``.failed-2`` are removed from the name: ``a.failed.csv`` becomes ``a``.
    """
    stem = re.sub(r"(?<=.)\.failed(-[0-9]+)?$", "", path.stem)
    return journal.with_name(stem + suffix)


def warn_about_old_files(*paths: Path) -> None:
    """Warn about each path that exists: the file is from an earlier import."""
    for path in paths:
        if path.exists():
            click.echo(
                f"{path} is from an earlier import; this import did not change it. Delete it if you"
                " do not need it.",
                err=True,
            )
