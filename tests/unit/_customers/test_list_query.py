"""The query of a list: every filter in the server's spelling, and what the server would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink import UNSET, components, operations
from dub_uplink._customers.parameters import validate_list_query
from dub_uplink._customers.traversal import PageQuery

FILTERS: dict[str, tuple[Any, str, str]] = {
    "email": ("ada+1@example.com", "email", "ada+1@example.com"),
    "external_id": ("a&b=c d", "externalId", "a&b=c d"),
    "search": ("ü/?#", "search", "ü/?#"),
    "country": ("GB", "country", "GB"),
    "link_id": ("link_1", "linkId", "link_1"),
    "program_id": ("prog_1", "programId", "prog_1"),
    "partner_id": ("pn_1", "partnerId", "pn_1"),
    "include_expanded_fields": (True, "includeExpandedFields", "true"),
    "sort_by": ("saleAmount", "sortBy", "saleAmount"),
    "sort_order": ("asc", "sortOrder", "asc"),
    "page": (1000, "page", "1000"),
    "page_size": (100, "pageSize", "100"),
    "starting_after": ("cus_1", "startingAfter", "cus_1"),
    "ending_before": ("cus_1", "endingBefore", "cus_1"),
}
EACH = pytest.mark.parametrize("name", FILTERS)


@EACH
def test_filter_in_any_form_is_sent_in_camel_case(
    serving: Any, connect: Any, client: Any, name: str
) -> None:
    value, sent_as, text = FILTERS[name]
    server = serving(200, "[]")
    customers = connect(server.url, client=client)
    assert customers.list(**{name: value}) == []
    customers.list({name: value})
    customers.list({sent_as: value})
    customers.list(request=operations.GetCustomersRequest(**{name: value}))
    assert [r.query for r in server.received] == [{sent_as: text}] * 4
    assert {r.path for r in server.received} == {"/customers"}


@EACH
def test_filter_of_none_or_unset_is_not_sent(serving: Any, connect: Any, name: str) -> None:
    server = serving(200, "[]")
    customers = connect(server.url)
    customers.list(**{name: None})
    customers.list(**{name: UNSET})
    customers.list({name: None})
    assert [r.target for r in server.received] == ["/customers"] * 3


def test_list_without_filters_sends_no_query(serving: Any, connect: Any) -> None:
    server = serving(200, "[]")
    assert connect(server.url).list() == []
    assert server.received[0].lines[0] == "GET /customers HTTP/1.1"


def test_filters_of_request_and_keywords_are_combined(serving: Any, connect: Any) -> None:
    server = serving(200, "[]")
    connect(server.url).list({"country": "GB", "pageSize": 5}, page=2)
    assert server.received[0].query == {"country": "GB", "pageSize": "5", "page": "2"}


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"page": 0}, "page: "),
    ({"page": 1001}, "page: "),
    ({"page": -1}, "page: "),
    ({"page": "2"}, "page: "),
    ({"page": 2.0}, "page: "),
    ({"page": True}, "page: "),
    ({"page_size": 0}, "page_size: "),
    ({"page_size": 101}, "page_size: "),
    ({"page_size": "abc"}, "page_size: "),
    ({"sort_by": "name"}, "sort_by: "),
    ({"sort_by": "created_at"}, "sort_by: "),
    ({"sort_by": b"createdAt"}, "sort_by: "),
    ({"sort_order": "ASC"}, "sort_order: "),
    ({"include_expanded_fields": "true"}, "include_expanded_fields: "),
    ({"email": ""}, "email: Must not be empty."),
    ({"external_id": ""}, "external_id: Must not be empty."),
    ({"search": ""}, "search: Must not be empty."),
    ({"starting_after": ""}, "starting_after: Must not be empty."),
    ({"email": 5}, "email: "),
    ({"email": "\ud800@example.com"}, "email: Contains an unpaired surrogate; remove it."),
    ({"country": b"GB"}, "country: "),
    (
        {"starting_after": "a", "ending_before": "b"},
        "Give starting_after or ending_before, not both.",
    ),
    ({"starting_after": "a", "page": 2}, "page: Give a page or a cursor, not both."),
    ({"ending_before": "a", "page": 1}, "page: Give a page or a cursor, not both."),
    (
        {"starting_after": "a", "sort_by": "saleAmount"},
        "sort_by: Cursors support only the order createdAt; leave",
    ),
]


@pytest.mark.parametrize(("filters", "message"), REFUSED, ids=[f"{f}" for f, _ in REFUSED])
def test_filter_that_the_server_would_reject_raises_and_is_named(
    serving: Any, connect: Any, filters: dict[str, Any], message: str
) -> None:
    server = serving(200, "[]")
    customers = connect(server.url)
    for give in (
        lambda: customers.list(**filters),
        lambda: customers.list(filters),
        lambda: customers.list(operations.GetCustomersRequest(**filters)),
    ):
        with pytest.raises(ValueError, match=r"^list\(\): ") as caught:
            give()
        assert str(caught.value).removeprefix("list(): ").startswith(message)
        assert "\n" not in str(caught.value)
    assert server.connections == 0


def test_cursor_with_sort_by_created_at_is_sent(serving: Any, connect: Any) -> None:
    server = serving(200, "[]")
    connect(server.url).list(starting_after="cus_1", sort_by="createdAt", sort_order="asc")
    assert server.received[0].query["sortBy"] == "createdAt"


def test_filters_of_request_and_keywords_are_checked_together(serving: Any, connect: Any) -> None:
    server = serving(200, "[]")
    with pytest.raises(ValueError, match="Give a page or a cursor, not both"):
        connect(server.url).list({"startingAfter": "cus_1"}, page=2)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("request_", "keyword"),
    [
        ({"email": "a@b.c"}, "email"),
        (operations.GetCustomersRequest(external_id="u"), "external_id"),
    ],
)
def test_filter_given_in_request_and_keyword_is_rejected(
    serving: Any, connect: Any, request_: Any, keyword: str
) -> None:
    server = serving(200, "[]")
    with pytest.raises(ValueError, match=f"{keyword} is given twice"):
        connect(server.url).list(request_, **{keyword: "other"})
    assert server.connections == 0


@pytest.mark.parametrize("request_", ["GB", 5, [("country", "GB")], components.Customer("cus_1")])
def test_list_request_of_another_type_is_rejected(
    serving: Any, connect: Any, request_: Any
) -> None:
    server = serving(200, "[]")
    with pytest.raises(TypeError, match=r"^list\(\) takes a GetCustomersRequest or a mapping"):
        connect(server.url).list(request_)
    assert server.connections == 0


def test_unknown_filter_is_rejected(serving: Any, connect: Any) -> None:
    server = serving(200, "[]")
    customers = connect(server.url)
    with pytest.raises(ValueError, match=r"unknown field 'limit'; known: email, external_id, "):
        customers.list({"limit": 5})
    with pytest.raises(ValueError, match="did you mean 'page_size'"):
        customers.list({"pagesize": 5})
    with pytest.raises(TypeError, match="limit"):
        customers.list(limit=5)
    assert server.connections == 0


def test_page_query_with_a_cursor_is_not_validated_again() -> None:
    query = PageQuery({"country": "GB", "startingAfter": "cus_1"})
    assert validate_list_query(query, {}) is query


def test_page_query_with_an_empty_cursor_is_rejected() -> None:
    with pytest.raises(ValueError, match="Must not be empty"):
        validate_list_query(PageQuery({"startingAfter": ""}), {})


def test_page_query_combined_with_a_keyword_is_validated() -> None:
    with pytest.raises(ValueError, match="page"):
        validate_list_query(PageQuery({"startingAfter": "cus_1"}), {"page": 2})
