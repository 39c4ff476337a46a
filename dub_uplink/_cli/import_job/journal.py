"""SQLite database that records the outcome of each row of an import, so that a crash loses nothing.

The database has a rollback journal (DELETE mode) and syncs each commit. Rows are counted from 0.
Table ``import`` holds what the journal belongs to, and ``begun``: the rows before it may have been
sent. Table ``rows`` holds the outcomes. A row that was begun and has no outcome may have been
carried out. The journal is deleted once the report of a complete import was shown.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from dub_uplink._cli.io.files import OWNER_ONLY, sync_directory

Ending = Literal["created", "updated", "skipped", "failed"]

_ENDINGS: tuple[Ending, ...] = get_args(Ending)
_EXISTS = "exists"
_NOT_APPLIED = "not applied"
_VERSION = 2  # of the tables; version 1 was lines of JSON
_SQLITE, _JSON_LINES = b"SQLite format 3\0", b'{"journal":'  # how a file of each version begins
_LONGEST_REASON = 10_000  # characters
#: The part of ``about`` that may change while an import is unfinished.
_POLICY = "on_conflict"
_SCHEMA = f"""
    BEGIN;
    CREATE TABLE import (about TEXT, begun INTEGER);
    CREATE TABLE rows (number INTEGER PRIMARY KEY, outcome TEXT, reason TEXT);
    INSERT INTO import VALUES ('null', 0);
    PRAGMA user_version = {_VERSION};
    COMMIT;
"""


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class Journal:
    """The journal of one file, open and locked; close it, or use it in a ``with``.

    The journal of another import is replaced if all its rows have ended, or none was sent. In the
    first case ``replaced`` says how many ended in which way.

    Args:
        path: the database, created if it does not exist.
        about: what the journal must agree with, by names that JSON can hold.
        rows: how many rows the file has.
        restart: replace the journal of an unfinished import too.

    Raises:
        JournalError: another process uses it, it belongs to an unfinished import of something
            else, or it is not a journal.
        OSError: it cannot be read or written.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any], rows: int, *, restart: bool = False
    ) -> None:
        self.path = path
        self.rows = rows
        self.replaced: dict[Ending, int] | None = None
        _check_file(path, restart=restart)
        self._database = sqlite3.connect(path, timeout=0)
        try:
            with self._named():
                self._lock()
                self._open(json.loads(json.dumps({**about, "rows": rows})), restart=restart)
            sync_directory(path)
        except BaseException:
            self.close()
            raise
        #: The rows before this one may have been sent by an earlier process.
        self.begun_before = self.begun

    def _lock(self) -> None:
        """Lock the database until it is closed or the process ends."""
        self._database.executescript(
            "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;"
            " PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;"
        )

    def _open(self, about: dict[str, Any], *, restart: bool) -> None:
        if not self._one("SELECT count(*) FROM sqlite_master"):
            self._database.executescript(_SCHEMA)
        elif self._one("PRAGMA user_version") != _VERSION:
            raise JournalError(
                f"{self.path} is not a journal that this version reads; --journal takes another"
                " path"
            )
        previous = json.loads(self._one("SELECT about FROM import"))
        if restart or previous is None or not self._continues(previous, about):
            self._database.execute("DELETE FROM rows")
            self._database.execute("UPDATE import SET about = ?, begun = 0", (json.dumps(about),))
            self._database.commit()
        #: The rows before this one may have been sent.
        self.begun: int = self._one("SELECT begun FROM import")
        self._ruled_out = self._take_not_applied()

    def _take_not_applied(self) -> set[int]:
        """Return the rows that earlier processes recorded so; this one may send them again."""
        rows = self._database.execute("SELECT number FROM rows WHERE outcome = ?", [_NOT_APPLIED])
        numbers = {number for (number,) in rows}
        if numbers:
            self._database.execute("DELETE FROM rows WHERE outcome = ?", [_NOT_APPLIED])
            self._database.commit()
        return numbers

    def _continues(self, previous: dict[str, Any], about: dict[str, Any]) -> bool:
        """Return whether an import goes on; if not, its journal may be replaced.

        Raises:
            JournalError: it is another import, and has not ended.
        """
        changed = [name for name, value in about.items() if previous.get(name) != value]
        if not changed:
            return True
        counts = self.counts()
        done = sum(counts.values())
        if done == previous["rows"]:
            self.replaced = counts
            return False
        if not self._may_have_sent():
            return False
        if changed != [_POLICY]:
            raise JournalError(
                f"an import stopped after {done:,} of {previous['rows']:,} rows, and the"
                f" {changed[0]} changed since ({self.path}); undo the change and run the command"
                " again, or give --restart to start over"
            )
        return True

    def _may_have_sent(self) -> bool:
        """Return whether the server may have carried out a row."""
        ruled_out = self._one("SELECT count(*) FROM rows WHERE outcome = ?", _NOT_APPLIED)
        return bool(self._one("SELECT begun FROM import") > ruled_out)

    def begin(self, row: int) -> None:
        """Record that the rows before ``row`` may be sent from now on, and commit."""
        if row > self.begun:
            self.begun = row
            self._write("UPDATE import SET begun = ?", row)
            self.commit()

    def rewind(self, row: int) -> None:
        """Record that this process sent no row from ``row`` on."""
        for number in self._ruled_out:
            if number >= row and self._outcome(number) is None:
                self.not_applied(number)
        row = max(row, self.begun_before)
        if row < self.begun:
            self.begun = row
            self._write("UPDATE import SET begun = ?", row)

    def not_applied(self, row: int) -> None:
        """Record that the server did not carry out a row, which has not ended."""
        self._write("INSERT OR REPLACE INTO rows VALUES (?, ?, '')", row, _NOT_APPLIED)

    def exists(self, row: int) -> None:
        """Record that the customer of a row was not created by this import."""
        self._write("INSERT OR REPLACE INTO rows VALUES (?, ?, '')", row, _EXISTS)

    def finish(self, row: int, ending: Ending, reason: str = "") -> None:
        """Record how a row ended; ``reason`` says why one failed."""
        # A server's text may hold half of a surrogate pair, which SQLite cannot store.
        reason = reason[:_LONGEST_REASON].encode("utf-8", "replace").decode()
        self._write("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", row, ending, reason)

    def commit(self) -> None:
        """Sync what was recorded since the last commit; until then a crash may lose it.

        Raises:
            OSError: it cannot be written.
        """
        with self._named():
            self._database.commit()

    def ending(self, row: int) -> Ending | None:
        """Return how a row ended, ``None`` where it has not."""
        outcome = self._outcome(row)
        return outcome if outcome in _ENDINGS else None

    def reason(self, row: int) -> str:
        """Return why a row failed; empty for one that has not."""
        return self._one("SELECT reason FROM rows WHERE number = ?", row) or ""

    def is_known_to_exist(self, row: int) -> bool:
        """Return whether the customer of a row existed before, and the row has not ended."""
        return bool(self._outcome(row) == _EXISTS)

    def is_in_doubt(self, row: int) -> bool:
        """Return whether an earlier process may have created the customer of a row."""
        may_exist = row < self.begun_before and row not in self._ruled_out
        return may_exist and self._outcome(row) is None

    def counts(self) -> dict[Ending, int]:
        """Return how many rows ended in which way."""
        rows = self._database.execute("SELECT outcome, count(*) FROM rows GROUP BY outcome")
        counts = dict(rows.fetchall())
        return {ending: counts.get(ending, 0) for ending in _ENDINGS}

    def failures(self) -> list[tuple[str, int]]:
        """Return the reasons of failed rows with their counts, the most frequent first."""
        return self._database.execute(
            "SELECT reason, count(*) FROM rows WHERE outcome = 'failed' GROUP BY reason"
            " ORDER BY count(*) DESC, min(number)"
        ).fetchall()

    def _outcome(self, row: int) -> Any:
        return self._one("SELECT outcome FROM rows WHERE number = ?", row)

    def _one(self, query: str, *values: Any) -> Any:
        """Return the first value of a query, ``None`` where there is none."""
        row = self._database.execute(query, values).fetchone()
        return row[0] if row else None

    def _write(self, statement: str, *values: Any) -> None:
        with self._named():
            self._database.execute(statement, values)

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Turn an error of SQLite into one that names the journal."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(
                    f"another import uses {self.path}; wait for it to end, or give --journal"
                ) from None
            raise OSError(errno.EIO, str(error), str(self.path)) from None
        except sqlite3.DatabaseError:
            raise JournalError(
                f"{self.path} is damaged; delete it and start over with --on-conflict skip, which"
                " leaves customers that were created as they are"
            ) from None

    def delete(self) -> None:
        """Close the journal and delete it: the import is complete, and its report was shown."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal; what was not committed is lost."""
        with contextlib.suppress(sqlite3.Error):
            self._database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _check_file(path: Path, *, restart: bool) -> None:
    """Check that a path is, or can become, a journal.

    Raises:
        JournalError: it is something else.
        OSError: it cannot be read, or created.
    """
    if path.exists() and not path.is_file():
        raise JournalError(f"{path} is not a regular file; --journal takes the path of one")
    # Opened for appending, so that the error says why it cannot be written; SQLite's does not.
    with open(path, "a+b", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)) as file:
        file.seek(0)
        start = file.read(len(_SQLITE))
        if start.startswith(_JSON_LINES):
            if not restart:
                raise JournalError(
                    f"{path} was written by an earlier version of dub-uplink, as lines of JSON;"
                    " finish the import with that version, or give --restart to start over"
                )
            file.truncate(0)
        elif start not in (b"", _SQLITE):
            raise JournalError(f"{path} is not a journal of an import; --journal takes another")
