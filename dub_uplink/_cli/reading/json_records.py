"""Read the records of a JSON file: an array, consecutive objects, or JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any, Literal

from dub_uplink._cli.io.text_file import MAX_RECORD_CHARS, BadFile, chunks, lines
from dub_uplink._cli.reading.record import Record

_BLANK_PATTERN = re.compile("[ \t\r\n]*")


class _Object(dict[str, Any]):
    """A JSON object. ``repeated`` is a key that occurs more than once, or empty."""

    repeated = ""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(self) < len(pairs):
            keys = [key for key, _ in pairs]
            self.repeated = next(key for key in keys if keys.count(key) > 1)


_DECODER = json.JSONDecoder(object_pairs_hook=_Object)


#: Matches the start of an object, up to its first list. The list must contain objects.
_WRAPPED_LIST_PATTERN = re.compile(r'\{(?:[^\[{}]|\{[^\[{}]*\})*?"[A-Za-z_]\w*"\s*:\s*\[\s*\{')
_KEY_PATTERN = re.compile(r'"([^"\\]*)"\s*:')

Unit = Literal["line", "item", "row"]


def position_unit(file: IO[bytes], encoding: str) -> Unit:
    """Return the unit of positions: items if an array is on one line, otherwise lines."""
    start = next(chunks(file, encoding), "").strip()
    return "item" if start[:1] == "[" and "\n" not in start else "line"


def keys_before_list(file: IO[bytes], encoding: str) -> list[str]:
    """Return the keys of the first object, up to the key of its first list of objects.

    The result is empty if there is no list of objects.
    """
    start = _WRAPPED_LIST_PATTERN.match(next(chunks(file, encoding), "").lstrip())
    return _KEY_PATTERN.findall(start[0]) if start else []


def read_json(file: IO[bytes], encoding: str) -> Iterator[Record]:
    """Yield the records. Memory does not grow with the file.

    Raises:
        BadFile: the file, or the rest of the file, cannot be read.
    """
    records = (
        _read_lines(file, encoding) if _is_lines(file, encoding) else _read_values(file, encoding)
    )
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
    """Return whether each line is a value, judged by the first line that is not blank."""
    for chunk in chunks(file, encoding):
        if chunk.strip():
            if chunk.lstrip()[0] == "[":
                return False
            break
    first = next((line.strip() for line in lines(file, encoding, "\n") if line.strip()), "")
    try:
        _DECODER.decode(first)
    except json.JSONDecodeError as error:
        return error.pos < len(first)  # an error at the end of the line: the object continues
    except RecursionError:
        pass
    return True


def _read_lines(file: IO[bytes], encoding: str) -> Iterator[Record]:
    for number, line in enumerate(lines(file, encoding, "\n"), 1):
        text = line.strip(" \t\r\n")
        if text:
            try:
                yield Record(number, _DECODER.decode(text))
            except json.JSONDecodeError as error:
                yield Record(number, {}, f"is not JSON: {error.msg} at character {error.pos + 1}")
            except (ValueError, RecursionError):  # thousands of digits, or deep nesting
                yield Record(number, {}, "cannot be parsed as JSON")


def _read_values(file: IO[bytes], encoding: str) -> Iterator[Record]:
    by_item = position_unit(file, encoding) == "item"
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
        raise BadFile(
            f"line {buffer.line()}: the array is not closed; check that the file is complete."
        )


class _Buffer:
    """A buffer of the text that is being decoded."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._text = ""
        self._position = 0
        self._counted_until = 0  # _line includes the line ends up to this position
        self._line = 1

    def line(self) -> int:
        """Return the line of the current position, from 1."""
        self._line += self._text.count("\n", self._counted_until, self._position)
        self._counted_until = self._position
        return self._line

    def _fill(self) -> bool:
        self.line()
        piece = next(self._pieces, "")
        self._text = self._text[self._position :] + piece
        self._position = self._counted_until = 0
        return bool(piece)

    def peek(self) -> str:
        """Return the next character that is not blank; empty at the end."""
        while True:
            blank = _BLANK_PATTERN.match(self._text, self._position)
            self._position = blank.end() if blank else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._fill():
                return ""

    def take(self, char: str) -> bool:
        """Skip a character if it is next; return whether it was."""
        is_next = self.peek() == char
        self._position += is_next
        return is_next

    def value(self, place: str) -> Any:
        """Decode the next value. ``place`` is its position, for messages."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                message = error.msg
            except (ValueError, RecursionError):
                raise BadFile(f"{place} cannot be parsed as JSON.") from None
            else:
                # This may be only the first part of a number, but only objects are valid records.
                self._position = end
                return value
            if len(self._text) - self._position > MAX_RECORD_CHARS or not self._fill():
                raise BadFile(f"{place} is not JSON: {message.removesuffix(' starting at')}.")
