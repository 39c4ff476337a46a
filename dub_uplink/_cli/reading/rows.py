"""Convert the rows of a file to requests, and check each row without the API.

A note is a remark for the user on a row that can be sent.
"""

from __future__ import annotations

import dataclasses
import io
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import PurePath
from typing import IO, Any, Literal, NamedTuple

from dub_uplink._cli.io.text_file import BadFile, detect_bom_encoding, read_start
from dub_uplink._cli.reading.csv_records import detect_delimiter, read_csv
from dub_uplink._cli.reading.fields import (
    FIELDS,
    REASON_COLUMN,
    REQUIRED_FIELDS,
    UNKNOWN_FIELD,
    ColumnMatcher,
    suggest_field,
)
from dub_uplink._cli.reading.json_records import (
    PositionUnit,
    find_position_unit,
    read_json,
    read_keys_before_list,
)
from dub_uplink._cli.reading.record import Record
from dub_uplink._cli.reading.values import ABSENT, Value, check_value, make_excerpt, read_cell

Format = Literal["csv", "json", "jsonl", "xlsx"]

_FORMAT_BY_SUFFIX: Mapping[str, Format] = {
    ".csv": "csv",
    ".tab": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "json",
    ".ndjson": "json",
    ".xlsm": "xlsx",
    ".xlsx": "xlsx",
}
_ZIP_HEADER = b"PK\x03\x04"
#: The keys are the first bytes of files that cannot be imported. The values are error messages.
_UNSUPPORTED_FORMATS = {
    b"\xd0\xcf\x11\xe0": "it is a workbook of Excel 97 to 2003 (.xls).  Hint: save it as .xlsx.",
    b"PAR1": "it is Parquet, which cannot be imported.  Hint: export CSV or JSONL.",
    b"\x1f\x8b": "it is compressed by gzip.  Hint: unpack it, or gunzip -c FILE | … import -.",
    b"\x89PNG": "it is a picture (PNG), not a table.",
    b"%PDF": "it is a PDF, not a table.  Hint: export CSV from the program that wrote it.",
    b"BZh": "it is compressed by bzip2.  Hint: unpack it.",
    b"\xfd7zXZ": "it is compressed by xz.  Hint: unpack it.",
}
#: The preview lists at most this many JSON keys.
_MAX_LISTED_KEYS = 100


class Problem(NamedTuple):
    """A problem of a row that cannot be sent, or a note on a row that can be sent.

    Attributes:
        line: where the row starts: the number of a line, a sheet row or a JSON item, from 1.
        column: the name of the column; "row" or an empty string for the whole row.
        reason: the text of the problem or note, without a subject, such as "is missing".
        detail: an excerpt of the value, or an empty string.
    """

    line: int
    column: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a file, converted to a request.

    Attributes:
        number: the number of the row, from 0.
        line: where the row starts: the number of a line, a sheet row or a JSON item, from 1.
        request: maps the snake_case name of a field to its value; incomplete if there are problems.
        problems: why the row cannot be sent; empty if it can.
        notes: the notes on the row.
    """

    number: int
    line: int
    request: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Options:
    """Options for reading a file. The first four options are detected if they are ``None``.

    Attributes:
        format: the format of the file.
        encoding: the encoding of the text.
        delimiter: the delimiter of CSV.
        sheet: the name of the sheet of an Excel workbook.
        mapping: maps a column to its field, or to ``None`` to ignore the column.
        ignore_unknown: whether to ignore each column that matches no field.
        exact: whether to import the text of cells unchanged.
    """

    format: Format | None = None
    encoding: str | None = None
    delimiter: str | None = None
    sheet: str | None = None
    mapping: Mapping[str, str | None] = field(default_factory=dict)
    ignore_unknown: bool = False
    exact: bool = False


class Rows(ABC):
    """The rows of an open file. Each iteration starts at the first row.

    Raises:
        BadFile: the file cannot be read to its end.
    """

    #: Maps a column to its field, or to ``None`` if the column is ignored. JSON has no header, so
    #: its columns are the keys of the objects read so far.
    columns: dict[str, str | None]
    #: Maps the name of an option, such as ``encoding``, to the given or detected value.
    recognized: dict[str, str]
    #: Why the header cannot be imported; empty if it can.
    header_problem = ""
    #: The unit of ``Row.line``.
    unit: PositionUnit = "line"

    def __init__(self, options: Options) -> None:
        self._matcher = ColumnMatcher(options.mapping, ignore_unknown=options.ignore_unknown)
        self.columns = {}

    @abstractmethod
    def __iter__(self) -> Iterator[Row]: ...


def make_rows(file: IO[bytes], options: Options, name: str = "") -> Rows:
    """Detect the format of an open binary file, and create the object that reads its rows.

    Raises:
        BadFile: the file is empty, or cannot be read as rows.
    """
    if not read_start(file, 1):
        raise BadFile("the file is empty.")
    if options.format not in (None, "xlsx") and read_start(file, 4) == _ZIP_HEADER:
        raise BadFile("it is an Excel workbook or a zip archive.  Hint: leave out --format.")
    file_format = options.format or _detect_format(file, PurePath(name).suffix.lower())
    return _ROWS_FACTORIES[file_format](file, options)


def _detect_format(file: IO[bytes], suffix: str) -> Format:
    """Detect the format from the first bytes, then from the suffix.

    Raises:
        BadFile: files of this format cannot be imported.
    """
    start = read_start(file, 4096)
    if start.startswith(_ZIP_HEADER):
        return "xlsx"
    for header, message in _UNSUPPORTED_FORMATS.items():
        if start.startswith(header):
            raise BadFile(message)
    text = start.decode(detect_bom_encoding(file) or "utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        raise BadFile(
            "it is HTML or XML, not a table.  Hint: open it in a spreadsheet program, and save it"
            " as .xlsx or CSV."
        )
    format_by_content: Format = "json" if re.match(r'\[\s*([{\]]|$)|\{\s*("|\}|$)', text) else "csv"
    format_by_name = _FORMAT_BY_SUFFIX.get(suffix)
    if format_by_name == "csv" and format_by_content == "json":
        return "json"
    first_line = text.split("\n")[0]
    # Reject a JSON file whose first line looks like a CSV header; treat other invalid JSON as JSON.
    if format_by_name == "json" and text[:1] not in ("[", "{", '"', "") and "," in first_line:
        raise BadFile("it is not JSON, and looks like CSV.  Hint: give --format csv.")
    return format_by_name or format_by_content


def _choose_encoding(file: IO[bytes], options: Options) -> str:
    # A byte order mark overrides the option, because the mark identifies the encoding.
    return detect_bom_encoding(file) or options.encoding or "utf-8"


class TableRows(Rows):
    """The rows of CSV or of an Excel sheet. The first row is the header.

    Args:
        options: the options.
        records: returns a new iterator of all records, including the header.
        empty_message: the error message if there is no record.
        header_hint: what to do if the first row is not the header; may be empty.
    """

    def __init__(
        self,
        options: Options,
        records: Callable[[], Iterable[Record]],
        empty_message: str = "the file is empty.",
        header_hint: str = "give --delimiter",
    ) -> None:
        super().__init__(options)
        self._records = records
        self._exact = options.exact
        header = next(iter(records()), None)
        if header is None:
            raise BadFile(empty_message)
        if header.problem:
            raise BadFile(f"line {header.line}: {header.problem}.")
        self._header = _strip_cells(header.content)
        fields = self._matcher.match_header(self._header)
        self.columns = {
            column: name for column, name in zip(self._header, fields, strict=True) if column
        }
        self.header_problem = self._matcher.find_problem(self._header, fields, header_hint)
        self._used_columns = [(index, name) for index, name in enumerate(fields) if name]
        self._column_by_field = {name: self._header[index] for index, name in self._used_columns}
        self._unnamed_columns = [index for index, column in enumerate(self._header) if not column]
        field_columns = [name for name in FIELDS if name in self._header]
        #: Whether this is a file of failed rows. Its formulas are escaped with an apostrophe.
        self._is_failed_file = self._header == [*field_columns, REASON_COLUMN]

    def __iter__(self) -> Iterator[Row]:
        if self.header_problem:
            raise BadFile(self.header_problem)
        records = iter(self._records())
        next(records)
        for number, (line, cells, record_problem, note) in enumerate(records):
            problem = record_problem or self._find_row_problem(cells)
            if problem:
                yield Row(number, line, {}, (Problem(line, "", problem),))
                continue
            row = _make_row(number, line, self._read_cells(cells), self._column_by_field)
            notes = [Problem(line, "row", note)] if note else []
            notes += self._find_ignored_values(line, cells)
            yield dataclasses.replace(row, notes=(*row.notes, *notes)) if notes else row

    def _find_row_problem(self, cells: list[Any]) -> str:
        """Return a problem if a row repeats the header or has a value after the last column.

        A file repeats the header if it was joined from several files.
        """
        header_length = len(self._header)
        if _strip_cells(cells[:1]) == self._header[:1] and _strip_cells(cells) == self._header:
            return "repeats the header; delete this row"
        if len(cells) > header_length and not all(map(_is_blank, cells[header_length:])):
            return f"has {len(cells)} cells, but the header has {header_length}"
        return ""

    def _find_ignored_values(self, line: int, cells: list[Any]) -> Iterator[Problem]:
        """Yield a note on each value in an unnamed column, in which pandas writes an index."""
        for index in self._unnamed_columns:
            if index < len(cells) and not _is_blank(cells[index]):
                reason = f"has a value in column {index + 1} without a header; add one to import it"
                yield Problem(line, "row", reason, make_excerpt(cells[index]))

    def _read_cells(self, cells: list[Any]) -> Iterator[tuple[str, Value]]:
        for index, name in self._used_columns:
            cell = cells[index] if index < len(cells) else None
            if cell is None or cell == "":
                continue
            yield name, read_cell(name, cell, exact=self._exact, escaped=self._is_failed_file)


def _strip_cells(cells: Iterable[Any]) -> list[str]:
    return ["" if cell is None else str(cell).strip().lstrip("\ufeff") for cell in cells]


def _is_blank(cell: Any) -> bool:
    return cell is None or not str(cell).strip()


def _make_csv_rows(file: IO[bytes], options: Options) -> Rows:
    encoding = _choose_encoding(file, options)
    matcher = ColumnMatcher(options.mapping, ignore_unknown=False)

    def count_known_columns(header: list[str]) -> int:
        return sum(name not in (None, UNKNOWN_FIELD) for name in matcher.match_header(header))

    delimiter = options.delimiter or detect_delimiter(file, encoding, count_known_columns)
    rows = TableRows(options, lambda: read_csv(file, encoding, delimiter))
    rows.recognized = {"format": "csv", "encoding": encoding, "delimiter": delimiter}
    return rows


def _make_excel_rows(file: IO[bytes], options: Options) -> Rows:
    if find_spec("openpyxl") is None:
        raise BadFile('Excel files need openpyxl.  Hint: run  pip install "dub-uplink[excel]".')
    from dub_uplink._cli.reading.excel_records import Sheet  # noqa: PLC0415 - openpyxl is an extra

    sheet = Sheet(io.BufferedReader(io.FileIO(file.fileno(), closefd=False)), options.sheet)
    other_names = ", ".join(map(repr, sheet.other_sheet_names))
    hint = f"choose another sheet with --sheet: {other_names}" if other_names else ""
    empty_message = f"the sheet {sheet.name!r} is empty." + (f"  Hint: {hint}." if hint else "")
    rows = TableRows(options, sheet.records, empty_message, hint)
    rows.recognized = {"format": "xlsx", "sheet": sheet.name}
    rows.unit = "row"
    if sheet.other_sheet_names:
        rows.recognized["other sheets"] = ", ".join(sheet.other_sheet_names)
    return rows


class JsonRows(Rows):
    """The rows of a JSON file. Each row is a JSON object."""

    def __init__(self, file: IO[bytes], options: Options) -> None:
        super().__init__(options)
        self._file = file
        self._encoding = _choose_encoding(file, options)
        self.recognized = {"format": "json", "encoding": self._encoding}
        self.unit = find_position_unit(file, self._encoding)
        self._field_by_key: dict[str, str | None] = {}
        keys = read_keys_before_list(file, self._encoding)
        fields = [self._matcher.match(key) for key in keys]
        if fields[-1:] == [UNKNOWN_FIELD] and not {*fields} & {*FIELDS}:
            self.header_problem = (
                f"the first object contains a list, {keys[-1]!r}; the file must be an array of"
                f" customers, or one object per customer.  Hint: run  jq .{keys[-1]} FILE |"
                " dub-uplink customers import -  or, if the list does not contain customers, add"
                " --ignore-unknown."
            )

    def __iter__(self) -> Iterator[Row]:
        for number, record in enumerate(read_json(self._file, self._encoding)):
            line, value, problem, _ = record
            if problem:
                yield Row(number, line, {}, (Problem(line, "", problem),))
            else:
                yield self._parse_object(number, line, value)

    def _match_key(self, key: str) -> str | None:
        if key in self._field_by_key:
            return self._field_by_key[key]
        name = self._matcher.match(key)
        if len(self._field_by_key) < _MAX_LISTED_KEYS:
            self._field_by_key[key] = name
            if name != UNKNOWN_FIELD:
                self.columns[key] = name
        return name

    def _parse_object(self, number: int, line: int, value: dict[str, Any]) -> Row:
        key_by_field: dict[str, str] = {}
        problems = []
        for key in value:
            name = self._match_key(key)
            if name == UNKNOWN_FIELD:
                hint = f"--map {key + '=FIELD'!r} or --ignore-unknown"
                problems.append(Problem(line, key, f"is unknown{suggest_field(key)} ({hint})"))
            elif name in key_by_field:
                problems.append(
                    Problem(
                        line,
                        key,
                        f"means {name}, and so does {key_by_field[name]!r}; leave one out",
                    )
                )
            elif name is not None:
                key_by_field[name] = key
        values = ((name, check_value(name, value[key])) for name, key in key_by_field.items())
        row = _make_row(number, line, values, key_by_field)
        return dataclasses.replace(row, problems=(*problems, *row.problems)) if problems else row


def _make_row(
    number: int, line: int, values: Iterable[tuple[str, Value]], column_by_field: Mapping[str, str]
) -> Row:
    """Create a row from the values of its fields. A missing required field is a problem."""
    request: dict[str, Any] = {}
    problems: list[Problem] = []
    notes: list[Problem] = []
    for name, (value, problem, note, detail) in values:
        if problem:
            problems.append(Problem(line, column_by_field[name], problem, detail))
        if note:
            notes.append(Problem(line, column_by_field[name], note, detail))
        if value is not ABSENT:
            request[name] = value
    for name in REQUIRED_FIELDS:
        if name not in request:
            problems.append(Problem(line, column_by_field.get(name, name), "is missing"))
    return Row(number, line, request, tuple(problems), tuple(notes))


_ROWS_FACTORIES: Mapping[Format, Callable[[IO[bytes], Options], Rows]] = {
    "csv": _make_csv_rows,
    "json": JsonRows,
    "jsonl": JsonRows,
    "xlsx": _make_excel_rows,
}
