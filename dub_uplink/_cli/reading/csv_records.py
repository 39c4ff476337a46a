"""Read the records of a CSV file, and detect its delimiter."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import IO

from dub_uplink._cli.io.text_file import MAX_RECORD_CHARS, BadFile, lines
from dub_uplink._cli.reading.record import Record

DELIMITERS = (",", ";", "\t", "|")
_END_OF_FILE = "\x1a"  # Ctrl-Z, which some programs of Windows write at the end
# The line before the header by which Excel declares the delimiter.
_DELIMITER_LINE_PATTERN = re.compile('"?sep=(.)"?\\1*[\r\n]*', re.IGNORECASE)


def find_delimiter(file: IO[bytes], encoding: str, fields_of: Callable[[list[str]], int]) -> str:
    """Detect the delimiter from the header.

    Args:
        file: an open file.
        encoding: the encoding of the file.
        fields_of: returns the number of known columns of a header. The delimiter with the most
            known columns is chosen. If several have the same number, the one with the most
            columns is chosen.
    """
    first = next(lines(file, encoding, ""), "")
    declared = _DELIMITER_LINE_PATTERN.fullmatch(first)
    if declared:
        return declared[1]

    def score(delimiter: str) -> tuple[int, int]:
        header = next(read_csv(file, encoding, delimiter), Record(1, []))
        if not "".join(header.content).strip(f" {''.join(DELIMITERS)}"):
            return 0, 0  # a row of empty cells with another delimiter
        return fields_of(header.content), len(header.content)

    return max(DELIMITERS, key=score)


def read_csv(file: IO[bytes], encoding: str, delimiter: str) -> Iterator[Record]:
    """Yield each record that is not blank.

    Raises:
        BadFile: the file, or the rest of the file, cannot be read.
    """
    csv.field_size_limit(MAX_RECORD_CHARS)
    text = lines(file, encoding, "")
    before = 0
    first = next(text, "")
    if _DELIMITER_LINE_PATTERN.fullmatch(first):
        before = 1
        first = next(text, "")
    text = _prepend(first, text)
    # Some programs write a space after each delimiter, even before a cell in quotes.
    has_spaces = 0 < first.count(delimiter) == first.count(f"{delimiter} ")
    reader = csv.reader(text, strict=True, delimiter=delimiter, skipinitialspace=has_spaces)
    while True:
        line = before + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if "field limit" in str(error):
                raise BadFile(
                    f"line {line}: a cell is longer than {MAX_RECORD_CHARS:,} characters; check"
                    " for a quote that is not closed"
                ) from None
            yield Record(line, [], _describe_error(str(error)))
            continue
        if any(cell and not cell.isspace() for cell in cells) and cells != [_END_OF_FILE]:
            yield Record(line, cells)


def _prepend(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def _describe_error(error: str) -> str:
    if error == "unexpected end of data":
        return "a quote is not closed"
    return f"is not CSV: {error}"
