"""Write customers to stdout as they arrive: as a table, JSON, JSONL or CSV.

The table does not use rich's table, which needs all rows before it writes the first line. For
10,000 rows that takes 3.6 s.
"""

from __future__ import annotations

import csv
import functools
import io
import itertools
import json
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO, TypeVar

import click

from dub_uplink._cli.io.records import cell_values, column_names, json_text
from dub_uplink._cli.io.text import escape_formula, printable
from dub_uplink.models.components import Customer

if TYPE_CHECKING:
    from rich.console import Console

R = TypeVar("R")

FORMATS = ("table", "json", "jsonl", "csv")

#: The number of rows that determine the widths of the columns of a table.
_MEASURED_ROWS = 100
_GAP = "  "
_UNLIMITED = 1_000_000  # characters; the width of output that is not truncated, as in a pipe


class Column(NamedTuple):
    """A column of a table. It is left out if there is no space for ``min_width`` characters."""

    name: str
    min_width: int


# The most important column is first: a narrow terminal leaves out columns from the end. An id is
# never truncated, so that it can be copied.
CUSTOMER_COLUMNS = (
    Column("id", _UNLIMITED),
    Column("externalId", 10),
    Column("name", 12),
    Column("email", 20),
    Column("country", 7),
    Column("createdAt", 10),
)


def output_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add ``--output``; the command gets one of :data:`FORMATS`."""

    @functools.wraps(command)
    def formatted(*args: Any, output: str | None, **rest: Any) -> R:
        return command(*args, output=output or default_format(), **rest)

    return click.option(
        "-o",
        "--output",
        type=click.Choice(FORMATS),
        help="The output format.  [default: table on a terminal, else jsonl]",
    )(formatted)


def default_format() -> str:
    """Return ``table`` for a terminal, ``jsonl`` otherwise."""
    return "table" if sys.stdout.isatty() else "jsonl"


def write_customers(
    customers: Iterable[Customer], output: str, *, expanded: bool = False, single: bool = False
) -> int:
    """Write customers to stdout as they arrive, and return how many there were."""
    names = column_names(expanded=expanded)
    records = (customer.to_dict() for customer in customers)
    return write_records(records, output, names, single=single)


def write_records(
    records: Iterable[dict[str, Any]],
    output: str,
    csv_columns: tuple[str, ...],
    *,
    single: bool = False,
    table_columns: Sequence[Column] = CUSTOMER_COLUMNS,
) -> int:
    """Write records to stdout as they arrive.

    Args:
        records: The records, with the API's names.
        output: One of :data:`FORMATS`.
        csv_columns: The columns of CSV.
        single: Write one record: JSON is then an object instead of a list, and a table has one
            field per line.
        table_columns: The columns of a table.

    Returns:
        The number of records.
    """
    counter = itertools.count()
    counted = (fields for fields, _ in zip(records, counter, strict=False))
    if output == "table":
        if single:
            _write_fields(counted, sys.stdout)
        else:
            write_table(counted, sys.stdout, table_columns)
    elif output == "json":
        (_write_objects if single else _write_list)(counted, sys.stdout)
    elif output == "jsonl":
        _write_lines(counted, sys.stdout)
    else:
        _write_csv(counted, csv_columns, sys.stdout)
    return next(counter)


def _write_lines(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    out.writelines(json_text(fields, out.encoding or "utf-8") + "\n" for fields in records)


def _write_objects(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    out.writelines(
        json_text(fields, out.encoding or "utf-8", indent=2) + "\n" for fields in records
    )


def _write_list(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    separator = "["
    for fields in records:
        text = json_text(fields, out.encoding or "utf-8", indent=2)
        out.write(separator + "\n  " + text.replace("\n", "\n  "))
        separator = ","
    out.write("[]\n" if separator == "[" else "\n]\n")


def _write_csv(
    records: Iterable[dict[str, Any]], csv_columns: tuple[str, ...], out: TextIO
) -> None:
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(encoding="utf-8", errors="replace", newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(csv_columns)
    for fields in records:
        writer.writerow([escape_formula(cell) for cell in cell_values(fields, csv_columns)])


def write_table(
    records: Iterable[dict[str, Any]],
    out: TextIO,
    table_columns: Sequence[Column] = CUSTOMER_COLUMNS,
) -> None:
    """Write a row for each record; the first 100 set the widths of the columns."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - slow to import, and JSON needs no rich

    names = [column.name for column in table_columns]
    rows = ([_short_cell(fields.get(name)) for name in names] for fields in records)
    first = list(itertools.islice(rows, _MEASURED_ROWS))
    if not first:
        return
    natural_widths = [
        max(cell_len(cell) for cell in column) for column in zip(names, *first, strict=True)
    ]
    width_limit = _width(out)
    min_widths = [column.min_width for column in table_columns]
    widths = fit_column_widths(natural_widths, min_widths, width_limit)

    def pad_or_truncate(cell: str, width: int, column: Column) -> str:
        if cell_len(cell) <= width:
            return set_cell_size(cell, width)
        if _UNLIMITED in (column.min_width, width_limit):
            return cell  # wider than the measured rows, in a column that must not be truncated
        return set_cell_size(f"{set_cell_size(cell, width - 1)}…", width)

    def line(row: Sequence[str]) -> str:
        return _GAP.join(map(pad_or_truncate, row, widths, table_columns)).rstrip()

    console = _console(out)
    header = line(names)
    console.print(header, style=_bold(console), markup=False, soft_wrap=True)
    out.writelines(line(row) + "\n" for row in _release_after_first(first, rows))


def _release_after_first(first: list[list[str]], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield from first
    first.clear()  # frees the memory of these rows before the others are written
    yield from rest


def fit_column_widths(natural_widths: list[int], min_widths: list[int], limit: int) -> list[int]:
    """Return the widths of the leading columns that fit into ``limit`` characters, at least one.

    The widest column is narrowed first, one character at a time, down to its minimum.
    """
    minimums = [min(pair) for pair in zip(natural_widths, min_widths, strict=True)]
    count = len(natural_widths)
    while count > 1 and sum(minimums[:count]) + len(_GAP) * (count - 1) > limit:
        count -= 1
    widths = natural_widths[:count]
    excess = sum(widths) + len(_GAP) * (count - 1) - limit
    for _ in range(excess):
        shrinkable = [index for index in range(count) if widths[index] > minimums[index]]
        if not shrinkable:
            break
        widths[max(shrinkable, key=widths.__getitem__)] -= 1
    return widths


def _write_fields(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    """Write each field on a line; a nested field has a dotted name."""
    for record_fields in records:
        fields: dict[str, str] = {}
        for name, value in record_fields.items():
            nested = value.items() if isinstance(value, dict) and value else [("", value)]
            for key, cell in nested:
                fields[f"{name}.{key}" if key else name] = _format_value(cell)
        width = max(map(len, fields))
        console = _console(out)
        for name, cell in fields.items():
            console.print(
                name.ljust(width), style=_bold(console), end=_GAP, markup=False, soft_wrap=True
            )
            out.write(cell + "\n")


def _format_value(value: Any) -> str:
    if value is None:
        return "-"
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _short_cell(value: Any) -> str:
    """Return a value as text for a table column; a timestamp is shortened to its date."""
    text = "" if value is None else printable(str(value))
    return text[:10] if re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", text) else text


def _width(out: TextIO) -> int:
    return shutil.get_terminal_size().columns if out.isatty() else _UNLIMITED


def _console(out: TextIO) -> Console:
    """Return a rich console, which checks whether the terminal and NO_COLOR allow styles."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and JSON needs no rich

    return Console(file=out, highlight=False)


def _bold(console: Console) -> str:
    # NO_COLOR asks for plain text, but rich would still use bold.
    return "" if console.no_color else "bold"
