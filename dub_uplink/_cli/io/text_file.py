"""The lines of a text file of others: bounded, in one encoding, or a word on where they are not."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from typing import IO, Literal

#: Characters of a line, and of a cell of CSV, which may span lines. A customer has a few hundred;
#: beyond this a quote was not closed, or the file is no text.
MAX_LENGTH = 2**20
_CHUNK = 2**16


class BadFile(Exception):
    """A file that cannot be read as rows at all; the message says where and why."""


def lines(file: IO[bytes], encoding: str, newline: Literal["", "\n"]) -> Iterator[str]:
    r"""The lines of an open file from its top, with their ends; without a byte order mark.

    With ``newline=""`` a line ends in LF, CR or both; with ``"\n"`` in LF only.

    Raises:
        BadFile: a line is too long, is not of this encoding, or holds NUL.
        LookupError: there is no such encoding of text.
    """
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    number = 0
    with open(file.fileno(), encoding=encoding, newline=newline, closefd=False) as text:
        try:
            while line := text.readline(MAX_LENGTH + 1):
                number += 1
                if len(line) > MAX_LENGTH:
                    raise BadFile(f"line {number} is longer than {MAX_LENGTH:,} characters.")
                if "\0" in line:
                    raise BadFile(
                        f"line {number} holds a NUL byte: it is no text, or not in {encoding};"
                        " --encoding names another."
                    )
                yield line.removeprefix("\ufeff") if number == 1 else line
        except UnicodeError:
            raise BadFile(_undecodable(file, encoding)) from None


def _undecodable(file: IO[bytes], encoding: str) -> str:
    """Where the first byte is that is not of this encoding.

    Counted anew, byte by byte: a text file that fails has read further than it says.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    held = b""  # of the last chunk, the beginning of a character
    line, position = 1, 1
    while True:
        chunk = os.read(file.fileno(), _CHUNK)
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            data = held + chunk
            line, position = _after(data[: error.start], line, position)
            return _told(encoding, line, position, data[error.start])
        except UnicodeError as error:  # of the file as a whole: UTF-16 without its mark
            return f"it is not {encoding}: {error}."
        if not chunk:
            return f"it is not {encoding}."
        data, held = held + chunk, decoder.getstate()[0]
        line, position = _after(data[: len(data) - len(held)], line, position)


def _after(data: bytes, line: int, position: int) -> tuple[int, int]:
    """The line and the byte in it, both from 1, behind some bytes."""
    ends = data.count(b"\n")
    if not ends:
        return line, position + len(data)
    return line + ends, len(data) - data.rindex(b"\n")


def _told(encoding: str, line: int, position: int, byte: int) -> str:
    marked = byte in (0xFE, 0xFF) and (line, position) == (1, 1)
    guess = "utf-16" if marked else "utf-8" if encoding != "utf-8" else "latin-1"
    return (
        f"line {line}, byte {position} (0x{byte:02x}) is not {encoding}."
        f"  Hint: perhaps --encoding {guess}."
    )
