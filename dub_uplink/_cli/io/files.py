"""Files that are whole or not there: locks, fsync, renames."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def lock(file: IO[Any]) -> None:
    """Keep every other process from locking this file, until it is closed or the process ends.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    if sys.platform == "win32":
        # A byte that no reader comes to: there a lock keeps others from reading as well.
        file.seek(2**40)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
        file.seek(0)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an error of the system say which file it is about: one of writing does not know."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def sync(file: IO[Any]) -> None:
    """Let what was written to a file be there after a power failure as well."""
    file.flush()
    os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Let the names in the directory of ``path`` be there after a power failure as well."""
    if sys.platform == "win32":  # where a directory cannot be opened
        return
    descriptor = os.open(path.parent, os.O_RDONLY)
    try:
        # Some network file systems know no fsync of a directory; they keep names by themselves.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def put_in_place(temporary: Path, path: Path) -> None:
    """Give a file that was synced its own name, in the place of any that had it."""
    temporary.replace(path)
    sync_directory(path)


@contextlib.contextmanager
def replacing(path: Path, newline: str = "") -> Iterator[IO[str]]:
    """A text file (UTF-8) that takes its name only when it is whole; until then it is ``….tmp``."""
    temporary = beside(path, ".tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline=newline) as file:
            yield file
            sync(file)
        put_in_place(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def beside(path: Path, suffix: str) -> Path:
    """A file in the same directory whose name says whose it is."""
    return path.with_name(path.name + suffix)
