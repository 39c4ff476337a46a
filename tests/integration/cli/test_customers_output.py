"""Test the output of customers: column widths, JSON, and control characters."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

pytest.importorskip("rich")

from rich.cells import cell_len

from dub_uplink._cli.io.output import (
    CUSTOMER_COLUMNS,
    fit_column_widths,
    write_records,
    write_table,
)
from dub_uplink._cli.io.records import format_json, list_column_names
from dub_uplink._customers.schemas import CustomerSchema

TEXT = st.text() | st.none()
# Dub sends milliseconds; other precisions are also valid.
MILLISECONDS = st.datetimes().map(lambda moment: moment.isoformat(timespec="milliseconds") + "Z")
MICROSECONDS = (
    st.datetimes()
    .map(lambda moment: moment.replace(microsecond=moment.microsecond | 1).isoformat() + "Z")
    .filter(lambda text: not text.endswith("000Z"))
)
MOMENT = MILLISECONDS | MICROSECONDS | st.none()
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
CUSTOMER = st.fixed_dictionaries(
    {
        "id": st.text(),
        "name": TEXT,
        "email": TEXT,
        "avatar": TEXT,
        "externalId": TEXT,
        "stripeCustomerId": TEXT,
        "country": TEXT,
        "sales": st.integers() | st.none(),
        "saleAmount": st.integers() | st.none(),
        "createdAt": MOMENT,
        "firstSaleAt": MOMENT,
        "subscriptionCanceledAt": MOMENT,
    },
    optional={
        "programId": st.text(),
        "partner": st.fixed_dictionaries(
            {"id": st.text(), "name": TEXT, "email": TEXT, "image": TEXT}, optional={"new": JSON}
        ),
        "new_field": JSON,
        "newField": JSON,
    },
)


class Terminal(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_csv_columns_are_the_field_names_of_the_api() -> None:
    assert list_column_names(expanded=False)[:5] == ("id", "name", "email", "avatar", "externalId")
    assert len(list_column_names(expanded=False)) == 12
    more = list_column_names(expanded=True)[12:]
    assert more[0] == "programId"
    assert {"link.shortLink", "partner.email", "discount.maxDuration"} <= set(more)


@given(CUSTOMER)
def test_to_dict_equals_the_json_of_the_server(sent: dict[str, Any]) -> None:
    assert CustomerSchema().load(sent).to_dict() == sent


@given(JSON, st.sampled_from(["utf-8", "ascii", "latin-1"]), st.none() | st.just(2))
@example("\x7f\x85\u2028\u202e\ud800\U000e0001\U0001f600\xa0é", "latin-1", None)
@example("\ud800", "utf-8", 2)
def test_json_output_is_lossless_and_printable_in_any_encoding(
    value: Any, encoding: str, indent: int | None
) -> None:
    text = format_json(value, encoding, indent)
    assert json.loads(text.encode(encoding).decode(encoding)) == value
    assert all(line.isprintable() for line in text.split("\n"))
    assert indent or "\n" not in text


@given(
    st.lists(st.tuples(st.integers(1, 60), st.integers(1, 60)), min_size=1, max_size=8),
    st.integers(1, 200),
)
def test_column_widths_fit_the_limit_or_keep_one_column(
    sizes: list[tuple[int, int]], width: int
) -> None:
    natural, minimums = [n for n, _ in sizes], [f for _, f in sizes]
    widths = fit_column_widths(natural, minimums, width)
    assert sum(widths) + 2 * (len(widths) - 1) <= width or len(widths) == 1
    columns = list(zip(widths, natural, minimums, strict=False))
    for width_of_column, wanted, minimum in columns:
        assert min(wanted, minimum) <= width_of_column <= wanted
    # Shrink the widest column first: shrunk columns and other shrinkable columns end up equal.
    shrinkable = [got for got, wanted, minimum in columns if got > min(wanted, minimum)]
    shrunk = [got for got, wanted, _ in columns if got < wanted]
    assert not shrinkable or not shrunk or max(shrinkable) <= min(shrunk) + 1
    if sum(natural) + 2 * (len(natural) - 1) <= width:
        assert widths == natural


@given(st.lists(CUSTOMER, min_size=1, max_size=4), st.integers(50, 200))
def test_table_fits_the_terminal_with_any_content(
    customers: list[dict[str, Any]], width: int
) -> None:
    for customer in customers:
        customer["id"] = "cus_1KBD2SP6PGV6RQ7SYX8ZTX7YB"
    out = Terminal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", str(width))
        patch.setenv("NO_COLOR", "1")
        write_table(iter(customers), out)
    lines = out.getvalue().split("\n")[:-1]
    assert len(lines) == len(customers) + 1
    assert all(line.isprintable() and cell_len(line) <= width for line in lines)
    assert all(customers[0]["id"] in line for line in lines[1:])


def test_table_with_wide_characters_is_aligned() -> None:
    out = io.StringIO()
    rows = [{"id": "1", "name": "永和大道", "email": "x"}, {"id": "2", "name": "Ada", "email": "y"}]
    write_table(iter(rows), out)
    header, first, second = out.getvalue().splitlines()
    start = cell_len(header[: header.index("email")])
    assert cell_len(first[: first.index("x")]) == cell_len(second[: second.index("y")]) == start


def test_table_in_a_pipe_is_not_truncated() -> None:
    out = io.StringIO()
    write_table(iter([{column.name: "x" * 90 for column in CUSTOMER_COLUMNS}]), out)
    assert out.getvalue().splitlines()[1].split() == ["x" * 90] * len(CUSTOMER_COLUMNS)


@pytest.mark.parametrize("output", ["table", "json", "jsonl", "csv"])
def test_output_is_written_before_all_customers_are_read(output: str) -> None:
    out, seen = io.StringIO(), 0

    def many() -> Iterator[dict[str, Any]]:
        nonlocal seen
        for number in range(1_000):
            if number == 200:
                seen = len(out.getvalue())
            yield {"id": f"cus_{number}"}

    with contextlib.redirect_stdout(out):
        assert write_records(many(), output, ("id",)) == 1_000
    assert seen > 0
    assert "cus_999" in out.getvalue()


def test_table_of_one_customer_has_one_row_per_field() -> None:
    out = io.StringIO()
    found = {"id": "cus_1", "name": None, "link": {"id": "l", "url": "\x1b[2J"}, "new": [1, "ü"]}
    with contextlib.redirect_stdout(out):
        write_records([found], "table", (), single=True)
    assert out.getvalue() == (
        'id        cus_1\nname      -\nlink.id   l\nlink.url  [2J\nnew       [1, "ü"]\n'
    )


def test_table_truncates_long_names_after_100_rows_but_not_ids() -> None:
    rows = [{"id": "1", "name": "Ada"}] * 100 + [{"id": "cus_12", "name": "Ada Lovelace"}]
    for out, name in ((io.StringIO(), "Ada Lovelace"), (Terminal(), "Ada…")):
        write_table(iter(rows), out)
        last = out.getvalue().splitlines()[-1]
        assert "cus_12" in last
        assert last.endswith(name)


def test_table_shortens_times_but_not_text_like_a_time() -> None:
    out = io.StringIO()
    date = "2026-08-21T21:14:02.007Z"
    write_table(iter([{"id": "1", "name": f"{date}!", "createdAt": date}]), out)
    assert out.getvalue().splitlines()[1].split() == ["1", f"{date}!", "2026-08-21"]
