"""What is asked for after a page: values in, a query out, nothing sent."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from dub_uplink import Customer, Response, errors
from dub_uplink._customers.pages import (
    CustomerIterator,
    CustomerPage,
    fetch_unless_cursor_lost,
    is_paged_by_number,
    next_query,
    start_traversal,
)
from dub_uplink._customers.traversal import CursorTraversal, Fetch, OffsetTraversal

THREE = [Customer(id=f"cus_{n}") for n in (1, 2, 3)]


@pytest.mark.parametrize(
    ("query", "following"),
    [
        ({}, {"startingAfter": "cus_3"}),
        ({"pageSize": 3}, {"pageSize": 3, "startingAfter": "cus_3"}),
        ({"startingAfter": "cus_0"}, {"startingAfter": "cus_3"}),
        ({"endingBefore": "cus_9"}, {"endingBefore": "cus_1"}),
        ({"endingBefore": "cus_9", "country": "GB"}, {"endingBefore": "cus_1", "country": "GB"}),
        ({"sortBy": "createdAt"}, {"sortBy": "createdAt", "startingAfter": "cus_3"}),
        ({"sortBy": "saleAmount"}, {"sortBy": "saleAmount", "page": 2}),
        ({"sortBy": "saleAmount", "page": 7}, {"sortBy": "saleAmount", "page": 8}),
        ({"page": 1}, {"page": 2}),
        ({"page": 998}, {"page": 999}),
        ({"page": 999}, {"page": 1000}),
        ({"sortBy": "createdAt", "page": 2}, {"sortBy": "createdAt", "page": 3}),
    ],
)
def test_next_page_query_continues_after_the_given_page(
    query: dict[str, Any], following: dict[str, Any]
) -> None:
    before = dict(query)
    assert next_query(query, THREE) == following
    assert query == before


def test_page_after_the_page_limit_raises_with_advice() -> None:
    with pytest.raises(errors.PageLimitReached) as caught:
        next_query({"page": 1000}, THREE)
    said = "the server returns no page after number 1000, and more customers may exist;"
    assert str(caught.value).startswith(said)
    assert "add a filter, or leave out sort_by" in str(caught.value)


@pytest.mark.parametrize(
    ("query", "numbered"),
    [
        ({}, False),
        ({"sortBy": "createdAt"}, False),
        ({"sortBy": "saleAmount"}, True),
        ({"page": 1}, True),
        ({"page": 1, "sortBy": "createdAt"}, True),
        ({"startingAfter": "cus_1"}, False),
    ],
)
def test_next_page_uses_a_number_or_a_cursor(query: dict[str, Any], numbered: bool) -> None:
    assert is_paged_by_number(query) is numbered
    assert type(start_traversal(query, None)) is (OffsetTraversal if numbered else CursorTraversal)


@pytest.mark.parametrize(
    ("size", "query", "more"),
    [
        (3, {"pageSize": 3}, True),
        (2, {"pageSize": 3}, False),
        (0, {"pageSize": 3}, False),
        (4, {"pageSize": 3}, True),
        (99, {}, False),
        (100, {}, True),
    ],
)
def test_only_a_full_page_has_a_next_page(size: int, query: dict[str, Any], more: bool) -> None:
    asked: list[Any] = []

    def fetch(query: Any) -> CustomerPage:
        asked.append(query)
        return CustomerPage([], query, fetch)

    page = CustomerPage([Customer(id=f"cus_{n}") for n in range(size)], query, fetch)
    assert page.query == query
    assert page.has_next is more
    following = page.next()
    assert (following is not None) is more
    assert asked == ([{**query, "startingAfter": f"cus_{size - 1}"}] if more else [])


def test_pickled_page_is_a_plain_list() -> None:
    page = CustomerPage(THREE, {"country": "GB"}, lambda query: page)
    for travelled in (pickle.loads(pickle.dumps(page)), copy.deepcopy(page), copy.copy(page)):
        assert type(travelled) is list
        assert travelled == THREE


@pytest.mark.parametrize(
    ("query", "message", "gone"),
    [
        ({"startingAfter": "cus_1"}, "Invalid cursor: no such customer", True),
        ({"endingBefore": "cus_1"}, "Invalid cursor", True),
        ({"startingAfter": "cus_1"}, "Invalid country", False),
        ({"startingAfter": "cus_1"}, "No Invalid cursor", False),
        ({}, "Invalid cursor", False),
        ({"page": 2}, "Invalid cursor", False),
    ],
)
def test_only_a_rejected_cursor_is_treated_as_deleted_customer(
    query: dict[str, Any], message: str, gone: bool
) -> None:
    refusal = errors.UnprocessableEntity(message, Response(422, {}, b""))

    def fetch(_: Any) -> list[Customer]:
        raise refusal

    if gone:
        assert fetch_unless_cursor_lost(fetch, Fetch(query)) is None
    else:
        with pytest.raises(errors.UnprocessableEntity) as caught:
            fetch_unless_cursor_lost(fetch, Fetch(query))
        assert caught.value is refusal


def test_fetching_a_page_at_an_existing_cursor_returns_the_page() -> None:
    asked: list[Any] = []
    query = {"startingAfter": "cus_1"}
    assert fetch_unless_cursor_lost(lambda q: asked.append(q) or THREE, Fetch(query)) is THREE
    assert asked == [query]


def test_exhausted_iterator_raises_stop_iteration_again() -> None:
    pages = {"first": THREE[:2], "back": [], "on": THREE[2:]}

    def fetch(query: Any) -> list[Customer]:
        if "startingAfter" in query:
            return pages["on"] if query["startingAfter"] == "cus_2" else []
        return pages["back"] if "endingBefore" in query else pages["first"]

    iteration = CustomerIterator(fetch, start_traversal({"pageSize": 2}, None))
    assert iter(iteration) is iteration
    assert [customer.id for customer in iteration] == ["cus_1", "cus_2", "cus_3"]
    for _ in range(2):
        with pytest.raises(StopIteration):
            next(iteration)
    assert isinstance(iteration.cursor, str)
