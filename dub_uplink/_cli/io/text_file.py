"""Read text files in any encoding, and report where decoding fails."""

from __future__ import annotations

import codecs
import contextlib
import os
from collections.abc import Iterator
from typing import IO, Literal

#: The maximum length of a line, a CSV cell or a JSON value, in characters. A longer line probably
#: means that a quote is not closed, or that the file is not text.
MAX_RECORD_CHARS = 2**20
#: A chunk of a binary file has this many bytes. A chunk of text has this many characters.
_CHUNK_SIZE = 2**16

#: UTF-32 is first, because its little-endian mark begins with UTF-16's little-endian mark.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class BadFile(Exception):
    """The file cannot be read as rows. The message says where and why."""


def detect_bom_encoding(file: IO[bytes]) -> str | None:
    """Return the encoding that a byte order mark states; ``None`` if there is no mark."""
    start = read_start(file, 4)
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if start.startswith(mark)), None)


def read_start(file: IO[bytes], size: int) -> bytes:
    """Return the first ``size`` bytes of an open file."""
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    return os.read(file.fileno(), size)


def is_non_ascii_utf_8(file: IO[bytes]) -> bool:
    """Return whether an open file is UTF-8 with at least one non-ASCII character."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_ascii = True
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    try:
        while chunk := os.read(file.fileno(), _CHUNK_SIZE):
            decoder.decode(chunk)
            is_ascii = is_ascii and chunk.isascii()
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return not is_ascii


def read_lines(file: IO[bytes], encoding: str, newline: Literal["", "\n"]) -> Iterator[str]:
    r"""Yield the lines of an open file from its start, including their line ends.

    If ``newline`` is empty, lines end with LF, CR or CR LF. For ``"\n"``, only LF ends a line.

    Raises:
        BadFile: a line is too long, cannot be decoded, or contains a NUL character.
    """
    number = 0
    with _open_text(file, encoding, newline) as text:
        while line := text.readline(MAX_RECORD_CHARS + 1):
            number += 1
            if len(line) > MAX_RECORD_CHARS:
                raise BadFile(
                    f"line {number} is longer than {MAX_RECORD_CHARS:,} characters; check the line"
                    " breaks of the file."
                )
            if "\0" in line:
                raise _make_nul_error(file, number, encoding)
            yield line


def read_chunks(file: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield the text of an open file from its start, in chunks.

    Raises:
        BadFile: the text cannot be decoded, or contains a NUL character.
    """
    number = 1
    with _open_text(file, encoding, "\n") as text:
        while chunk := text.read(_CHUNK_SIZE):
            if "\0" in chunk:
                number += chunk[: chunk.index("\0")].count("\n")
                raise _make_nul_error(file, number, encoding)
            number += chunk.count("\n")
            yield chunk


@contextlib.contextmanager
def _open_text(file: IO[bytes], encoding: str, newline: str) -> Iterator[IO[str]]:
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    codec = "utf-8-sig" if encoding == "utf-8" else encoding  # utf-8-sig skips the byte order mark
    with open(file.fileno(), encoding=codec, newline=newline, closefd=False) as text:
        try:
            yield text
        except UnicodeError:
            guessed_encoding = _guess_utf_16(read_start(file, 4096))
            if guessed_encoding not in ("", encoding) and detect_bom_encoding(file) is None:
                raise BadFile(
                    f"the file is not {encoding}; it looks like UTF-16 without a byte order mark."
                    f"  Hint: give --encoding {guessed_encoding}."
                ) from None
            raise BadFile(_describe_decode_error(file, encoding, newline)) from None


def _make_nul_error(file: IO[bytes], number: int, encoding: str) -> BadFile:
    guessed_encoding = _guess_utf_16(read_start(file, 4096))
    if guessed_encoding in ("", encoding):
        return BadFile(
            f"line {number} contains a NUL byte, which is not allowed.  Hint: check that the file"
            " is complete, or remove the byte."
        )
    return BadFile(
        f"line {number} contains a NUL byte: the file is not in {encoding}."
        f"  Hint: try --encoding {guessed_encoding}."
    )


def _guess_utf_16(start: bytes) -> str:
    """Guess the UTF-16 encoding of Latin text; return an empty string for other text.

    In UTF-16, each Latin character has one NUL byte.
    """
    nul_counts = start[1::2].count(0), start[::2].count(0)
    if max(nul_counts) * 4 < len(start):
        return ""
    return "utf-16-le" if nul_counts[0] > nul_counts[1] else "utf-16-be"


def _describe_decode_error(file: IO[bytes], encoding: str, newline: str) -> str:
    """Return an error message with the position of the first byte that cannot be decoded.

    The file is read again, because the failed decoder does not report the position in the file.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    os.lseek(file.fileno(), 0, os.SEEK_SET)
    line, position = 1, 1  # the line of the next byte, and its position in the line
    # Read the lines as Latin-1: each byte is then one character.
    with open(file.fileno(), encoding="latin-1", newline=newline, closefd=False) as text:
        while True:
            data = text.readline(MAX_RECORD_CHARS).encode("latin-1")
            incomplete = decoder.getstate()[0]  # the first bytes of an incomplete character
            try:
                decoder.decode(data, final=not data)
            except UnicodeDecodeError as error:
                if not data and encoding.startswith(("utf-16", "utf-32")):
                    return (
                        "the file ends in the middle of a character."
                        "  Hint: check that it is complete."
                    )
                position += error.start - len(incomplete)
                byte = (incomplete + data)[error.start]
                return _format_decode_error(encoding, line, position, byte)
            except UnicodeError as error:  # raised for UTF-16 without a byte order mark
                return f"the file is not {encoding}: {error}."
            if not data:
                return f"the file is not {encoding}."
            if data.endswith(b"\n" if newline else (b"\n", b"\r")):
                line, position = line + 1, 1
            else:
                position += len(data)


def _format_decode_error(encoding: str, line: int, position: int, byte: int) -> str:
    where = f"line {line}, byte {position} (0x{byte:02x}) is not {encoding}."
    with contextlib.suppress(UnicodeDecodeError):
        char = bytes([byte]).decode("cp1252")
        if encoding == "utf-8":
            return f"{where}  Hint: --encoding cp1252 (Windows) reads it as {char!r}."
    return f"{where}  Hint: try --encoding {'utf-8' if encoding != 'utf-8' else 'cp437'}."
