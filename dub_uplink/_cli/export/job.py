"""Every customer into a file that is whole or not there.

Customers are written to ``FILE.part``; beside it ``FILE.part.json`` says, every second or two, how
far it is: the cursor of the iteration, and the length of the part. After whatever ended the process
the part is cut to that length and the iteration goes on at that cursor. Parquet has its directory
at its end and cannot be gone on with; its part is JSONL, and is converted when all are there.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from dub_uplink import Clock, CustomerIterator
from dub_uplink._cli.io.files import beside, lock, named, put_in_place, replacing, sync
from dub_uplink._cli.io.records import cells, columns, json_text, record
from dub_uplink.models.components import Customer
from dub_uplink.models.errors import DubError

Format = Literal["csv", "jsonl", "parquet"]

_monotonic = Clock().monotonic

_VERSION = 1
_EVERY = 1_000  # customers
_AFTER = 2.0  # seconds
_SHOWN_EVERY = 100  # customers: a page


class PartError(Exception):
    """The part of an earlier export cannot be gone on with; the message says why."""


class CustomerWriter:
    """Writes customers as lines of text to a binary file, from where it stands.

    Half a surrogate pair, which no encoding has, is escaped in JSONL and a ``?`` in CSV.
    """

    def __init__(self, file: IO[bytes], of: Format, *, expanded: bool) -> None:
        self._text = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
        self._columns = columns(expanded=expanded) if of == "csv" else None
        self._plain = csv.writer(self._text, lineterminator="\n").writerow
        self._quoted = csv.writer(self._text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow

    def begin(self) -> None:
        """What stands before the first customer."""
        if self._columns is not None:
            self._plain(self._columns)

    def write(self, customer: Customer) -> None:
        """A customer, exactly as the server sent it."""
        found = record(customer)
        if self._columns is None:
            self._text.write(json_text(found) + "\n")
            return
        row = cells(found, self._columns)
        # Python quotes a CR by itself only from 3.13 on; a reader would take it for a line's end.
        bare = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (self._quoted if bare else self._plain)(row)

    def flush(self) -> None:
        """Hand what was written on to the file."""
        self._text.flush()

    def detach(self) -> None:
        """Let go of the file, which stays open."""
        self._text.detach()


@dataclass
class _Position:
    customers: int = 0
    bytes: int = 0
    cursor: str | None = None


class Part:
    """What an export has so far, open and locked; use it in a ``with``.

    Args:
        path: the file that it is to become.
        about: what an export must have in common with the one that it goes on with.
        resume: go on where an earlier one was; ``False`` begins anew.
        clock: seconds that never go back.

    Raises:
        PartError: another export of this file is running, or the part is of another kind.
        OSError: it cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        about: dict[str, Any],
        *,
        resume: bool,
        clock: Callable[[], float] = _monotonic,
    ) -> None:
        self._path = path
        self._about = {"export": _VERSION, **about}
        self._part, self._record = beside(path, ".part"), beside(path, ".part.json")
        self._clock = clock
        self._file: IO[bytes] = self._part.open("a+b")
        try:
            try:
                lock(self._file)
            except BlockingIOError:
                raise PartError(f"another export is writing {self._part}") from None
            if not resume:
                self._record.unlink(missing_ok=True)
            self._at = self._saved()
            if self._file.seek(0, io.SEEK_END) < self._at.bytes:
                raise PartError(f"{self._part} is shorter than {self._record} says")
            self._file.truncate(self._at.bytes)
        except BaseException:
            self._file.close()
            raise
        self._when = clock()

    @property
    def customers(self) -> int:
        """How many were there at the last checkpoint."""
        return self._at.customers

    @property
    def cursor(self) -> str | None:
        """Where the iteration was at the last checkpoint; ``None`` at the top."""
        return self._at.cursor

    def _saved(self) -> _Position:
        try:
            saved = json.loads(self._record.read_bytes())
            about = {name: saved[name] for name in self._about}
            position = _Position(saved["customers"], saved["bytes"], saved["cursor"])
        except FileNotFoundError:
            return _Position()
        except (ValueError, TypeError, KeyError):
            raise PartError(f"{self._record} does not say how far {self._part} is") from None
        other = [name for name, value in self._about.items() if about[name] != value]
        if other:
            raise PartError(f"{self._part} is of an export with other {' and '.join(other)}")
        return position

    def fill(
        self,
        iterator: CustomerIterator,
        of: Format,
        *,
        expanded: bool,
        shown: Callable[[int], object] = lambda count: None,
    ) -> int:
        """Write what is left; how many there are now.

        Raises:
            DubError: a page could not be fetched; the part says how far it is.
            OSError: it cannot be written.
        """
        writer = CustomerWriter(self._file, "csv" if of == "csv" else "jsonl", expanded=expanded)
        count = self._at.customers
        with named(self._part):
            try:
                if not self._at.bytes:
                    writer.begin()
                for customer in iterator:
                    writer.write(customer)
                    count += 1
                    if count % _SHOWN_EVERY == 0:
                        shown(count)
                        late = self._clock() - self._when >= _AFTER
                        if late or count % _EVERY == 0:
                            self._checkpoint(writer, iterator, count)
            except DubError:
                if count:
                    self._checkpoint(writer, iterator, count)
                raise
            finally:
                writer.detach()
            sync(self._file)
        return count

    def _checkpoint(self, writer: CustomerWriter, iterator: CustomerIterator, count: int) -> None:
        writer.flush()
        sync(self._file)
        self._at = _Position(count, self._file.tell(), iterator.cursor)
        with replacing(self._record) as file:
            json.dump({**self._about, **vars(self._at)}, file)
        self._when = self._clock()

    def finish(self, convert: Callable[[Path, Path], object] | None = None) -> None:
        """Give the part its name, or what ``convert`` makes of it in another file."""
        if convert is None:
            self._file.close()
            put_in_place(self._part, self._path)
        else:
            converted = beside(self._path, ".tmp")
            try:
                convert(self._part, converted)
                put_in_place(converted, self._path)
            finally:
                converted.unlink(missing_ok=True)
            self._file.close()
            self._part.unlink()
        self._record.unlink(missing_ok=True)

    def __enter__(self) -> Part:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if not self._at.customers:
            # Nothing to go on with: neither of them says anything.
            self._part.unlink(missing_ok=True)
            self._record.unlink(missing_ok=True)


def interrupted(path: Path) -> bool:
    """Whether there is an export to this file that could be gone on with."""
    return beside(path, ".part").exists() and beside(path, ".part.json").exists()


def stream(
    customers: Iterator[Customer],
    file: IO[bytes],
    of: Format,
    *,
    expanded: bool,
    shown: Callable[[int], object] = lambda count: None,
) -> int:
    """Write every customer to a pipe or a device; how many there were."""
    writer = CustomerWriter(file, of, expanded=expanded)
    writer.begin()
    count = 0
    try:
        for count, customer in enumerate(customers, 1):
            writer.write(customer)
            if count % _SHOWN_EVERY == 0:
                shown(count)
        writer.flush()
    finally:
        writer.detach()
    return count
