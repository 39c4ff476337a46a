"""The journal of an import: a SQLite database that records the outcome of each row.

After a crash, the import continues with the journal. A commit is synced to the disk, so a crash
loses only what was written after the last commit. Row numbers start at 0. The journal has two
tables:

- ``import`` has one row. ``identity`` identifies the import: its file, server, API key and options.
  ``sent_limit`` is a row number. Any row below this number may have been sent.
- ``rows`` contains the outcomes. If a row below ``sent_limit`` has no outcome, the server may have
  created its customer.

The next run, also after a crash, handles a row by its state:

===============  ==========================  =======================================================
state            in ``rows``                 next run
===============  ==========================  =======================================================
not sent         no entry; the number is at  sends a create
                 least ``sent_limit``
in doubt         no entry; the number is     sends a create; after a conflict, looks the customer up
                 below ``sent_limit``        and, if the customer is equal to the row, counts the
                                             row as created
``not applied``  an entry without an         sends a create; a conflict means that the customer
                 outcome                     existed before the import. Opening the journal deletes
                                             the entry, so the row is in doubt if the next run
                                             crashes too
``exists``       an entry without an         applies ``--on-conflict`` without a create; sends an
                 outcome                     update even if an earlier run may have sent the update
an outcome       ``created``, ``updated``,   sends nothing
                 ``skipped`` or ``failed``
===============  ==========================  =======================================================

When the import is complete and its report has been shown, the journal is deleted.
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

Outcome = Literal["created", "updated", "skipped", "failed"]

_OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
#: A mark in the column ``outcome``: the row has no outcome yet, and its customer existed before the
#: import.
_EXISTING = "exists"
#: A mark in the column ``outcome``: the row has no outcome yet, and the server did not create its
#: customer.
_NOT_APPLIED = "not applied"
#: The version of the tables. A journal of another version cannot be continued.
_SCHEMA_VERSION = 3
#: The first bytes of a SQLite database, and therefore of a journal.
_SQLITE_HEADER = b"SQLite format 3\0"
_NAMES_BY_KEY = {"file": "the file", "server": "the server", "API key": "the API key"}
#: Reasons are cut to this number of characters.
_MAX_REASON_LENGTH = 10_000
#: An unfinished import can be resumed even if this part of its identity has changed.
_CHANGEABLE_KEY = "on_conflict"
_SCHEMA = f"""
    BEGIN;
    CREATE TABLE import (identity TEXT, sent_limit INTEGER);
    CREATE TABLE rows (number INTEGER PRIMARY KEY, outcome TEXT, reason TEXT);
    INSERT INTO import VALUES ('null', 0);
    PRAGMA user_version = {_SCHEMA_VERSION};
    COMMIT;
"""


class JournalError(Exception):
    """The journal cannot be used. The message states the reason and what to do."""


class Journal:
    """The open, locked journal of one imported file. As a context manager, it closes the journal.

    If the journal belongs to another import, its content is replaced in two cases:

    - All rows of that import have an outcome. ``replaced_outcome_counts`` then contains the number
      of rows for each outcome.
    - The server cannot have created a customer of that import.

    Args:
        path: the path of the journal. If it does not exist, it is created.
        identity: JSON values that identify the import. A journal with other values belongs to
            another import.
        rows: the number of rows in the imported file.
        restart: whether to replace the journal even if its import is unfinished.

    Raises:
        JournalError: another process uses the journal, the journal belongs to another import that
            is unfinished, or ``path`` is not a journal.
        OSError: the journal cannot be read or written.
    """

    def __init__(
        self, path: Path, identity: Mapping[str, Any], rows: int, *, restart: bool = False
    ) -> None:
        self.path = path
        self.rows = rows
        self.replaced_outcome_counts: dict[Outcome, int] | None = None
        _check_file(path)
        self._database = sqlite3.connect(path, timeout=0)
        try:
            with self._convert_sqlite_errors():
                self._lock()
                self._open(json.loads(json.dumps({**identity, "rows": rows})), restart=restart)
            sync_directory(path)
        except BaseException:
            self.close()
            raise
        #: The rows below this number may have been sent by an earlier process.
        self.sent_limit_at_open = self.sent_limit

    def _lock(self) -> None:
        """Lock the database until it is closed or the process ends."""
        self._database.executescript(
            "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL;"
            " PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT;"
        )

    def _open(self, identity: dict[str, Any], *, restart: bool) -> None:
        if not self._query_value("SELECT count(*) FROM sqlite_master"):
            self._database.executescript(_SCHEMA)
        elif self._query_value("PRAGMA user_version") != _SCHEMA_VERSION:
            raise JournalError(
                f"{self.path} was written by another version of dub-uplink; use that version, or"
                " choose another journal with --journal"
            )
        previous = json.loads(self._query_value("SELECT identity FROM import"))
        if restart or previous is None or not self._can_resume(previous, identity):
            self._database.execute("DELETE FROM rows")
            self._database.execute(
                "UPDATE import SET identity = ?, sent_limit = 0", (json.dumps(identity),)
            )
            self._database.commit()
        #: The rows below this number may have been sent.
        self.sent_limit: int = self._query_value("SELECT sent_limit FROM import")
        self._not_applied_rows = self._pop_not_applied_rows()

    def _pop_not_applied_rows(self) -> set[int]:
        """Delete the marks "not applied", and return the numbers of the marked rows."""
        rows = self._database.execute("SELECT number FROM rows WHERE outcome = ?", [_NOT_APPLIED])
        numbers = {number for (number,) in rows}
        if numbers:
            self._database.execute("DELETE FROM rows WHERE outcome = ?", [_NOT_APPLIED])
            self._database.commit()
        return numbers

    def _can_resume(self, previous: dict[str, Any], identity: dict[str, Any]) -> bool:
        """Return ``True`` if the import can be resumed, ``False`` if the journal may be replaced.

        Raises:
            JournalError: the journal belongs to another import, which is unfinished.
        """
        changed = [name for name, value in identity.items() if previous.get(name) != value]
        if not changed:
            return True
        outcome_counts = self.count_outcomes()
        completed_rows = sum(outcome_counts.values())
        if completed_rows == previous["rows"]:
            self.replaced_outcome_counts = outcome_counts
            return False
        in_doubt = self._count_rows_in_doubt()
        if not outcome_counts["created"] and not in_doubt:
            return False
        if changed == [_CHANGEABLE_KEY]:
            return True
        maybe = f", and may have created {in_doubt:,} more" if in_doubt else ""
        raise JournalError(
            f"an interrupted import has created {outcome_counts['created']:,} of"
            f" {previous['rows']:,} customers{maybe} ({self.path}). Since then,"
            f" {_list_changes(previous, identity)} changed. To continue that import, undo the"
            " change. To send every row as it is now, run this command with --restart --on-conflict"
            " upsert, which updates the customers that exist, or with --restart --on-conflict skip,"
            " which leaves them unchanged"
        )

    def _count_rows_in_doubt(self) -> int:
        """Return the number of rows that may have been sent, and whose outcome is unknown."""
        known = self._query_value("SELECT count(*) FROM rows")
        return max(0, int(self._query_value("SELECT sent_limit FROM import")) - int(known))

    def raise_sent_limit(self, row: int) -> None:
        """Record that the rows below ``row`` may be sent, and commit."""
        if row > self.sent_limit:
            self.sent_limit = row
            self._write("UPDATE import SET sent_limit = ?", row)
            self.commit()

    def lower_sent_limit(self, row: int) -> None:
        """Record that this process sent only rows below the number ``row``."""
        for number in self._not_applied_rows:
            if number >= row and self._get_stored_outcome(number) is None:
                self.mark_not_applied(number)
        row = max(row, self.sent_limit_at_open)
        if row < self.sent_limit:
            self.sent_limit = row
            self._write("UPDATE import SET sent_limit = ?", row)

    def mark_not_applied(self, row: int) -> None:
        """Record that the server did not create the customer of a row. The row gets no outcome."""
        self._write("INSERT OR REPLACE INTO rows VALUES (?, ?, '')", row, _NOT_APPLIED)

    def mark_existing(self, row: int) -> None:
        """Record that the customer of a row existed before the import. The row gets no outcome."""
        self._write("INSERT OR REPLACE INTO rows VALUES (?, ?, '')", row, _EXISTING)

    def record_outcome(self, row: int, outcome: Outcome, reason: str = "") -> None:
        """Record the outcome of a row, and the reason if the row failed."""
        # Replace lone surrogates, because SQLite cannot store them.
        reason = reason[:_MAX_REASON_LENGTH].encode("utf-8", "replace").decode()
        self._write("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", row, outcome, reason)

    def commit(self) -> None:
        """Sync all records to the disk. A crash can lose records that are not committed.

        Raises:
            OSError: the journal cannot be written.
        """
        with self._convert_sqlite_errors():
            self._database.commit()

    def get_outcome(self, row: int) -> Outcome | None:
        """Return the outcome of a row; ``None`` if the row has no outcome."""
        outcome = self._get_stored_outcome(row)
        return outcome if outcome in _OUTCOMES else None

    def get_reason(self, row: int) -> str:
        """Return why a row failed; return an empty string if the row has not failed."""
        return self._query_value("SELECT reason FROM rows WHERE number = ?", row) or ""

    def is_known_to_exist(self, row: int) -> bool:
        """Return whether a row has no outcome and its customer existed before the import."""
        return bool(self._get_stored_outcome(row) == _EXISTING)

    def is_in_doubt(self, row: int) -> bool:
        """Return whether an earlier process may have created the customer of a row."""
        may_exist = row < self.sent_limit_at_open and row not in self._not_applied_rows
        return may_exist and self._get_stored_outcome(row) is None

    def count_outcomes(self) -> dict[Outcome, int]:
        """Return the number of rows by outcome."""
        rows = self._database.execute("SELECT outcome, count(*) FROM rows GROUP BY outcome")
        counts = dict(rows.fetchall())
        return {outcome: counts.get(outcome, 0) for outcome in _OUTCOMES}

    def count_failure_reasons(self) -> list[tuple[str, int]]:
        """Return the reasons of failed rows with their counts, the most frequent first."""
        return self._database.execute(
            "SELECT reason, count(*) FROM rows WHERE outcome = 'failed' GROUP BY reason"
            " ORDER BY count(*) DESC, min(number)"
        ).fetchall()

    def _get_stored_outcome(self, row: int) -> Any:
        return self._query_value("SELECT outcome FROM rows WHERE number = ?", row)

    def _query_value(self, query: str, *values: Any) -> Any:
        """Return the first value of a query; ``None`` if the query has no row."""
        row = self._database.execute(query, values).fetchone()
        return row[0] if row else None

    def _write(self, statement: str, *values: Any) -> None:
        with self._convert_sqlite_errors():
            self._database.execute(statement, values)

    @contextlib.contextmanager
    def _convert_sqlite_errors(self) -> Iterator[None]:
        """Convert SQLite errors to ``JournalError`` or ``OSError``, with the journal's path."""
        try:
            yield
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalError(
                    f"another import uses {self.path}; wait until it ends, or choose another"
                    " journal with --journal"
                ) from None
            raise OSError(errno.EIO, str(error), str(self.path)) from None
        except sqlite3.DatabaseError:
            raise JournalError(
                f"{self.path} is damaged; delete it and start over with --on-conflict skip, so that"
                " customers that were already created stay unchanged"
            ) from None

    def delete(self) -> None:
        """Close and delete the journal. Call this method after the report of a complete import."""
        self.close()
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the journal. Records that are not committed are lost."""
        with contextlib.suppress(sqlite3.Error):
            self._database.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def _list_changes(previous: dict[str, Any], identity: dict[str, Any]) -> str:
    """Return what differs between two identities, such as "the file and --map"."""
    changed = []
    for key, name in _NAMES_BY_KEY.items():
        if previous.get(key) != identity.get(key):
            changed.append(name)
    old, new = previous.get("options", {}), identity.get("options", {})
    for key in new:
        if old.get(key) != new[key] and key != "other sheets":
            changed.append(f"--{key.replace('_', '-')}")
    return " and ".join(changed) or "the number of rows"


def _check_file(path: Path) -> None:
    """Check that a path is a journal. If it does not exist, create an empty file.

    Raises:
        JournalError: the file is not a journal.
        OSError: the file cannot be read or created.
    """
    if path.exists() and not path.is_file():
        raise JournalError(f"{path} is not a regular file; choose another journal with --journal")
    # Open the file for appending, because Python's error says why the file cannot be written.
    # SQLite's error does not state the reason.
    with open(path, "a+b", opener=lambda name, flags: os.open(name, flags, OWNER_ONLY)) as file:
        file.seek(0)
        start = file.read(len(_SQLITE_HEADER))
        if start not in (b"", _SQLITE_HEADER):
            raise JournalError(
                f"{path} is not a journal of an import; choose another journal with --journal"
            )
