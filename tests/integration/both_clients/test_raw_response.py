"""``with_raw_response``: responses before they are converted."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from dub_uplink import (
    AsyncCustomersConsumer,
    Customer,
    CustomersConsumer,
    RawResponse,
    errors,
)
from dub_uplink.testing import FakeDub, faults

BODY = {"external_id": "1", "country": "GB", "name": "Ada"}
CALLS: dict[str, Any] = {
    "list": lambda c: c.list(country="GB", page_size=10),
    "get": lambda c: c.get("ext_1", include_expanded_fields=True),
    "update": lambda c: c.update("ext_1", {"name": "Ada"}),
    "count": lambda c: c.count(),
    "count by country": lambda c: c.count(group_by="country"),
}


@pytest.fixture
def raw(customers: Any) -> Any:
    """The raw endpoints of either client."""
    return raw_of(customers)


def raw_of(customers: Any) -> Any:
    if isinstance(customers, CustomersConsumer):
        return customers.with_raw_response
    return type(customers)(customers.loop, customers.consumer.with_raw_response)


@pytest.mark.parametrize("name", CALLS)
def test_raw_response_parses_to_what_the_call_returns(
    fake: FakeDub, customers: Any, raw: Any, name: str
) -> None:
    fake.add(external_id="1", country="GB", name="Ada")
    response = CALLS[name](raw)
    assert isinstance(response, RawResponse)
    assert response.parse() == CALLS[name](customers)
    assert type(response.parse()) is type(response.parse())
    assert (response.status_code, response.attempts) == (200, 1)
    assert response.headers["content-TYPE"].startswith("application/json")
    assert json.loads(response.content) is not None
    assert 0 <= response.elapsed < 60
    assert repr(response) == "<RawResponse [200]>"


def test_raw_create_and_delete(fake: FakeDub, raw: Any) -> None:
    made = raw.create(BODY)
    assert (made.status_code, made.parse().external_id) == (201, "1")
    assert raw.delete(made.parse().id).parse().id == made.parse().id
    assert not fake.customers


def test_raw_page_fetches_plain_pages(fake: FakeDub, make: Any) -> None:
    fake.add_many(3)
    customers = make()
    page = raw_of(customers).list(page_size=2).parse()
    following = page.next() if isinstance(customers, CustomersConsumer) else None
    if following is None:
        following = customers.loop.run_until_complete(page.next())
    assert [type(customer) for customer in [*page, *following]] == [Customer] * 3


def test_raw_response_counts_attempts(fake: FakeDub, raw: Any) -> None:
    fake.faults.add(faults.Status(503), times=2)
    assert raw.count().attempts == 3


def test_raw_create_with_a_lost_response_is_exactly_once(fake: FakeDub, raw: Any) -> None:
    fake.faults.add(faults.DropAfter(), method="POST")
    response = raw.create(BODY)
    assert response.status_code == 201
    assert [customer.id for customer in fake.customers] == [response.parse().id]


def test_raw_call_that_fails_raises_its_error(fake: FakeDub, raw: Any) -> None:
    with pytest.raises(errors.NotFound):
        raw.get("ext_nobody")
    with pytest.raises(ValueError, match="email"):
        raw.list(email="")
    with pytest.raises(TypeError, match="page"):
        raw.count(page=1)


def test_raw_body_that_is_unexpected_fails_when_parsed(fake: FakeDub, raw: Any) -> None:
    fake.faults.add(faults.Garbage(b'{"no": "id"}', "application/json"))
    response = raw.get("cus_1")
    assert response.content == b'{"no": "id"}'
    with pytest.raises(errors.ResponseValidationError):
        response.parse()


def test_raw_response_of_a_view_has_its_options(fake: FakeDub, make: Any) -> None:
    customers = make()
    consumer = getattr(customers, "consumer", customers).with_options(retries=None)
    loop = getattr(customers, "loop", None)
    view = consumer if loop is None else type(customers)(loop, consumer)
    fake.faults.add(faults.Status(503))
    with pytest.raises(errors.SDKError):
        raw_of(view).count()
    assert len(fake.requests) == 1


def test_raw_endpoint_of_a_subclass_skips_its_override(fake: FakeDub, make: Any) -> None:
    def get(self: Any, request: Any, **options: Any) -> Any:
        raise AssertionError

    fake.add(external_id="1")
    assert raw_of(make({"get": get})).get("ext_1").parse().external_id == "1"


@pytest.mark.parametrize("cls", [CustomersConsumer, AsyncCustomersConsumer])
def test_raw_endpoints_are_those_of_the_consumer(cls: Any) -> None:
    raw = cls("dub_test").with_raw_response
    for name in ("list", "create", "get", "update", "delete", "count"):
        expected = inspect.signature(getattr(cls("dub_test"), name)).parameters
        assert list(inspect.signature(getattr(raw, name)).parameters) == list(expected)
