"""What became of each row of an import, so that it is known after a crash as well.

A journal is lines of JSON. The first says to which file it belongs; each other one is a fact:

- ``["begun", n]``: the rows before ``n`` may have been sent,
- ``["exists", row]``: the customer of a row was there before it, and is not ours,
- ``["created", row]``, ``["updated", row]``, ``["skipped", row]``, ``["failed", row, "reason"]``.

Facts count when :meth:`Journal.commit` has synced them, many at once. So a row that has an end is
finished for good, and one that was begun and has none may have been carried out. Rows are counted
from 0. Whatever a crash left of the last lines is cut off.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
from array import array
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, get_args

from dub_uplink._cli.io.files import lock, named, sync, sync_directory

Ending = Literal["created", "updated", "skipped", "failed"]

_VERSION = 1
_LONGEST = 2**20  # bytes of a line; the longest reason, escaped, is far below
_LONGEST_REASON = 10_000  # characters
_OPEN, _EXISTS = 0, 1
_ENDINGS: tuple[Ending, ...] = get_args(Ending)
#: What a row's entry is: one of the two above, an ending from here on, or behind these a reason.
_FIRST_ENDING = 2
_FIRST_REASON = _FIRST_ENDING + len(_ENDINGS)


class JournalError(Exception):
    """The journal cannot be used; the message says why and what to do."""


class Journal:
    """The journal of one file, open and locked; close it, or use it in a ``with``.

    It takes 4 bytes of memory a row, and the text of each different reason once.

    Args:
        path: where it is, or is to be.
        about: what the journal must agree with, by names that JSON can hold.
        rows: how many rows the file has.
        restart: begin anew, whatever is there.

    Raises:
        JournalError: it is another process's at the moment, belongs to something else, or is none.
        OSError: it cannot be read or written.
    """

    def __init__(
        self, path: Path, about: Mapping[str, Any], rows: int, *, restart: bool = False
    ) -> None:
        self.path = path
        self.rows = rows
        #: The rows before this one may have been sent.
        self.begun = 0
        self._entries = array("I", bytes(array("I").itemsize * rows))
        self._reasons: list[str] = []
        self._numbers: dict[str, int] = {}
        self._pending: list[str] = []
        self._header = {"journal": _VERSION, **about, "rows": rows}
        self._file: IO[bytes] = path.open("a+b")
        try:
            self._lock()
            self._file.seek(0)
            end = 0 if restart else self._read()
            self._file.truncate(end)
            if not end:
                with named(path):
                    self._file.write(_line(self._header).encode())
                    sync(self._file)
                sync_directory(path)
        except BaseException:
            self._file.close()
            raise
        #: The rows before this one may have been sent by an earlier process.
        self.begun_before = self.begun

    def _lock(self) -> None:
        try:
            lock(self._file)
        except BlockingIOError:
            raise JournalError(
                f"another import of this file is running: it holds {self.path}"
            ) from None

    def _read(self) -> int:
        """Take in what is there; how many bytes of it are whole lines."""
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            raise JournalError(f"{self.path} is no file that could be gone on with")
        first = self._file.readline(_LONGEST)
        if not first.endswith(b"\n"):
            if not _line(self._header)[:12].encode().startswith(first[:12]):
                raise JournalError(f"{self.path} is not a journal of an import")
            return 0  # nothing was ever sent: the first line is synced before anything is
        self._check(first)
        end = len(first)
        while line := self._file.readline(_LONGEST):
            if not line.endswith(b"\n") or not self._take(line):
                break
            end += len(line)
        return end

    def _check(self, first: bytes) -> None:
        try:
            header = json.loads(first)
        except ValueError:
            header = None
        if not isinstance(header, dict) or "journal" not in header:
            raise JournalError(f"{self.path} is not a journal of an import")
        for name, value in self._header.items():
            if header.get(name) != value:
                raise JournalError(
                    f"{self.path} is the journal of another import: the {name} changed since;"
                    " --restart begins anew"
                )

    def _take(self, line: bytes) -> bool:
        """Take in a fact; whether it is one."""
        try:
            kind, number, *reason = json.loads(line)
        except (ValueError, TypeError, RecursionError):
            return False
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            return False
        if kind == "begun" and not reason and number <= self.rows:
            self.begun = max(self.begun, number)
        elif kind == "exists" and not reason and number < self.rows:
            self._entries[number] = _EXISTS
        elif kind == "failed" and number < self.rows and _is_text(reason):
            self._enter(number, "failed", reason[0])
        elif kind in _ENDINGS[:-1] and not reason and number < self.rows:
            self._enter(number, kind, "")
        else:
            return False
        return True

    def begin(self, row: int) -> None:
        """The rows before ``row`` may be sent from now on; commits."""
        if row > self.begun:
            self.begun = row
            self._pending.append(_line(["begun", row]))
            self.commit()

    def exists(self, row: int) -> None:
        """The customer of a row was there, and was not created by this import."""
        self._entries[row] = _EXISTS
        self._pending.append(_line(["exists", row]))

    def finish(self, row: int, ending: Ending, reason: str = "") -> None:
        """A row has come to its end, ``reason`` says why one failed."""
        reason = reason[:_LONGEST_REASON]
        self._enter(row, ending, reason)
        self._pending.append(
            _line(["failed", row, reason] if ending == "failed" else [ending, row])
        )

    def commit(self) -> None:
        """Sync what was told since the last time; until then none of it is certain.

        Raises:
            OSError: it cannot be written.
        """
        if self._pending:
            with named(self.path):
                self._file.write("".join(self._pending).encode())
                sync(self._file)
            self._pending.clear()

    def _enter(self, row: int, ending: Ending, reason: str) -> None:
        if ending == "failed":
            number = self._numbers.setdefault(reason, len(self._reasons))
            if number == len(self._reasons):
                self._reasons.append(reason)
            self._entries[row] = _FIRST_REASON + number
        else:
            self._entries[row] = _FIRST_ENDING + _ENDINGS.index(ending)

    def ending(self, row: int) -> Ending | None:
        """How a row ended, ``None`` where it has not."""
        entry = self._entries[row]
        if entry < _FIRST_ENDING:
            return None
        return "failed" if entry >= _FIRST_REASON else _ENDINGS[entry - _FIRST_ENDING]

    def reason(self, row: int) -> str:
        """Why a row failed; empty for one that has not."""
        entry = self._entries[row]
        return self._reasons[entry - _FIRST_REASON] if entry >= _FIRST_REASON else ""

    def is_known_to_exist(self, row: int) -> bool:
        """Whether the customer of a row was there before, and nothing has come of the row yet."""
        return self._entries[row] == _EXISTS

    def is_in_doubt(self, row: int) -> bool:
        """Whether an earlier process may have created the customer of a row without knowing."""
        return row < self.begun_before and self._entries[row] == _OPEN

    def counts(self) -> dict[Ending, int]:
        """How many rows ended in which way."""
        found = Counter(self._entries)
        counts: dict[Ending, int] = {
            ending: found[_FIRST_ENDING + number] for number, ending in enumerate(_ENDINGS)
        }
        counts["failed"] = sum(n for entry, n in found.items() if entry >= _FIRST_REASON)
        return counts

    def close(self) -> None:
        """Let go of the journal; what was not committed is lost."""
        with contextlib.suppress(OSError):  # of what could not be committed
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _is_text(reason: list[Any]) -> bool:
    return len(reason) == 1 and isinstance(reason[0], str)


def _line(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")) + "\n"
