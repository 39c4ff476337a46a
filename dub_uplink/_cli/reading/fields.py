"""Match the columns of a file to the fields of a customer."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Mapping, Sequence

from dub_uplink._cli.io.records import list_column_names
from dub_uplink.models import components, operations

#: The fields of a customer that a file can contain.
FIELDS = tuple(field.name for field in dataclasses.fields(operations.CreateCustomerRequestBody))
#: The fields of a customer that a file must contain.
REQUIRED_FIELDS = ("external_id", "country")

#: The last column of the failed-rows file, which ``customers import`` writes.
REASON_COLUMN = "reason"
#: ``ColumnMatcher.match`` returns this value for a column that matches no field.
UNKNOWN_FIELD = "?"

# Matches whitespace, underscores, dashes, and invisible characters that editors insert.
_IGNORED_CHARACTERS = re.compile("[\\s_\u200b\u2060\ufeff\u2010-\u2015-]+")
#: A message lists at most this many columns.
_MAX_LISTED_COLUMNS = 12


def normalize_column(column: str) -> str:
    """Lower-case the name of a column, and remove whitespace, dashes and underscores."""
    return _IGNORED_CHARACTERS.sub("", column).casefold()


_FIELD_BY_NAME = {normalize_column(name): name for name in FIELDS}
#: The normalized names of columns that are ignored by default: the fields that only the server can
#: set, and the reasons of failed rows.
_IGNORED_COLUMNS = {
    normalize_column(name)
    for name in (
        *(field.name for field in dataclasses.fields(components.Customer)),
        *list_column_names(expanded=True),
        REASON_COLUMN,
    )
} - {*_FIELD_BY_NAME, "extra"}


def find_field(name: str) -> str | None:
    """Return the field that matches a name; ``None`` if no field matches."""
    return _FIELD_BY_NAME.get(normalize_column(name))


class ColumnMatcher:
    """Matches the columns of a file to the fields of a customer.

    Args:
        mapping: maps a column to its field, or to ``None`` to ignore the column.
        ignore_unknown: whether to ignore each column that matches no field.
    """

    def __init__(self, mapping: Mapping[str, str | None], *, ignore_unknown: bool) -> None:
        self._mapping = mapping
        self._normalized_mapping = {
            normalize_column(column): field for column, field in mapping.items()
        }
        self._ignore_unknown = ignore_unknown

    def match(self, column: str, *, same_spelling: bool = False) -> str | None:
        """Return the field of a column.

        Args:
            column: the name of the column.
            same_spelling: whether ``mapping`` is used only if it contains exactly this spelling. By
                default, case, spaces, dashes and underscores are ignored.

        Returns:
            The field, ``None`` if the column is ignored, or ``UNKNOWN_FIELD`` if no field matches.
        """
        if column in self._mapping:
            return self._mapping[column]
        name = normalize_column(column)
        if not same_spelling and name in self._normalized_mapping:
            return self._normalized_mapping[name]
        if name in _FIELD_BY_NAME:
            return _FIELD_BY_NAME[name]
        is_ignored = not name or name in _IGNORED_COLUMNS or self._ignore_unknown
        return None if is_ignored else UNKNOWN_FIELD

    def match_header(self, header: Sequence[str]) -> list[str | None]:
        """Return the field of each column of a header."""
        mapped_names = {normalize_column(column) for column in header if column in self._mapping}
        return [
            self.match(column, same_spelling=normalize_column(column) in mapped_names)
            for column in header
        ]

    def find_problem(self, header: Sequence[str], fields: Sequence[str | None], hint: str) -> str:
        """Return why a header cannot be imported; empty if there is no problem.

        Args:
            header: the names of the columns.
            fields: the field of each column, as ``match_header`` returns it.
            hint: what to do if the first row is not the header; may be empty.
        """
        names = {normalize_column(column) for column in header}
        for column in self._mapping:
            if normalize_column(column) not in names:
                listed = _format_columns(header)
                return f"--map: there is no column {column!r}; the columns are {listed}."
        for name in FIELDS:
            columns = [c for c, field in zip(header, fields, strict=True) if field == name]
            if len(columns) > 1:
                both = "both" if len(columns) == 2 else "all"
                listed, hint = _format_columns(columns), _hint_for_duplicates(columns)
                return f"columns {listed} {both} mean {name}.  Hint: {hint}."
        missing_field = next((name for name in REQUIRED_FIELDS if name not in fields), "")
        if missing_field:
            return (
                f"there is no column {missing_field}; the columns are {_format_columns(header)}."
                f"  Hint: {_hint_for_missing(missing_field, header, fields, hint)}"
            )
        unknown_columns = [
            column for column, field in zip(header, fields, strict=True) if field is UNKNOWN_FIELD
        ]
        if unknown_columns:
            column = unknown_columns[0]
            map_option = f"{column}={_find_similar_field(column) or 'FIELD'}"
            return (
                f"unknown columns: {_format_columns(unknown_columns)}{suggest_field(column)}."
                f"  Hint: import a column with --map {map_option!r}, ignore it with --map"
                f" {column + '='!r}, or ignore all unknown columns with --ignore-unknown."
            )
        return ""


def _guess_column(name: str, header: Sequence[str], fields: Sequence[str | None]) -> str:
    """Return the column that probably contains a missing field; empty if none is likely."""
    unmatched_columns = [
        column
        for column, field in zip(header, fields, strict=True)
        if field not in FIELDS and column
    ]
    column_by_name = {normalize_column(column): column for column in unmatched_columns}
    similar_names = difflib.get_close_matches(normalize_column(name), column_by_name, 1)
    if similar_names:
        return column_by_name[similar_names[0]]
    id_columns = [column for name, column in column_by_name.items() if name.endswith("id")]
    return id_columns[0] if id_columns and name == "external_id" else ""


def _hint_for_missing(
    name: str, header: Sequence[str], fields: Sequence[str | None], hint: str
) -> str:
    if len(header) == 1 and any(delimiter in header[0] for delimiter in ",;\t|"):
        return "each line seems to be one cell in quotes; remove the quotes around the lines."
    # With only one column, do not guess: the delimiter is wrong, or the row is not the header.
    guess = _guess_column(name, header, fields) if len(header) > 1 else ""
    if guess:
        return f"give the column with --map {f'{guess}={name}'!r}."
    if not any(field in FIELDS for field in fields):
        return (
            "the first row must contain the names of the columns: delete the rows above it,"
            f"{f' {hint},' if hint else ''} or give the column with --map 'COLUMN={name}'."
        )
    return f"add the column, or give it with --map 'COLUMN={name}'."


def _hint_for_duplicates(columns: Sequence[str]) -> str:
    """Return a hint that says how to import only one of several columns for a field."""
    if len(set(columns)) < len(columns):
        return "rename all but one of them in the file"
    options = " ".join(f"--map {column + '='!r}" for column in columns[1:])
    return f"keep {columns[0]!r} with {options}"


def suggest_field(column: str) -> str:
    """Return a clause such as "; did you mean 'email'"; empty if no field is similar."""
    field = _find_similar_field(column)
    return f"; did you mean {field!r}" if field else ""


def _find_similar_field(column: str) -> str:
    # The default cutoff of 0.6 is too low: "customers" matches "stripe_customer_id".
    similar_names = difflib.get_close_matches(
        normalize_column(column), _FIELD_BY_NAME, 1, cutoff=0.7
    )
    return _FIELD_BY_NAME[similar_names[0]] if similar_names else ""


def _format_columns(names: Sequence[str]) -> str:
    names = [name for name in names if name]
    shown = ", ".join(repr(name) for name in names[:_MAX_LISTED_COLUMNS])
    return (
        shown
        if len(names) <= _MAX_LISTED_COLUMNS
        else f"{shown} and {len(names) - _MAX_LISTED_COLUMNS} more"
    )
