"""Test that the rows that are read equal those that were written, for any table and writer."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("click")

from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.fields import normalize_column
from dub_uplink._cli.reading.rows import Options, Row, make_rows


@pytest.fixture(scope="module")
def path() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder) / "file"


#: Placeholders that count as empty cells.
PLACEHOLDERS = {"NULL", "N/A", "NaN", "#N/A", "\\N", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!"}
#: Text for every format: without NUL, C1 controls and surrogates.
TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0").filter(
        lambda char: not "\x80" <= char <= "\x9f"
    ),
    min_size=1,
    max_size=12,
)
#: Ids without damaged numbers, which are rejected; other tests check those.
IDS = TEXT.filter(lambda text: text.strip() and not text.strip()[0].isdigit())
NAMES = TEXT.filter(lambda text: text.strip() not in PLACEHOLDERS)
ROWS = st.lists(
    st.fixed_dictionaries(
        {"external_id": IDS.map("x".__add__), "country": st.sampled_from(["GB", "US", "NA"])},
        optional={
            "name": NAMES,
            "stripe_customer_id": st.from_regex(r"cus_\w{1,9}", fullmatch=True),
        },
    ),
    max_size=5,
)
PLAIN = st.text(st.characters(categories=["L", "N", "Zs", "So"]), min_size=1, max_size=9).filter(
    lambda text: text.strip() not in PLACEHOLDERS
)
FIELDS = ("external_id", "name", "stripe_customer_id", "country")


def spell(name: str, draw: st.DataObject) -> str:
    """Return a spelling of a name with another case and other separators."""
    between = draw.draw(st.sampled_from(["_", " ", "-", "", " - ", "\u00a0"]))
    case = draw.draw(st.sampled_from([str.lower, str.upper, str.title, str]))
    blank = draw.draw(st.sampled_from(["", " "]))
    return blank + between.join(case(word) for word in name.split("_")) + blank


def read_back(path: Path, name: str, **options: Any) -> list[dict[str, Any]]:
    with path.open("rb") as file:
        rows = list(make_rows(file, Options(**options), name))
    assert [row.problems for row in rows] == [()] * len(rows)
    return [row.request for row in rows]


@given(
    rows=ROWS,
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]),
    line_end=st.sampled_from(["\n", "\r\n"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    extras=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    data=st.data(),
)
def test_csv_of_any_dialect_is_read_with_the_written_values(
    path: Path,
    rows: list[dict[str, str]],
    delimiter: str,
    quoting: Any,
    line_end: str,
    encoding: str,
    extras: tuple[bool, bool, bool],
    data: st.DataObject,
) -> None:
    has_separator, has_column, has_rows = extras
    if quoting != csv.QUOTE_ALL:  # some versions of Python do not quote a bare CR
        rows = [{name: value.replace("\r", " ") for name, value in row.items()} for row in rows]
    text = io.StringIO(newline="")
    if has_separator:
        text.write(f"sep={delimiter}{line_end}")
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    header = data.draw(st.permutations(FIELDS))
    more = [""] if has_column else []
    writer.writerow([*(spell(name, data) for name in header), *more])
    for row in rows:
        writer.writerow([*(row.get(name, "") for name in header), *more])
        if has_rows:
            writer.writerow([""] * (len(header) + 1))
    path.write_bytes(text.getvalue().encode(encoding))
    given = encoding if encoding == "utf-8" else None
    assert read_back(path, "a.csv", encoding=given) == rows


@given(
    rows=ROWS,
    shape=st.sampled_from(["array", "indented", "lines", "sequence"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    is_ascii=st.booleans(),
    data=st.data(),
)
def test_json_of_any_shape_is_read_with_the_written_values(
    path: Path,
    rows: list[dict[str, str]],
    shape: str,
    encoding: str,
    is_ascii: bool,
    data: st.DataObject,
) -> None:
    names = {name: spell(name, data) for name in FIELDS}
    objects = [{names[name]: value for name, value in row.items()} for row in rows]
    indent = 2 if shape in ("indented", "sequence") else None
    if shape in ("array", "indented"):
        text = json.dumps(objects, indent=indent, ensure_ascii=is_ascii)
    else:
        texts = [json.dumps(each, indent=indent, ensure_ascii=is_ascii) for each in objects]
        text = "\n".join(texts) or "\n"
    path.write_bytes(text.encode(encoding))
    assert read_back(path, "a.json") == rows


@settings(max_examples=30)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"external_id": st.integers(0, 10**15 - 1), "country": st.sampled_from(["GB", "na"])},
            optional={
                "name": st.text(st.characters(categories=["L", "N", "Zs", "So"]), min_size=1)
            },
        ),
        max_size=5,
    ),
    data=st.data(),
)
def test_workbook_is_read_with_the_written_values(
    path: Path, rows: list[dict[str, Any]], data: st.DataObject
) -> None:
    openpyxl = pytest.importorskip("openpyxl")
    workbook = openpyxl.Workbook()
    header = data.draw(st.permutations(("external_id", "name", "country")))
    workbook.active.append([spell(name, data) for name in header])
    for row in rows:
        workbook.active.append([row.get(name) for name in header])
    workbook.save(path)
    expected = [
        {**row, "external_id": str(row["external_id"]), "country": row["country"].upper()}
        for row in rows
    ]
    assert read_back(path, "a.xlsx") == expected


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(PLAIN.map("x".__add__), PLAIN, st.sampled_from(["GB", "US"])), min_size=1
    ),
    of=st.sampled_from(["csv", "semicolons", "json", "lines", "xlsx"]),
    has_index=st.booleans(),
)
def test_pandas_data_frame_is_read_with_the_written_values(
    path: Path, rows: list[tuple[str, str, str]], of: str, has_index: bool
) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(rows, columns=["External ID", "Name", "Country"])
    if of == "csv":
        frame.to_csv(path, index=has_index)
    elif of == "semicolons":
        frame.to_csv(path, index=has_index, sep=";", encoding="utf-8-sig")
    elif of == "json":
        frame.to_json(path, orient="records", indent=2 * has_index)
    elif of == "lines":
        frame.to_json(path, orient="records", lines=True)
    else:
        frame.to_excel(path.with_suffix(".xlsx"), index=has_index)
        path.with_suffix(".xlsx").replace(path)
    expected = [dict(zip(("external_id", "name", "country"), row, strict=True)) for row in rows]
    assert read_back(path, "a" if of == "xlsx" else f"a.{of}") == expected


@given(name=st.text(max_size=20))
def test_normalizing_a_header_again_changes_nothing(name: str) -> None:
    assert normalize_column(normalize_column(name)) == normalize_column(name)


LIKE_A_FILE = st.one_of(
    st.binary(max_size=80),
    st.text(st.sampled_from('external_id,;country\n\r"u1GB{}[]:\0\ufeff\\é'), max_size=80).map(
        lambda text: f"external_id,country\n{text}".encode()
    ),
    st.text(st.sampled_from('[]{},:"a1 \n'), max_size=60).map(str.encode),
    st.lists(
        st.dictionaries(st.sampled_from(["externalId", "country", "x"]), st.text() | st.integers())
    ).map(lambda rows: "\n".join(map(json.dumps, rows)).encode()),
)


@given(
    content=LIKE_A_FILE,
    of=st.sampled_from([None, "csv", "json", "xlsx"]),
    encoding=st.sampled_from([None, "utf-8", "latin-1", "utf-16", "shift_jis"]),
)
def test_any_file_is_read_or_rejected_with_a_reason(
    path: Path, content: bytes, of: Any, encoding: str | None
) -> None:
    path.write_bytes(content)
    rows: list[Row] = []
    with path.open("rb") as file, contextlib.suppress(BadFile):
        rows.extend(make_rows(file, Options(of, encoding)))
    for number, row in enumerate(rows):
        assert (row.number, row.line >= 1) == (number, True)
        assert row.problems or {"external_id", "country"} <= set(row.request)
    assert os.path.exists(path)
