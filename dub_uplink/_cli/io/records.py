"""Convert customers to JSON and to CSV cells, with the API's names."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from dub_uplink._internal.naming import camel_case
from dub_uplink.models import components

#: Fields that the server omits if they have no value. For a field not listed here, it sends null.
_OMITTED_FIELDS = frozenset({"program_id", "link", "partner", "discount"})


#: Maps a model to a dictionary that maps each field to the API's name.
API_NAMES: Mapping[type[Any], Mapping[str, str]] = {
    model: {
        field.name: camel_case(field.name)
        for field in dataclasses.fields(model)
        if field.name != "extra"
    }
    for model in (components.Customer, components.Link, components.Partner, components.Discount)
}


def format_json(value: Any, encoding: str = "utf-8", indent: int | None = None) -> str:
    """Format a value as JSON that is safe to print on a terminal.

    Without ``indent``, the JSON is one line, as in a JSONL file. If ``encoding`` cannot encode a
    character, all non-ASCII characters are escaped. Unprintable characters, such as control
    characters and lone surrogates, are always escaped.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    # Do not escape the line ends of the indentation. Line ends in values are already escaped.
    return "\n".join(escape_unprintable(line) for line in text.split("\n"))


def escape_unprintable(line: str) -> str:
    """Escape the unprintable characters in a line of JSON."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else _escape(c) for c in line)


def _escape(char: str) -> str:
    # Use json.dumps only for characters from U+10000, because it does not escape DEL.
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]


def list_column_names(*, expanded: bool) -> tuple[str, ...]:
    """Return the columns of CSV. With ``expanded``, nested columns such as ``link.id`` are added.

    The header is written before the first customer is known. Therefore, CSV omits the fields that
    this version does not know. JSON contains all fields.
    """
    names: list[str] = []
    for field, api_name in API_NAMES[components.Customer].items():
        if field not in _OMITTED_FIELDS:
            names.append(api_name)
        elif expanded:
            nested_model = _NESTED_MODELS.get(field)
            nested_names = API_NAMES[nested_model].values() if nested_model else ()
            names += [f"{api_name}.{name}" for name in nested_names] or [api_name]
    return tuple(names)


_NESTED_MODELS = {
    "link": components.Link,
    "partner": components.Partner,
    "discount": components.Discount,
}


def get_cells(record: dict[str, Any], columns: tuple[str, ...]) -> list[Any]:
    """Return the values of a record in the order of the columns; ``None`` for a missing value."""
    return [_get_cell(record, column) for column in columns]


def _get_cell(record: dict[str, Any], column: str) -> Any:
    name, _, nested_name = column.partition(".")
    value = record.get(name)
    return (value or {}).get(nested_name) if nested_name else value
