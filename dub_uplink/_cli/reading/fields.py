"""Names of columns, as people write them, and the fields of a customer that they mean."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence

from dub_uplink._cli.io.records import columns as exported_columns
from dub_uplink.models import components, operations

#: What a file may say about a customer, and what it must.
FIELDS = tuple(field.name for field in dataclasses.fields(operations.CreateCustomerRequestBody))
REQUIRED = ("external_id", "country")

REASON = "reason"  # the column that a file of failed rows has beside the fields
UNKNOWN = "?"  # not the name of a field

# Blanks of every width, among them the no-break space, and the invisible marks of editors.
_IGNORED_CHARACTERS = re.compile("[\\s_\u200b\u2060\ufeff\u2010-\u2015-]+")
_SHOWN = 12  # columns that a message lists


def normalized(column: str) -> str:
    """Return the name of a column without case, blanks, dashes and underscores."""
    return _IGNORED_CHARACTERS.sub("", column).casefold()


_BY_NAME = {normalized(name): name for name in FIELDS}
#: What only the server sets, which an export has too, and what an import adds to failed rows.
_IGNORED = {
    normalized(name)
    for name in (
        *(field.name for field in dataclasses.fields(components.Customer)),
        *exported_columns(expanded=True),
        REASON,
    )
} - {*_BY_NAME, "extra"}


def field_named(name: str) -> str | None:
    """Return the field that a name means, ``None`` where it means none."""
    return _BY_NAME.get(normalized(name))


class FieldNames:
    """Which field each column means.

    Args:
        mapping: fields by the names of columns, ``None`` for a column that is left out.
        ignore_unknown: leave out every column that means no field.
    """

    def __init__(self, mapping: Mapping[str, str | None], *, ignore_unknown: bool) -> None:
        self._mapping = mapping
        self._loosely = {normalized(column): field for column, field in mapping.items()}
        self._ignore_unknown = ignore_unknown

    def field(self, column: str, *, exactly: bool = False) -> str | None:
        """Return the field, ``None`` for a column that is left out, or ``UNKNOWN``.

        With ``exactly``, ``mapping`` must spell the column as the file does.
        """
        if column in self._mapping:
            return self._mapping[column]
        name = normalized(column)
        if not exactly and name in self._loosely:
            return self._loosely[name]
        if name in _BY_NAME:
            return _BY_NAME[name]
        ignored = not name or name in _IGNORED or self._ignore_unknown
        return None if ignored else UNKNOWN

    def fields(self, header: Sequence[str]) -> list[str | None]:
        """Return the field of each column of a header."""
        exact = {normalized(column) for column in header if column in self._mapping}
        return [self.field(column, exactly=normalized(column) in exact) for column in header]

    def problem(self, header: Sequence[str], fields: Sequence[str | None]) -> str:
        """Return why a header cannot be imported, empty if it can."""
        names = {normalized(column) for column in header}
        for column in self._mapping:
            if normalized(column) not in names:
                return f"--map: there is no column {column!r}; there are {_listed(header)}."
        for name in FIELDS:
            same = [column for column, field in zip(header, fields, strict=True) if field == name]
            if len(same) > 1:
                both = "both" if len(same) == 2 else "all"
                return f"columns {_listed(same)} {both} mean {name}.  Hint: {_keep_one(same)}."
        unknown = [c for c, field in zip(header, fields, strict=True) if field is UNKNOWN]
        missing = [name for name in REQUIRED if name not in fields]
        if missing:
            return (
                f"there is no column {missing[0]}; there are {_listed(header)}.  Hint:"
                f" {_hint_for_missing(missing[0], header, fields)}"
            )
        if unknown:
            meaning = f"{unknown[0]}={_near(unknown[0]) or 'FIELD'}"
            return (
                f"unknown: {_listed(unknown)}{near(unknown[0])}.  Hint: --map {meaning!r} says what"
                f" a column is, --map {unknown[0] + '='!r} leaves it out, --ignore-unknown leaves"
                " out all that are unknown."
            )
        return ""


def _guess(name: str, header: Sequence[str], fields: Sequence[str | None]) -> str:
    """Return the column that most likely is a missing field, empty if none is likely."""
    free = [c for c, field in zip(header, fields, strict=True) if field not in FIELDS and c]
    near_names = {normalized(column): column for column in free}
    close = difflib.get_close_matches(normalized(name), near_names, 1)
    if close:
        return near_names[close[0]]
    ids = [column for column in free if normalized(column).endswith("id")]
    return ids[0] if ids and name == "external_id" else ""


def _hint_for_missing(name: str, header: Sequence[str], fields: Sequence[str | None]) -> str:
    if len(header) == 1 and any(mark in header[0] for mark in ",;\t|"):
        return "each line seems to be one cell in quotes; remove the quotes around the lines."
    guess = _guess(name, header, fields)
    if guess:
        return f"--map {f'{guess}={name}'!r} says which column it is."
    if not any(field in FIELDS for field in fields):
        return (
            "the first row must name the columns: delete what is above it, or give --delimiter;"
            f" --map 'COLUMN={name}' says which column it is."
        )
    return f"add such a column, or --map 'COLUMN={name}' says which one it is."


def _keep_one(same: Sequence[str]) -> str:
    """Return how to keep one of several columns of the same field."""
    spelled_once = [column for column in same if same.count(column) == 1]
    if len(spelled_once) < len(same):
        return "rename all but one of them in the file"
    options = " ".join(f"--map {column + '='!r}" for column in same[1:])
    return f"{options} keeps {same[0]!r}"


def near(column: str) -> str:
    """Return a hint at the field whose name is like that of a column."""
    close = _near(column)
    return f"; did you mean {close!r}" if close else ""


def _near(column: str) -> str:
    # Long names differ in much and still count as near: of "customers" half is in the Stripe id.
    close = difflib.get_close_matches(normalized(column), _BY_NAME, 1, cutoff=0.7)
    return _BY_NAME[close[0]] if close else ""


def _listed(names: Sequence[str]) -> str:
    names = [name for name in names if name]
    shown = ", ".join(repr(name) for name in names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"
