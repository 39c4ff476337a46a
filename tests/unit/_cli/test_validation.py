"""Test the validation of a whole file: duplicates, groups of problems, and the problems file."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("click")

from dub_uplink._cli.import_job.validation import ValidationReport, validate_rows
from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.rows import Options, Problem, make_rows

Check = Callable[[str], ValidationReport]
HEADER = "external_id,email,name,country\n"


@pytest.fixture
def rest(tmp_path: Path) -> Path:
    return tmp_path / "file.problems.csv"


@pytest.fixture
def validate(tmp_path: Path, rest: Path) -> Iterator[Check]:
    """Return a function for the report on a CSV text."""
    with contextlib.ExitStack() as stack:

        def validate(content: str) -> ValidationReport:
            path = tmp_path / "file"
            path.write_text(content, encoding="utf-8")
            return validate_rows(make_rows(stack.enter_context(path.open("rb")), Options()), rest)

        yield validate


def test_duplicate_ids_are_reported_with_both_line_numbers(validate: Check) -> None:
    report = validate(
        "external_id,stripe_customer_id,country\nu1,cus_1,GB\nu2,cus_1,GB\nu1,,GB\ncus_1,,GB\n"
    )
    assert (report.rows, report.bad_rows, report.problem_file) == (4, 2, None)
    assert report.problems.get_shown_problems() == [
        Problem(3, "stripe_customer_id", "occurs twice", '"cus_1", also in line 2'),
        Problem(4, "external_id", "occurs twice", '"u1", also in line 2'),
    ]


def test_ids_that_differ_only_in_normalization_add_a_note(validate: Check) -> None:
    report = validate("external_id,country\nZo\u00eb,GB\nu1,GB\nZoe\u0308,GB\nZoe\u0308,GB\n")
    assert report.bad_rows == 1
    assert [p.line for p in report.problems.get_shown_problems()] == [5]
    (note,) = report.notes.get_shown_problems()
    assert (note.line, note.detail) == (4, '"Zoe\u0308", also in line 2')
    assert "Unicode normalization" in note.reason


def test_id_that_begins_with_a_tilde_is_no_duplicate(validate: Check) -> None:
    report = validate("external_id,country\n\u00e9,GB\n~\u00e9,GB\n")
    assert (report.bad_rows, report.notes.groups) == (0, {})


def test_first_valid_rows_are_kept_for_the_preview(validate: Check) -> None:
    report = validate(HEADER + "u1,x,,GB\n" + "".join(f"u{n},,,GB\n" for n in range(2, 9)))
    assert [request["external_id"] for request in report.first_requests] == ["u2", "u3", "u4"]


def test_problems_are_grouped_by_column_and_reason(validate: Check, rest: Path) -> None:
    report = validate(HEADER + "u1,x,,\nu2,y,,GB\nu3,,,\n")
    found = {key: group.count for key, group in report.problems.groups.items()}
    assert found == {("email", "is not an email address"): 2, ("country", "is missing"): 2}
    assert (report.bad_rows, report.problem_file, rest.exists()) == (3, None, False)


def test_problem_file_contains_problems_that_are_not_shown(validate: Check, rest: Path) -> None:
    lines = [f"u{n},=x{n},,GB\n" if n % 2 else f"u{n},,,\n" for n in range(20)]
    report = validate(HEADER + "".join(lines) + ",,,GB\n")
    assert (report.bad_rows, report.problem_file) == (21, rest)
    assert [group.count for group in report.problems.groups.values()] == [10, 10, 1]
    assert len(report.problems.get_shown_problems()) == 11
    assert rest.read_bytes().startswith(b"\xef\xbb\xbfline,column,reason,value\n")
    with rest.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["line"]) for row in rows] == list(range(2, 23))
    assert rows[1] == {
        "line": "3",
        "column": "email",
        "reason": "is not an email address",
        "value": '"=x1"',
    }


def test_problem_file_contains_problem_groups_that_are_not_shown(
    tmp_path: Path, rest: Path
) -> None:
    path = tmp_path / "file.json"
    keys = (f'"key {number}": 1' for number in range(80))
    path.write_text(f'{{"external_id": "u1", "country": "GB", {", ".join(keys)}}}')
    with path.open("rb") as file:
        report = validate_rows(make_rows(file, Options()), rest)
    assert (len(report.problems.groups), report.problem_file) == (50, rest)
    assert len(rest.read_text(encoding="utf-8").splitlines()) == 81


def test_unwritable_problem_file_is_reported(validate: Check, rest: Path) -> None:
    rest.with_name(rest.name + ".tmp").mkdir()
    report = validate(HEADER + "u1,x,,\n" * 30)
    assert (report.bad_rows, report.problem_file_error) == (30, os.strerror(21))
    assert [group.count for group in report.problems.groups.values()] == [30, 30, 29]


def test_unreadable_input_file_leaves_no_problem_file(validate: Check, tmp_path: Path) -> None:
    with pytest.raises(BadFile):
        validate(HEADER + "u1,,,\n" * 9 + "\0")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("delimiter", "written"), [("\t", ","), ("|", ","), (";", ";")])
def test_problem_file_has_a_delimiter_of_excel(
    validate: Check, rest: Path, delimiter: str, written: str
) -> None:
    validate((HEADER + "u1,x,,\n" * 9).replace(",", delimiter))
    assert rest.read_text("utf-8-sig").startswith(f"line{written}column{written}reason")
