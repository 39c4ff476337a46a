"""Test the conversion of values from cells to requests."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

pytest.importorskip("click")

from dub_uplink._cli.io.text import escape_formula, unescape_formula
from dub_uplink._cli.reading.values import ABSENT, check_value, read_cell


@pytest.mark.parametrize(
    ("field", "cell", "expected"),
    [
        ("email", " ada@example.com\t", "ada@example.com"),
        ("country", " gb\u00a0", "GB"),
        ("country", "Gb", "GB"),
        ("avatar", " https://example.com/a.png ", "https://example.com/a.png"),
        ("stripe_customer_id", " cus_1 ", "cus_1"),
        ("name", " Zoë 李 🙂 ", " Zoë 李 🙂 "),
        ("name", "2024-05-01", "2024-05-01"),
        ("name", "1E+05", "1E+05"),
        ("external_id", "1e5f", "1e5f"),
        ("external_id", "1001", "1001"),
        ("external_id", 1001, "1001"),
        ("external_id", 1001.0, "1001"),
        ("external_id", 999_999_999_999_999, "999999999999999"),
        ("email", "  ", ABSENT),
        ("country", "", ABSENT),
    ],
)
def test_cell_text_is_converted_to_the_request_value(field: str, cell: Any, expected: Any) -> None:
    value = read_cell(field, cell)
    assert (value.value, value.problem, value.note) == (expected, "", "")


@pytest.mark.parametrize("cell", ["NULL", " N/A ", "NaN", "#N/A", "\\N", "#REF!"])
@pytest.mark.parametrize("field", ["email", "name", "stripe_customer_id"])
def test_placeholder_is_read_as_empty_and_adds_a_note(field: str, cell: str) -> None:
    value = read_cell(field, cell)
    assert (value.value, value.problem) == (ABSENT, "")
    assert value.note == "is treated as empty; import it as text with --exact"
    assert cell.strip().replace("\\", "\\\\") in value.detail


@pytest.mark.parametrize("field", ["external_id", "country"])
def test_placeholder_in_required_field_is_missing(field: str) -> None:
    assert read_cell(field, "NULL").problem == "is required, but has only a placeholder"


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("1.0", "a spreadsheet changed"),
        ("1,00", "a spreadsheet changed"),
        ("1E+05", "a spreadsheet changed"),
        ("1.23457E+15", "a spreadsheet changed"),
        (" 5e10 ", "a spreadsheet changed"),
        (1.5, "is a number, not text"),
        (10**15, "more than 15 digits"),
        (1e300, "more than 15 digits"),
        (float("inf"), "more than 15 digits"),
        (True, "is a Boolean"),
        (dt.datetime(2024, 5, 1), "is a date"),
        (dt.time(12), "is a date"),
        (dt.timedelta(1), "is not text"),
    ],
)
def test_id_changed_by_a_spreadsheet_is_rejected(cell: Any, expected: str) -> None:
    value = read_cell("external_id", cell)
    assert expected in value.problem
    assert "format the column as text" in value.problem
    assert value.detail


@pytest.mark.parametrize(
    "cell", ["1-May", "May-24", "03-Jun-24", "2024-01-02", "01.02.2024", "1/2/24"]
)
def test_id_like_a_date_adds_a_note(cell: str) -> None:
    value = read_cell("external_id", cell)
    assert (value.value, value.problem) == (cell, "")
    assert value.note == "looks like an id that a spreadsheet changed to a date"


@pytest.mark.parametrize(
    ("field", "text", "expected"),
    [
        ("external_id", " u1", "begins or ends with a space, which is part of the id"),
        ("country", "Germany", "is not a country code of two letters"),
    ],
)
def test_unusual_value_is_sent_and_adds_a_note(field: str, text: str, expected: str) -> None:
    for value in (read_cell(field, text), check_value(field, text)):
        assert (value.value, value.problem, value.note) == (text, "", expected)


@pytest.mark.parametrize("field", ["external_id", "name", "email", "country"])
@pytest.mark.parametrize("char", ["\x80", "\x85", "\x92", "\x9f"])
def test_c1_control_character_is_rejected(field: str, char: str) -> None:
    for value in (read_cell(field, f"O{char}B"), check_value(field, f"O{char}B")):
        expected = f"contains the control character U+{ord(char):04X}"
        assert value.problem.startswith(expected)


@pytest.mark.parametrize(
    ("field", "given", "expected"),
    [
        ("email", " ada@example.com ", "ada@example.com"),
        ("country", "gb", "GB"),
        ("name", "NULL", "NULL"),
        ("external_id", "1.0", "1.0"),
        ("email", None, None),
        ("email", "", ABSENT),
        ("avatar", " ", ABSENT),
        ("name", "", ABSENT),
        ("name", " ", " "),
        ("stripe_customer_id", "", ABSENT),
    ],
)
def test_json_value_is_converted_to_the_request_value(
    field: str, given: Any, expected: Any
) -> None:
    value = check_value(field, given)
    assert (value.value, value.problem, value.note) == (expected, "", "")


@pytest.mark.parametrize("given", [7, True, ["a"], {"a": 1}])
def test_json_value_that_is_not_text_is_rejected(given: Any) -> None:
    assert "not text" in check_value("name", given).problem


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=1+1", "'=1+1"),
        ("@x", "'@x"),
        ("\tx", "'\tx"),
        ("'=x", "''=x"),
        ("-5", "-5"),
        ("+44 20", "+44 20"),
        ("'quoted'", "'quoted'"),
        ("", ""),
    ],
)
def test_escaped_formula_is_unescaped(cell: str, expected: str) -> None:
    assert escape_formula(cell) == expected
    assert unescape_formula(expected) == cell


def test_id_like_a_rounded_number_adds_a_note() -> None:
    assert "rounded" in read_cell("external_id", "12345678901234500000").note
    assert read_cell("external_id", "12345678901234567890").note == ""


@pytest.mark.parametrize("cell", ["null", "n/a", "None", "nan", "NA", "-", "Null", "(null)"])
def test_text_like_a_placeholder_is_sent_and_adds_a_note(cell: str) -> None:
    value = read_cell("name", cell)
    assert (value.value, value.problem) == (cell, "")
    assert "leave the cell empty" in value.note


@pytest.mark.parametrize("cell", ["5E05", "NULL", "N/A", "#REF!", "1.0", "null"])
def test_exact_option_keeps_cells_unchanged(cell: str) -> None:
    value = read_cell("external_id", cell, exact=True)
    assert (value.value, value.problem, value.note) == (cell, "", "")


@pytest.mark.parametrize(
    "email",
    ["mailto:c@x.com", "<d@x.com>", "a@x", "a..b@x.com", ".a@x.com", "a@-x.com", "a@x_y.com"],
)
def test_email_that_dub_rejects_is_reported_as_problem(email: str) -> None:
    assert check_value("email", email).problem == "is not an email address"


@pytest.mark.parametrize("email", ["zë@x.com", "b@x.com\u200b", "a@bücher.de"])
def test_non_ascii_email_is_reported_as_problem(email: str) -> None:
    value = check_value("email", email)
    assert value.problem.startswith("contains a non-ASCII character")
    assert value.detail.isprintable()


@pytest.mark.parametrize("email", ["o'neil+b@x.co", "a@xn--bcher-kva.de", "A_1-@x.museum"])
def test_unusual_email_that_dub_accepts_is_accepted(email: str) -> None:
    assert check_value("email", email).problem == ""


@pytest.mark.parametrize("avatar", ["ada.png", "https://", "https://a b/c"])
def test_avatar_that_is_not_a_url_is_reported_as_problem(avatar: str) -> None:
    assert check_value("avatar", avatar).problem == "is not a URL"


@pytest.mark.parametrize("field", ["external_id", "name", "stripe_customer_id", "country"])
def test_text_longer_than_the_column_is_reported_as_problem(field: str) -> None:
    assert check_value(field, "x" * 191).problem == ""
    assert check_value(field, "x" * 192).problem == "is longer than 191 characters"


@pytest.mark.parametrize("field", ["external_id", "stripe_customer_id"])
@pytest.mark.parametrize("value", ["abc\u200b", "\u202aabc\u202c", "2\x1a", "a\u00a0b"])
def test_id_with_invisible_character_adds_a_note(field: str, value: str) -> None:
    checked = check_value(field, value)
    assert (checked.value, checked.problem) == (value, "")
    assert checked.note == "contains an invisible character, which is sent as part of the id"
    assert "\\u" in checked.detail


@pytest.mark.parametrize(
    ("cell", "options", "expected", "note"),
    [
        ("'@ada", {}, "@ada", "without its first apostrophe"),
        ("''@ada", {}, "'@ada", "without its first apostrophe"),
        ("'@ada", {"exact": True}, "'@ada", "with its first apostrophe"),
        ("'@ada", {"exact": True, "escaped": True}, "@ada", "without its first apostrophe"),
        ("@ada", {}, "@ada", ""),
        ("'ada", {}, "'ada", ""),
    ],
)
def test_apostrophe_before_a_formula_adds_a_note(
    cell: str, options: dict[str, bool], expected: str, note: str
) -> None:
    value = read_cell("external_id", cell, **options)
    assert (value.value, value.problem) == (expected, "")
    assert note in value.note
    assert bool(value.note) == bool(note)


@pytest.mark.parametrize(
    ("field", "value", "note"),
    [
        ("name", "ZoÃ«", "looks like UTF-8 text"),
        ("external_id", "MÃ¼ller", "looks like UTF-8 text"),
        ("name", "Zo\ufffd", "contains U+FFFD"),
        ("external_id", "Zo\ufffd", "contains U+FFFD"),
        ("name", "A\x1b[31m", "contains a control character"),
        ("name", "A\x07", "contains a control character"),
        ("name", "Smith &amp; Co", "contains an HTML entity"),
        ("name", "O&#39;Neil", "contains an HTML entity"),
        ("name", "Smith & Co; Ltd", ""),
        ("name", "Zoë", ""),
        ("name", "SÃO PAULO", ""),
        ("name", "Müller, 12 €", ""),
        ("name", "A\nB", ""),
    ],
)
def test_text_decoded_with_a_wrong_encoding_adds_a_note(field: str, value: str, note: str) -> None:
    checked = check_value(field, value)
    assert (checked.value, checked.problem) == (value, "")
    assert checked.note.startswith(note)
    assert bool(checked.note) == bool(note)
