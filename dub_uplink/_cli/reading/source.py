"""Open the imported file so that it can be read more than once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from typing import IO, Any

from dub_uplink._cli.failures import ExitCode, Failure

#: A file is copied and hashed in chunks of this many bytes.
_CHUNK_SIZE = 2**16


@contextlib.contextmanager
def open_source(path: str) -> Iterator[IO[bytes]]:
    """Open a file. Copy the standard input (``-``) or a pipe to a temporary file first.

    Raises:
        Failure: the file cannot be read.
    """
    with contextlib.ExitStack() as exit_stack:
        try:
            if path == "-":
                stdin: Any = sys.stdin
                yield exit_stack.enter_context(
                    _copy_to_temporary_file(stdin.buffer if stdin else None)
                )
                return
            mode = os.stat(path).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
                file_type = "a directory" if stat.S_ISDIR(mode) else "a device"
                raise Failure(f"{path} is {file_type}; give the path of a file.", ExitCode.USAGE)
            file = exit_stack.enter_context(open(path, "rb"))
            fifo_copy = _copy_to_temporary_file(file) if stat.S_ISFIFO(mode) else None
        except OSError as error:
            raise Failure(f"cannot read {path}: {error.strerror}.", ExitCode.USAGE) from None
        yield file if fifo_copy is None else exit_stack.enter_context(fifo_copy)


def can_write_siblings(path: str) -> bool:
    """Return whether an import can write its files to the directory of ``path``."""
    # /dev/stdin and /dev/fd/3 can be regular files, but their directories are not writable.
    is_descriptor = os.path.abspath(path).startswith(("/dev/", "/proc/"))
    return path != "-" and not is_descriptor and not stat.S_ISFIFO(os.stat(path).st_mode)


def _copy_to_temporary_file(source: io.BufferedReader | None) -> IO[bytes]:
    copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    # On a terminal, read and copyfileobj wait for a second Ctrl-D, but read1 does not.
    while source is not None and (chunk := source.read1(_CHUNK_SIZE)):
        copy.write(chunk)
    copy.flush()
    return copy


def identify_content(file: IO[bytes]) -> dict[str, Any]:
    """Return the size and the SHA-256 of a file, which identify its content."""
    digest = hashlib.sha256()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    size = 0
    while chunk := os.read(file.fileno(), _CHUNK_SIZE):
        digest.update(chunk)
        size += len(chunk)
    return {"size": size, "sha256": digest.hexdigest()}
