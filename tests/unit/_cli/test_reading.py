"""Test the rows of files of different programs, and the errors of files without rows."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("click")

from dub_uplink._cli.io.text_file import MAX_RECORD_CHARS, BadFile
from dub_uplink._cli.reading.rows import Options, Rows, make_rows

Read = Callable[..., Rows]
HEADER = "external_id,email,name,country\n"


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """Return a function for the rows of a text or of bytes: ``read(content, format="csv", …)``."""
    with contextlib.ExitStack() as stack:

        def read(content: str | bytes, name: str = "file", **options: Any) -> Rows:
            path = tmp_path / name
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            file = stack.enter_context(path.open("rb"))
            return make_rows(file, Options(**options), name)

        yield read


def problems(rows: Rows) -> list[str]:
    return [
        f"{line}: {column} {reason}" + (f": {detail}" if detail else "")
        for row in rows
        for line, column, reason, detail in row.problems
    ]


def requests(rows: Rows) -> list[dict[str, object]]:
    assert problems(rows) == []
    return [row.request for row in rows]


U1 = {"external_id": "u1", "country": "GB"}
U2 = {"external_id": "u2", "country": "GB"}


@pytest.mark.parametrize(
    "header",
    [
        "country,external_id,stripe_customer_id",
        "country, externalId ,stripeCustomerId",
        "COUNTRY,External ID,stripe-customer-id",
        " Country ,external-id,Stripe Customer\u00a0Id",
        '"country","ex_ternal  ID",STRIPE_CUSTOMER_ID',
        "\ufeffcountry,externalid,stripe\u2010customer\u2010id",
    ],
)
def test_header_match_ignores_case_and_spaces(read: Read, header: str) -> None:
    rows = read(f"{header}\nGB,u1,cus_1\n")
    assert requests(rows) == [{**U1, "stripe_customer_id": "cus_1"}]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (
            "external_id,country,Plan",
            "unknown columns: 'Plan'.*--map 'Plan=FIELD'.*--ignore-unknown",
        ),
        ("external_id,country,nmae", "unknown columns: 'nmae'; did you mean 'name'"),
        ("External ID,externalId,country", "'External ID', 'externalId' both mean external_id"),
        ("E-Mail,external_id,email,country", "'E-Mail', 'email' both mean email"),
        ("email,country", "no column external_id; the columns are 'email', 'country'"),
        ("User ID,country", "no column external_id; .* --map 'User ID=external_id'"),
        ("externl_id,country", "no column external_id; .* --map 'externl_id=external_id'"),
        ("external_id,email", "no column country"),
        ("external_id:country", "no column external_id; .* delete the rows above it, give --delim"),
        ("external_id   country", "no column external_id; .* rows above it, give --delimiter"),
    ],
)
def test_header_problem_names_the_columns(read: Read, header: str, expected: str) -> None:
    with pytest.raises(BadFile, match=expected):
        list(read(f"{header}\n"))


def test_map_option_renames_and_ignores_columns(read: Read) -> None:
    content = "User ID,Notes,country,Plan\n7,hello,GB,pro\n"
    mapping = {"user id": "external_id", "Notes": None}
    rows = read(content, mapping=mapping, ignore_unknown=True)
    assert requests(rows) == [{"external_id": "7", "country": "GB"}]
    assert rows.columns == {
        "User ID": "external_id",
        "Notes": None,
        "country": "country",
        "Plan": None,
    }
    with pytest.raises(BadFile, match="--map: there is no column 'Name'"):
        list(read(content, mapping={"Name": "name"}, ignore_unknown=True))
    line = '{"User ID": "7", "Notes": 1, "country": "GB", "Plan": []}'
    rows = read(line, format="jsonl", mapping=mapping, ignore_unknown=True)
    assert requests(rows) == [{"external_id": "7", "country": "GB"}]


def test_map_to_none_ignores_one_of_two_similar_columns(read: Read) -> None:
    rows = read("E-Mail,email,external_id,country\na@b.co,x,u1,GB\n", mapping={"email": None})
    assert requests(rows) == [{**U1, "email": "a@b.co"}]


def test_empty_rows_and_columns_are_skipped(read: Read) -> None:
    rows = read(',,,\nexternal_id,,country,\nu1,,GB,\n,,,\n"  ",\t,,\nu2,,GB\n,,,\n,,,\n')
    assert requests(rows) == [U1, U2]
    assert [(row.number, row.line) for row in rows] == [(0, 3), (1, 6)]


def test_ctrl_z_at_the_end_of_csv_is_skipped(read: Read) -> None:
    assert requests(read(f"{HEADER}u1,,,GB\r\n\x1a")) == requests(read(f"{HEADER}u1,,,GB\r\n"))


def test_row_with_missing_cells_is_read_and_extra_cells_rejected(read: Read) -> None:
    rows = read(HEADER.replace("name,country", "country,name") + "u1,,GB\nu2,,GB,,,\n")
    assert requests(rows) == [U1, U2]
    rows = read(HEADER + "u1,,,GB,x\n")
    assert problems(rows) == ["2:  has 5 cells, but the header has 4"]


def test_column_without_a_header_is_ignored_and_adds_a_note(read: Read) -> None:
    rows = read(",external_id,,country\n,u1,,GB\n7,u2,x,GB\n")
    assert requests(rows) == [U1, U2]
    assert [(note.line, note.reason, note.detail) for row in rows for note in row.notes] == [
        (3, "has an ignored value in column 1; to import it, add a header", '"7"'),
        (3, "has an ignored value in column 3; to import it, add a header", '"x"'),
    ]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("marked", [False, True])
def test_delimiter_is_detected_from_the_header(read: Read, delimiter: str, marked: bool) -> None:
    parts = ['"Name, first; last|x"', "external_id", "country"]
    content = delimiter.join(parts) + "\n" + delimiter.join(["Ada", "u1", "GB"]) + "\n"
    content = f"sep={delimiter}\n" * marked + content
    found = read(content, mapping={"Name, first; last|x": "name"})
    assert requests(found) == [{**U1, "name": "Ada"}]
    assert found.recognized["delimiter"] == delimiter
    assert next(iter(found)).line == 2 + marked


def test_delimiter_is_detected_after_a_row_of_delimiters(read: Read) -> None:
    rows = read(";;;\nCustomer;Plan\n", mapping={})
    assert (rows.recognized["delimiter"], list(rows.columns)) == (";", ["Customer", "Plan"])


def test_given_delimiter_overrides_the_sep_line_of_excel(read: Read) -> None:
    assert requests(read("sep=;\nexternal_id/country\nu1/GB\n", delimiter="/")) == [U1]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_cells_with_quotes_and_line_breaks_are_read(read: Read, end: str) -> None:
    content = HEADER + 'u1,,"A ""big""\nname, yes",GB\n\nu2,bad,,GB\n'
    rows = read(content.replace("\n", end))
    first, second = rows
    assert first.request["name"] == f'A "big"{end}name, yes'
    assert [first.line, second.line] == [2, 5]
    assert problems(rows) == ['5: email is not an email address: "bad"']


ENCODED = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
TABLE = f"{HEADER}u1,,Zoë 李 🙂,GB\n"


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("name", ["people.csv", "people.jsonl", "people.json"])
def test_text_with_a_byte_order_mark_is_decoded(read: Read, encoding: str, name: str) -> None:
    record = {**U1, "name": "Zoë 李 🙂"}
    text = {
        "people.csv": TABLE,
        "people.jsonl": json.dumps(record, ensure_ascii=False),
        "people.json": json.dumps([record], ensure_ascii=False, indent=2),
    }[name]
    mark = "\ufeff" if encoding.endswith("e") else ""  # other encodings write the mark
    content = (mark + text).encode(encoding)
    assert requests(read(content, name, encoding="cp1252" if encoding != "utf-8" else None)) == [
        record
    ]


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        (HEADER.encode() + b"u1,,Zo\xeb,GB\n", None, r"line 2, byte 7 \(0xeb\) .* cp1252.* 'ë'"),
        (
            HEADER.encode() + b"u1,,O\x92B,GB\n",
            None,
            r"byte 6 \(0x92\) .* cp1252.* '\u2019'",
        ),
        (HEADER.encode() + b"\x81", None, r"line 2, byte 1 \(0x81\) .* cp437"),
        (HEADER.encode() * 9_000 + b"\xc3", None, r"line 9001, byte 1 \(0xc3\)"),
        (HEADER.encode() * 9_000 + b"ab\xe2\x82,", None, r"line 9001, byte 3 \(0xe2\)"),
        (HEADER.encode() + b"\x81", "cp1252", r"line 2, byte 1 \(0x81\) .* utf-8"),
        (b"external_id,country\rZo\xeb,GB\r", None, r"line 2, byte 3 \(0xeb\)"),
        (b"external_id,country\r\n\r\nZo\xeb,GB\r\n", None, r"line 3, byte 3 \(0xeb\)"),
        (b"external_id,country\r" + b"u,GB\r" * 9_000 + b"\xc3", None, r"line 9002, byte 1"),
        (HEADER.encode(), "utf-16", "is not utf-16"),
        (HEADER.encode("utf-16-le"), None, "line 1 contains a NUL byte.*utf-16-le"),
    ],
)
def test_byte_that_cannot_be_decoded_is_named(
    read: Read, content: bytes, encoding: str | None, expected: str
) -> None:
    with pytest.raises(BadFile, match=expected):
        list(read(content, encoding=encoding))


def test_given_encoding_is_read(read: Read) -> None:
    content = f"{HEADER}u1,,Zoë\u2019s,GB\n".encode("cp1252")
    assert requests(read(content, encoding="cp1252"))[0]["name"] == "Zoë\u2019s"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "external_id,country\nu1,GB\n", "csv"),
        ("a.tsv", "external_id\tcountry\nu1\tGB\n", "csv"),
        ("a.txt", "external_id;country\nu1;GB\n", "csv"),
        ("-", '\ufeff \n{"external_id": "u1", "country": "GB"}', "json"),
        ("-", '[{"external_id": "u1", "country": "GB"}]', "json"),
        ("a.jsonl", '[\n{"external_id": "u1", "country": "GB"}\n]\n', "json"),
        ("a.JSON", '{"external_id": "u1", "country": "GB"}\n', "json"),
    ],
)
def test_file_format_is_detected(read: Read, name: str, content: str, expected: str) -> None:
    rows = read(content, name.replace("-", "stdin"))
    assert (requests(rows), rows.recognized["format"]) == ([U1], expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [(b"\xd0\xcf\x11\xe0\xa1", "Excel 97 to 2003 .* save it as .xlsx"), (b"PAR1\0", "is Parquet")],
)
def test_unsupported_file_format_is_named(read: Read, content: bytes, expected: str) -> None:
    with pytest.raises(BadFile, match=expected):
        read(content, "people.csv")


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.json", "a.xlsx"])
def test_empty_file_is_rejected(read: Read, name: str) -> None:
    with pytest.raises(BadFile, match="empty"):
        read("", name)


def test_table_of_blank_cells_is_rejected(read: Read) -> None:
    with pytest.raises(BadFile, match="empty"):
        read(",,\n\n")
    assert list(read(HEADER)) == []


OBJECTS = [{**U1, "name": f"a]}},{{[\n{number}"} for number in range(5_000)]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(OBJECTS),
        json.dumps(OBJECTS, indent=2),
        json.dumps(OBJECTS, separators=(",", ":")),
        json.dumps(OBJECTS).replace("}, {", "},{").replace("}]", "},]"),
        "\n".join(map(json.dumps, OBJECTS)),
        "\n\n".join(json.dumps(each, indent=4) for each in OBJECTS),
        "".join(json.dumps(each, indent=1) for each in OBJECTS),
    ],
    ids=["array", "indented", "compact", "comma at the end", "lines", "sequence", "glued"],
)
def test_json_in_every_supported_layout_is_read(read: Read, text: str) -> None:
    assert requests(read(text, format="json")) == OBJECTS


def test_objects_of_a_json_array_have_their_line_numbers(read: Read) -> None:
    text = json.dumps([U1, {**U2, "email": "x"}, {**U2, "email": "y"}], indent=2)
    assert problems(read(text, format="json")) == [
        '6: email is not an email address: "x"',
        '11: email is not an email address: "y"',
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[\n{"a": 1}\n{"a": 2}]', "it is not JSON: a comma is missing in line 3"),
        ('[\n{"a": 1},\n', "line 3: the array is not closed"),
        ('[\n{"a": 1}', "line 2: the array is not closed"),
        ('[\n{"a": 1},\n{"a":', "line 3 is not JSON: Expecting value"),
        ('[\n{"a": 1},\n{"a": nope}]', "line 3 is not JSON: Expecting value"),
        ("[]\nx", "line 2: text follows the end of the array"),
        ("[" * 100_000, "item 1 cannot be parsed as JSON"),
        ("[\n" + "9" * 100_000 + "]", "line 2 cannot be parsed as JSON"),
        ('["' + "x" * 2 * MAX_RECORD_CHARS, "item 1 is not JSON: Unterminated string"),
        ('[{"a": 1}, {"a": 2} {"a": 3}]', "it is not JSON: a comma is missing after item 2"),
    ],
)
def test_invalid_json_array_error_names_the_line(read: Read, text: str, expected: str) -> None:
    with pytest.raises(BadFile, match=expected):
        list(read(text, format="json"))


def test_problems_in_a_one_line_array_name_the_item(read: Read) -> None:
    rows = read(json.dumps([U1, {**U2, "email": "x"}, {**U2, "email": "y"}]) + "\n", "a.json")
    assert rows.unit == "item"
    assert problems(rows) == [
        '2: email is not an email address: "x"',
        '3: email is not an email address: "y"',
    ]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"customers": [U1, U2]}),
        json.dumps({"customers": [U1]}, indent=2),
        json.dumps({"total": 2, "page": {"next": None}, "customers": [U1, U2]}),
        json.dumps({"customers": [{**U1, "name": "x" * 190}] * 5_000}),
    ],
    ids=["compact", "indented", "after others", "long"],
)
def test_list_nested_in_an_object_is_rejected_with_a_hint(read: Read, text: str) -> None:
    rows = read(text, "a.json")
    assert "an array of customers" in rows.header_problem
    assert "jq .customers FILE | dub-uplink customers import -" in rows.header_problem


def test_unknown_json_key_with_a_list_can_be_ignored(read: Read) -> None:
    rows = read(json.dumps({"orders": [{"id": 1}], **U1}), "a.json", ignore_unknown=True)
    assert (rows.header_problem, requests(rows)) == ("", [U1])
    rows = read(json.dumps({**U1, "orders": [{"id": 1}]}), "a.json")
    assert rows.header_problem == ""
    assert problems(rows) == ["1: orders is unknown (--map 'orders=FIELD' or --ignore-unknown)"]


def test_array_items_that_are_not_objects_are_problems(read: Read) -> None:
    rows = read('[\n1,\n"x",\nnull,\n[]]', format="json")
    assert problems(rows) == [f"{line}:  is not a JSON object" for line in (2, 3, 4, 5)]


def test_empty_csv_cell_is_not_sent_but_json_null_is_sent(read: Read) -> None:
    assert requests(read(HEADER + "u1,,,GB\n")) == [U1]
    line = '{"externalId": "u1", "email": null, "country": "GB"}\n'
    assert requests(read(line, format="jsonl")) == [{**U1, "email": None}]


def test_invalid_csv_rows_are_reported_with_their_lines(read: Read) -> None:
    rows = read(
        HEADER
        + 'u1,,,\n"  ",,,GB\nu3,ada@,,GB\nu4,,GB\nu5,,,GB,x\nu6,"a"b,,GB\nu7,,x,GB\n"u8,,,GB\n'
    )
    assert problems(rows) == [
        "2: country is missing",
        "3: external_id is missing",
        '4: email is not an email address: "ada@"',
        "5: country is missing",
        "6:  has 5 cells, but the header has 4",
        "7:  is not CSV: ',' expected after '\"'",
        "9:  a quote is not closed",
    ]


def test_invalid_jsonl_lines_are_reported_with_their_numbers(read: Read) -> None:
    good = {"externalId": "u1", "country": "GB"}
    lines = [
        json.dumps(good),
        "[1]",
        "{",
        json.dumps({**good, "externalId": 7}),
        json.dumps({**good, "external_id": "u1"}),
        '{"externalId": "u1", "externalId": "u2", "country": "GB"}',
        json.dumps({**good, "name": "\ud800"}),
        json.dumps({**good, "name": "a\0b"}),
        json.dumps({**good, "nam": "x"}),
        json.dumps({**good, "avatar": "me.png", "country": None}),
        "[" * 100_000,
    ]
    rows = read("\n\n".join(lines), format="jsonl")
    assert problems(rows) == [
        "3:  is not a JSON object",
        "5:  is not JSON: Expecting property name enclosed in double quotes at character 2",
        '7: externalId is a number, not text; put it in quotes, such as "1": 7',
        "9: external_id means external_id, and so does 'externalId'; leave one out",
        "11:  has 'externalId' twice",
        '13: name contains an unpaired surrogate: "\\ud800"',
        '15: name contains a NUL character: "a\\u0000b"',
        "17: nam is unknown; did you mean 'name' (--map 'nam=FIELD' or --ignore-unknown)",
        "19: country is missing",
        '19: avatar is not a URL: "me.png"',
        "21:  cannot be parsed as JSON",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEADER + "u1,,a\0b,GB\n", "line 2 contains a NUL byte.*remove the byte"),
        (
            HEADER + "u1,," + "x" * MAX_RECORD_CHARS + ",GB\n",
            "line 2 is longer than 1,048,576",
        ),
        (HEADER + 'u1,,"' + "x\n" * MAX_RECORD_CHARS, "line 2: a cell is longer .* a quote"),
    ],
    ids=["nul", "line", "cell"],
)
def test_csv_with_nul_or_oversized_cell_is_rejected(
    read: Read, content: str, expected: str
) -> None:
    with pytest.raises(BadFile, match=expected):
        list(read(content))


def test_second_iteration_starts_at_the_first_row(read: Read) -> None:
    contents = {"a.csv": HEADER + "u1,,,GB\nu2,,,GB\n", "a.json": json.dumps([U1, U2])}
    for rows in (read(content, name) for name, content in contents.items()):
        assert list(rows) == list(rows)
        half = iter(rows)
        next(half)
        assert [row.number for row in rows] == [0, 1]


@pytest.mark.parametrize(
    ("encoding", "option"), [("utf-16", None), ("utf-32", None), ("utf-16-le", "utf-16-le")]
)
def test_utf_16_file_cut_within_a_character_is_rejected(
    read: Read, encoding: str, option: str | None
) -> None:
    content = f"{HEADER}u1,,,GB\n".encode(encoding) + b"a"
    expected = "the file ends in the middle of a character.  Hint: check that it is complete."
    with pytest.raises(BadFile, match=expected):
        list(read(content, encoding=option))


@pytest.mark.parametrize("file_format", ["csv", "json", "jsonl"])
def test_zip_archive_read_as_a_text_format_is_rejected(read: Read, file_format: str) -> None:
    with pytest.raises(BadFile, match=r"is an Excel workbook or a zip archive.*leave out --format"):
        read(b"PK\x03\x04\x14\0\x06\0\xff", format=file_format)


@pytest.mark.parametrize("again", ["external_id, country", "\ufeffexternal_id,country"])
def test_repeated_header_is_reported_as_problem(read: Read, again: str) -> None:
    rows = read(f"external_id,country\nu1,GB\n{again}\nu2,GB\n")
    assert problems(rows) == ["3:  repeats the header; delete this row"]


@pytest.mark.parametrize("name", ["a.xls", "a.csv", "a.json", "a"])
@pytest.mark.parametrize("content", ["<html><table>", '\ufeff<?xml version="1.0"?>\n<Workbook>'])
def test_html_and_xml_files_are_rejected(read: Read, name: str, content: str) -> None:
    with pytest.raises(BadFile, match=r"HTML or XML, not a table.  Hint: .* \.xlsx or CSV"):
        read(content, name)


def test_opendocument_workbook_is_rejected(read: Read, tmp_path: Path) -> None:
    pytest.importorskip("openpyxl")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    with pytest.raises(BadFile, match=r"workbook of another program.* as \.xlsx"):
        read((tmp_path / "a.zip").read_bytes(), "a.ods")


def test_objects_on_one_line_are_read(read: Read) -> None:
    u1, u2 = (f'{{"external_id": "{name}", "country": "GB"}}' for name in ("u1", "u2"))
    assert requests(read(f"{u1} {u2}{u1}\n{u2}", "a.json")) == [U1, U2, U1, U2]
