"""Customers as a table, as JSON, as lines of JSON, or as CSV, one after the other."""

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

from dub_uplink._cli.io.records import cells, columns, json_text, record
from dub_uplink._cli.io.text import escape_formula, printable
from dub_uplink.models.components import Customer

if TYPE_CHECKING:
    from rich.console import Console

R = TypeVar("R")

FORMATS = ("table", "json", "jsonl", "csv")

#: Rows that decide how wide the columns of a table are; those after them are not waited for.
_LOOKED_AT = 100
_GAP = "  "
_NO_EDGE = 1_000_000  # a width: what goes into a pipe is not cut


class Column(NamedTuple):
    """A column of a table; ``floor`` is the width below which it is left out, not narrowed."""

    name: str
    floor: int


# In the order in which a narrow terminal keeps them. An id is there to be copied: never cut.
TABLE = (
    Column("id", _NO_EDGE),
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
        help="[default: table on a terminal, else jsonl]",
    )(formatted)


def default_format() -> str:
    """A table for a person, lines of JSON for a program."""
    return "table" if sys.stdout.isatty() else "jsonl"


def write_customers(
    customers: Iterable[Customer], output: str, *, expanded: bool = False, single: bool = False
) -> int:
    """Write customers to stdout as they come, and return how many there were."""
    of = columns(expanded=expanded)
    return write_records(map(record, customers), output, of, single=single)


def write_records(
    records: Iterable[dict[str, Any]], output: str, of: tuple[str, ...], *, single: bool = False
) -> int:
    """Write records to stdout as they come, and return how many there were.

    ``of`` are the columns of CSV. A ``single`` one is no list: an object in JSON, and as a table
    each field on a line.
    """
    counter = itertools.count()
    counted = (found for found, _ in zip(records, counter, strict=False))
    if output == "table":
        (_write_fields if single else write_table)(counted, sys.stdout)
    elif output == "json":
        (_write_objects if single else _write_list)(counted, sys.stdout)
    elif output == "jsonl":
        _write_lines(counted, sys.stdout)
    else:
        _write_csv(counted, of, sys.stdout)
    return next(counter)


def _write_lines(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    out.writelines(json_text(found, out.encoding or "utf-8") + "\n" for found in records)


def _write_objects(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    out.writelines(json_text(found, out.encoding or "utf-8", indent=2) + "\n" for found in records)


def _write_list(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    before = "["
    for found in records:
        text = json_text(found, out.encoding or "utf-8", indent=2)
        out.write(before + "\n  " + text.replace("\n", "\n  "))
        before = ","
    out.write("[]\n" if before == "[" else "\n]\n")


def _write_csv(records: Iterable[dict[str, Any]], of: tuple[str, ...], out: TextIO) -> None:
    if isinstance(out, io.TextIOWrapper):
        out.reconfigure(encoding="utf-8", errors="replace", newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(of)
    for found in records:
        writer.writerow([escape_formula(cell) for cell in cells(found, of)])


def write_table(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    """A row for each; the first hundred decide how wide the columns are."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - a pipe needs none of it

    rows = ([_shown(found.get(column.name)) for column in TABLE] for found in records)
    first = list(itertools.islice(rows, _LOOKED_AT))
    if not first:
        return
    natural = [
        max(cell_len(cell) for cell in column)
        for column in zip([c.name for c in TABLE], *first, strict=True)
    ]
    edge = _width(out)
    widths = fit(natural, [column.floor for column in TABLE], edge)

    def sized(cell: str, width: int, column: Column) -> str:
        if cell_len(cell) <= width:
            return set_cell_size(cell, width)
        if _NO_EDGE in (column.floor, edge):
            return cell  # longer than the first ones were, and not to be cut
        return set_cell_size(f"{set_cell_size(cell, width - 1)}…", width)

    def line(row: Sequence[str]) -> str:
        return _GAP.join(map(sized, row, widths, TABLE)).rstrip()

    console = _console(out)
    header = line([column.name for column in TABLE])
    console.print(header, style=_bold(console), markup=False, soft_wrap=True)
    out.writelines(line(row) + "\n" for row in _chained(first, rows))


def _chained(first: list[list[str]], rest: Iterator[list[str]]) -> Iterator[list[str]]:
    yield from first
    first.clear()  # not held while thousands follow
    yield from rest


def fit(natural: list[int], floors: list[int], width: int) -> list[int]:
    """The widths of as many columns as have room, from the first on; at least of one.

    Columns lose what is too much one cell at a time, the widest first, down to their floors.
    """
    floors = [min(pair) for pair in zip(natural, floors, strict=True)]
    count = len(natural)
    while count > 1 and sum(floors[:count]) + len(_GAP) * (count - 1) > width:
        count -= 1
    widths = natural[:count]
    excess = sum(widths) + len(_GAP) * (count - 1) - width
    for _ in range(excess):
        slack = [index for index in range(count) if widths[index] > floors[index]]
        if not slack:
            break
        widths[max(slack, key=widths.__getitem__)] -= 1
    return widths


def _write_fields(records: Iterable[dict[str, Any]], out: TextIO) -> None:
    """A line for each field, what is nested under its own names with a dot before them."""
    for found in records:
        fields: dict[str, str] = {}
        for name, value in found.items():
            nested = value.items() if isinstance(value, dict) and value else [("", value)]
            fields.update({f"{name}.{sub}" if sub else name: _whole(cell) for sub, cell in nested})
        width = max(map(len, fields))
        console = _console(out)
        for name, cell in fields.items():
            console.print(
                name.ljust(width), style=_bold(console), end=_GAP, markup=False, soft_wrap=True
            )
            out.write(cell + "\n")


def _whole(value: Any) -> str:
    """A value of any kind, in full."""
    if value is None:
        return "-"
    return printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _shown(value: Any) -> str:
    """A value in a column; of a date, the day."""
    text = "" if value is None else printable(str(value))
    return text[:10] if re.fullmatch(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", text) else text


def _width(out: TextIO) -> int:
    return shutil.get_terminal_size().columns if out.isatty() else _NO_EDGE


def _console(out: TextIO) -> Console:
    """What knows whether there may be colour: the terminal, and NO_COLOR."""
    from rich.console import Console  # noqa: PLC0415 - a pipe needs none of it

    return Console(file=out, highlight=False)


def _bold(console: Console) -> str:
    # To rich, bold is no colour; whoever sets NO_COLOR wants plain text.
    return "" if console.no_color else "bold"
