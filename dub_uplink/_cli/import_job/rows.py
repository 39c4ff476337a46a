"""The rows of a CSV or JSONL file as requests, each checked as far as it can be without the API."""

from __future__ import annotations

import csv
import dataclasses
import difflib
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple

from dub_uplink._cli.io.records import columns
from dub_uplink._cli.io.text_file import MAX_LENGTH, BadFile, lines
from dub_uplink._internal.naming import camel_case
from dub_uplink.models import components, operations

Format = Literal["csv", "jsonl"]

#: What a file may say of a customer, and what it must.
FIELDS = tuple(field.name for field in dataclasses.fields(operations.CreateCustomerRequestBody))
REQUIRED = ("external_id", "country")

REASON = "reason"  # the column that a file of failed rows has beside its own

#: How a column may call a field.
FIELD_NAMES = {spelled: name for name in FIELDS for spelled in (name, camel_case(name))}
#: What an export has and only the server sets, and what an import adds to rows that failed.
_OF_A_CUSTOMER = tuple(field.name for field in dataclasses.fields(components.Customer))
_IGNORED = frozenset(
    {*_OF_A_CUSTOMER, *map(camel_case, _OF_A_CUSTOMER), *columns(expanded=True), REASON}
) - {*FIELD_NAMES, "extra"}

# What the server is sure to refuse; whatever is less plain is left for it to judge.
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_PATTERNS = {
    "email": (re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"), "email address"),
    "avatar": (re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:.+", re.DOTALL), "URL"),
}


class Problem(NamedTuple):
    """What is wrong with a row: the line on which it begins, counted from 1, and the column."""

    line: int
    column: str
    reason: str


@dataclass(frozen=True)
class Row:
    """A row: ``number`` from 0, its first ``line`` from 1, and what it asks for.

    ``cells`` is the row as it stands in the file: the cells of CSV, the object of JSONL.
    ``request`` has the client's names; it is only whole where there are no ``problems``.
    """

    number: int
    line: int
    cells: Any
    request: dict[str, Any]
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Options:
    """How a file is to be read.

    ``mapping`` gives columns of the file the client's names, or ``None`` to leave them out.
    """

    format: Format = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    mapping: Mapping[str, str | None] = field(default_factory=dict)
    ignore_unknown: bool = False

    def plain(self) -> dict[str, Any]:
        """The same as JSON."""
        return dataclasses.asdict(self)


class Rows(ABC):
    """The rows of an open file; going through them again begins at the top.

    Raises:
        BadFile: the file, or the rest of it, cannot be read.
    """

    #: The file's own names of its columns; JSONL has none.
    columns: tuple[str, ...] = ()

    def __init__(self, file: IO[bytes], options: Options) -> None:
        self._file = file
        self.options = options

    @abstractmethod
    def __iter__(self) -> Iterator[Row]: ...


def rows_of(file: IO[bytes], options: Options) -> Rows:
    """The rows of a file that is open for reading in binary.

    Raises:
        BadFile: it has no rows that could be read, or columns that cannot be understood.
    """
    return (CsvRows if options.format == "csv" else JsonRows)(file, options)


class CsvRows(Rows):
    """The rows of CSV, whose first line names the columns."""

    def __init__(self, file: IO[bytes], options: Options) -> None:
        super().__init__(file, options)
        csv.field_size_limit(MAX_LENGTH)
        header = next(self._records(), None)
        if header is None:
            raise BadFile("the file is empty.")
        _, cells, reason = header
        if reason:
            raise BadFile(f"line 1: {reason}.")
        self.columns = tuple(cells)
        self._fields = _fields(self.columns, options)

    def __iter__(self) -> Iterator[Row]:
        records = self._records()
        next(records)
        for number, (line, cells, reason) in enumerate(records):
            wrong = reason or self._wrong_length(cells)
            if wrong:
                yield _bad(number, line, cells, wrong)
                continue
            given = {
                name: (column, cell)
                for name, column, cell in zip(self._fields, self.columns, cells, strict=True)
                if name is not None and cell
            }
            yield _row(number, line, cells, given)

    def _wrong_length(self, cells: list[str]) -> str:
        if len(cells) == len(self.columns):
            return ""
        count = "1 cell" if len(cells) == 1 else f"{len(cells)} cells"
        return f"has {count}, the header {len(self.columns)}"

    def _records(self) -> Iterator[tuple[int, list[str], str]]:
        """Each record that is not blank: its first line, its cells, or why it has none."""
        text = lines(self._file, self.options.encoding, "")
        reader = csv.reader(text, strict=True, delimiter=self.options.delimiter)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "field limit" in str(error):
                    raise BadFile(
                        f"line {line}: a cell is longer than {MAX_LENGTH:,} characters; is a quote"
                        " not closed?"
                    ) from None
                yield line, [], _csv_reason(str(error))
                continue
            if cells:
                yield line, cells, ""


def _csv_reason(error: str) -> str:
    if error == "unexpected end of data":
        return "a quote is not closed"
    return f"is not CSV: {error}"


class JsonRows(Rows):
    """The rows of JSONL: an object a line."""

    def __init__(self, file: IO[bytes], options: Options) -> None:
        super().__init__(file, options)
        if os.fstat(file.fileno()).st_size == 0:
            raise BadFile("the file is empty.")
        self._known: dict[str, str | None] = {}

    def __iter__(self) -> Iterator[Row]:
        number = 0
        for line, text in enumerate(lines(self._file, self.options.encoding, "\n"), 1):
            if text.strip():
                yield self._row(number, line, text)
                number += 1

    def _row(self, number: int, line: int, text: str) -> Row:
        try:
            value = json.loads(text.rstrip("\r\n"), object_pairs_hook=_unique)
        except (ValueError, RecursionError) as error:
            return _bad(number, line, text, _json_reason(error))
        if not isinstance(value, dict):
            return _bad(number, line, text, "is no JSON object")
        given: dict[str, tuple[str, Any]] = {}
        problems = []
        for key, cell in value.items():
            name = _field(key, self.options)
            if name is _UNKNOWN:
                problems.append(Problem(line, key, f"is unknown{_hint(key)}"))
            elif name in given:
                problems.append(Problem(line, key, f"is {given[name][0]!r} once more"))
            elif name is not None:
                given[name] = (key, cell)
        row = _row(number, line, value, given)
        return dataclasses.replace(row, problems=(*problems, *row.problems))


def _bad(number: int, line: int, cells: Any, reason: str) -> Row:
    return Row(number, line, cells, {}, (Problem(line, "", reason),))


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _Twice(f"has {twice!r} twice")
    return found


class _Twice(ValueError):
    """An object with a key that it has already."""


def _json_reason(error: Exception) -> str:
    if isinstance(error, _Twice):
        return str(error)
    if isinstance(error, json.JSONDecodeError):
        return f"is not JSON: {error.msg} at character {error.pos + 1}"
    return "is not JSON that can be read"


_UNKNOWN = "?"  # no name of a field


def _field(column: str, options: Options) -> str | None:
    """What a column is about; ``None`` for one that is left out."""
    if column in options.mapping:
        return options.mapping[column]
    name = column.strip()
    if name in FIELD_NAMES:
        return FIELD_NAMES[name]
    return None if name in _IGNORED or options.ignore_unknown else _UNKNOWN


def _hint(column: str) -> str:
    near = difflib.get_close_matches(column, FIELD_NAMES, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _fields(header: tuple[str, ...], options: Options) -> list[str | None]:
    """What each column of a header is about.

    Raises:
        BadFile: a column is unknown, there twice, or missing.
    """
    fields = [_field(column, options) for column in header]
    missing = [column for column in options.mapping if column not in header]
    if missing:
        raise BadFile(f"--map: there is no column {missing[0]!r}; there are {_listed(header)}.")
    unknown = [c for c, name in zip(header, fields, strict=True) if name is _UNKNOWN]
    if unknown:
        raise BadFile(_unknown(header, unknown, options))
    for name in FIELDS:
        same = [column for column, of in zip(header, fields, strict=True) if of == name]
        if len(same) > 1:
            raise BadFile(f"columns {_listed(same)} are both {name}.")
        if not same and name in REQUIRED:
            raise BadFile(
                f"there is no column {name}; there are {_listed(header)}.  Hint: --map"
                f" 'Column={name}' says which one it is."
            )
    return fields


def _unknown(header: tuple[str, ...], unknown: list[str], options: Options) -> str:
    if len(header) == 1 and options.delimiter not in header[0] and re.search("[,;\t|]", header[0]):
        return f"the only column is {header[0]!r}; --delimiter says what is between two."
    return (
        f"unknown: {_listed(unknown)}{_hint(unknown[0])}.  Hint: --map"
        f" {unknown[0] + '=external_id'!r} says what a column is, --ignore-unknown leaves out what"
        " is unknown."
    )


def _listed(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(repr(name) for name in names[:12])
    return shown if len(names) <= 12 else f"{shown} and {len(names) - 12} more"


def _row(number: int, line: int, cells: Any, given: Mapping[str, tuple[str, Any]]) -> Row:
    problems = []
    for name in REQUIRED:
        if name not in given or _is_blank(given[name][1]):
            problems.append(Problem(line, given[name][0] if name in given else name, "is missing"))
    for name, (column, value) in given.items():
        reason = _reason(name, value)
        if reason:
            problems.append(Problem(line, column, reason))
    request = {name: value for name, (_, value) in given.items()}
    return Row(number, line, cells, request, tuple(problems))


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def _reason(name: str, value: Any) -> str | None:
    """Why a value cannot be, if so."""
    if value is None:
        return None
    if not isinstance(value, str):
        return f"is no text: {shown(value)}"
    if _NO_TEXT.search(value):
        return "holds a NUL character" if "\0" in value else "holds half of a surrogate pair"
    pattern, kind = _PATTERNS.get(name, (None, ""))
    if pattern is None or pattern.fullmatch(value):
        return None
    return f"is no {kind}: {shown(value)}"


def shown(value: Any) -> str:
    """A value of the file, not too much of it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."
