"""Lock files, and write files atomically under a temporary name."""

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


def lock_file(file: IO[Any]) -> None:
    """Lock a file until the file is closed or this process ends.

    Raises:
        BlockingIOError: Another process has locked the file.
    """
    if sys.platform == "win32":
        # On Windows, no other process can read a locked byte. Lock a byte far after the end.
        file.seek(2**40)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
        file.seek(0)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def is_locked(path: Path) -> bool:
    """Return whether another process has locked a file; ``False`` if the file does not exist."""
    try:
        with path.open("rb") as file:
            lock_file(file)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False


@contextlib.contextmanager
def add_filename_to_errors(path: Path) -> Iterator[None]:
    """Add a file name to an ``OSError`` that has none, such as the error of a failed write."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def get_permissions(path: Path) -> int | None:
    """Return the permissions of a file as bits; ``None`` if the file does not exist."""
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None


def open_with_mode(path: Path, mode: str, permissions: int) -> IO[Any]:
    """Open a new or an existing binary file for writing, and set its permissions."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags, permissions)

    file = open(path, mode, opener=opener)  # noqa: SIM115 - the caller closes it
    try:
        # os.open keeps the permissions of an existing file, and the umask restricts a new file.
        if get_permissions(path) != permissions:
            path.chmod(permissions)
    except BaseException:
        file.close()
        raise
    return file


def sync_file(file: IO[Any]) -> None:
    """Write the buffered content of a file to the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Write the directory of ``path`` to the disk, so that a rename survives a power failure."""
    if sys.platform == "win32":  # Windows cannot open a directory
        return
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        # Ignore an error, because some network file systems cannot sync a directory.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_atomically(temporary: Path, path: Path) -> None:
    """Rename a synced file to its final path. Replace an existing file at this path."""
    temporary.replace(path)
    sync_directory(path)


@contextlib.contextmanager
def atomic_writer(path: Path, newline: str = "", mode: int | None = None) -> Iterator[IO[str]]:
    """Write a UTF-8 text file as ``….tmp``, and rename it to ``path`` when it is complete.

    Args:
        path: The final path.
        newline: The ``newline`` argument of ``open``.
        mode: The permissions; ``None`` for all permissions that the umask allows.
    """
    temporary = append_suffix(path, ".tmp")
    try:
        if mode is not None:
            open_with_mode(temporary, "wb", mode).close()
        with temporary.open("w", encoding="utf-8", newline=newline) as file:
            yield file
            sync_file(file)
        replace_atomically(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


class UniqueFile:
    """A context manager that writes a UTF-8 text file. Only the owner can read the file.

    Inside the ``with`` block, the file has the name ``….tmp``. On exit, the file is renamed to
    ``path``. A file that exists at ``path`` is replaced if all its lines are in the new file.
    Otherwise, the new file gets a name with a number, such as ``a-2.csv``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._exit_stack = contextlib.ExitStack()

    def __enter__(self) -> IO[str]:
        self._temporary_path = append_suffix(self.path, ".tmp")
        open_with_mode(self._temporary_path, "wb", OWNER_ONLY).close()
        file = self._temporary_path.open("w", encoding="utf-8", newline="")
        self._file = self._exit_stack.enter_context(file)
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
                    sync_file(self._file)
            if exc_type is None:
                self._publish()
        finally:
            with contextlib.suppress(OSError):
                self._temporary_path.unlink(missing_ok=True)

    def _publish(self) -> None:
        requested_path = self.path
        for number in itertools.count(2):
            try:
                # Create an empty file, so that no other process can use the name.
                with open(self.path, "xb"):
                    pass
            except FileExistsError:
                if not _contains_lines_of(self._temporary_path, self.path):
                    self.path = requested_path.with_name(
                        f"{requested_path.stem}-{number}{requested_path.suffix}"
                    )
                    continue
            replace_atomically(self._temporary_path, self.path)
            return


def _contains_lines_of(path: Path, other: Path) -> bool:
    """Return whether the file ``path`` contains all lines of ``other``, in the same order."""
    if not other.is_file():
        return False
    with path.open("rb") as file, other.open("rb") as lines:
        return all(line in file for line in lines)  # "in" continues after the previous match


def append_suffix(path: Path, suffix: str) -> Path:
    """Append a suffix to a path, such as ``.part`` to ``a.csv``."""
    return path.with_name(path.name + suffix)
