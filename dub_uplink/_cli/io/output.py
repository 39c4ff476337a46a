"""Write customers to stdout as they arrive: as a table, JSON, JSONL or CSV.

This module does not use ``rich.table``, because ``rich.table`` needs all rows before it writes the
first line. For 10,000 rows, it writes the first line after 3.6 s.
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

from dub_uplink._cli.io.records import format_json, get_cells, list_column_names
from dub_uplink._cli.io.text import escape_formula, make_printable
from dub_uplink.models.components import Customer

if TYPE_CHECKING:
    from rich.console import Console

R = TypeVar("R")

OUTPUT_FORMATS = ("table", "json", "jsonl", "csv")

#: The column widths of a table are computed from at most this number of first rows.
_MEASURED_ROWS = 100
_COLUMN_GAP = "  "
#: A column with this minimum width is never truncated. If the width limit of a line has this value,
#: no cell of the line is truncated.
_UNLIMITED = 1_000_000


class Column(NamedTuple):
    """A column of a table. It is omitted if fewer than ``min_width`` characters are free."""

    name: str
    min_width: int


# On a narrow terminal, the last columns are omitted. Therefore, the most important column is first.
# An id is never truncated, so that it can be copied.
CUSTOMER_COLUMNS = (
    Column("id", _UNLIMITED),
    Column("externalId", 10),
    Column("name", 12),
    Column("email", 20),
    Column("country", 7),
    Column("createdAt", 10),
)


def output_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add ``--output``. The command receives one of :data:`OUTPUT_FORMATS` as ``output``."""

    @functools.wraps(command)
    def with_output(*args: Any, output: str | None, **arguments: Any) -> R:
        return command(*args, output=output or choose_default_format(), **arguments)

    return click.option(
        "-o",
        "--output",
        type=click.Choice(OUTPUT_FORMATS),
        help="The output format.  [default: table on a terminal, else jsonl]",
    )(with_output)


def choose_default_format() -> str:
    """Return ``table`` if stdout is a terminal, ``jsonl`` otherwise."""
    return "table" if sys.stdout.isatty() else "jsonl"


def write_customers(
    customers: Iterable[Customer], output: str, *, expanded: bool = False, single: bool = False
) -> int:
    """Write customers to stdout as they arrive, and return their number."""
    names = list_column_names(expanded=expanded)
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
        output: One of :data:`OUTPUT_FORMATS`.
        csv_columns: The columns of CSV.
        single: Whether there is at most one record. JSON is then an object instead of a list, and a
            table has one field per line.
        table_columns: The columns of a table.

    Returns:
        The number of records.
    """
    counter = itertools.count()
    counted_records = (fields for fields, _ in zip(records, counter, strict=False))
    if output == "table":
        if single:
            _write_fields(counted_records, sys.stdout)
        else:
            write_table(counted_records, sys.stdout, table_columns)
    elif output == "json":
        (_write_objects if single else _write_list)(counted_records, sys.stdout)
    elif output == "jsonl":
        _write_jsonl(counted_records, sys.stdout)
    else:
        _write_csv(counted_records, csv_columns, sys.stdout)
    return next(counter)


def _write_jsonl(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    out.writelines(format_json(fields, out.encoding or "utf-8") + "\n" for fields in records)


def _write_objects(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    out.writelines(
        format_json(fields, out.encoding or "utf-8", indent=2) + "\n" for fields in records
    )


def _write_list(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    separator = "["
    for fields in records:
        text = format_json(fields, out.encoding or "utf-8", indent=2)
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
        writer.writerow([escape_formula(cell) for cell in get_cells(fields, csv_columns)])


def write_table(
    records: Iterable[dict[str, Any]],
    out: TextIO,
    table_columns: Sequence[Column] = CUSTOMER_COLUMNS,
) -> None:
    """Write a row for each record. The column widths are computed from the first 100 rows."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - slow to import, and JSON needs no rich

    names = [column.name for column in table_columns]
    rows = ([_shorten_cell(fields.get(name)) for name in names] for fields in records)
    measured_rows = list(itertools.islice(rows, _MEASURED_ROWS))
    if not measured_rows:
        return
    natural_widths = [
        max(cell_len(cell) for cell in column) for column in zip(names, *measured_rows, strict=True)
    ]
    width_limit = _get_width(out)
    min_widths = [column.min_width for column in table_columns]
    widths = fit_column_widths(natural_widths, min_widths, width_limit)

    def pad_or_truncate(cell: str, width: int, column: Column) -> str:
        if cell_len(cell) <= width:
            return set_cell_size(cell, width)
        if _UNLIMITED in (column.min_width, width_limit):
            return cell  # the column or the line must not be truncated
        return set_cell_size(f"{set_cell_size(cell, width - 1)}…", width)

    def format_row(row: Sequence[str]) -> str:
        return _COLUMN_GAP.join(map(pad_or_truncate, row, widths, table_columns)).rstrip()

    console = _make_console(out)
    header = format_row(names)
    console.print(header, style=_choose_header_style(console), markup=False, soft_wrap=True)
    out.writelines(format_row(row) + "\n" for row in _chain_and_clear(measured_rows, rows))


def _chain_and_clear(
    measured_rows: list[list[str]], rest: Iterator[list[str]]
) -> Iterator[list[str]]:
    yield from measured_rows
    measured_rows.clear()  # frees the memory before the rest is written
    yield from rest


def fit_column_widths(natural_widths: list[int], min_widths: list[int], limit: int) -> list[int]:
    """Return the widths of the leading columns that fit into ``limit`` characters.

    At least one column is kept. While the columns are too wide, the widest column loses one
    character. No column becomes narrower than its minimum width.
    """
    minimums = [min(pair) for pair in zip(natural_widths, min_widths, strict=True)]
    count = len(natural_widths)
    while count > 1 and sum(minimums[:count]) + len(_COLUMN_GAP) * (count - 1) > limit:
        count -= 1
    widths = natural_widths[:count]
    excess = sum(widths) + len(_COLUMN_GAP) * (count - 1) - limit
    for _ in range(excess):
        shrinkable = [index for index in range(count) if widths[index] > minimums[index]]
        if not shrinkable:
            break
        widths[max(shrinkable, key=widths.__getitem__)] -= 1
    return widths


def _write_fields(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    """Write one field per line. A nested field has a dotted name, such as ``link.id``."""
    for record_fields in records:
        fields: dict[str, str] = {}
        for name, value in record_fields.items():
            nested_items = value.items() if isinstance(value, dict) and value else [("", value)]
            for key, cell in nested_items:
                fields[f"{name}.{key}" if key else name] = _format_value(cell)
        width = max(map(len, fields))
        console = _make_console(out)
        for name, cell in fields.items():
            console.print(
                name.ljust(width),
                style=_choose_header_style(console),
                end=_COLUMN_GAP,
                markup=False,
                soft_wrap=True,
            )
            out.write(cell + "\n")


def _format_value(value: Any) -> str:
    if value is None:
        return "-"
    return make_printable(
        value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    )


def _shorten_cell(value: Any) -> str:
    """Format a value for a table column. A timestamp is shortened to its date."""
    text = "" if value is None else make_printable(str(value))
    return text[:10] if re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", text) else text


def _get_width(out: TextIO) -> int:
    return shutil.get_terminal_size().columns if out.isatty() else _UNLIMITED


def _make_console(out: TextIO) -> Console:
    """Create a rich console, which checks whether the terminal and NO_COLOR allow styles."""
    from rich.console import Console  # noqa: PLC0415 - slow to import, and JSON needs no rich

    return Console(file=out, highlight=False)


def _choose_header_style(console: Console) -> str:
    # A user who sets NO_COLOR expects plain text, but rich still prints bold text.
    return "" if console.no_color else "bold"
