"""Validation of a whole file before anything is sent."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from dub_uplink._cli.io.files import NewFile
from dub_uplink._cli.io.text import escape_formula, printable
from dub_uplink._cli.reading.rows import Problem, Row, Rows
from dub_uplink._cli.reading.values import shown

#: What the server keeps unique.
_UNIQUE = ("external_id", "stripe_customer_id")
_BATCH = 1_000
_FIRST_ROWS = 3
_PLACES = 5  # that are shown of a group
_GROUPS = 50  # that are shown


@dataclass
class Group:
    """Problems of one reason in one column: how many, and the first."""

    count: int = 0
    places: list[Problem] = field(default_factory=list)


class Groups:
    """Problems grouped by column and reason; memory does not grow with the file."""

    def __init__(self) -> None:
        self.groups: dict[tuple[str, str], Group] = {}

    def add(self, problem: Problem) -> bool:
        """Add a problem, and return whether it will be shown."""
        key = problem.column, problem.reason
        if key not in self.groups and len(self.groups) == _GROUPS:
            return False
        group = self.groups.setdefault(key, Group())
        group.count += 1
        if len(group.places) == _PLACES:
            return False
        group.places.append(problem)
        return True

    def shown(self) -> list[Problem]:
        """Return every problem that is shown, by line."""
        places = (problem for group in self.groups.values() for problem in group.places)
        return sorted(places, key=lambda problem: problem.line)


@dataclass
class ValidationReport:
    """What a validation showed: counts, problems, and the first requests.

    ``notes`` keep no row from being sent. ``rest`` is the file with all problems, if they are more
    than ``problems`` holds; ``rest_error`` says why it could not be written.
    """

    rows: int = 0
    bad_rows: int = 0
    problems: Groups = field(default_factory=Groups)
    notes: Groups = field(default_factory=Groups)
    first: list[dict[str, Any]] = field(default_factory=list)
    rest: Path | None = None
    rest_error: str = ""


def check(
    rows: Rows, rest: Path, seen: Callable[[int], object] = lambda count: None
) -> ValidationReport:
    """Validate a whole file; memory does not grow with it.

    Args:
        rows: the rows.
        rest: where all problems are written if not all are shown.
        seen: called with the number of rows so far.

    Raises:
        BadFile: the file cannot be read to its end.
    """
    report = ValidationReport()
    delimiter = rows.recognized.get("delimiter", ",")
    with SeenIds() as ids, _Rest(report, rest, rows.unit, delimiter) as overflow:
        for row in rows:
            report.rows += 1
            doubles, notes = ids.compare(row, rows)
            problems = (*row.problems, *doubles)
            if problems:
                report.bad_rows += 1
                overflow.add(problems)
            elif len(report.first) < _FIRST_ROWS:
                report.first.append(row.request)
            for note in (*row.notes, *notes):
                report.notes.add(note)
            if report.rows % _BATCH == 0:
                seen(report.rows)
    return report


class _Rest:
    """Writes all problems to a file once one of them is not shown."""

    def __init__(self, report: ValidationReport, path: Path, unit: str, delimiter: str) -> None:
        self._report = report
        self._unit = unit
        self._delimiter = delimiter
        self._path = path
        self._files = contextlib.ExitStack()
        self._writer: Any = None

    def add(self, problems: Iterable[Problem]) -> None:
        """Add the problems of a row."""
        for problem in problems:
            before = [] if self._report.rest else self._report.problems.shown()
            if not self._report.problems.add(problem) or self._report.rest:
                self._write([*before, problem])

    def _write(self, problems: list[Problem]) -> None:
        if not self._report.rest_error:
            try:
                self._write_to_file(problems)
            except OSError as error:
                self._fail(error)
            else:
                return
        for line, column, reason, detail in problems:
            text = f"{self._unit} {line}: {column} {reason}{f': {detail}' if detail else ''}"
            click.echo(printable(text), err=True)

    def _write_to_file(self, problems: list[Problem]) -> None:
        if self._writer is None:
            self._report.rest = self._path
            self._file = NewFile(self._path)
            file = self._files.enter_context(self._file)
            file.write("\ufeff")  # Excel takes UTF-8 for another encoding without it
            self._writer = csv.writer(file, delimiter=self._delimiter, lineterminator="\n")
            self._writer.writerow((self._unit, "column", "reason", "value"))
        for problem in problems:
            self._writer.writerow([escape_formula(cell) for cell in problem])

    def _fail(self, error: OSError) -> None:
        self._report.rest_error = error.strerror or str(error)

    def __enter__(self) -> _Rest:
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._files.__exit__(*error)
            if self._writer is not None:
                self._report.rest = self._file.path
        except OSError as failed:
            self._fail(failed)


class SeenIds:
    """The ids of the rows so far, in a temporary database.

    In memory a million ids would take hundreds of megabytes.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA cache_size = -8000")  # KiB
        self._database.execute(
            "CREATE TABLE seen (id BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def compare(self, row: Row, rows: Rows) -> tuple[list[Problem], list[Problem]]:
        """Return the ids of a row that an earlier row has, and those that only look the same."""
        problems, notes = [], []
        for number, name in enumerate(_UNIQUE):
            value = row.request.get(name)
            if not isinstance(value, str) or not value:
                continue
            line = self._line_of(f"{number}{value}", row.line)
            if line is not None:
                problems.append(_double(row, rows, name, "occurs twice", line))
            elif not value.isascii():
                line = self._line_of(f"{number}~{unicodedata.normalize('NFC', value)}", row.line)
                if line is not None:
                    reason = "differs only in Unicode normalization from that of another row"
                    notes.append(_double(row, rows, name, reason, line))
        return problems, notes

    def _line_of(self, text: str, line: int) -> int | None:
        """Add an id, and return the line of an earlier row that has it."""
        # Half of a surrogate pair is a problem already, and SQLite cannot store it.
        key = text.encode("utf-8", "replace")
        insert = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        if self._database.execute(insert, (key, line)).rowcount:
            return None
        query = "SELECT line FROM seen WHERE id = ?"
        return int(self._database.execute(query, (key,)).fetchone()[0])

    def __enter__(self) -> SeenIds:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._database.close()


def _double(row: Row, rows: Rows, name: str, reason: str, line: int) -> Problem:
    column = next((column for column, field in rows.columns.items() if field == name), name)
    detail = f"{shown(row.request[name])}, also in {rows.unit} {line}"
    return Problem(row.line, column, reason, detail)
