"""Test the operations, their errors and their pages with both clients."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from dub_uplink import Customer, errors
from dub_uplink.testing import FakeDub, faults


def test_create_get_update_list_and_delete_return_the_customer(
    fake: FakeDub, customers: Any
) -> None:
    created = customers.create(request={"external_id": "a/ü?", "name": "Ada", "country": "GB"})
    assert isinstance(created, Customer)
    assert customers.get("ext_a/ü?") == created == customers.get({"id": created.id})
    assert customers.update(id=created.id, request_body={"name": None}).name != "Ada"
    assert [c.id for c in customers.list(country="GB")] == [created.id]
    assert customers.delete(id="ext_a/ü?").id == created.id
    assert not fake.customers


@pytest.mark.parametrize(
    ("status", "cls"),
    [(status, cls) for status, cls in errors.BY_STATUS.items()] + [(418, errors.SDKError)],
)
def test_error_status_raises_the_error_class_of_the_status(
    fake: FakeDub, make: Any, status: int, cls: type[errors.APIStatusError]
) -> None:
    body = b'{"error": {"code": "some_code", "message": "details", "doc_url": "https://x"}}'
    fake.faults.add(faults.Status(status, body=body))
    with pytest.raises(errors.DubError) as caught:
        make(retry_config=None).get("cus_1")
    error = caught.value
    assert type(error) is cls
    assert isinstance(error, errors.APIStatusError)
    assert (error.status_code, error.code, error.message) == (
        status,
        "some_code",
        "details",
    )
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == f"{status} some_code: details"


@pytest.mark.parametrize(
    ("fault", "cls"),
    [
        (faults.DropBefore(), errors.APIConnectionError),
        (faults.DropAfter(), errors.APIConnectionError),
        (faults.Truncate(10), errors.APIConnectionError),
        (faults.Garbage(b"<html>", "text/html"), errors.ResponseValidationError),
        (faults.Garbage(b'{"no": "id"}', "application/json"), errors.ResponseValidationError),
        (faults.Drip(2), errors.APITimeoutError),
        (faults.Delay(5), errors.APITimeoutError),
    ],
    ids=lambda value: getattr(value, "__name__", repr(value)),
)
def test_dropped_connection_raises_dub_error_without_cause(
    fake: FakeDub, make: Any, fault: faults.Fault, cls: type[errors.DubError]
) -> None:
    fake.add(external_id="1")
    fake.faults.add(fault)
    slow = isinstance(fault, (faults.Drip, faults.Delay))
    with pytest.raises(errors.DubError) as caught:
        make(retry_config=None).get("ext_1", timeout_ms=200 if slow else 20_000)
    assert type(caught.value) is cls
    assert caught.value.__cause__ is None
    # The exceptions of requests and aiohttp reference the request, which contains the token.
    assert caught.value.__context__ is None or cls is errors.ResponseValidationError


def test_refused_connection_reports_nothing_sent(make: Any) -> None:
    with pytest.raises(errors.APIConnectionError) as caught:
        make(server_url="http://127.0.0.1:9", retry_config=None).list()
    assert caught.value.sent is False


@pytest.mark.parametrize(
    "call",
    [
        lambda s: s.get(""),
        lambda s: s.get(".."),
        lambda s: s.delete("count"),
        lambda s: s.create({"nope": 1}),
        lambda s: s.list(page_size=101),
        lambda s: s.list(email=""),
        lambda s: s.get("cus_1", http_headers={"authorization": "x"}),
        lambda s: s.get("cus_1", timeout_ms=-1),
    ],
)
def test_invalid_argument_raises_before_sending(fake: FakeDub, customers: Any, call: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        call(customers)
    assert not fake.requests


def test_pages_and_iterate_return_every_customer_once(fake: FakeDub, customers: Any) -> None:
    fake.add_many(23)
    page, sizes = customers.list(page_size=10), []
    while page is not None:
        sizes.append(len(page))
        page = page.next()
    assert sizes == [10, 10, 3]
    everyone = {c.id for c in fake.customers}
    found = [c.id for c in customers.iterate(page_size=5)]
    assert len(found) == 23
    assert set(found) == everyone


def test_deleting_while_iterating_empties_the_workspace(fake: FakeDub, customers: Any) -> None:
    fake.add_many(42)
    for customer in customers.iterate(page_size=10):
        customers.delete(customer.id)
    assert not fake.customers


def test_ensure_called_twice_creates_one_customer(fake: FakeDub, customers: Any) -> None:
    body = {"external_id": "1", "name": "Ada", "country": "GB"}
    assert customers.ensure(body) == customers.ensure(body)
    assert len(fake.customers) == 1


def test_batch_returns_ordered_results_and_errors(fake: FakeDub, customers: Any) -> None:
    fake.add(external_id="2")
    bodies: list[Any] = [{"external_id": str(n), "country": "GB"} for n in range(5)]
    bodies[4] = {"external_id": 4}
    results = list(customers.create_many(iter(bodies), workers=2))
    types = [type(result).__name__ for result in results]
    assert types == ["Customer", "Customer", "Conflict", "Customer", "ValueError"]
    ids = ["ext_0", "ext_1", "cus_no"]
    deleted = [type(result).__name__ for result in customers.delete_many(ids)]
    assert deleted == ["DeleteCustomerResponseBody", "DeleteCustomerResponseBody", "NotFound"]


def test_subclass_endpoint_has_token_retries_and_errors(fake: FakeDub, make: Any) -> None:
    from dub_uplink import declare

    @declare.returns.json(type=dict)
    @declare.get("customers/{id}")
    @make.stub
    def raw(self: Any, id: str) -> dict[str, Any]:
        raise NotImplementedError

    fake.add(external_id="1")
    fake.faults.add(faults.Status(503))
    client = make({"raw": raw})
    assert client.raw("ext_1")["externalId"] == "1"
    with pytest.raises(errors.NotFound):
        client.raw("ext_2")
