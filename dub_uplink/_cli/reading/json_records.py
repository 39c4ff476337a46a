"""Records of a JSON file: an array, objects one after the other, or lines of JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any, Literal

from dub_uplink._cli.io.text_file import MAX_RECORD_CHARS, BadFile, chunks, lines
from dub_uplink._cli.reading.record import Record

_BLANK = re.compile("[ \t\r\n]*")


class _Object(dict[str, Any]):
    """An object; ``repeated`` is a key that it has twice."""

    repeated = ""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(self) < len(pairs):
            keys = [key for key, _ in pairs]
            self.repeated = next(key for key in keys if keys.count(key) > 1)


_DECODER = json.JSONDecoder(object_pairs_hook=_Object)


#: The start of an object with a list of objects, after values that are no lists.
_WRAPPED = re.compile(r'\{(?:[^\[{}]|\{[^\[{}]*\})*?"[A-Za-z_]\w*"\s*:\s*\[\s*\{')
_KEY = re.compile(r'"([^"\\]*)"\s*:')

Unit = Literal["line", "item", "row"]


def place_unit(file: IO[bytes], encoding: str) -> Unit:
    """Return what the places of records count: the items of an array that is on one line."""
    start = next(chunks(file, encoding), "").strip()
    return "item" if start[:1] == "[" and "\n" not in start else "line"


def keys_before_list(file: IO[bytes], encoding: str) -> list[str]:
    """Return the keys of the first object up to that of a list of objects, if it has one."""
    start = _WRAPPED.match(next(chunks(file, encoding), "").lstrip())
    return _KEY.findall(start[0]) if start else []


def read_json(file: IO[bytes], encoding: str) -> Iterator[Record]:
    """Generate the records; memory does not grow with the file.

    Raises:
        BadFile: the file, or the rest of it, cannot be read.
    """
    records = _lines(file, encoding) if _is_lines(file, encoding) else _values(file, encoding)
    for record in records:
        if record.problem:
            yield record
        elif not isinstance(record.content, _Object):
            yield Record(record.line, {}, "is not a JSON object")
        elif record.content.repeated:
            yield Record(record.line, {}, f"has {record.content.repeated!r} twice")
        else:
            yield record


def _is_lines(file: IO[bytes], encoding: str) -> bool:
    """Return whether each line is a value, by the first line that is not blank."""
    for chunk in chunks(file, encoding):
        if chunk.strip():
            if chunk.lstrip()[0] == "[":
                return False
            break
    first = next((line.strip() for line in lines(file, encoding, "\n") if line.strip()), "")
    try:
        _DECODER.decode(first)
    except json.JSONDecodeError as error:
        return error.pos < len(first)  # at its end: the object goes on in the next line
    except RecursionError:
        pass
    return True


def _lines(file: IO[bytes], encoding: str) -> Iterator[Record]:
    for number, line in enumerate(lines(file, encoding, "\n"), 1):
        text = line.strip(" \t\r\n")
        if text:
            try:
                yield Record(number, _DECODER.decode(text))
            except json.JSONDecodeError as error:
                yield Record(number, {}, f"is not JSON: {error.msg} at character {error.pos + 1}")
            except (ValueError, RecursionError):  # a number of thousands of digits; deep nesting
                yield Record(number, {}, "cannot be parsed as JSON")


def _values(file: IO[bytes], encoding: str) -> Iterator[Record]:
    by_item = place_unit(file, encoding) == "item"
    buffer = _Buffer(chunks(file, encoding))
    is_array = buffer.take("[")
    count = 0
    is_first = True
    while buffer.peek():
        if is_array and buffer.take("]"):
            if buffer.peek():
                raise BadFile(f"line {buffer.line()}: text follows the end of the array.")
            return
        if is_array and not is_first and not buffer.take(","):
            after = f"after item {count}" if by_item else f"line {buffer.line()}"
            raise BadFile(f"{after} is not JSON: a comma is missing.")
        if not is_first and is_array and buffer.peek() == "]":
            continue  # a comma after the last value
        if not buffer.peek():
            break
        count += 1
        number = count if by_item else buffer.line()
        yield Record(number, buffer.value(f"{'item' if by_item else 'line'} {number}"))
        is_first = False
    if is_array:
        raise BadFile(f"line {buffer.line()}: the array is not closed; is the file complete?")


class _Buffer:
    """The text of which the next value is being decoded."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = ""
        self._at = 0
        self._counted = 0  # position up to which line ends are in _line
        self._line = 1

    def line(self) -> int:
        """Return the line of the position, from 1."""
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _fill(self) -> bool:
        self.line()
        piece = next(self._pieces, "")
        self._text = self._text[self._at :] + piece
        self._at = self._counted = 0
        return bool(piece)

    def peek(self) -> str:
        """Return the next character that is not blank, empty at the end."""
        while True:
            blank = _BLANK.match(self._text, self._at)
            self._at = blank.end() if blank else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._fill():
                return ""

    def take(self, char: str) -> bool:
        """Step over a character, and return whether it was the next."""
        is_next = self.peek() == char
        self._at += is_next
        return is_next

    def value(self, place: str) -> Any:
        """Decode the next value; ``place`` is where it begins."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                message = error.msg
            except (ValueError, RecursionError):
                raise BadFile(f"{place} cannot be parsed as JSON.") from None
            else:
                # A number that goes on in the next piece is cut in two; it is no object either way.
                self._at = end
                return value
            if len(self._text) - self._at > MAX_RECORD_CHARS or not self._fill():
                raise BadFile(f"{place} is not JSON: {message.removesuffix(' starting at')}.")
