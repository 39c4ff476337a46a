"""Dub's 422 for each bad query, and which of two problems it tells of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dub_uplink.testing import FakeDub

BOOLEAN = 'invalid_value: includeExpandedFields: Invalid option: expected one of "true"|"false"'
SORT_BY = (
    'invalid_value: sortBy: Invalid option: expected one of "createdAt"|"saleAmount"|'
    '"firstSaleAt"|"subscriptionCanceledAt"'
)
SORT_ORDER = 'invalid_value: sortOrder: Invalid option: expected one of "asc"|"desc"'
BOTH_CURSORS = "You cannot use both startingAfter and endingBefore at the same time."
CURSOR_AND_PAGE = (
    "You cannot use both page and startingAfter/endingBefore at the same time. "
    "Please use one pagination method."
)
CURSOR_AND_SORT = (
    "Cursor-based pagination only supports sorting by `createdAt`. Use offset-based pagination "
    "(page/pageSize) for other sort fields."
)
PAGE_TOO_BIG = (
    "Page is too big (cannot be more than 1000), recommend using cursor-based pagination instead."
)
UNKNOWN_CURSOR = "Invalid cursor: the provided ID does not exist."

SCHEMA_PROBLEMS = [
    ("page=abc", "invalid_type: page: Page must be a number."),
    ("page=1e999", "invalid_type: page: Page must be a number."),
    ("page=0x", "invalid_type: page: Page must be a number."),
    ("page=NaN", "invalid_type: page: Page must be a number."),
    ("page=1,5", "invalid_type: page: Page must be a number."),
    ("page=%D9%A1", "invalid_type: page: Page must be a number."),
    ("page=1.5", "invalid_type: page: Page must be an integer."),
    ("page=-0.5", "invalid_type: page: Page must be an integer."),
    ("page=0", "too_small: page: Page must be greater than 0."),
    ("page=-3", "too_small: page: Page must be greater than 0."),
    ("page=", "too_small: page: Page must be greater than 0."),
    ("page=%20", "too_small: page: Page must be greater than 0."),
    ("pageSize=abc", "invalid_type: pageSize: Page size must be a number."),
    ("pageSize=1.5", "invalid_type: pageSize: Page size must be an integer."),
    ("pageSize=100.5", "invalid_type: pageSize: Page size must be an integer."),
    ("pageSize=0", "too_small: pageSize: Page size must be greater than 0."),
    ("pageSize=101", "too_big: pageSize: Max page size is 100."),
    ("pageSize=1e3", "too_big: pageSize: Max page size is 100."),
    ("includeExpandedFields=yes", BOOLEAN),
    ("includeExpandedFields=True", BOOLEAN),
    ("includeExpandedFields=", BOOLEAN),
    ("sortBy=name", SORT_BY),
    ("sortBy=", SORT_BY),
    ("sortOrder=up", SORT_ORDER),
    ("sortOrder=DESC", SORT_ORDER),
    # The first failing check wins, in the order of the schema and not of the query.
    ("sortOrder=up&page=abc", "invalid_type: page: Page must be a number."),
    ("pageSize=abc&page=0", "too_small: page: Page must be greater than 0."),
    ("includeExpandedFields=x&pageSize=101", "too_big: pageSize: Max page size is 100."),
    ("sortBy=x&includeExpandedFields=x", BOOLEAN),
    ("sortOrder=x&sortBy=x", SORT_BY),
    ("startingAfter=a&endingBefore=b&sortOrder=x", SORT_ORDER),
    # Of a repeated parameter the last one counts.
    ("pageSize=5&pageSize=101", "too_big: pageSize: Max page size is 100."),
]
PAGING_PROBLEMS = [
    ("startingAfter=a&endingBefore=b", BOTH_CURSORS),
    ("startingAfter=a&endingBefore=b&sortBy=saleAmount&page=2000", BOTH_CURSORS),
    ("startingAfter=a&sortBy=saleAmount&page=2000", CURSOR_AND_SORT),
    ("endingBefore=a&sortBy=firstSaleAt", CURSOR_AND_SORT),
    ("startingAfter=a&page=2", CURSOR_AND_PAGE),
    ("startingAfter=a&page=1", CURSOR_AND_PAGE),
    ("endingBefore=a&page=2000", CURSOR_AND_PAGE),
    ("page=1001", PAGE_TOO_BIG),
    ("startingAfter=cus_unknown", UNKNOWN_CURSOR),
    ("endingBefore=cus_unknown", UNKNOWN_CURSOR),
]


@pytest.mark.parametrize(("query", "message"), SCHEMA_PROBLEMS + PAGING_PROBLEMS)
def test_list_returns_the_first_problem_of_the_query(api: Any, query: str, message: str) -> None:
    assert api.message("GET", "/customers", query) == f"422 {message}"


@pytest.mark.parametrize(("query", "message"), SCHEMA_PROBLEMS)
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_get_and_update_validate_the_list_query_first(
    api: Any, method: str, query: str, message: str
) -> None:
    path = "/customers/cus_unknown"
    assert api.message(method, path, query, body="{" if method == "PATCH" else None) == (
        f"422 {message}"
    )


def test_create_and_delete_ignore_the_query(api: Any) -> None:
    body = {"externalId": "a", "country": "GB"}
    assert api("POST", "/customers", "page=abc", json=body).status_code == 201
    assert api("DELETE", "/customers/ext_a", "page=abc").status_code == 200


@pytest.mark.parametrize(
    "query",
    ["page=1", "page=%201%20", "page=1.0", "page=0x1", "page=1e0", "page=%2B1", "page=1000"],
)
def test_query_numbers_are_parsed_like_javascript_numbers(api: Any, query: str) -> None:
    assert api("GET", "/customers", query).status_code == 200


def test_unknown_and_empty_query_parameters_are_ignored(api: Any) -> None:
    api.create("a", email="a@example.com")
    query = "x=1&email=&externalId=&search=&country=&linkId=&startingAfter=&endingBefore="
    assert api.listed(query) == ["a"]
    assert api.listed("email=&externalId=nobody") == []


def test_cursor_that_is_an_external_id_is_rejected(api: Any) -> None:
    created = api.create("a")
    assert api.listed({"startingAfter": created["id"]}) == []
    expected = f"422 {UNKNOWN_CURSOR}"
    assert api.message("GET", "/customers", {"startingAfter": "ext_a"}) == expected


def test_cursor_of_a_deleted_customer_is_rejected(api: Any) -> None:
    created = api.create("a")
    api("DELETE", "/customers/ext_a")
    expected = f"422 {UNKNOWN_CURSOR}"
    assert api.message("GET", "/customers", {"startingAfter": created["id"]}) == expected


@pytest.mark.parametrize(
    "query", ["email=%ZZ", "email=%FF", "%=%", "=&&=", "email=" + "a" * 50_000]
)
def test_malformed_query_is_accepted(
    fake: FakeDub, reach: Callable[[FakeDub], Any], query: str
) -> None:
    answer = reach(fake)("GET", f"/customers?{query}")
    assert answer.status_code == 200
