"""Test ``with_raw_response``: responses before their conversion."""

from __future__ import annotations

import copy
import inspect
import json
from typing import Any

import pytest
import uplink

from dub_uplink import (
    AsyncCustomersConsumer,
    Customer,
    CustomersConsumer,
    RawResponse,
    declare,
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
    """Return the raw endpoints of either client."""
    return raw_of(customers)


def raw_of(customers: Any) -> Any:
    if isinstance(customers, CustomersConsumer):
        return customers.with_raw_response
    return type(customers)(customers.loop, customers.consumer.with_raw_response)


@pytest.mark.parametrize("name", CALLS)
def test_raw_response_parse_returns_the_result_of_the_call(
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


def test_raw_create_and_delete_return_status_and_result(fake: FakeDub, raw: Any) -> None:
    created = raw.create(BODY)
    assert (created.status_code, created.parse().external_id) == (201, "1")
    assert raw.delete(created.parse().id).parse().id == created.parse().id
    assert not fake.customers


def test_next_of_a_raw_list_page_returns_a_page_of_customers(fake: FakeDub, make: Any) -> None:
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


def test_raw_create_with_lost_response_is_applied_once(fake: FakeDub, raw: Any) -> None:
    fake.faults.add(faults.DropAfter(), method="POST")
    response = raw.create(BODY)
    assert response.status_code == 201
    assert [customer.id for customer in fake.customers] == [response.parse().id]


def test_raw_call_with_error_status_raises_the_error_class(fake: FakeDub, raw: Any) -> None:
    with pytest.raises(errors.NotFound):
        raw.get("ext_nobody")
    with pytest.raises(ValueError, match="email"):
        raw.list(email="")
    with pytest.raises(TypeError, match="page"):
        raw.count(page=1)


def test_raw_response_with_invalid_body_raises_when_parsed(fake: FakeDub, raw: Any) -> None:
    fake.faults.add(faults.Garbage(b'{"no": "id"}', "application/json"))
    response = raw.get("cus_1")
    assert response.content == b'{"no": "id"}'
    with pytest.raises(errors.ResponseValidationError):
        response.parse()


def test_raw_response_after_with_options_uses_the_options(fake: FakeDub, make: Any) -> None:
    customers = make()
    consumer = getattr(customers, "consumer", customers).with_options(retries=None)
    loop = getattr(customers, "loop", None)
    view = consumer if loop is None else type(customers)(loop, consumer)
    fake.faults.add(faults.Status(503))
    with pytest.raises(errors.SDKError):
        raw_of(view).count()
    assert len(fake.requests) == 1


def test_raw_response_calls_the_endpoint_not_the_override(fake: FakeDub, make: Any) -> None:
    def get(self: Any, request: Any, **options: Any) -> Any:
        raise AssertionError

    fake.add(external_id="1")
    assert raw_of(make({"get": get})).get("ext_1").parse().external_id == "1"


@pytest.mark.parametrize("cls", [CustomersConsumer, AsyncCustomersConsumer])
def test_with_raw_response_has_every_endpoint_of_the_client(cls: Any) -> None:
    consumer = cls("dub_test")
    raw = consumer.with_raw_response
    endpoints = [name for name in dir(cls) if hasattr(getattr(cls, name), "uplink_definition")]
    assert sorted(endpoints) == ["count", "create", "delete", "get", "list", "update"]
    public = {name for name in vars(type(raw)) if not name.startswith("_")}
    assert public == {*endpoints, "upsert", "ensure"}
    for name in public:
        expected = inspect.signature(getattr(consumer, name)).parameters
        assert list(inspect.signature(getattr(raw, name)).parameters) == list(expected)
    for name in ("iterate", "create_many", "with_options", "close", "_transport", "gte"):
        assert not hasattr(raw, name)


def test_raw_write_with_lost_response_has_the_status_of_success(fake: FakeDub, raw: Any) -> None:
    fake.faults.add(faults.DropAfter(), method="POST")
    created = raw.create(BODY)
    fake.faults.add(faults.DropAfter(), method="PATCH")
    renamed = raw.update("ext_1", {"external_id": "2"})
    fake.faults.add(faults.DropAfter(), method="DELETE")
    deleted = raw.delete("ext_2")
    assert [request.method for request in fake.requests] == [
        *("POST", "POST", "GET"),
        *("PATCH", "PATCH", "GET"),
        *("DELETE", "DELETE"),
    ]
    responses = (created, renamed, deleted)
    assert [response.status_code for response in responses] == [201, 200, 200]
    assert [response.attempts for response in responses] == [3, 3, 2]
    assert renamed.parse().external_id == "2"
    assert json.loads(deleted.content) == {"id": "ext_2"}
    assert dict(deleted.headers) == {"Content-Type": "application/json"}


@pytest.mark.parametrize("name", ["upsert", "ensure"])
def test_raw_upsert_returns_the_response_of_the_last_request(
    fake: FakeDub, raw: Any, name: str
) -> None:
    created = getattr(raw, name)(BODY)
    again = getattr(raw, name)({**BODY, "name": "Bo"})
    assert (created.status_code, again.status_code) == (201, 200)
    assert again.parse().name == ("Bo" if name == "upsert" else "Ada")
    assert again.parse().id == created.parse().id
    with pytest.raises(ValueError, match=rf"^{name}\(\)"):
        getattr(raw, name)({"country": "GB"})


def test_with_raw_response_supports_subclass_endpoints(fake: FakeDub, make: Any) -> None:
    @declare.returns.json(key="name")
    @declare.get("customers/{id}", args={"options": declare.Options})
    @make.stub
    def name_of(self: Any, id: str, **options: Any) -> Any: ...

    @declare.get("customers/{id}")
    @make.stub
    def response_of(self: Any, id: str) -> Any: ...

    @uplink.response_handler(lambda response: response.status_code)
    @uplink.get("customers")
    @make.stub
    def status(self: Any) -> Any: ...

    declared = {"name_of": name_of, "response_of": response_of, "status": status}
    fake.add(external_id="1", name="Ada")
    raw = raw_of(make(declared))
    response = raw.name_of("ext_1", http_headers={"X-Team": "a"})
    assert isinstance(response, RawResponse)
    assert (response.status_code, response.parse()) == (200, "Ada")
    assert fake.requests[-1].headers["x-team"] == "a"
    response = raw.response_of("ext_1")
    assert isinstance(response, RawResponse)
    assert response.parse().json()["name"] == "Ada"
    with pytest.raises(errors.NotFound):
        raw.name_of("ext_2")
    sent = len(fake.requests)
    with pytest.raises(TypeError, match=r"status\(\) has no raw response"):
        raw.status()
    assert len(fake.requests) == sent


def test_with_raw_response_object_can_be_copied(fake: FakeDub) -> None:
    raw = CustomersConsumer(
        fake.token, server_url=fake.base_url, client=fake.session()
    ).with_raw_response
    assert copy.copy(raw).count().parse() == 0
