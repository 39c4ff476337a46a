"""Validate a file before any row is sent.

A problem prevents the import. A note is a remark on a value, and does not prevent the import. The
``line`` of a problem or a note is the number of a line, a sheet row or a JSON item.
"""

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

from dub_uplink._cli.io.files import UniqueFile
from dub_uplink._cli.io.text import escape_formula, make_printable
from dub_uplink._cli.reading.rows import Problem, Row, Rows
from dub_uplink._cli.reading.values import make_excerpt

#: The fields whose values are unique on the server.
_UNIQUE_FIELDS = ("external_id", "stripe_customer_id")
#: The progress is reported each time this number of rows has been validated.
_PROGRESS_INTERVAL = 1_000
#: The preview shows the requests of this number of rows.
_PREVIEW_ROWS = 3
#: At most this number of problems is shown for each group.
_MAX_PER_GROUP = 5
#: At most this number of groups is shown.
_MAX_GROUPS = 50


@dataclass
class ProblemGroup:
    """The problems that have the same column and reason: their number, and the first five."""

    count: int = 0
    examples: list[Problem] = field(default_factory=list)


class ProblemGroups:
    """Problems or notes, grouped by column and reason. Only the shown ones are stored."""

    def __init__(self) -> None:
        self.groups: dict[tuple[str, str], ProblemGroup] = {}

    def add(self, problem: Problem) -> bool:
        """Add a problem. Return whether the problem will be shown."""
        key = problem.column, problem.reason
        if key not in self.groups and len(self.groups) == _MAX_GROUPS:
            return False
        group = self.groups.setdefault(key, ProblemGroup())
        group.count += 1
        if len(group.examples) == _MAX_PER_GROUP:
            return False
        group.examples.append(problem)
        return True

    def get_shown_problems(self) -> list[Problem]:
        """Return the problems to show, sorted by line."""
        examples = (problem for group in self.groups.values() for problem in group.examples)
        return sorted(examples, key=lambda problem: problem.line)


@dataclass
class ValidationReport:
    """The result of a validation.

    Attributes:
        rows: the number of rows.
        bad_rows: the number of rows with problems.
        problems: the problems.
        notes: the notes.
        first_requests: the requests of the first three rows without problems.
        problem_file: the path of a file with all problems; ``None`` if ``problems`` contains all.
        problem_file_error: why ``problem_file`` could not be written; empty without an error.
    """

    rows: int = 0
    bad_rows: int = 0
    problems: ProblemGroups = field(default_factory=ProblemGroups)
    notes: ProblemGroups = field(default_factory=ProblemGroups)
    first_requests: list[dict[str, Any]] = field(default_factory=list)
    problem_file: Path | None = None
    problem_file_error: str = ""


def validate_rows(
    rows: Rows, problem_file: Path, on_progress: Callable[[int], object] = lambda count: None
) -> ValidationReport:
    """Validate all rows of a file. The memory use does not grow with the size of the file.

    Args:
        rows: the rows.
        problem_file: if there are too many problems to show, all are written to this path.
        on_progress: called with the number of validated rows.

    Raises:
        BadFile: the file cannot be read to its end.
    """
    report = ValidationReport()
    delimiter = get_spreadsheet_delimiter(rows)
    with (
        SeenIds() as seen_ids,
        _ProblemFile(report, problem_file, rows.unit, delimiter) as problem_writer,
    ):
        for row in rows:
            report.rows += 1
            duplicates, notes = seen_ids.compare_and_add(row, rows)
            problems = (*row.problems, *duplicates)
            if problems:
                report.bad_rows += 1
                problem_writer.add(problems)
            elif len(report.first_requests) < _PREVIEW_ROWS:
                report.first_requests.append(row.request)
            for note in (*row.notes, *notes):
                report.notes.add(note)
            if report.rows % _PROGRESS_INTERVAL == 0:
                on_progress(report.rows)
    return report


def get_spreadsheet_delimiter(rows: Rows) -> str:
    """Return the delimiter for CSV files that users open in a spreadsheet program.

    Excel expects a comma or a semicolon, depending on the region of the user. A user whose file has
    semicolons probably needs semicolons.
    """
    return ";" if rows.recognized.get("delimiter") == ";" else ","


class _ProblemFile:
    """Adds problems to a report. Writes all to a file if the report cannot show all."""

    def __init__(self, report: ValidationReport, path: Path, unit: str, delimiter: str) -> None:
        self._report = report
        self._unit = unit
        self._delimiter = delimiter
        self._path = path
        self._exit_stack = contextlib.ExitStack()
        self._writer: Any = None

    def add(self, problems: Iterable[Problem]) -> None:
        """Add the problems of a row."""
        for problem in problems:
            unwritten = (
                [] if self._report.problem_file else self._report.problems.get_shown_problems()
            )
            if not self._report.problems.add(problem) or self._report.problem_file:
                self._write([*unwritten, problem])

    def _write(self, problems: list[Problem]) -> None:
        if not self._report.problem_file_error:
            try:
                self._write_to_file(problems)
            except OSError as error:
                self._record_error(error)
            else:
                return
        for line, column, reason, detail in problems:
            text = f"{self._unit} {line}: {column} {reason}{f': {detail}' if detail else ''}"
            click.echo(make_printable(text), err=True)

    def _write_to_file(self, problems: list[Problem]) -> None:
        if self._writer is None:
            self._report.problem_file = self._path
            self._file = UniqueFile(self._path)
            file = self._exit_stack.enter_context(self._file)
            file.write("\ufeff")  # Excel detects UTF-8 by this byte order mark
            self._writer = csv.writer(file, delimiter=self._delimiter, lineterminator="\n")
            self._writer.writerow((self._unit, "column", "reason", "value"))
        for problem in problems:
            self._writer.writerow([escape_formula(cell) for cell in problem])

    def _record_error(self, error: OSError) -> None:
        self._report.problem_file_error = error.strerror or str(error)

    def __enter__(self) -> _ProblemFile:
        return self

    def __exit__(self, *error: Any) -> None:
        try:
            self._exit_stack.__exit__(*error)
            if self._writer is not None:
                self._report.problem_file = self._file.path
        except OSError as write_error:
            self._record_error(write_error)


class SeenIds:
    """The ids of the validated rows, in a temporary database.

    In memory, a million ids take hundreds of megabytes.
    """

    def __init__(self) -> None:
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA cache_size = -8000")  # a negative number is a size in KiB
        self._database.execute(
            "CREATE TABLE seen (id BLOB PRIMARY KEY, line INTEGER) WITHOUT ROWID"
        )
        self._database.execute("BEGIN")

    def compare_and_add(self, row: Row, rows: Rows) -> tuple[list[Problem], list[Problem]]:
        """Compare the ids of a row with the ids of earlier rows. Then add the ids of the row.

        Returns:
            A problem for each id that an earlier row also has; a note for each id that differs from
            the id of an earlier row only in Unicode normalization.
        """
        problems, notes = [], []
        for number, name in enumerate(_UNIQUE_FIELDS):
            value = row.request.get(name)
            if not isinstance(value, str) or not value:
                continue
            line = self._add_or_find(f"={number}{value}", row.line)
            if line is not None:
                problems.append(_make_duplicate_problem(row, rows, name, "occurs twice", line))
            elif not value.isascii():
                normalized = unicodedata.normalize("NFC", value)
                line = self._add_or_find(f"~{number}{normalized}", row.line)
                if line is not None:
                    reason = "differs only in Unicode normalization from the id of another row"
                    notes.append(_make_duplicate_problem(row, rows, name, reason, line))
        return problems, notes

    def _add_or_find(self, text: str, line: int) -> int | None:
        """Add an id and return ``None``. If an earlier row has the id, return that row's line."""
        # Replace lone surrogates, because SQLite cannot store them. A row with a lone surrogate
        # already has a problem.
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


def _make_duplicate_problem(row: Row, rows: Rows, name: str, reason: str, line: int) -> Problem:
    column = next((column for column, field in rows.columns.items() if field == name), name)
    detail = f"{make_excerpt(row.request[name])}, also in {rows.unit} {line}"
    return Problem(row.line, column, reason, detail)
