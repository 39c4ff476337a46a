"""Convert JSONL to Parquet in batches, with ``pyarrow`` (extra ``parquet``)."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from dub_uplink._internal.naming import camel_case
from dub_uplink.models import components

#: The number of rows in a batch. Each batch becomes a row group. One batch is in memory at a time.
_BATCH_ROWS = 5_000


def make_schema(columns: Sequence[str]) -> Any:
    """Create the Parquet schema; ``link``, ``partner`` and ``discount`` are structs."""
    fields = {field.name: field for field in _make_arrow_fields(components.Customer)}
    return pa.schema([fields[name] for name in columns])


def _make_arrow_fields(model: type[Any]) -> list[Any]:
    hints = typing.get_type_hints(model)
    names = [field.name for field in dataclasses.fields(model)]
    return [
        pa.field(camel_case(name), _get_arrow_type(hints[name]))
        for name in names
        if name != "extra"
    ]


def _get_arrow_type(hint: Any) -> Any:
    # The hint of an optional field has two types: use the type that is not None.
    value_type = next(arg for arg in (*typing.get_args(hint), hint) if arg is not type(None))
    if dataclasses.is_dataclass(value_type):
        return pa.struct(_make_arrow_fields(typing.cast("type[Any]", value_type)))
    return {int: pa.int64(), dt.datetime: pa.timestamp("us", tz="UTC")}.get(value_type, pa.string())


def convert_to_parquet(
    jsonl_path: Path, file: IO[bytes], columns: Sequence[str], check_interrupt: Callable[[], object]
) -> None:
    """Convert a JSONL file of customers to Parquet.

    Args:
        jsonl_path: The JSONL file.
        file: The open file to which the Parquet data is written.
        columns: The columns, with the API's names.
        check_interrupt: Called before each batch. An exception that it raises ends the conversion.
    """
    schema = make_schema(columns)
    timestamp_names = [field.name for field in schema if pa.types.is_timestamp(field.type)]
    with jsonl_path.open("rb") as jsonl_file, pq.ParquetWriter(file, schema) as writer:
        while batch := list(itertools.islice(jsonl_file, _BATCH_ROWS)):
            check_interrupt()
            rows = [_parse_row(line, timestamp_names) for line in batch]
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))


def _parse_row(line: bytes, timestamp_names: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(line)
    for name in timestamp_names:
        text = row.get(name)
        row[name] = None if text is None else dt.datetime.fromisoformat(text)
    return row
