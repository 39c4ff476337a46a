"""A customer as plain data, in the API's own spelling: what JSON and CSV are written from."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from dub_uplink._internal.naming import camel_case
from dub_uplink.models import components

#: What the server leaves out where there is nothing to show; everything else it sends as null.
_LEFT_OUT = frozenset({"program_id", "link", "partner", "discount"})


#: The records of the server's, and how it spells their fields.
NAMES: Mapping[type[Any], Mapping[str, str]] = {
    model: {
        field.name: camel_case(field.name)
        for field in dataclasses.fields(model)
        if field.name != "extra"
    }
    for model in (components.Customer, components.Link, components.Partner, components.Discount)
}


def json_text(value: Any, encoding: str = "utf-8", indent: int | None = None) -> str:
    """JSON that is readable, and safe on a terminal and in a file of lines.

    Letters are as they are where ``encoding`` has them. Control characters, among them the line
    ends that only some readers know and half surrogates, are escaped.
    """
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = json.dumps(value, indent=indent)
    # Within a string JSON has no raw line end, so that these are those of the indentation.
    return "\n".join(escape_unprintable(line) for line in text.split("\n"))


def escape_unprintable(line: str) -> str:
    """Return a line of JSON with control and other invisible characters escaped."""
    if line.isprintable():
        return line
    return "".join(c if c.isprintable() else _escape(c) for c in line)


def _escape(char: str) -> str:
    # json.dumps would leave DEL as it is, and knows the two halves of what is beyond 16 bits.
    return f"\\u{ord(char):04x}" if ord(char) < 0x10000 else json.dumps(char)[1:-1]


def columns(*, expanded: bool) -> tuple[str, ...]:
    """The columns of CSV, the same for every row; what is nested has a dot, as ``link.id``.

    A table cannot have a column for a field that only some row turns out to have: fields that this
    version does not know are in JSON only.
    """
    found: list[str] = []
    for name, spelled in NAMES[components.Customer].items():
        if name not in _LEFT_OUT:
            found.append(spelled)
        elif expanded:
            nested = _NESTED.get(name)
            found += [f"{spelled}.{sub}" for sub in NAMES[nested].values()] if nested else [spelled]
    return tuple(found)


_NESTED = {
    "link": components.Link,
    "partner": components.Partner,
    "discount": components.Discount,
}


def cells(found: dict[str, Any], of: tuple[str, ...]) -> list[Any]:
    """The values of a record in the order of its columns; ``None`` where there is none."""
    return [_cell(found, column) for column in of]


def _cell(found: dict[str, Any], column: str) -> Any:
    name, _, nested = column.partition(".")
    value = found.get(name)
    return (value or {}).get(nested) if nested else value
