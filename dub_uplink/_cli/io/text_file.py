"""Text files of other programs: encodings, bounded lines, and where a file cannot be decoded."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Iterator
from typing import IO, Literal

#: Characters of a line, of a cell of CSV, which may span lines, and of a JSON value. A customer has
#: a few hundred; beyond this limit a quote was not closed, or the file is not text.
MAX_LENGTH = 2**20
_CHUNK = 2**16  # bytes, or characters

#: UTF-32 first: its mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class BadFile(Exception):
    """A file that cannot be read as rows at all; the message says where and why."""


def marked_encoding(file: IO[bytes]) -> str | None:
    """Return the encoding that a byte order mark names, ``None`` where there is no mark."""
    start = head(file, 4)
    return next((encoding for mark, encoding in _MARKS if start.startswith(mark)), None)


def head(file: IO[bytes], size: int) -> bytes:
    """Return the first bytes of an open file."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return os.read(file.fileno(), size)


def lines(file: IO[bytes], encoding: str, newline: Literal["", "\n"]) -> Iterator[str]:
    r"""Generate the lines of an open file from its top, with their ends.

    With ``newline=""`` a line ends in LF, CR or both; with ``"\n"`` in LF only.

    Raises:
        BadFile: a line is too long, cannot be decoded, or holds NUL.
    """
    number = 0
    with _text(file, encoding, newline) as text:
        while line := text.readline(MAX_LENGTH + 1):
            number += 1
            if len(line) > MAX_LENGTH:
                raise BadFile(f"line {number} is longer than {MAX_LENGTH:,} characters.")
            if "\0" in line:
                raise _no_text(number, encoding)
            yield line


def chunks(file: IO[bytes], encoding: str) -> Iterator[str]:
    """Generate the text of an open file from its top, in pieces.

    Raises:
        BadFile: it cannot be decoded, or holds NUL.
    """
    number = 1
    with _text(file, encoding, "\n") as text:
        while chunk := text.read(_CHUNK):
            if "\0" in chunk:
                raise _no_text(number + chunk[: chunk.index("\0")].count("\n"), encoding)
            number += chunk.count("\n")
            yield chunk


@contextlib.contextmanager
def _text(file: IO[bytes], encoding: str, newline: str) -> Iterator[IO[str]]:
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    codec = "utf-8-sig" if encoding == "utf-8" else encoding  # without the byte order mark
    with open(file.fileno(), encoding=codec, newline=newline, closefd=False) as text:
        try:
            yield text
        except UnicodeError:
            actual = _utf_16(head(file, 4096))
            if actual and actual != encoding:
                raise BadFile(
                    f"it is not {encoding}, and looks like UTF-16 without a byte order mark."
                    f"  Hint: --encoding {actual}."
                ) from None
            raise BadFile(_undecodable(file, encoding)) from None


def _no_text(number: int, encoding: str) -> BadFile:
    return BadFile(
        f"line {number} holds a NUL byte: it is not text, or not in {encoding}.  Hint: perhaps"
        " --encoding utf-16-le."
    )


def _utf_16(start: bytes) -> str:
    """Return the UTF-16 that mostly Latin text without a mark is in, empty for other bytes."""
    nuls = start[1::2].count(0), start[::2].count(0)
    if max(nuls) * 4 < len(start):
        return ""
    return "utf-16-le" if nuls[0] > nuls[1] else "utf-16-be"


def _undecodable(file: IO[bytes], encoding: str) -> str:
    """Return where the first byte is that cannot be decoded.

    Counted byte by byte in a second pass: the text file has read further than it says.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    held = b""  # start of a character, at the end of the last chunk
    line, position = 1, 1
    while True:
        chunk = os.read(file.fileno(), _CHUNK)
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            data = held + chunk
            line, position = _advance(data[: error.start], line, position)
            return _hint(encoding, line, position, data[error.start])
        except UnicodeError as error:  # about the file as a whole: UTF-16 without its mark
            return f"it is not {encoding}: {error}."
        if not chunk:
            return f"it is not {encoding}."
        data, held = held + chunk, decoder.getstate()[0]
        line, position = _advance(data[: len(data) - len(held)], line, position)


def _advance(data: bytes, line: int, position: int) -> tuple[int, int]:
    """Return the line and the byte in it, both from 1, after some bytes."""
    ends = data.count(b"\n")
    if not ends:
        return line, position + len(data)
    return line + ends, len(data) - data.rindex(b"\n")


def _hint(encoding: str, line: int, position: int, byte: int) -> str:
    where = f"line {line}, byte {position} (0x{byte:02x}) is not {encoding}."
    with contextlib.suppress(UnicodeDecodeError):
        char = bytes([byte]).decode("cp1252")
        if encoding == "utf-8":
            return f"{where}  Hint: --encoding cp1252 (Windows) reads it as {char!r}."
    return f"{where}  Hint: perhaps --encoding {'utf-8' if encoding != 'utf-8' else 'cp437'}."
