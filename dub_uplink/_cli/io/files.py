"""Write files that are either complete or absent: locks, fsync and atomic renames."""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

OWNER_ONLY = 0o600


def lock(file: IO[Any]) -> None:
    """Lock a file against other processes until it is closed or the process ends.

    Raises:
        BlockingIOError: Another process holds the lock.
    """
    if sys.platform == "win32":
        # Windows locks ranges of bytes against reading too, so lock one byte far after the end.
        file.seek(2**40)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
        file.seek(0)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def with_filename(path: Path) -> Iterator[None]:
    """Add the file name to an ``OSError``, because errors of writes have no file name."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def permissions_of(path: Path) -> int | None:
    """Return the permission bits of a file, or ``None`` if the file does not exist."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def open_with_mode(path: Path, mode: str, permissions: int) -> IO[Any]:
    """Open a binary file for writing, and set exactly these permissions before any write.

    The permissions of an existing file are changed too.
    """

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, permissions)

    file = open(path, mode, opener=opener)  # noqa: SIM115 - the caller closes it
    try:
        # Needed for an existing file, or if the umask has removed bits.
        if permissions_of(path) != permissions:
            path.chmod(permissions)
    except BaseException:
        file.close()
        raise
    return file


def sync(file: IO[Any]) -> None:
    """Flush a file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Flush the directory of ``path`` to the disk, so that a rename survives a power failure."""
    if sys.platform == "win32":  # Windows cannot open a directory
        return
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        # Ignore an error: some network file systems have no fsync for directories.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def atomic_replace(temporary: Path, path: Path) -> None:
    """Rename a synced file to its final name. An existing file with this name is replaced."""
    temporary.replace(path)
    sync_directory(path)


@contextlib.contextmanager
def atomic_writer(path: Path, newline: str = "", mode: int | None = None) -> Iterator[IO[str]]:
    """Write a UTF-8 text file as ``….tmp``, and rename it to ``path`` when it is complete.

    Args:
        path: The final path.
        newline: The ``newline`` argument of ``open``.
        mode: The permissions; ``None`` for the default of the process.
    """
    temporary = append_suffix(path, ".tmp")
    try:
        if mode is not None:
            open_with_mode(temporary, "wb", mode).close()
        with temporary.open("w", encoding="utf-8", newline=newline) as file:
            yield file
            sync(file)
        atomic_replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


class UniqueFile:
    """A new UTF-8 text file that only its owner can read; a context manager.

    The context writes to ``….tmp``. On exit, the file is renamed to ``path``. If other files have
    this name, ``path`` becomes a name with a number, such as ``a-2.csv``. If the new file contains
    all lines of an existing file in the same order, the new file replaces that file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._exit_stack = contextlib.ExitStack()

    def __enter__(self) -> IO[str]:
        self._temporary = append_suffix(self.path, ".tmp")
        open_with_mode(self._temporary, "wb", OWNER_ONLY).close()
        opened = self._temporary.open("w", encoding="utf-8", newline="")
        self._file = self._exit_stack.enter_context(opened)
        return self._file

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._exit_stack:
                if exc_type is None:
                    sync(self._file)
            if exc_type is None:
                self._publish()
        finally:
            with contextlib.suppress(OSError):
                self._temporary.unlink(missing_ok=True)

    def _publish(self) -> None:
        requested_path = self.path
        for number in itertools.count(2):
            try:
                # Create the file to reserve the name, which another process may also try.
                with open(self.path, "xb"):
                    pass
            except FileExistsError:
                if not _contains_lines_of(self._temporary, self.path):
                    self.path = requested_path.with_name(
                        f"{requested_path.stem}-{number}{requested_path.suffix}"
                    )
                    continue
            atomic_replace(self._temporary, self.path)
            return


def _contains_lines_of(path: Path, other: Path) -> bool:
    """Return whether a file contains all lines of ``other``, in the same order."""
    if not other.is_file():
        return False
    with path.open("rb") as file, other.open("rb") as lines:
        return all(line in file for line in lines)  # each search continues after the last match


def append_suffix(path: Path, suffix: str) -> Path:
    """Append a suffix to the name of a path, after its own suffix."""
    return path.with_name(path.name + suffix)
