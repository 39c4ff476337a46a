"""Find values that a spreadsheet changed, and values that the server rejects.

A problem is the reason why a value cannot be imported. A note is a remark for the user on a value
that is imported.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any, NamedTuple

from dub_uplink._cli.io.records import escape_unprintable
from dub_uplink._cli.io.text import unescape_formula
from dub_uplink._cli.reading.fields import REQUIRED_FIELDS
from dub_uplink._cli.reading.record import ZeroPadded
from dub_uplink.testing._api.rules import MAX_TEXT_LENGTH, is_email, is_url

#: Texts that programs write for a missing value. "Null" is not included, because it is a surname.
_PLACEHOLDERS = frozenset(
    {"NULL", "N/A", "#N/A", "\\N", "NaN", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!"}
)
#: Fields in which whitespace around a value is removed.
_STRIPPED_FIELDS = frozenset({"email", "country", "avatar", "stripe_customer_id"})

_ID_FIELDS = frozenset({"external_id", "stripe_customer_id"})

_COUNTRY_PATTERN = re.compile("[A-Za-z]{2}")
_CHANGED_NUMBER_PATTERN = re.compile(r"[0-9]+[.,]0+|[0-9]+([.,][0-9]+)?[Ee]\+?[0-9]+")
_CHANGED_DATE_PATTERN = re.compile(
    r"[0-9]{1,2}-[A-Z][a-z]{2}(-[0-9]{2})?|[A-Z][a-z]{2}-[0-9]{2}"
    r"|[0-9]{1,4}([-/.])[0-9]{1,2}\2[0-9]{2,4}( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?)?"
)
_ROUNDED_NUMBER_PATTERN = re.compile("[1-9][0-9]{14}0+")
#: Texts that may mean that there is no value, but can also be values.
_POSSIBLE_PLACEHOLDERS = frozenset({"null", "(null)", "nil", "none", "n/a", "na", "nan", "-", "--"})
#: Excel rounds numbers with more than 15 digits.
_MAX_EXACT_NUMBER = 10**15

#: Matches a character that cannot be imported.
_INVALID_CHARACTER_PATTERN = re.compile("[\0\x80-\x9f\ud800-\udfff]")
#: Matches a control character that can be imported, but causes a note.
_CONTROL_CHARACTER_PATTERN = re.compile("[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HTML_ENTITY_PATTERN = re.compile("&([a-z]{2,8}|#[0-9]{2,5}|#x[0-9A-Fa-f]{2,4});")
_NOTE_TREATED_AS_EMPTY = "is treated as empty; import it as text with --exact"
_NOTE_UNESCAPED = (
    "is sent without its first apostrophe, which customers list and files of failed rows add"
)
_NOTE_STILL_ESCAPED = "is sent with its first apostrophe; to remove it, import without --exact"
_NOTE_PADDED = (
    "is shown with leading zeros, which are not sent; to send them, enter the value as text"
)
_FORMAT_AS_TEXT = "format the column as text in the spreadsheet"
_USE_EXACT = "if the value is correct, import all cells unchanged with --exact"


#: Stands for an empty cell or an empty JSON string, which is not sent. A JSON ``null`` is sent.
ABSENT: Any = object()


class Value(NamedTuple):
    """A checked value of a field.

    Attributes:
        value: the value to send; ``ABSENT`` if the field is not sent.
        problem: why the value cannot be sent; empty if it can.
        note: the note on the value; empty if there is none.
        detail: an excerpt of the value, which is shown with the problem or the note; may be empty.
    """

    value: Any
    problem: str = ""
    note: str = ""
    detail: str = ""


def read_cell(field: str, cell: Any, *, exact: bool = False, escaped: bool = False) -> Value:
    """Convert a cell of CSV or Excel to a value.

    An escaped formula is a formula after an apostrophe. A spreadsheet does not run it.

    Args:
        field: the name of the field.
        cell: the text, or a typed value of Excel, such as a number.
        exact: whether to send the text unchanged, even if it looks like a missing value, an escaped
            formula or a value that a spreadsheet changed.
        escaped: whether this program wrote the file. If so, an escaped formula is unescaped even
            with ``exact``.
    """
    unescaped = unescape_formula(cell) if isinstance(cell, str) else cell
    if unescaped == cell:
        return _read_unescaped(field, cell, exact=exact)
    is_kept = exact and not escaped
    value = _read_unescaped(field, cell if is_kept else unescaped, exact=exact)
    if value.problem or value.value is ABSENT:
        return value
    note = _NOTE_STILL_ESCAPED if is_kept else _NOTE_UNESCAPED
    return value._replace(note=note, detail=make_excerpt(cell))


def _read_unescaped(field: str, cell: Any, *, exact: bool) -> Value:
    if isinstance(cell, ZeroPadded):
        value = _read_unescaped(field, int(cell), exact=exact)
        return value if value.problem else value._replace(note=_NOTE_PADDED, detail=cell.shown)
    if not isinstance(cell, str):
        text, problem = _format_typed(cell)
        if problem:
            return Value(text, f"{problem}; {_FORMAT_AS_TEXT}", detail=make_excerpt(text))
        cell = text
    return check_value(field, cell) if exact else _read_text(field, cell, cell.strip())


def _read_text(field: str, cell: str, text: str) -> Value:
    """Convert the text of a cell. A spreadsheet may have changed the text.

    Args:
        field: the name of the field.
        cell: the text.
        text: ``cell`` without surrounding whitespace.
    """
    if text in _PLACEHOLDERS:
        if field in REQUIRED_FIELDS:
            return Value(cell, "is required, but has only a placeholder", detail=make_excerpt(text))
        return Value(ABSENT, note=_NOTE_TREATED_AS_EMPTY, detail=make_excerpt(text))
    if field == "external_id" and _CHANGED_NUMBER_PATTERN.fullmatch(text):
        problem = f"looks like a number that a spreadsheet changed; {_FORMAT_AS_TEXT}; {_USE_EXACT}"
        return Value(cell, problem, detail=make_excerpt(cell))
    value = check_value(field, cell)
    if text.casefold() in _POSSIBLE_PLACEHOLDERS and not value.problem:
        note = "is sent as text; if it means that there is no value, leave the cell empty"
        return value._replace(note=note, detail=make_excerpt(cell))
    return value


def _format_typed(cell: Any) -> tuple[str, str]:
    """Return a typed Excel value as text, and its problem; the problem may be empty."""
    text = str(cell)
    if isinstance(cell, bool):
        return text.upper(), "is a Boolean, not text"
    if isinstance(cell, (int, float)):
        if abs(cell) >= _MAX_EXACT_NUMBER:
            return text, "is a number of more than 15 digits, which a spreadsheet rounds"
        return (str(int(cell)), "") if cell == int(cell) else (text, "is a number, not text")
    if isinstance(cell, (dt.date, dt.time)):
        return cell.isoformat(), "is a date, not text"
    return text, "is not text"


def check_value(field: str, value: Any) -> Value:
    """Check a value. Strip whitespace in some fields, and convert a country code to upper case."""
    if value is None:
        return Value(None, "is missing" if field in REQUIRED_FIELDS else "")
    if isinstance(value, str):
        if field in _STRIPPED_FIELDS:
            value = value.strip()
        if not value:
            return Value(ABSENT)
        if field == "country" and _COUNTRY_PATTERN.fullmatch(value):
            value = value.upper()
    problem = _find_problem(field, value)
    note = "" if problem else _find_note(field, value)
    is_missing = problem == "is missing"
    return Value(
        value, problem, note, make_excerpt(value) if (problem or note) and not is_missing else ""
    )


def _find_problem(field: str, value: Any) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return 'is a number, not text; put it in quotes, such as "1"'
    if not isinstance(value, str):
        kind = {bool: "a Boolean", list: "a list"}.get(type(value), "an object")
        return f"is {kind}, not text; give a string"
    if field in REQUIRED_FIELDS and not value.strip():
        return "is missing"
    return _find_text_problem(field, value)


def _find_text_problem(field: str, text: str) -> str:
    problem = ""
    invalid_character = _INVALID_CHARACTER_PATTERN.search(text)
    if invalid_character:
        problem = _describe_character(invalid_character.group())
    elif field == "email" and not text.isascii():
        problem = "contains a non-ASCII character, which Dub rejects in an email address"
    elif field == "email" and not is_email(text):
        problem = "is not an email address"
    elif field == "avatar" and not is_url(text):
        problem = "is not a URL"
    elif field != "avatar" and len(text) > MAX_TEXT_LENGTH:
        problem = f"is longer than {MAX_TEXT_LENGTH} characters"
    return problem


def _describe_character(char: str) -> str:
    if char == "\0":
        return "contains a NUL character"
    if char > "\x9f":
        return "contains an unpaired surrogate"
    return f"contains the control character U+{ord(char):04X}"


def _find_note(field: str, value: str) -> str:
    if field == "country":
        return "" if _COUNTRY_PATTERN.fullmatch(value) else "is not a country code of two letters"
    if "\ufffd" in value:
        return (
            "contains U+FFFD, which a program wrote instead of a character that it could not read"
        )
    if _is_decoded_twice(value):
        return "looks like UTF-8 text that was read in another encoding, such as cp1252"
    if field == "name":
        return _find_name_note(value)
    if field in _ID_FIELDS and not value.isprintable():
        return "contains an invisible character, which is sent as part of the id"
    return _find_external_id_note(value) if field == "external_id" else ""


def _find_name_note(value: str) -> str:
    if _CONTROL_CHARACTER_PATTERN.search(value):
        return "contains a control character, which is sent"
    if _HTML_ENTITY_PATTERN.search(value):
        return "contains an HTML entity, which is sent as text"
    return ""


def _is_decoded_twice(text: str) -> bool:
    """Return whether text such as ``Ã«`` is probably UTF-8 that was decoded as cp1252."""
    try:
        return not text.isascii() and bool(text.encode("cp1252").decode("utf-8"))
    except UnicodeError:
        return False


def _find_external_id_note(value: str) -> str:
    if value != value.strip():
        return "begins or ends with a space, which is part of the id"
    if _ROUNDED_NUMBER_PATTERN.fullmatch(value):
        return "looks like a number of more than 15 digits that a spreadsheet rounded"
    return (
        "looks like an id that a spreadsheet changed to a date"
        if _CHANGED_DATE_PATTERN.fullmatch(value)
        else ""
    )


def make_excerpt(value: Any) -> str:
    """Format a value as JSON of at most 60 characters."""
    text = escape_unprintable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= 60 else f"{text[:57]}..."
