"""Match the columns of a file to the fields of a customer."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence

from dub_uplink._cli.io.records import column_names
from dub_uplink.models import components, operations

#: The fields that a file can contain, and those that it must contain.
FIELDS = tuple(field.name for field in dataclasses.fields(operations.CreateCustomerRequestBody))
REQUIRED = ("external_id", "country")

REASON = "reason"  # the column of reasons in a file of failed rows
UNKNOWN = "?"  # stands for the field of an unknown column

# Matches whitespace of every width, underscores, dashes, and invisible characters of editors.
_IGNORED_CHARACTERS = re.compile("[\\s_\u200b\u2060\ufeff\u2010-\u2015-]+")
_MAX_LISTED_COLUMNS = 12  # in a message


def normalize_column(column: str) -> str:
    """Lower-case the name of a column, and remove whitespace, dashes and underscores."""
    return _IGNORED_CHARACTERS.sub("", column).casefold()


_FIELD_BY_NAME = {normalize_column(name): name for name in FIELDS}
#: Columns that only the server can set, as in an export, and the column of reasons.
_IGNORED_COLUMNS = {
    normalize_column(name)
    for name in (
        *(field.name for field in dataclasses.fields(components.Customer)),
        *column_names(expanded=True),
        REASON,
    )
} - {*_FIELD_BY_NAME, "extra"}


def find_field(name: str) -> str | None:
    """Return the field that matches a name; ``None`` if no field matches."""
    return _FIELD_BY_NAME.get(normalize_column(name))


class FieldNames:
    """Matches columns to fields.

    Args:
        mapping: fields by column; ``None`` ignores the column.
        ignore_unknown: whether to ignore every column that matches no field.
    """

    def __init__(self, mapping: Mapping[str, str | None], *, ignore_unknown: bool) -> None:
        self._mapping = mapping
        self._normalized_mapping = {
            normalize_column(column): field for column, field in mapping.items()
        }
        self._ignore_unknown = ignore_unknown

    def field(self, column: str, *, exactly: bool = False) -> str | None:
        """Return the field of a column; ``None`` if it is ignored, ``UNKNOWN`` if none matches.

        With ``exactly``, ``mapping`` applies only to columns with exactly the same spelling.
        """
        if column in self._mapping:
            return self._mapping[column]
        name = normalize_column(column)
        if not exactly and name in self._normalized_mapping:
            return self._normalized_mapping[name]
        if name in _FIELD_BY_NAME:
            return _FIELD_BY_NAME[name]
        ignored = not name or name in _IGNORED_COLUMNS or self._ignore_unknown
        return None if ignored else UNKNOWN

    def fields(self, header: Sequence[str]) -> list[str | None]:
        """Return the field of each column of a header."""
        exact = {normalize_column(column) for column in header if column in self._mapping}
        return [self.field(column, exactly=normalize_column(column) in exact) for column in header]

    def problem(self, header: Sequence[str], fields: Sequence[str | None], hint: str) -> str:
        """Return why a header cannot be imported; empty if it can.

        Args:
            header: the names of the columns.
            fields: the field of each column.
            hint: what to do if the first row is not the header; may be empty.
        """
        names = {normalize_column(column) for column in header}
        for column in self._mapping:
            if normalize_column(column) not in names:
                listed = _format_columns(header)
                return f"--map: there is no column {column!r}; the columns are {listed}."
        for name in FIELDS:
            same = [column for column, field in zip(header, fields, strict=True) if field == name]
            if len(same) > 1:
                both = "both" if len(same) == 2 else "all"
                listed, hint = _format_columns(same), _hint_for_duplicates(same)
                return f"columns {listed} {both} mean {name}.  Hint: {hint}."
        unknown = [c for c, field in zip(header, fields, strict=True) if field is UNKNOWN]
        missing = [name for name in REQUIRED if name not in fields]
        if missing:
            return (
                f"there is no column {missing[0]}; the columns are {_format_columns(header)}."
                f"  Hint: {_hint_for_missing(missing[0], header, fields, hint)}"
            )
        if unknown:
            meaning = f"{unknown[0]}={_similar_field(unknown[0]) or 'FIELD'}"
            return (
                f"unknown columns: {_format_columns(unknown)}{suggest_field(unknown[0])}."
                f"  Hint: import a column with --map {meaning!r}, ignore it with --map"
                f" {unknown[0] + '='!r}, or ignore all unknown columns with --ignore-unknown."
            )
        return ""


def _guess_column(name: str, header: Sequence[str], fields: Sequence[str | None]) -> str:
    """Return the column that is most likely a missing field; empty if no column is likely."""
    free = [c for c, field in zip(header, fields, strict=True) if field not in FIELDS and c]
    near_names = {normalize_column(column): column for column in free}
    close = difflib.get_close_matches(normalize_column(name), near_names, 1)
    if close:
        return near_names[close[0]]
    ids = [column for column in free if normalize_column(column).endswith("id")]
    return ids[0] if ids and name == "external_id" else ""


def _hint_for_missing(
    name: str, header: Sequence[str], fields: Sequence[str | None], hint: str
) -> str:
    if len(header) == 1 and any(mark in header[0] for mark in ",;\t|"):
        return "each line seems to be one cell in quotes; remove the quotes around the lines."
    # One column is not enough, so the delimiter is wrong, or the row is not the header.
    guess = _guess_column(name, header, fields) if len(header) > 1 else ""
    if guess:
        return f"give the column with --map {f'{guess}={name}'!r}."
    if not any(field in FIELDS for field in fields):
        return (
            "the first row must contain the names of the columns: delete the rows above it,"
            f"{f' {hint},' if hint else ''} or give the column with --map 'COLUMN={name}'."
        )
    return f"add the column, or give it with --map 'COLUMN={name}'."


def _hint_for_duplicates(same: Sequence[str]) -> str:
    """Return a hint on how to keep one of several columns with the same field."""
    spelled_once = [column for column in same if same.count(column) == 1]
    if len(spelled_once) < len(same):
        return "rename all but one of them in the file"
    options = " ".join(f"--map {column + '='!r}" for column in same[1:])
    return f"keep {same[0]!r} with {options}"


def suggest_field(column: str) -> str:
    """Return a part of a message that suggests the field with the most similar name."""
    close = _similar_field(column)
    return f"; did you mean {close!r}" if close else ""


def _similar_field(column: str) -> str:
    # Use a high cutoff, because similar words in long names match: "customers" and the Stripe id.
    close = difflib.get_close_matches(normalize_column(column), _FIELD_BY_NAME, 1, cutoff=0.7)
    return _FIELD_BY_NAME[close[0]] if close else ""


def _format_columns(names: Sequence[str]) -> str:
    names = [name for name in names if name]
    shown = ", ".join(repr(name) for name in names[:_MAX_LISTED_COLUMNS])
    return (
        shown
        if len(names) <= _MAX_LISTED_COLUMNS
        else f"{shown} and {len(names) - _MAX_LISTED_COLUMNS} more"
    )
