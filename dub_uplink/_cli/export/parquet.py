"""Lines of JSON as Parquet, some thousands at a time.

Needs pyarrow, the extra ``parquet``.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import typing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dub_uplink._cli.io.files import sync
from dub_uplink._cli.io.records import camel
from dub_uplink.models import components

_ROWS = 5_000  # in memory at once, and in a row group

_EXPANDED = ("program_id", "link", "partner", "discount")


def schema(*, expanded: bool) -> Any:
    """The columns, under the API's names; link, partner and discount are structs."""
    left_out = () if expanded else _EXPANDED
    return pa.schema(_fields(components.Customer, left_out))


def _fields(model: type[Any], left_out: tuple[str, ...] = ()) -> list[Any]:
    hints = typing.get_type_hints(model)
    names = (field.name for field in dataclasses.fields(model))
    return [
        pa.field(camel(name), _type(hints[name]))
        for name in names
        if name != "extra" and name not in left_out
    ]


def _type(hint: Any) -> Any:
    kind = next(kind for kind in (*typing.get_args(hint), hint) if kind is not type(None))
    if dataclasses.is_dataclass(kind):
        return pa.struct(_fields(typing.cast("type[Any]", kind)))
    return {int: pa.int64(), dt.datetime: pa.timestamp("us", tz="UTC")}.get(kind, pa.string())


def convert(lines: Path, target: Path, *, expanded: bool) -> None:
    """Write the customers of a file of lines to a new Parquet file."""
    of = schema(expanded=expanded)
    moments = [field.name for field in of if pa.types.is_timestamp(field.type)]
    with lines.open("rb") as source, target.open("wb") as file:
        with pq.ParquetWriter(file, of) as writer:
            while batch := list(itertools.islice(source, _ROWS)):
                rows = [_row(line, moments) for line in batch]
                writer.write_table(pa.Table.from_pylist(rows, schema=of))
        sync(file)


def _row(line: bytes, moments: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    for name in moments:
        text = row.get(name)
        row[name] = None if text is None else dt.datetime.fromisoformat(text)
    return row
