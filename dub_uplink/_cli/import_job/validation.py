"""The whole of a file, checked before anything is sent."""

from __future__ import annotations

import contextlib
import csv
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dub_uplink._cli.import_job.rows import Problem, Row, Rows, shown
from dub_uplink._cli.io.files import replacing

#: What the server keeps unique.
_UNIQUE = ("external_id", "stripe_customer_id")
_BATCH = 1_000


@dataclass
class Checked:
    """What a check found: the rows, all bad ones counted, and what is wrong with the first."""

    rows: int = 0
    bad_rows: int = 0
    problems: list[Problem] = field(default_factory=list)
    #: Where all problems are, if they are more than ``problems``.
    rest: Path | None = None


def check(
    rows: Rows, shown: int, rest: Path, seen: Callable[[int], object] = lambda count: None
) -> Checked:
    """Go through a whole file; all problems go to the file ``rest`` if they are over ``shown``.

    Memory does not grow with the file. ``seen`` is called with the count of rows so far.

    Raises:
        BadFile: it cannot be read to its end.
        OSError: ``rest`` cannot be written.
    """
    found = Checked()
    with Seen() as ids, _Problems(found, shown, rest) as problems:
        for row in rows:
            found.rows += 1
            wrong = (*row.problems, *ids.doubles(row))
            if wrong:
                found.bad_rows += 1
                problems.add(wrong)
            if found.rows % _BATCH == 0:
                seen(found.rows)
    return found


class _Problems:
    """Keeps the first problems, and as soon as there are more writes all of them to a file."""

    def __init__(self, found: Checked, shown: int, rest: Path) -> None:
        self._found = found
        self._shown = shown
        self._rest = rest
        self._files = contextlib.ExitStack()
        self._write: Callable[[Iterable[Any]], object] | None = None

    def add(self, problems: Iterable[Problem]) -> None:
        """Take in the problems of a row."""
        first = self._found.problems
        for problem in problems:
            if self._write is not None:
                self._write(problem)
            elif len(first) < self._shown:
                first.append(problem)
            else:
                file = self._files.enter_context(replacing(self._rest))
                self._found.rest = self._rest
                self._write = csv.writer(file, lineterminator="\n").writerow
                for each in (Problem._fields, *first, problem):
                    self._write(each)

    def __enter__(self) -> _Problems:
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._files.__exit__(*error)


class Seen:
    """The ids of the rows so far, in a database of SQLite's that is a temporary file.

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

    def doubles(self, row: Row) -> list[Problem]:
        """What of this row a row before it has too."""
        problems = []
        for number, name in enumerate(_UNIQUE):
            value = row.request.get(name)
            if not isinstance(value, str) or not value:
                continue
            # Half a surrogate pair is a problem already, and no database's text.
            key = f"{number}{value}".encode("utf-8", "replace")
            line = self._line_of(key, row.line)
            if line is not None:
                problems.append(
                    Problem(row.line, name, f"{shown(value)} is on line {line} already")
                )
        return problems

    def _line_of(self, key: bytes, line: int) -> int | None:
        insert = "INSERT OR IGNORE INTO seen VALUES (?, ?)"
        if self._database.execute(insert, (key, line)).rowcount:
            return None
        found = self._database.execute("SELECT line FROM seen WHERE id = ?", (key,)).fetchone()
        return int(found[0])

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._database.close()
