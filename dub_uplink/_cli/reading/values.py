"""Values of rows: what spreadsheets do to them, and what the server is sure to refuse."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any, NamedTuple

from dub_uplink._cli.io.records import escape_unprintable
from dub_uplink._cli.reading.fields import REQUIRED
from dub_uplink.testing._api.rules import MAX_TEXT_LENGTH, is_email, is_url

#: Cells that programs write for "no value". In a name too: "Null" is one, "NULL" hardly.
_PLACEHOLDERS = frozenset(
    {"NULL", "N/A", "#N/A", "\\N", "NaN", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!"}
)
#: Fields whose values never begin or end with a blank.
_STRIPPED = frozenset({"email", "country", "avatar", "stripe_customer_id"})

_IDS = frozenset({"external_id", "stripe_customer_id"})

_COUNTRY = re.compile("[A-Za-z]{2}")
_CHANGED_NUMBER = re.compile(r"[0-9]+[.,]0+|[0-9]+([.,][0-9]+)?[Ee]\+?[0-9]+")
_CHANGED_DATE = re.compile(
    r"[0-9]{1,2}-[A-Z][a-z]{2}(-[0-9]{2})?|[A-Z][a-z]{2}-[0-9]{2}"
    r"|[0-9]{1,4}([-/.])[0-9]{1,2}\2[0-9]{2,4}( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?"
)
_ROUNDED_NUMBER = re.compile("[1-9][0-9]{14}0+")
#: What people and programs also write for "no value", and what may be a value.
_LOOSE_PLACEHOLDERS = frozenset({"null", "(null)", "nil", "none", "n/a", "na", "nan", "-", "--"})
_EXACT_DIGITS = 10**15  # Excel rounds longer numbers

# Characters that the server, a terminal or a spreadsheet cannot take.
_NO_TEXT = re.compile("[\0\x80-\x9f\ud800-\udfff]")
_READ_AS_EMPTY = "is read as empty; --exact takes it as text"
_AS_TEXT = "format the column as text in the spreadsheet"
_EXACT = "if it is right, --exact takes every cell as it is"


#: The value of a cell that counts as empty; a ``null`` of JSON is ``None``, and sent.
ABSENT: Any = object()


class Value(NamedTuple):
    """A value as it would be sent, or ``ABSENT``.

    ``problem`` says why it cannot be sent, ``note`` what a person should look at; ``detail`` is
    the value that either is about.
    """

    value: Any
    problem: str = ""
    note: str = ""
    detail: str = ""


def read_cell(field: str, cell: Any, *, exact: bool = False) -> Value:
    """Return the value of a cell of CSV, or of a spreadsheet's typed one.

    Args:
        field: the name of the field.
        cell: the text, or the typed value.
        exact: take text as it is, whatever spreadsheets and people make of missing values.
    """
    if not isinstance(cell, str):
        text, problem = _typed(cell)
        if problem:
            return Value(text, f"{problem}; {_AS_TEXT}", detail=shown(text))
        cell = text
    text = cell.strip()
    if not text and (not cell or field in _STRIPPED):
        return Value(ABSENT)
    return check_value(field, cell) if exact else _read_text(field, cell, text)


def _read_text(field: str, cell: str, text: str) -> Value:
    """Return the value of a cell that people or a spreadsheet may have changed.

    Args:
        field: the name of the field.
        cell: the cell.
        text: the cell without blanks around it.
    """
    if text in _PLACEHOLDERS:
        if field in REQUIRED:
            return Value(cell, "is missing", detail=shown(text))
        return Value(ABSENT, note=_READ_AS_EMPTY, detail=shown(text))
    if field == "external_id" and _CHANGED_NUMBER.fullmatch(text):
        problem = f"looks like a number that a spreadsheet changed; {_AS_TEXT}; {_EXACT}"
        return Value(cell, problem, detail=shown(cell))
    value = check_value(field, cell)
    if text.casefold() in _LOOSE_PLACEHOLDERS and not value.problem:
        note = "is sent as text; if it means that there is no value, leave the cell empty"
        return value._replace(note=note, detail=shown(cell))
    return value


def _typed(cell: Any) -> tuple[str, str]:
    """Return the text of a spreadsheet's number, date or truth value, or why there is none."""
    text = str(cell)
    if isinstance(cell, bool):
        return text.upper(), "is a Boolean, not text"
    if isinstance(cell, (int, float)):
        if abs(cell) >= _EXACT_DIGITS:
            return text, "is a number of more than 15 digits, which a spreadsheet rounds"
        return (str(int(cell)), "") if cell == int(cell) else (text, "is a number, not text")
    if isinstance(cell, (dt.date, dt.time)):
        return cell.isoformat(), "is a date, not text"
    return text, "is not text"


def check_value(field: str, value: Any) -> Value:
    """Return a value as it would be sent, with what is wrong with it or remarkable."""
    if value is None:
        return Value(None, "is missing" if field in REQUIRED else "")
    if isinstance(value, str):
        if field in _STRIPPED:
            value = value.strip()
        if field == "country" and _COUNTRY.fullmatch(value):
            value = value.upper()
    problem = _problem(field, value)
    note = "" if problem else _note(field, value)
    blank = problem == "is missing"
    return Value(value, problem, note, shown(value) if (problem or note) and not blank else "")


def _problem(field: str, value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return 'is a number, not text; put it in quotes, such as "1"'
    if not isinstance(value, str):
        return "is not text"
    if field in REQUIRED and not value.strip():
        return "is missing"
    return _problem_of_text(field, value)


def _problem_of_text(field: str, text: str) -> str:
    problem = ""
    unusable = _NO_TEXT.search(text)
    if unusable:
        problem = _why_unusable(unusable.group())
    elif field == "email" and not text.isascii():
        problem = "contains a character beyond ASCII, which Dub refuses in an email address"
    elif field == "email" and not is_email(text):
        problem = "is not an email address"
    elif field == "avatar" and not is_url(text):
        problem = "is not a URL"
    elif field != "avatar" and len(text) > MAX_TEXT_LENGTH:
        problem = f"is longer than {MAX_TEXT_LENGTH} characters"
    return problem


def _why_unusable(char: str) -> str:
    if char == "\0":
        return "contains a NUL character"
    if char > "\x9f":
        return "contains an unpaired surrogate"
    return f"contains the control character U+{ord(char):04X}"


def _note(field: str, value: str) -> str:
    if field == "country":
        return "" if _COUNTRY.fullmatch(value) else "is not a country code of two letters"
    if field in _IDS and not value.isprintable():
        return "contains an invisible character, which is part of the id"
    return _note_on_external_id(value) if field == "external_id" else ""


def _note_on_external_id(value: str) -> str:
    if value != value.strip():
        return "begins or ends with a space, which is part of the id"
    if _ROUNDED_NUMBER.fullmatch(value):
        return "looks like a number of more than 15 digits that a spreadsheet rounded"
    return "looks like a date that a spreadsheet made" if _CHANGED_DATE.fullmatch(value) else ""


def shown(value: Any) -> str:
    """Return a value of the file, shortened."""
    text = escape_unprintable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 60 else f"{text[:57]}..."
