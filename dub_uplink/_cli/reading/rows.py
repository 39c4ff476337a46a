"""Convert the rows of a file to requests, and check them without the API."""

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

from dub_uplink._cli.io.text_file import BadFile, encoding_from_bom, head
from dub_uplink._cli.reading.csv_records import find_delimiter, read_csv
from dub_uplink._cli.reading.fields import (
    FIELDS,
    REASON,
    REQUIRED,
    UNKNOWN,
    FieldNames,
    suggest_field,
)
from dub_uplink._cli.reading.json_records import Unit, keys_before_list, position_unit, read_json
from dub_uplink._cli.reading.record import Record
from dub_uplink._cli.reading.values import ABSENT, Value, check_value, excerpt, read_cell

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
#: Messages for common files that cannot be imported, by the first bytes of the file.
_UNSUPPORTED_FORMATS = {
    b"\xd0\xcf\x11\xe0": "it is a workbook of Excel 97 to 2003 (.xls).  Hint: save it as .xlsx.",
    b"PAR1": "it is Parquet, which cannot be imported.  Hint: export CSV or JSONL.",
    b"\x1f\x8b": "it is compressed by gzip.  Hint: unpack it, or gunzip -c FILE | … import -.",
    b"\x89PNG": "it is a picture (PNG), not a table.",
    b"%PDF": "it is a PDF, not a table.  Hint: export CSV from the program that wrote it.",
    b"BZh": "it is compressed by bzip2.  Hint: unpack it.",
    b"\xfd7zXZ": "it is compressed by xz.  Hint: unpack it.",
}
_MAX_LISTED_KEYS = 100  # keys of JSON objects in the preview


class Problem(NamedTuple):
    """A problem of a row, or a remark on a row.

    Attributes:
        line: the position of the row, from 1: a line, a row of a sheet, or an item of a JSON array.
        column: the column.
        reason: the problem or the remark.
        detail: an excerpt of the value, or an empty string.
    """

    line: int
    column: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """A row of a file.

    Attributes:
        number: the number of the row, from 0.
        line: the position where the row starts, from 1: a line, a row of a sheet or a JSON item.
        request: the customer, with snake_case names; incomplete if there are ``problems``.
        problems: why the row cannot be sent.
        notes: remarks for the user.
    """

    number: int
    line: int
    request: dict[str, Any]
    problems: tuple[Problem, ...] = ()
    notes: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Options:
    """Options for reading a file. Options that are ``None`` are detected.

    Attributes:
        format: the format.
        encoding: the encoding.
        delimiter: the delimiter of CSV.
        sheet: the name of a sheet of Excel.
        mapping: fields by column; ``None`` ignores the column.
        ignore_unknown: whether to ignore unknown columns.
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
        BadFile: the file, or the rest of the file, cannot be read.
    """

    #: The field of each column; ``None`` if the column is ignored. For JSON, the keys read so far.
    columns: dict[str, str | None]
    #: Maps the name of an option, such as ``encoding``, to the detected value.
    recognized: dict[str, str]
    #: Why the header cannot be imported; empty if it can.
    header_problem = ""
    #: The unit of the positions of rows.
    unit: Unit = "line"

    def __init__(self, options: Options) -> None:
        self._names = FieldNames(options.mapping, ignore_unknown=options.ignore_unknown)
        self.columns = {}

    @abstractmethod
    def __iter__(self) -> Iterator[Row]: ...


def rows_of(file: IO[bytes], options: Options, name: str = "") -> Rows:
    """Detect the format of an open binary file, and return its rows.

    Raises:
        BadFile: the file has no readable rows.
    """
    if not head(file, 1):
        raise BadFile("the file is empty.")
    if options.format not in (None, "xlsx") and head(file, 4) == _ZIP_HEADER:
        raise BadFile("it is an Excel workbook or a zip archive.  Hint: leave out --format.")
    file_format = options.format or _detect_format(file, PurePath(name).suffix.lower())
    return _READERS[file_format](file, options)


def _detect_format(file: IO[bytes], suffix: str) -> Format:
    """Detect the format from the first bytes, then from the suffix.

    Raises:
        BadFile: files of this format cannot be imported.
    """
    start = head(file, 4096)
    if start.startswith(_ZIP_HEADER):
        return "xlsx"
    for header, message in _UNSUPPORTED_FORMATS.items():
        if start.startswith(header):
            raise BadFile(message)
    text = start.decode(encoding_from_bom(file) or "utf-8", "replace").lstrip("\ufeff \t\r\n")
    if text.startswith("<"):
        raise BadFile(
            "it is HTML or XML, not a table.  Hint: open it in a spreadsheet program, and save it"
            " as .xlsx or CSV."
        )
    by_content: Format = "json" if re.match(r'\[\s*([{\]]|$)|\{\s*("|\}|$)', text) else "csv"
    by_name = _FORMAT_BY_SUFFIX.get(suffix)
    if by_name == "csv" and by_content == "json":
        return "json"
    # Invalid JSON is still JSON, unless its first line looks like a header of CSV.
    if by_name == "json" and text[:1] not in ("[", "{", '"', "") and "," in text.split("\n")[0]:
        raise BadFile("it is not JSON, and looks like CSV.  Hint: give --format csv.")
    return by_name or by_content


def _choose_encoding(file: IO[bytes], options: Options) -> str:
    # Prefer the byte order mark: no text in another encoding starts with these bytes.
    return encoding_from_bom(file) or options.encoding or "utf-8"


class TableRows(Rows):
    """The rows of CSV or of a sheet. The first row contains the names of the columns."""

    def __init__(
        self,
        options: Options,
        records: Callable[[], Iterable[Record]],
        empty: str = "the file is empty.",
        hint: str = "give --delimiter",
    ) -> None:
        super().__init__(options)
        self._records = records
        self._exact = options.exact
        self._empty = empty
        header = next(iter(records()), None)
        if header is None:
            raise BadFile(self._empty)
        if header.problem:
            raise BadFile(f"line {header.line}: {header.problem}.")
        self._header = _column_names(header.content)
        fields = self._names.fields(self._header)
        self.columns = {
            column: name for column, name in zip(self._header, fields, strict=True) if column
        }
        self.header_problem = self._names.problem(self._header, fields, hint)
        self._used_columns = [
            (number, name) for number, name in enumerate(fields) if name is not None
        ]
        self._column_of = {name: self._header[number] for number, name in self._used_columns}
        self._unnamed_columns = [number for number, column in enumerate(self._header) if not column]
        known = [name for name in FIELDS if name in self._header]
        self._is_failed_file = self._header == [*known, REASON]

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
            row = _make_row(number, line, self._read_values(cells), self._column_of)
            if note:
                row = dataclasses.replace(row, notes=(*row.notes, Problem(line, "row", note)))
            if self._unnamed_columns:
                row = dataclasses.replace(
                    row, notes=(*row.notes, *self._find_ignored_values(line, cells))
                )
            yield row

    def _find_row_problem(self, cells: list[Any]) -> str:
        """Return a problem if a row repeats the header, or has more cells than the header.

        Files that were joined contain the header again. Blank cells are ignored.
        """
        count = len(self._header)
        if _column_names(cells[:1]) == self._header[:1] and _column_names(cells) == self._header:
            return "repeats the header; delete this row"
        if len(cells) > count and any(not _is_blank(cell) for cell in cells[count:]):
            return f"has {len(cells)} cells, but the header has {count}"
        return ""

    def _find_ignored_values(self, line: int, cells: list[Any]) -> Iterator[Problem]:
        """Yield a note on each value in a column without a name, such as the index of pandas."""
        for number in self._unnamed_columns:
            if number < len(cells) and not _is_blank(cells[number]):
                reason = f"has a value in column {number + 1}, which has no header and is ignored"
                yield Problem(line, "row", reason, excerpt(cells[number]))

    def _read_values(self, cells: list[Any]) -> Iterator[tuple[str, Value]]:
        for number, name in self._used_columns:
            cell = cells[number] if number < len(cells) else None
            if cell is None or cell == "":
                continue
            yield name, read_cell(name, cell, exact=self._exact, escaped=self._is_failed_file)


def _column_names(cells: Iterable[Any]) -> list[str]:
    return ["" if cell is None else str(cell).strip().lstrip("\ufeff") for cell in cells]


def _is_blank(cell: Any) -> bool:
    return cell is None or not str(cell).strip()


def _csv_rows(file: IO[bytes], options: Options) -> Rows:
    encoding = _choose_encoding(file, options)
    names = FieldNames(options.mapping, ignore_unknown=False)

    def known_fields(header: list[str]) -> int:
        return sum(name is not None and name != UNKNOWN for name in names.fields(header))

    delimiter = options.delimiter or find_delimiter(file, encoding, known_fields)
    rows = TableRows(options, lambda: read_csv(file, encoding, delimiter))
    rows.recognized = {"format": "csv", "encoding": encoding, "delimiter": delimiter}
    return rows


def _excel_rows(file: IO[bytes], options: Options) -> Rows:
    if find_spec("openpyxl") is None:
        raise BadFile('Excel files need openpyxl.  Hint: run  pip install "dub-uplink[excel]".')
    from dub_uplink._cli.reading.excel_records import Sheet  # noqa: PLC0415 - openpyxl is an extra

    sheet = Sheet(io.BufferedReader(io.FileIO(file.fileno(), closefd=False)), options.sheet)
    others = ", ".join(map(repr, sheet.others))
    hint = f"choose another sheet with --sheet: {others}" if others else ""
    empty = f"the sheet {sheet.name!r} is empty." + (f"  Hint: {hint}." if hint else "")
    rows = TableRows(options, sheet.records, empty, hint)
    rows.recognized = {"format": "xlsx", "sheet": sheet.name}
    rows.unit = "row"
    if sheet.others:
        rows.recognized["other sheets"] = ", ".join(sheet.others)
    return rows


class JsonRows(Rows):
    """The rows of JSON. Each row is an object."""

    def __init__(self, file: IO[bytes], options: Options) -> None:
        super().__init__(options)
        self._file = file
        self._encoding = _choose_encoding(file, options)
        self.recognized = {"format": "json", "encoding": self._encoding}
        self.unit = position_unit(file, self._encoding)
        self._fields: dict[str, str | None] = {}
        keys = keys_before_list(file, self._encoding)
        fields = [self._names.field(key) for key in keys]
        if fields[-1:] == [UNKNOWN] and not {*fields} & {*FIELDS}:
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
                yield self._row(number, line, value)

    def _field(self, key: str) -> str | None:
        if key in self._fields:
            return self._fields[key]
        name = self._names.field(key)
        if len(self._fields) < _MAX_LISTED_KEYS:
            self._fields[key] = name
            if name != UNKNOWN:
                self.columns[key] = name
        return name

    def _row(self, number: int, line: int, value: dict[str, Any]) -> Row:
        keys: dict[str, str] = {}
        problems = []
        for key in value:
            name = self._field(key)
            if name == UNKNOWN:
                hint = f"--map {key + '=FIELD'!r} or --ignore-unknown"
                problems.append(Problem(line, key, f"is unknown{suggest_field(key)} ({hint})"))
            elif name in keys:
                problems.append(
                    Problem(line, key, f"means {name}, and so does {keys[name]!r}; leave one out")
                )
            elif name is not None:
                keys[name] = key
        values = ((name, check_value(name, value[key])) for name, key in keys.items())
        row = _make_row(number, line, values, keys)
        return dataclasses.replace(row, problems=(*problems, *row.problems)) if problems else row


def _make_row(
    number: int, line: int, values: Iterable[tuple[str, Value]], columns: Mapping[str, str]
) -> Row:
    """Create a row. ``columns`` contains the names of its columns by field."""
    request: dict[str, Any] = {}
    problems: list[Problem] = []
    notes: list[Problem] = []
    for name, (value, problem, note, detail) in values:
        if problem:
            problems.append(Problem(line, columns[name], problem, detail))
        if note:
            notes.append(Problem(line, columns[name], note, detail))
        if value is not ABSENT:
            request[name] = value
    for name in REQUIRED:
        if name not in request:
            problems.append(Problem(line, columns.get(name, name), "is missing"))
    return Row(number, line, request, tuple(problems), tuple(notes))


_READERS: Mapping[Format, Callable[[IO[bytes], Options], Rows]] = {
    "csv": _csv_rows,
    "json": JsonRows,
    "jsonl": JsonRows,
    "xlsx": _excel_rows,
}
