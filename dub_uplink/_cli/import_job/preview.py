"""What an import recognised and would send, shown before anything is sent."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from dub_uplink._cli.failures import ExitCode, Failure
from dub_uplink._cli.import_job.validation import Group, Groups, ValidationReport
from dub_uplink._cli.io.records import json_text
from dub_uplink._cli.io.text import printable
from dub_uplink._cli.reading.rows import Rows
from dub_uplink._internal.naming import camel_case

_LONGEST_VALUE = 200  # characters of a value in the preview
_FORMATS = {"csv": "CSV", "json": "JSON", "xlsx": "Excel"}


def count_rows(count: int) -> str:
    """Return a number of rows in words."""
    return "1 row" if count == 1 else f"{count:,} rows"


def format_name(rows: Rows) -> str:
    """Return the name of a format in words."""
    return _FORMATS[rows.recognized["format"]]


def show_recognized(path: str, rows: Rows, *, err: bool) -> None:
    """Show the format of a file, and which column is which field."""
    details = {"format": "csv", **rows.recognized}
    parts = [_FORMATS[details.pop("format")]]
    parts += [
        f"{name} {value!r}" if name != "encoding" else value for name, value in details.items()
    ]
    click.echo(printable(f"{path}: {', '.join(parts)}"), err=err)
    width = max(map(len, rows.columns), default=0)
    for column, field in rows.columns.items():
        meaning = {None: "(left out)", "?": "(unknown)"}.get(field, field)
        click.echo(f"  {printable(column).ljust(width)} -> {meaning}", err=err)


def show_preview(report: ValidationReport, rows: Rows, *, err: bool) -> None:
    """Show the first customers as they would be sent, and what a person should look at."""
    if report.first:
        click.echo("The first customers as they would be sent:", err=err)
    encoding = (sys.stderr if err else sys.stdout).encoding or "utf-8"
    for request in report.first:
        sent = {camel_case(name): _shortened(value) for name, value in request.items()}
        click.echo(f"  {json_text(sent, encoding)}", err=err)
    show_notes(report, rows, err=err)


def _shortened(value: Any) -> Any:
    is_long = isinstance(value, str) and len(value) > _LONGEST_VALUE
    return f"{value[:_LONGEST_VALUE]}… ({len(value):,} characters)" if is_long else value


def show_notes(report: ValidationReport, rows: Rows, *, err: bool) -> None:
    """Show what keeps no row from being sent."""
    if report.notes.groups:
        click.echo("Check these values; they do not prevent the import:", err=err)
        _show_groups(report.notes, rows, err=err)


def require_good_rows(path: str, report: ValidationReport, rows: Rows) -> None:
    """Show the problems of a file.

    Raises:
        Failure: there are problems.
    """
    if not report.bad_rows:
        return
    click.echo("Problems:", err=True)
    _show_groups(report.problems, rows, err=True)
    more, hint = "", ""
    control = any("U+00" in reason for _, reason in report.problems.groups)
    if control and rows.recognized.get("encoding") == "iso8859-1":
        hint = "perhaps --encoding cp1252 is right."
    if report.rest_error:
        more = f"; {report.rest} with all problems cannot be written ({report.rest_error})"
        hint = "--journal FILE names another directory for it."
    elif report.rest is not None:
        more = f"; all problems are in {report.rest}"
    raise Failure(
        f"{path}: {report.bad_rows:,} of {count_rows(report.rows)} cannot be imported{more}."
        " Nothing was sent.",
        ExitCode.USAGE,
        hint,
    )


def _show_groups(groups: Groups, rows: Rows, *, err: bool) -> None:
    for (column, reason), group in groups.groups.items():
        places = ", ".join(_places(group))
        count = f"{count_rows(group.count)}, first " if group.count > len(group.places) else ""
        plural = "s" if len(group.places) > 1 else ""
        text = f"{column} {reason}: {count}{rows.unit}{plural} {places}"
        click.echo(f"  {printable(text)}", err=err)


def _places(group: Group) -> Iterator[str]:
    for problem in group.places:
        yield f"{problem.line} ({problem.detail})" if problem.detail else f"{problem.line}"


def side_file(journal: Path, path: Path, suffix: str) -> Path:
    """Return a file beside the journal that is named after the imported one.

    ``a.failed.csv`` and ``a.failed-2.csv`` count as ``a``.
    """
    stem = re.sub(r"(?<=.)\.failed(-[0-9]+)?$", "", path.stem)
    return journal.with_name(stem + suffix)


def show_stale(*paths: Path) -> None:
    """Name the files that an earlier run may have left, and that say nothing of this one."""
    for path in paths:
        if path.exists():
            click.echo(f"{path} is older than this import; it was left as it is.", err=True)
