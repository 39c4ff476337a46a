"""Read the records of a CSV file, and detect its delimiter."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Callable, Iterator
from typing import IO

from dub_uplink._cli.io.text_file import MAX_RECORD_CHARS, BadFile, read_lines
from dub_uplink._cli.reading.record import Record

DELIMITERS = (",", ";", "\t", "|")
#: Some Windows programs write this character at the end of a file.
_CTRL_Z = "\x1a"
#: Matches a line such as ``sep=;`` before the header. The line declares the delimiter for Excel.
_DELIMITER_LINE_PATTERN = re.compile('"?sep=(.)"?\\1*[\r\n]*', re.IGNORECASE)


def detect_delimiter(
    file: IO[bytes], encoding: str, count_known_columns: Callable[[list[str]], int]
) -> str:
    """Detect the delimiter of a CSV file from its header.

    A known column is a column that matches a field of a customer. The delimiter with the most known
    columns is chosen. If there is a tie, the delimiter with the most columns is chosen.

    Args:
        file: an open file.
        encoding: the encoding of the file.
        count_known_columns: returns the number of known columns of a header.
    """
    first_line = next(read_lines(file, encoding, ""), "")
    declaration = _DELIMITER_LINE_PATTERN.fullmatch(first_line)
    if declaration:
        return declaration[1]

    def score(delimiter: str) -> tuple[int, int]:
        header = next(read_csv(file, encoding, delimiter), Record(1, []))
        if not "".join(header.content).strip(f" {''.join(DELIMITERS)}"):
            return 0, 0  # only delimiters and spaces, so all cells are empty
        return count_known_columns(header.content), len(header.content)

    return max(DELIMITERS, key=score)


def read_csv(file: IO[bytes], encoding: str, delimiter: str) -> Iterator[Record]:
    """Yield each non-blank record of a CSV file, including the header.

    Raises:
        BadFile: the file cannot be read to its end.
    """
    csv.field_size_limit(MAX_RECORD_CHARS)
    line_iterator = read_lines(file, encoding, "")
    skipped_lines = 0
    header_line = next(line_iterator, "")
    if _DELIMITER_LINE_PATTERN.fullmatch(header_line):
        skipped_lines = 1
        header_line = next(line_iterator, "")
    all_lines = itertools.chain([header_line], line_iterator)
    # Some programs write a space after each delimiter, even before a cell in quotes.
    has_spaces = 0 < header_line.count(delimiter) == header_line.count(f"{delimiter} ")
    reader = csv.reader(all_lines, strict=True, delimiter=delimiter, skipinitialspace=has_spaces)
    while True:
        line = skipped_lines + reader.line_num + 1
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
        if any(cell and not cell.isspace() for cell in cells) and cells != [_CTRL_Z]:
            yield Record(line, cells)


def _describe_error(message: str) -> str:
    if message == "unexpected end of data":
        return "a quote is not closed"
    return f"is not CSV: {message}"
