"""Convert customers to JSON text and to the cells of CSV, with the names of the API."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from dub_uplink._internal.naming import camel_case
from dub_uplink.models import components

#: Fields that the server omits if they are empty. It sends other empty fields as null.
_OMITTED_FIELDS = frozenset({"program_id", "link", "partner", "discount"})


#: The API's name of each field, by model.
API_NAMES: Mapping[type[Any], Mapping[str, str]] = {
    model: {
        field.name: camel_case(field.name)
        for field in dataclasses.fields(model)
        if field.name != "extra"
    }
    for model in (components.Customer, components.Link, components.Partner, components.Discount)
}


def json_text(value: Any, encoding: str = "utf-8", indent: int | None = None) -> str:
    """Format a value as JSON that is safe on a terminal and in a file of lines.

    All text is escaped to ASCII if ``encoding`` cannot encode it. Characters that are not printable
    are always escaped, such as control characters, Unicode line ends and lone surrogates.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    # Only the indentation contains line ends, because JSON escapes them in strings.
    return "\n".join(escape_unprintable(line) for line in text.split("\n"))


def escape_unprintable(line: str) -> str:
    """Escape the characters in a line of JSON that are not printable."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else _escape(c) for c in line)


def _escape(char: str) -> str:
    # Do not use json.dumps below 0x10000, because it does not escape DEL.
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]


def column_names(*, expanded: bool) -> tuple[str, ...]:
    """Return the columns of CSV. Nested columns have a dot, such as ``link.id``.

    Fields that this version does not know are left out, because the columns are fixed before the
    first row. Only JSON contains these fields.
    """
    names: list[str] = []
    for field, api_name in API_NAMES[components.Customer].items():
        if field not in _OMITTED_FIELDS:
            names.append(api_name)
        elif expanded:
            nested = _NESTED_MODELS.get(field)
            inner = API_NAMES[nested].values() if nested else ()
            names += [f"{api_name}.{name}" for name in inner] or [api_name]
    return tuple(names)


_NESTED_MODELS = {
    "link": components.Link,
    "partner": components.Partner,
    "discount": components.Discount,
}


def cell_values(record: dict[str, Any], columns: tuple[str, ...]) -> list[Any]:
    """Return the values of a record in the order of the columns; ``None`` for a missing value."""
    return [_cell(record, column) for column in columns]


def _cell(record: dict[str, Any], column: str) -> Any:
    name, _, nested = column.partition(".")
    value = record.get(name)
    return (value or {}).get(nested) if nested else value
