"""What of a file is a row, and what is wrong with one that is none."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("click")

from dub_uplink._cli.import_job.rows import Options, Row, Rows, rows_of
from dub_uplink._cli.import_job.validation import check
from dub_uplink._cli.io.text_file import MAX_LENGTH, BadFile

Read = Callable[..., Rows]
HEADER = "external_id,email,name,country\n"


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """The rows of a text or of bytes: ``read(content, format="csv", …)``."""
    with contextlib.ExitStack() as stack:

        def read(content: str | bytes, **options: object) -> Rows:
            path = tmp_path / "file"
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            file = stack.enter_context(path.open("rb"))
            return rows_of(file, Options(**options))  # type: ignore[arg-type]

        yield read


def told(rows: Rows) -> list[str]:
    return [f"{line}: {column} {reason}" for row in rows for line, column, reason in row.problems]


def requests(rows: Rows) -> list[dict[str, object]]:
    assert told(rows) == []
    return [row.request for row in rows]


def test_columns_are_found_by_name_in_either_case_and_in_any_order(read: Read) -> None:
    snake = read("country,external_id,stripe_customer_id\nGB,u1,cus_1\n")
    camel = read("country, externalId ,stripeCustomerId\nGB,u1,cus_1\n")
    expected = {"external_id": "u1", "country": "GB", "stripe_customer_id": "cus_1"}
    assert requests(snake) == requests(camel) == [expected]


def test_an_empty_cell_is_not_sent_and_a_null_of_json_is(read: Read) -> None:
    assert requests(read(HEADER + "u1,,,GB\n")) == [{"external_id": "u1", "country": "GB"}]
    line = '{"externalId": "u1", "email": null, "country": "GB"}\n'
    expected = {"external_id": "u1", "email": None, "country": "GB"}
    assert requests(read(line, format="jsonl")) == [expected]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_quotes_and_line_ends_in_cells_are_read_and_lines_are_counted(read: Read, end: str) -> None:
    content = HEADER + 'u1,,"A ""big""\nname, yes",GB\n\nu2,bad,,GB\n'
    rows = read(content.replace("\n", end))
    first, second = rows
    assert first.request["name"] == f'A "big"{end}name, yes'
    assert [first.line, second.line] == [2, 5]
    assert told(rows) == ['5: email is no email address: "bad"']


def test_a_byte_order_mark_is_no_part_of_the_first_column(read: Read) -> None:
    assert len(requests(read(b"\xef\xbb\xbf" + f"{HEADER}u1,,,GB\n".encode()))) == 1
    line = b'\xef\xbb\xbf{"external_id": "u1", "country": "GB"}\n'
    assert len(requests(read(line, format="jsonl"))) == 1
    wide = f"{HEADER}u1,,Zoë,GB\n".encode("utf-16")
    assert requests(read(wide, encoding="utf-16"))[0]["name"] == "Zoë"


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        (HEADER.encode() + b"u1,,Zo\xeb,GB\n", "utf-8", r"line 2, byte 7 \(0xeb\) .* latin-1"),
        (HEADER.encode("utf-16"), "utf-8", r"line 1, byte 1 \(0xff\) .* utf-16"),
        (HEADER.encode() * 9_000 + b"\xc3", "utf-8", r"line 9001, byte 1 \(0xc3\)"),
        (HEADER.encode() * 9_000 + b"ab\xe2\x82,", "utf-8", r"line 9001, byte 3 \(0xe2\)"),
        (HEADER.encode() + b"\x81", "cp1252", r"line 2, byte 1 \(0x81\) .* utf-8"),
        (HEADER.encode(), "utf-16", "is not utf-16"),
    ],
)
def test_a_byte_of_another_encoding_is_named_with_its_line_and_place(
    read: Read, content: bytes, encoding: str, expected: str
) -> None:
    with pytest.raises(BadFile, match=expected):
        list(read(content, encoding=encoding))


def test_another_encoding_can_be_read(read: Read) -> None:
    content = f"{HEADER}u1,,Zoë,GB\n".encode("latin-1")
    assert requests(read(content, encoding="latin-1"))[0]["name"] == "Zoë"


@pytest.mark.parametrize("file_format", ["csv", "jsonl"])
def test_a_file_without_anything_is_told(read: Read, file_format: str) -> None:
    with pytest.raises(BadFile, match="empty"):
        read("", format=file_format)
    assert list(read(HEADER)) == []


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("external_id,country,Plan", "unknown: 'Plan'.*--map 'Plan=external_id'.*--ignore-unknown"),
        ("externl_id,country", "unknown: 'externl_id'; did you mean 'external_id'"),
        ("external_id,externalId,country", "'external_id', 'externalId' are both external_id"),
        ("email,country", "no column external_id; there are 'email', 'country'"),
        ("external_id,email", "no column country"),
        ("external_id;country", "the only column is 'external_id;country'; --delimiter"),
        ("external_id,,country", "unknown: ''"),
    ],
)
def test_a_header_that_cannot_be_understood_is_told(read: Read, header: str, expected: str) -> None:
    with pytest.raises(BadFile, match=expected):
        read(f"{header}\n")


def test_columns_are_mapped_left_out_and_ignored(read: Read) -> None:
    content = "User ID,Notes,country,Plan\n7,hello,GB,pro\n"
    mapping = {"User ID": "external_id", "Notes": None}
    rows = read(content, mapping=mapping, ignore_unknown=True)
    assert requests(rows) == [{"external_id": "7", "country": "GB"}]
    with pytest.raises(BadFile, match="--map: there is no column 'Name'"):
        read(content, mapping={"Name": "name"}, ignore_unknown=True)
    line = '{"User ID": "7", "Notes": 1, "country": "GB", "Plan": []}'
    rows = read(line, format="jsonl", mapping=mapping, ignore_unknown=True)
    assert requests(rows) == [{"external_id": "7", "country": "GB"}]


def test_each_bad_row_of_csv_is_named_with_line_column_and_reason(read: Read) -> None:
    rows = read(
        HEADER
        + 'u1,,,\n"  ",,,GB\nu3,ada@,,GB\nu4,,GB\nu5,,,GB,\nu6,"a"b,,GB\nu7,,x,GB\n"u8,,,GB\n'
    )
    assert told(rows) == [
        "2: country is missing",
        "3: external_id is missing",
        '4: email is no email address: "ada@"',
        "5:  has 3 cells, the header 4",
        "6:  has 5 cells, the header 4",
        "7:  is not CSV: ',' expected after '\"'",
        "9:  a quote is not closed",
    ]


def test_each_bad_row_of_json_is_named_with_line_column_and_reason(read: Read) -> None:
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
    assert told(rows) == [
        "3:  is no JSON object",
        "5:  is not JSON: Expecting property name enclosed in double quotes at character 2",
        "7: externalId is no text: 7",
        "9: external_id is 'externalId' once more",
        "11:  has 'externalId' twice",
        "13: name holds half of a surrogate pair",
        "15: name holds a NUL character",
        "17: nam is unknown; did you mean 'name'?",
        "19: country is missing",
        '19: avatar is no URL: "me.png"',
        "21:  is not JSON that can be read",
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (HEADER + "u1,,a\0b,GB\n", "line 2 holds a NUL byte"),
        (HEADER + "u1,," + "x" * MAX_LENGTH + ",GB\n", "line 2 is longer than 1,048,576"),
        (HEADER + 'u1,,"' + "x\n" * MAX_LENGTH, "line 2: a cell is longer .* a quote"),
    ],
    ids=["nul", "line", "cell"],
)
def test_what_is_no_text_or_endless_ends_the_reading(
    read: Read, content: str, expected: str
) -> None:
    with pytest.raises(BadFile, match=expected):
        list(read(content))


def test_rows_can_be_gone_through_again(read: Read) -> None:
    rows = read(HEADER + "u1,,,GB\nu2,,,GB\n")
    assert list(rows) == list(rows)
    half = iter(rows)
    next(half)
    assert [row.number for row in rows] == [0, 1]


def test_ids_that_are_there_twice_are_named_with_both_lines(read: Read, tmp_path: Path) -> None:
    rows = read(
        "external_id,stripe_customer_id,country\nu1,cus_1,GB\nu2,cus_1,GB\nu1,,GB\ncus_1,,GB\n"
    )
    found = check(rows, 5, tmp_path / "rest")
    assert (found.rows, found.bad_rows, found.rest) == (4, 2, None)
    assert [tuple(problem) for problem in found.problems] == [
        (3, "stripe_customer_id", '"cus_1" is on line 2 already'),
        (4, "external_id", '"u1" is on line 2 already'),
    ]


def test_more_problems_than_are_shown_are_all_in_a_file(read: Read, tmp_path: Path) -> None:
    rest = tmp_path / "file.problems.csv"
    found = check(read(HEADER + "u1,x,,\n" * 3), 2, rest)
    assert (found.bad_rows, len(found.problems), found.rest) == (3, 2, rest)
    assert rest.read_text().splitlines()[:4] == [
        "line,column,reason",
        "2,country,is missing",
        '2,email,"is no email address: ""x"""',
        "3,country,is missing",
    ]
    assert len(rest.read_text().splitlines()) == 9


def test_problems_of_a_file_that_cannot_be_read_to_its_end_leave_no_file(
    read: Read, tmp_path: Path
) -> None:
    with pytest.raises(BadFile):
        check(read(HEADER + "u1,,,\n" * 3 + "\0"), 1, tmp_path / "rest")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_row_keeps_its_cells(read: Read) -> None:
    (row,) = read(HEADER + "u1,bad,,GB\n")
    assert isinstance(row, Row)
    assert row.cells == ["u1", "bad", "", "GB"]


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


LIKE_A_FILE = st.one_of(
    st.binary(max_size=80),
    st.text(st.sampled_from('external_id,country\n\r"u1GB{}[]:\0\ufeff\\é'), max_size=80).map(
        lambda text: f"external_id,country\n{text}".encode()
    ),
    st.lists(
        st.dictionaries(st.sampled_from(["externalId", "country", "x"]), st.text() | st.integers())
    ).map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
)


@given(
    content=LIKE_A_FILE,
    of=st.sampled_from(["csv", "jsonl"]),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-16", "shift_jis"]),
)
def test_any_file_is_rows_or_a_word_on_why_not(
    folder: Path, content: bytes, of: Any, encoding: str
) -> None:
    path = folder / "file"
    path.write_bytes(content)
    rows: list[Row] = []
    with path.open("rb") as file, contextlib.suppress(BadFile):
        rows.extend(rows_of(file, Options(of, encoding)))
    for number, row in enumerate(rows):
        assert (row.number, row.line >= 1) == (number, True)
        assert row.problems or {"external_id", "country"} <= set(row.request)
