"""Filters, orders and pages of a list, and where its first page and its cursors disagree."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dub_uplink.testing import FakeDub


def at(day: int) -> dt.datetime:
    return dt.datetime(2026, 1, day, tzinfo=dt.timezone.utc)


def walk(api: Any, query: dict[str, str]) -> list[str]:
    """A list's externalIds, page after page by ``startingAfter``."""
    ids: list[str] = []
    page = api("GET", "/customers", query).json()
    while page:
        ids += [customer["externalId"] for customer in page]
        page = api("GET", "/customers", {**query, "startingAfter": page[-1]["id"]}).json()
    return ids


@pytest.mark.parametrize("size", ["1", "3", "7", "100"])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_paging_by_cursors_in_both_directions_returns_everyone(
    api: Any, order: str, size: str
) -> None:
    created = [api.create(str(number)) for number in range(7)]
    expected = [customer["externalId"] for customer in created]
    if order == "desc":
        expected.reverse()
    assert walk(api, {"pageSize": size, "sortOrder": order}) == expected
    cursor = created[-1 if order == "asc" else 0]["id"]
    back: list[str] = []
    while True:
        query = {"endingBefore": cursor, "pageSize": size, "sortOrder": order}
        page = api("GET", "/customers", query).json()
        if not page:
            break
        back = [customer["externalId"] for customer in page] + back
        cursor = page[0]["id"]
    assert back == expected[:-1]


def test_paging_by_page_numbers_returns_each_customer_once(api: Any) -> None:
    for number in range(7):
        api.create(str(number))
    pages = [api.listed({"page": str(page), "pageSize": "3"}) for page in range(1, 5)]
    assert pages == [["6", "5", "4"], ["3", "2", "1"], ["0"], []]


def test_default_page_has_100_customers(fake: FakeDub, api: Any) -> None:
    fake.add_many(101)
    assert len(api.listed()) == 100
    assert api.listed("page=2") == ["user_1"]


def test_paging_by_cursors_sorts_back_dated_customers_by_id(fake: FakeDub, api: Any) -> None:
    fake.add(id="cus_1", external_id="doubled", created_at=at(9))
    fake.add(id="cus_2", external_id="two", created_at=at(2))
    fake.add(id="cus_3", external_id="three", created_at=at(3))
    fake.add(id="cus_4", external_id="lost", created_at=at(1))
    assert api.listed() == ["doubled", "three", "two", "lost"]
    assert walk(api, {"pageSize": "2"}) == ["doubled", "three", "two", "doubled"]


@pytest.mark.parametrize(
    ("sort_by", "ascending"),
    [
        ("createdAt", ["c", "b", "a", "d"]),
        ("saleAmount", ["a", "d", "c", "b"]),
        # Nulls come first when ascending; equal values sort by id.
        ("firstSaleAt", ["b", "d", "a", "c"]),
        ("subscriptionCanceledAt", ["a", "b", "c", "d"]),
    ],
)
def test_list_sorts_by_each_field_in_both_orders(
    fake: FakeDub, api: Any, sort_by: str, ascending: list[str]
) -> None:
    fake.add(external_id="a", created_at=at(3), sale_amount=0, first_sale_at=at(1))
    fake.add(external_id="b", created_at=at(2), sale_amount=900)
    fake.add(external_id="c", created_at=at(1), sale_amount=100, first_sale_at=at(2))
    fake.add(external_id="d", created_at=at(4), sale_amount=0)
    assert api.listed({"sortBy": sort_by, "sortOrder": "asc"}) == ascending
    assert api.listed({"sortBy": sort_by}) == ascending[::-1]
    pages = [
        api.listed({"sortBy": sort_by, "sortOrder": "asc", "pageSize": "3", "page": page})
        for page in ("1", "2")
    ]
    assert pages[0] + pages[1] == ascending


def test_list_uses_only_one_of_email_external_id_and_search(fake: FakeDub, api: Any) -> None:
    fake.add(external_id="a", email="a@example.com", name="Ann Lee")
    fake.add(external_id="b", email="b@example.com", name="Bob Lee")
    everything = {"email": "a@example.com", "externalId": "b", "search": "nobody"}
    assert api.listed(everything) == ["a"]
    assert api.listed({**everything, "email": ""}) == ["b"]
    assert api.listed({**everything, "email": "", "externalId": ""}) == []


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("lee", ["b", "a"]),
        ("ANN", ["a"]),
        ("Bob nobody", ["b"]),
        ("example", ["b", "a"]),
        ("Le", []),
        ("a@example.com", ["a"]),
        ("a@example", []),
        ("--", []),
    ],
)
def test_search_matches_an_exact_email_or_whole_words(
    fake: FakeDub, api: Any, search: str, found: list[str]
) -> None:
    fake.add(external_id="a", email="a@example.com", name="Ann Lee")
    fake.add(external_id="b", email="b@example.com", name="Bob Lee")
    fake.add(external_id="c")
    assert api.listed({"search": search}) == found


def test_filters_are_combined_with_each_other_and_with_cursors(mount: Any) -> None:
    fake = FakeDub(default_program="prog_1")
    api = mount(fake)
    for number in range(6):
        fake.add(
            external_id=str(number),
            country="GB" if number % 2 else "US",
            program_id="prog_1" if number < 4 else None,
            link={"id": f"link_{number % 3}"},
            partner={"id": "pn_1" if number else "pn_2"},
        )
    assert api.listed("country=GB") == ["5", "3", "1"]
    assert api.listed("programId=prog_1") == ["3", "2", "1", "0"]
    assert api.listed("linkId=link_0") == ["3", "0"]
    assert api.listed("partnerId=pn_1&country=US") == ["2"]
    assert api.listed("partnerId=pn_1&linkId=link_0&programId=prog_1&country=GB") == ["3"]
    assert api.listed("country=gb") == []
    assert walk(api, {"country": "GB", "pageSize": "1"}) == ["5", "3", "1"]
