"""Write an export to a file that exists only when it is complete.

Customers are first written to a part file, ``FILE.part``. After every 1,000 customers or 2 seconds,
a checkpoint is written to ``FILE.part.json``. The checkpoint contains the cursor of the iteration
and the length of the part file. If an export is resumed, the part file is truncated to that length,
and the iteration continues at that cursor.

Nothing can be appended to a Parquet file. Therefore, the part file of a Parquet export is JSONL,
which is converted at the end.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal

from dub_uplink import Clock
from dub_uplink._cli.export.fetching import Batch
from dub_uplink._cli.interrupts import Interrupted
from dub_uplink._cli.io.files import (
    OWNER_ONLY,
    add_filename_to_errors,
    append_suffix,
    atomic_writer,
    get_permissions,
    lock_file,
    open_with_mode,
    replace_atomically,
    sync_file,
)
from dub_uplink._cli.io.records import format_json, get_cells
from dub_uplink.models.components import Customer
from dub_uplink.models.errors import DubError

Format = Literal["csv", "jsonl", "parquet"]

_monotonic = Clock().monotonic

_FORMAT_VERSION = 1
_CHECKPOINT_CUSTOMERS = 1_000
_CHECKPOINT_SECONDS = 2.0


WAIT_FOR_EXPORT = "wait until it ends, or export to another file."
_START_OVER = "start over with --force instead of --resume."


class PartError(Exception):
    """The part file cannot be used. The message states why; ``hint`` says what to do."""

    def __init__(self, message: str, hint: str = _START_OVER) -> None:
        super().__init__(message)
        self.hint = hint


class CustomerWriter:
    """Writes customers as CSV or JSONL to the current position of a binary file.

    UTF-8 cannot encode a lone surrogate. JSONL contains an escape for it, and CSV contains ``?``.

    Args:
        file: The file. The writer does not close it.
        file_format: ``csv`` or ``jsonl``.
        columns: The columns in their order; ``None`` for all fields (JSONL only).
    """

    def __init__(self, file: IO[bytes], file_format: Format, columns: Sequence[str] | None) -> None:
        self._text_file = io.TextIOWrapper(file, "utf-8", errors="replace", newline="")
        self._columns = columns
        self._is_csv = file_format == "csv"
        self._write_row = csv.writer(self._text_file, lineterminator="\n").writerow
        self._write_quoted_row = csv.writer(
            self._text_file, lineterminator="\n", quoting=csv.QUOTE_ALL
        ).writerow

    def write_header(self) -> None:
        """Write the header of CSV. JSONL has no header."""
        if self._is_csv and self._columns is not None:
            self._write_row(self._columns)

    def write(self, customer: Customer) -> None:
        """Write a customer with the names and values that the server sent."""
        fields = customer.to_dict()
        if not self._is_csv or self._columns is None:
            if self._columns is not None:
                fields = {name: fields.get(name) for name in self._columns}
            self._text_file.write(format_json(fields) + "\n")
            return
        row = get_cells(fields, tuple(self._columns))
        # Before Python 3.13, csv does not quote a cell for a CR. An unquoted CR splits the row.
        # Therefore, quote all cells of a row that contains a CR.
        has_carriage_return = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (self._write_quoted_row if has_carriage_return else self._write_row)(row)

    def flush(self) -> None:
        """Write buffered text to the file."""
        self._text_file.flush()

    def detach(self) -> None:
        """Detach the writer from the file, which stays open."""
        self._text_file.detach()


@dataclass
class _Checkpoint:
    """The number of customers and bytes in the part file, and where the iteration continues."""

    customers: int = 0
    bytes: int = 0
    cursor: str | None = None
    page_size: int | None = None


class PartFile:
    """A context manager for the open, locked file of the customers exported so far.

    Args:
        path: The final path of the export.
        settings: The settings of the export. An export with different settings is not continued.
        resume: Whether to continue an interrupted export. If ``False``, its files are discarded.
        page_size: The page size of a new export. An interrupted export keeps its page size,
            because its cursor depends on the page size.
        mode: The permissions of the final file. The owner can always read and write the part file.
        clock: Returns monotonic time in seconds.

    Raises:
        PartError: Another export to ``path`` is running; the interrupted export had different
            settings; or the files of the interrupted export are damaged.
        OSError: The part file cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        *,
        resume: bool,
        mode: int,
        page_size: int | None = None,
        clock: Callable[[], float] = _monotonic,
    ) -> None:
        self._path = path
        self._settings = {"export": _FORMAT_VERSION, **settings}
        self._part_path, self._checkpoint_path = (
            append_suffix(path, ".part"),
            append_suffix(path, ".part.json"),
        )
        self._mode = mode
        self._clock = clock
        # Keep the permissions of an existing part file until the checks below have passed.
        initial_mode = get_permissions(self._part_path) or mode | OWNER_ONLY
        self._file: IO[bytes] = open_with_mode(self._part_path, "a+b", initial_mode)
        try:
            try:
                lock_file(self._file)
            except BlockingIOError:
                raise PartError(
                    f"another export is writing {self._part_path}",
                    WAIT_FOR_EXPORT,
                ) from None
            if not resume:
                self._checkpoint_path.unlink(missing_ok=True)
            self._last_checkpoint = self._read_checkpoint() or _Checkpoint(page_size=page_size)
            if self._file.seek(0, io.SEEK_END) < self._last_checkpoint.bytes:
                raise PartError(
                    f"{self._part_path} is shorter than the size in {self._checkpoint_path}"
                )
            self._file.truncate(self._last_checkpoint.bytes)
            self._file.seek(0, io.SEEK_END)  # tell() then returns the size of the file
            self._part_path.chmod(mode | OWNER_ONLY)
        except BaseException:
            self._file.close()
            raise
        self._checkpointed_at = clock()

    @property
    def customers(self) -> int:
        """Return the number of customers in the part file at the last checkpoint."""
        return self._last_checkpoint.customers

    @property
    def cursor(self) -> str | None:
        """Return the cursor of the last checkpoint; ``None`` before the first checkpoint."""
        return self._last_checkpoint.cursor

    @property
    def page_size(self) -> int | None:
        """Return the page size of the export; ``None`` for the default."""
        return self._last_checkpoint.page_size

    def _read_checkpoint(self) -> _Checkpoint | None:
        try:
            saved = json.loads(self._checkpoint_path.read_bytes())
            saved_settings = {name: saved[name] for name in self._settings}
            checkpoint = _Checkpoint(
                saved["customers"], saved["bytes"], saved["cursor"], saved["page_size"]
            )
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):
            raise PartError(
                f"the checkpoint {self._checkpoint_path} of {self._part_path} is damaged"
            ) from None
        changed = [name for name, value in self._settings.items() if saved_settings[name] != value]
        if changed:
            raise PartError(
                f"{self._part_path} belongs to an export with different {' and '.join(changed)}",
                f"repeat the options of that export, or {_START_OVER}",
            )
        return checkpoint

    def append(
        self,
        batches: Iterable[Batch],
        file_format: Format,
        columns: Sequence[str] | None,
        on_progress: Callable[[int], object] = lambda count: None,
    ) -> int:
        """Append customers to the part file, and write checkpoints.

        Args:
            batches: The customers that follow the last checkpoint.
            file_format: The format of the export. For ``parquet``, the part file is JSONL.
            columns: The columns of CSV or the fields of JSONL; ``None`` for all fields.
            on_progress: Called with the number of customers in the part file.

        Returns:
            The number of customers in the part file, including those of earlier runs.

        Raises:
            DubError: A page could not be fetched. A checkpoint is written first.
            Interrupted: Ctrl-C was pressed. A checkpoint is written first.
            OSError: The part file cannot be written.
        """
        writer = CustomerWriter(self._file, file_format, columns)
        count, cursor = self._last_checkpoint.customers, self._last_checkpoint.cursor
        with add_filename_to_errors(self._part_path):
            try:
                if not self._last_checkpoint.bytes:
                    writer.write_header()
                for customers, cursor in batches:
                    for customer in customers:
                        writer.write(customer)
                    count += len(customers)
                    on_progress(count)
                    if (
                        count - self._last_checkpoint.customers >= _CHECKPOINT_CUSTOMERS
                        or self._clock() - self._checkpointed_at >= _CHECKPOINT_SECONDS
                    ):
                        self._write_checkpoint(writer, count, cursor)
            except (DubError, Interrupted):
                if count:
                    self._write_checkpoint(writer, count, cursor)
                raise
            finally:
                writer.detach()
            sync_file(self._file)
        return count

    def _write_checkpoint(self, writer: CustomerWriter, count: int, cursor: str | None) -> None:
        writer.flush()
        sync_file(self._file)
        self._last_checkpoint = _Checkpoint(count, self._file.tell(), cursor, self.page_size)
        with atomic_writer(self._checkpoint_path, mode=self._mode | OWNER_ONLY) as file:
            json.dump({**self._settings, **vars(self._last_checkpoint)}, file)
        self._checkpointed_at = self._clock()

    def finish(
        self,
        convert: Callable[[Path, IO[bytes]], object] | None = None,
        before_rename: Callable[[], object] = lambda: None,
    ) -> None:
        """Move the finished export to its final path, and delete the part file and the checkpoint.

        Args:
            convert: ``None`` to keep the content. Otherwise, ``convert(part_path, file)`` writes
                the final content to ``file``.
            before_rename: Called when the content is complete, before the final path exists.
        """
        if convert is None:
            self._part_path.chmod(self._mode)
            self._file.close()
            before_rename()
            # Delete the checkpoint before the rename. After a crash between these two steps, the
            # next export starts over, because the part file has no checkpoint.
            self._checkpoint_path.unlink(missing_ok=True)
            replace_atomically(self._part_path, self._path)
        else:
            converted_path = append_suffix(self._path, ".tmp")
            try:
                with open_with_mode(converted_path, "wb", self._mode | OWNER_ONLY) as file:
                    convert(self._part_path, file)
                    sync_file(file)
                converted_path.chmod(self._mode)
                before_rename()
                replace_atomically(converted_path, self._path)
            finally:
                converted_path.unlink(missing_ok=True)
            self._file.close()
            self._part_path.unlink()
        self._checkpoint_path.unlink(missing_ok=True)

    def __enter__(self) -> PartFile:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
        if not self._last_checkpoint.customers:  # no customers: there is nothing to continue
            self._part_path.unlink(missing_ok=True)
            self._checkpoint_path.unlink(missing_ok=True)


def has_interrupted_export(path: Path) -> bool:
    """Return whether the part file and the checkpoint of an export to this path exist."""
    return append_suffix(path, ".part").exists() and append_suffix(path, ".part.json").exists()


def write_stream(
    customers: Iterator[Customer],
    file: IO[bytes],
    file_format: Format,
    columns: Sequence[str] | None,
    on_progress: Callable[[int], object] = lambda count: None,
) -> int:
    """Write customers to a pipe or a device, and return their number."""
    writer = CustomerWriter(file, file_format, columns)
    writer.write_header()
    count = 0
    try:
        for count, customer in enumerate(customers, 1):
            writer.write(customer)
            if count % 100 == 0:
                on_progress(count)
        writer.flush()
    finally:
        writer.detach()
    return count
