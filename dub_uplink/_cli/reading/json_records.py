"""Read the records of a JSON file: an array, consecutive objects, or JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO, Any, Literal

from dub_uplink._cli.io.text_file import MAX_RECORD_CHARS, BadFile, read_chunks, read_lines
from dub_uplink._cli.reading.record import Record

_BLANK_PATTERN = re.compile("[ \t\r\n]*")


class _Object(dict[str, Any]):
    """A JSON object.

    Attributes:
        repeated_key: a key that occurs more than once; empty if each key occurs once.
    """

    repeated_key = ""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        if len(self) < len(pairs):
            keys = [key for key, _ in pairs]
            self.repeated_key = next(key for key in keys if keys.count(key) > 1)


_DECODER = json.JSONDecoder(object_pairs_hook=_Object)


#: Matches the start of an object, up to the first item of its first list. The pattern matches only
#: if this item is an object.
_WRAPPED_LIST_PATTERN = re.compile(r'\{(?:[^\[{}]|\{[^\[{}]*\})*?"[A-Za-z_]\w*"\s*:\s*\[\s*\{')
_KEY_PATTERN = re.compile(r'"([^"\\]*)"\s*:')

#: The unit of a row's position: a line of the file, an item of a JSON array, or a sheet row.
PositionUnit = Literal["line", "item", "row"]


def find_position_unit(file: IO[bytes], encoding: str) -> PositionUnit:
    """Return the unit of the positions: ``item`` for an array on one line; otherwise ``line``.

    An array is on one line if its first 65,536 characters contain no line end.
    """
    start = next(read_chunks(file, encoding), "").strip()
    return "item" if start[:1] == "[" and "\n" not in start else "line"


def read_keys_before_list(file: IO[bytes], encoding: str) -> list[str]:
    """Return the keys of the first object, up to the key of its first list.

    Return no keys if there is no list, or if the first item of the list is not an object.
    """
    start = _WRAPPED_LIST_PATTERN.match(next(read_chunks(file, encoding), "").lstrip())
    return _KEY_PATTERN.findall(start[0]) if start else []


def read_json(file: IO[bytes], encoding: str) -> Iterator[Record]:
    """Yield the records of a JSON file. The memory use does not depend on the file size.

    Raises:
        BadFile: the file cannot be read to its end.
    """
    records = (
        _read_jsonl(file, encoding)
        if _is_jsonl(file, encoding)
        else _read_array_or_objects(file, encoding)
    )
    for record in records:
        if record.problem:
            yield record
        elif not isinstance(record.content, _Object):
            yield Record(record.line, {}, "is not a JSON object")
        elif record.content.repeated_key:
            yield Record(record.line, {}, f"has {record.content.repeated_key!r} twice")
        else:
            yield record


def _is_jsonl(file: IO[bytes], encoding: str) -> bool:
    """Detect from the first non-blank line whether each line is one JSON value (JSONL)."""
    for chunk in read_chunks(file, encoding):
        if chunk.strip():
            if chunk.lstrip()[0] == "[":
                return False
            break
    first_line = next(
        (line.strip() for line in read_lines(file, encoding, "\n") if line.strip()), ""
    )
    try:
        _DECODER.decode(first_line)
    except json.JSONDecodeError as error:
        # If the error is at the end of the line, the object continues on the next line. If another
        # object follows on the same line, the file is a sequence of objects.
        is_sequence = error.msg == "Extra data" and first_line[error.pos] == "{"
        return error.pos < len(first_line) and not is_sequence
    except RecursionError:
        pass
    return True


def _read_jsonl(file: IO[bytes], encoding: str) -> Iterator[Record]:
    for number, line in enumerate(read_lines(file, encoding, "\n"), 1):
        text = line.strip(" \t\r\n")
        if text:
            try:
                yield Record(number, _DECODER.decode(text))
            except json.JSONDecodeError as error:
                yield Record(number, {}, f"is not JSON: {error.msg} at character {error.pos + 1}")
            except (ValueError, RecursionError):  # a number is too long, or the nesting too deep
                yield Record(number, {}, "cannot be parsed as JSON")


def _read_array_or_objects(file: IO[bytes], encoding: str) -> Iterator[Record]:
    counts_items = find_position_unit(file, encoding) == "item"
    buffer = _Buffer(read_chunks(file, encoding))
    is_array = buffer.skip_if_next("[")
    count = 0
    is_first = True
    while buffer.peek():
        if is_array and buffer.skip_if_next("]"):
            if buffer.peek():
                raise BadFile(
                    f"line {buffer.line()}: text follows the end of the array; remove the text."
                )
            return
        if is_array and not is_first and not buffer.skip_if_next(","):
            after = f"after item {count}" if counts_items else f"in line {buffer.line()}"
            raise BadFile(f"it is not JSON: a comma is missing {after}.")
        if not is_first and is_array and buffer.peek() == "]":
            continue  # accept a comma after the last item
        if not buffer.peek():
            break
        count += 1
        number = count if counts_items else buffer.line()
        yield Record(number, buffer.decode_value(f"{'item' if counts_items else 'line'} {number}"))
        is_first = False
    if is_array:
        raise BadFile(
            f"line {buffer.line()}: the array is not closed; check that the file is complete."
        )


class _Buffer:
    """A buffer of the text that is being decoded. ``_position`` is the index of the next character.

    Args:
        text_chunks: the text of the file, in chunks.
    """

    def __init__(self, text_chunks: Iterator[str]) -> None:
        self._text_chunks = text_chunks
        self._text = ""
        self._position = 0
        self._counted_until = 0  # the line ends before this index are counted in _line
        self._line = 1

    def line(self) -> int:
        """Return the number of the line at the current position, from 1."""
        self._line += self._text.count("\n", self._counted_until, self._position)
        self._counted_until = self._position
        return self._line

    def _read_chunk(self) -> bool:
        """Drop the decoded text, and append the next chunk. Return whether there was a chunk."""
        self.line()
        chunk = next(self._text_chunks, "")
        self._text = self._text[self._position :] + chunk
        self._position = self._counted_until = 0
        return bool(chunk)

    def peek(self) -> str:
        """Skip whitespace, and return the next character; empty at the end of the file."""
        while True:
            blank = _BLANK_PATTERN.match(self._text, self._position)
            self._position = blank.end() if blank else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._read_chunk():
                return ""

    def skip_if_next(self, char: str) -> bool:
        """Skip ``char`` if it is the next non-blank character. Return whether it was skipped."""
        is_next = self.peek() == char
        self._position += is_next
        return is_next

    def decode_value(self, place: str) -> Any:
        """Decode the next value. ``place`` is the position of the value, such as "line 2"."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                message = error.msg
            except (ValueError, RecursionError):
                raise BadFile(
                    f"{place} cannot be parsed as JSON: it has too many levels or digits."
                ) from None
            else:
                # A number can be incomplete at the end of a chunk. Ignore this, because a number is
                # not a valid record.
                self._position = end
                return value
            if len(self._text) - self._position > MAX_RECORD_CHARS or not self._read_chunk():
                raise BadFile(f"{place} is not JSON: {message.removesuffix(' starting at')}.")
