"""Test the requests, the rejected arguments and the pages of `list()` with a mounted fake."""

from __future__ import annotations

import copy
import enum
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

from dub_uplink import Customer, CustomerPage, Dub, RetryConfig, operations
from dub_uplink.testing import FakeDub


class SortBy(str, enum.Enum):
    SALE_AMOUNT = "saleAmount"


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub(default_program="prog_1")


@pytest.fixture
def dub(fake: FakeDub) -> Iterator[Dub]:
    with Dub("dub_test", client=fake.session(), retry_config=None) as s:
        yield s


def last_query(fake: FakeDub) -> dict[str, str]:
    return dict(fake.requests[-1].query)


def test_list_without_arguments_sends_no_query(fake: FakeDub, dub: Dub) -> None:
    dub.customers.list()
    assert last_query(fake) == {}


def test_list_filters_are_serialized_for_the_server(fake: FakeDub, dub: Dub) -> None:
    dub.customers.list(
        email="a+b@example.com",
        external_id="ü/ ?",
        search="Ada Lovelace",
        country="GB",
        link_id="link_1",
        program_id="prog_1",
        partner_id="pn_1",
        include_expanded_fields=True,
        sort_by=SortBy.SALE_AMOUNT,
        sort_order="asc",
        page=2,
        page_size=50,
    )
    assert last_query(fake) == {
        "email": "a+b@example.com",
        "externalId": "ü/ ?",
        "search": "Ada Lovelace",
        "country": "GB",
        "linkId": "link_1",
        "programId": "prog_1",
        "partnerId": "pn_1",
        "includeExpandedFields": "true",
        "sortBy": "saleAmount",
        "sortOrder": "asc",
        "page": "2",
        "pageSize": "50",
    }


@pytest.mark.parametrize(
    "request_",
    [
        {"page_size": 5, "external_id": "x", "include_expanded_fields": False, "email": None},
        {"pageSize": 5, "externalId": "x", "includeExpandedFields": False},
        operations.GetCustomersRequest(page_size=5, external_id="x", include_expanded_fields=False),
    ],
)
def test_list_accepts_a_request_object(fake: FakeDub, dub: Dub, request_: Any) -> None:
    dub.customers.list(request=request_)
    assert last_query(fake) == {
        "pageSize": "5",
        "externalId": "x",
        "includeExpandedFields": "false",
    }


@pytest.mark.parametrize(
    ("filters", "name"),
    [
        ({"starting_after": "a", "ending_before": "b"}, "starting_after or ending_before"),
        ({"starting_after": "a", "page": 2}, "page"),
        ({"ending_before": "a", "page": 1}, "page"),
        ({"starting_after": "a", "sort_by": "saleAmount"}, "sort_by"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 101}, "page_size"),
        ({"page_size": "5"}, "page_size"),
        ({"page_size": 5.5}, "page_size"),
        ({"page_size": True}, "page_size"),
        ({"page": 0}, "page"),
        ({"page": 1_001}, "page"),
        ({"sort_by": "name"}, "sort_by"),
        ({"sort_order": "up"}, "sort_order"),
        ({"include_expanded_fields": "yes"}, "include_expanded_fields"),
        ({"include_expanded_fields": 1}, "include_expanded_fields"),
        ({"email": 5}, "email"),
        ({"email": ""}, "email"),
        ({"external_id": ""}, "external_id"),
        ({"starting_after": ""}, "starting_after"),
        ({"request": {"nope": 1}}, "unknown field 'nope'"),
        ({"request": {"country": "GB"}, "country": "US"}, "country is given twice"),
        ({"request": {"starting_after": "a"}, "page": 2}, "page"),
    ],
)
def test_invalid_list_filter_raises_before_sending(
    fake: FakeDub, dub: Dub, filters: dict[str, Any], name: str
) -> None:
    with pytest.raises(ValueError, match=name):
        dub.customers.list(**filters)
    assert not fake.requests


def test_list_request_of_wrong_type_raises_type_error(fake: FakeDub, dub: Dub) -> None:
    with pytest.raises(TypeError, match="GetCustomersRequest or a mapping"):
        dub.customers.list(["GB"])  # type: ignore[arg-type]
    assert not fake.requests


def test_customer_page_behaves_as_a_list(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(3)
    page = dub.customers.list()
    assert isinstance(page, CustomerPage)
    assert page == list(page)
    assert type(page[:2]) is list
    assert all(isinstance(customer, Customer) for customer in page)


def test_customer_page_is_copied_and_pickled_as_a_list(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(2)
    page = dub.customers.list()
    for copied in (pickle.loads(pickle.dumps(page)), copy.deepcopy(page), copy.copy(page)):
        assert type(copied) is list
        assert copied == page


def test_page_next_returns_every_page_then_none(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(7)
    page: CustomerPage | None = dub.customers.list(page_size=3)
    sizes, found = [], []
    while page is not None:
        sizes.append((len(page), page.has_next))
        found += [customer.id for customer in page]
        page = page.next()
    assert sizes == [(3, True), (3, True), (1, False)]
    assert found == [customer.id for customer in dub.customers.list()]


def test_page_next_follows_ending_before_backwards(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(7)
    newest_first = [customer.id for customer in dub.customers.list()]
    page: CustomerPage | None = dub.customers.list(ending_before=newest_first[-1], page_size=3)
    pages = []
    while page is not None:
        pages.append([customer.id for customer in page])
        page = page.next()
    assert pages == [newest_first[3:6], newest_first[0:3], []]


@pytest.mark.parametrize("filters", [{"page": 1}, {"sort_by": "saleAmount"}])
def test_page_next_uses_page_numbers_without_cursors(
    fake: FakeDub, dub: Dub, filters: dict[str, Any]
) -> None:
    fake.add_many(5)
    page = dub.customers.list(page_size=2, **filters).next()
    assert page is not None
    assert len(page) == 2
    assert last_query(fake)["page"] == "2"


def test_page_next_keeps_filters_and_call_options(fake: FakeDub, dub: Dub) -> None:
    fake.add(country="GB")
    fake.add(country="GB")
    fake.add(country="US")
    headers = {"X-Team": "growth"}
    page = dub.customers.list(
        country="GB", page_size=1, retries=RetryConfig("none"), http_headers=headers
    )
    following = page.next()
    assert following is not None
    assert [customer.country for customer in following] == ["GB"]
    assert fake.requests[-1].headers["x-team"] == "growth"


def test_pages_and_iterate_call_an_overridden_list(fake: FakeDub) -> None:
    from dub_uplink import CustomersConsumer

    calls = []

    class Noting(CustomersConsumer):
        def list(self, *args: Any, **filters: Any) -> CustomerPage:  # type: ignore[override]
            calls.append(args)
            return super().list(*args, **filters)

    fake.add_many(3)
    with Noting("dub_test", client=fake.session(), retry_config=None) as customers:
        customers.list(page_size=2).next()
        assert len(list(customers.iterate(page_size=2))) == 3
    assert len(calls) >= 4
