"""Test the rows of Excel workbooks that openpyxl writes."""

from __future__ import annotations

import contextlib
import datetime as dt
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("click")
openpyxl = pytest.importorskip("openpyxl")

from dub_uplink._cli.io.text_file import BadFile  # noqa: E402
from dub_uplink._cli.reading.rows import Options, Rows, make_rows  # noqa: E402

if TYPE_CHECKING:
    Read = Callable[..., Rows]

U1 = {"external_id": "u1", "country": "GB"}


@pytest.fixture
def read(tmp_path: Path) -> Iterator[Read]:
    """Return a function for the rows of a workbook of sheets, each a list of rows."""
    with contextlib.ExitStack() as stack:

        def read(
            sheets: dict[str, list[list[Any]]], name: str = "people.xlsx", **options: Any
        ) -> Rows:
            workbook = openpyxl.Workbook()
            workbook.remove(workbook.active)
            for title, rows in sheets.items():
                sheet = workbook.create_sheet(title)
                for row in rows:
                    sheet.append(row)
            workbook.save(tmp_path / name)
            file = stack.enter_context((tmp_path / name).open("rb"))
            return make_rows(file, Options(**options), name)

        yield read


def problems(rows: Rows) -> list[tuple[int, str, str]]:
    return [(p.line, p.column, p.reason.partition(";")[0]) for row in rows for p in row.problems]


def test_workbook_with_any_suffix_is_read(read: Read) -> None:
    sheets = {"People": [["External ID", "Country", "Full name"], ["u1", "gb", "Zoë 🙂"]]}
    for name in ("people.xlsx", "people.csv", "people"):
        rows = read(sheets, name, mapping={"Full name": "name"})
        assert [row.request for row in rows] == [{**U1, "name": "Zoë 🙂"}]
        assert rows.recognized == {"format": "xlsx", "sheet": "People"}


def test_first_sheet_is_read_without_a_sheet_option(read: Read) -> None:
    table = [["external_id", "country"], ["u1", "GB"]]
    sheets = {"Notes": [["hello"]], "People": table}
    rows = read(sheets)
    assert rows.recognized["other sheets"] == "People"
    assert "no column external_id" in rows.header_problem
    assert [row.request for row in read(sheets, sheet="People")] == [U1]
    with pytest.raises(BadFile, match="no sheet 'people'; choose from 'Notes', 'People'"):
        read(sheets, sheet="people")


@pytest.mark.parametrize("name", [None, "Chart"])
def test_workbook_with_only_a_chart_is_refused(tmp_path: Path, name: str | None) -> None:
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    chart = openpyxl.chart.PieChart()
    workbook.create_chartsheet("Chart").add_chart(chart)
    workbook.save(tmp_path / "chart.xlsx")
    with (
        (tmp_path / "chart.xlsx").open("rb") as file,
        pytest.raises(BadFile, match=r"^the workbook has no worksheet.*  Hint: "),
    ):
        make_rows(file, Options(sheet=name), "chart.xlsx")


def test_excel_numbers_and_dates_become_text_or_problems(read: Read) -> None:
    rows = read(
        {
            "S": [
                ["external_id", "name", "country", "createdAt"],
                [1001, 7, "GB", dt.datetime(2024, 5, 1)],
                [1e5, None, "GB"],
                [1.5, "x", "GB"],
                [1234567890123456789, "x", "GB"],
                [dt.date(2024, 5, 1), "x", "GB"],
                [True, "x", "GB"],
                ["u1", dt.datetime(2024, 5, 1), "GB"],
                ["1E+05", "x", "GB"],
                [None, "x", "GB"],
            ]
        }
    )
    assert [row.request for row in rows][:2] == [
        {"external_id": "1001", "name": "7", "country": "GB"},
        {"external_id": "100000", "country": "GB"},
    ]
    assert problems(rows) == [
        (4, "external_id", "is a number, not text"),
        (5, "external_id", "is a number of more than 15 digits, which a spreadsheet rounds"),
        (6, "external_id", "is a date, not text"),
        (7, "external_id", "is a Boolean, not text"),
        (8, "name", "is a date, not text"),
        (9, "external_id", "looks like a number that a spreadsheet changed"),
        (10, "external_id", "is missing"),
    ]


@pytest.mark.parametrize(
    ("value", "number_format", "shown"),
    [(42, "00000", "00042"), (12345, "00000", ""), (42, "0", ""), (True, "00", "")],
)
def test_number_shown_with_leading_zeros_is_noted(
    tmp_path: Path, value: int, number_format: str, shown: str
) -> None:
    workbook = openpyxl.Workbook()
    workbook.active.append(["external_id", "country"])
    workbook.active.append([value, "GB"])
    workbook.active["A2"].number_format = number_format
    workbook.save(tmp_path / "a.xlsx")
    with (tmp_path / "a.xlsx").open("rb") as file:
        (row,) = make_rows(file, Options())
    assert [(note.line, note.column, note.detail) for note in row.notes] == (
        [(2, "external_id", shown)] if shown else []
    )
    assert row.problems or row.request == {"external_id": str(value), "country": "GB"}


def test_empty_rows_and_columns_are_skipped(read: Read) -> None:
    table = [
        [],
        [None, None],
        ["external_id", None, "country", None],
        [],
        ["u1", None, "GB"],
        [" ", None, None],
    ]
    rows = read({"S": table})
    assert [(row.line, row.request) for row in rows] == [(5, U1)]
    assert list(rows) == list(rows)


@pytest.mark.parametrize("content", [b"PK\x03\x04 and no more", None])
def test_invalid_workbook_is_rejected(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "people.xlsx"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.txt", "no workbook")
    else:
        path.write_bytes(content)
    with path.open("rb") as file, pytest.raises(BadFile, match=r"an Excel workbook|a workbook"):
        list(make_rows(file, Options()))


def test_formula_without_a_stored_value_is_reported_as_problem(read: Read) -> None:
    rows = read({"A": [["external_id", "country", "name"], ["u1", "GB", '=A2&"x"']]})
    (problem,) = [problem for row in rows for problem in row.problems]
    assert (problem.line, problem.reason) == (
        2,
        (
            "contains a formula without a stored value in C2; open the file in a spreadsheet"
            " program and save it"
        ),
    )


def saved(path: Path, change: Callable[[Any], None]) -> Path:
    """Write a workbook with the sheets Lists and Data and a change, and return its path."""
    workbook = openpyxl.Workbook()
    workbook.active.title = "Lists"
    data = workbook.create_sheet("Data")
    for row in (["external_id", "country"], ["u1", "GB"], ["u2", "GB"]):
        data.append(row)
    change(workbook)
    workbook.save(path)
    return path


def test_first_visible_sheet_is_read(tmp_path: Path) -> None:
    def hide(workbook: Any) -> None:
        workbook["Lists"].sheet_state = "hidden"
        workbook["Data"].row_dimensions[3].hidden = True

    with saved(tmp_path / "a.xlsx", hide).open("rb") as file:
        rows = make_rows(file, Options())
        assert rows.recognized["sheet"] == "Data"
        notes = [[note.reason for note in row.notes] for row in rows]
    assert notes == [[], ["is hidden in the workbook"]]


def test_empty_sheet_error_lists_the_other_sheets(tmp_path: Path) -> None:
    expected = r"the sheet 'Lists' is empty\.  Hint: .*--sheet: 'Data'"
    path = saved(tmp_path / "a.xlsx", lambda workbook: None)
    with path.open("rb") as file, pytest.raises(BadFile, match=expected):
        make_rows(file, Options())


def test_formula_of_empty_text_is_an_empty_cell(tmp_path: Path) -> None:
    def add_formula(workbook: Any) -> None:
        workbook.remove(workbook["Lists"])
        workbook["Data"]["A4"], workbook["Data"]["B4"] = "u3", "GB"
        workbook["Data"]["C1"], workbook["Data"]["C4"] = "name", '=""'

    path = saved(tmp_path / "a.xlsx", add_formula)
    # Excel stores the value of a formula; openpyxl does not.
    stored = tmp_path / "b.xlsx"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(stored, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            content = content.replace(b'<c r="C4"><f>', b'<c r="C4" t="str"><f>')
            target.writestr(name, content)
    with stored.open("rb") as file:
        assert [row.problems for row in make_rows(file, Options())] == [(), (), ()]


def test_first_sheet_without_columns_error_lists_other_sheets(read: Read) -> None:
    notes, table = [["Please read"], ["me"]], [["external_id", "country"], ["u1", "GB"]]
    rows = read({"Notes": notes, "Data": table})
    assert "choose another sheet with --sheet: 'Data'" in rows.header_problem
    for sheets in ({"Notes": notes, "Data": table}, {"Notes": notes}):
        assert "--delimiter" not in read(sheets).header_problem
