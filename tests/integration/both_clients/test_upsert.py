"""Test ``upsert()``, ``upsert_many()`` and ``update_many()``."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from dub_uplink import CustomersConsumer, Dub, errors, operations
from dub_uplink.testing import FakeDub, faults, no_sleep

BODY = {"external_id": "u/1", "country": "GB", "name": "Ada", "email": "ada@example.com"}
ITEM = "/customers/*"
AVATAR = "https://dubassets.com/ada.png"


def methods(fake: FakeDub) -> list[str]:
    return [request.method for request in fake.requests]


def test_upsert_of_a_new_customer_creates_the_customer(fake: FakeDub, customers: Any) -> None:
    made = customers.upsert(BODY)
    assert (made.external_id, made.country, made.name) == ("u/1", "GB", "Ada")
    assert [customer.id for customer in fake.customers] == [made.id]
    assert methods(fake) == ["PATCH", "POST"]


def test_upsert_of_an_existing_customer_updates_the_customer(fake: FakeDub, customers: Any) -> None:
    known = fake.add(external_id="u/1", country="FR", name="Bo", email="bo@example.com")
    body = operations.CreateCustomerRequestBody("u/1", email=None, name="Ada", country="GB")
    updated = customers.upsert(body)
    assert (updated.id, updated.name, updated.email) == (known.id, "Ada", None)
    assert updated.country == "FR"  # the server ignores it in an update
    assert methods(fake) == ["PATCH"]


def test_upsert_updates_a_concurrently_created_customer(fake: FakeDub, customers: Any) -> None:
    # Another worker creates the customer between the PATCH and the POST.
    class Rival(faults.Fault):
        def apply(self, execute: Any, now: float) -> Any:
            fake.add(external_id="u/1", country="FR", name="Bo")
            return faults.Delay(0).apply(execute, now)

    fake.faults.add(Rival(), method="POST")
    result = customers.upsert(BODY)
    assert (result.name, result.country) == ("Ada", "FR")
    assert len(fake.customers) == 1
    assert methods(fake) == ["PATCH", "POST", "PATCH"]


@pytest.mark.parametrize(
    "fault",
    [
        faults.DropAfter(),
        faults.DropBefore(),
        faults.Status(503, carried_out=True),
        faults.Truncate(10),
    ],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("method", ["PATCH", "POST"])
@pytest.mark.parametrize("known", [True, False])
def test_upsert_with_a_lost_response_is_applied_once(
    fake: FakeDub, customers: Any, fault: faults.Fault, method: str, known: bool
) -> None:
    if known:
        fake.add(external_id="u/1", country="FR", name="Bo")
    fake.faults.add(fault, method=method)
    result = customers.upsert(BODY)
    (stored,) = fake.customers
    assert (result.id, result.name, result.email) == (stored.id, "Ada", "ada@example.com")
    assert (stored.name, stored.email) == ("Ada", "ada@example.com")
    assert stored.country == ("FR" if known else "GB")


@pytest.mark.parametrize("fields", [{"avatar": AVATAR}, {"extra_body": {"saleAmount": 5}}], ids=str)
@pytest.mark.parametrize("raw", [False, True])
def test_upsert_after_lost_create_updates_the_other_customer(
    fake: FakeDub, make: Any, fields: dict[str, Any], raw: bool
) -> None:
    """Another worker creates the customer between a lost attempt and the next attempt."""
    given = {"external_id": "u/1", "country": "GB"}
    customers = make(on_retry=lambda *_: fake.add(**given, name="Bo"))
    endpoints = customers.with_raw_response if raw else customers
    if raw and hasattr(customers, "loop"):
        endpoints = type(customers)(customers.loop, endpoints)
    options = {name: value for name, value in fields.items() if name == "extra_body"}
    body = {**given, **{name: value for name, value in fields.items() if name != "extra_body"}}
    fake.faults.add(faults.DropBefore(), method="POST")
    result = endpoints.upsert(body, **options)
    assert (result.status_code if raw else 200) == 200
    assert methods(fake) == ["PATCH", "POST", "POST", "PATCH"]
    sent = json.loads(fake.requests[-1].body)
    assert sent == {"country": "GB", **(options.get("extra_body") or fields)}
    assert (result.parse() if raw else result).avatar == fields.get("avatar")
    assert fake.customers[0].avatar == fields.get("avatar")


def test_create_during_an_upsert_still_looks_its_customer_up(fake: FakeDub, make: Any) -> None:
    """An upsert calls ``on_retry``, which creates another customer."""
    with Dub("dub_test", client=fake.session()) as other:
        made = []

        def create(*_: Any) -> None:
            fake.faults.add(faults.DropAfter(), method="POST")
            made.append(other.customers.create({"external_id": "u/2", "country": "GB"}))

        fake.faults.add(faults.DropBefore(), method="POST")
        with no_sleep():
            make(on_retry=create).upsert(BODY)
    assert [customer.external_id for customer in made] == ["u/2"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "Ada"},
        {"external_id": None},
        {"external_id": ""},
        {"external_id": 5},
        {"external_id": "1", "nmae": "Ada"},
        operations.CreateCustomerRequestBody(""),
    ],
)
def test_upsert_without_external_id_is_rejected(fake: FakeDub, customers: Any, body: Any) -> None:
    with pytest.raises(ValueError, match=r"^upsert\(\): "):
        customers.upsert(body)
    assert not fake.requests


@pytest.mark.parametrize("known", [True, False])
def test_upsert_with_stripe_id_in_use_raises_conflict(
    fake: FakeDub, customers: Any, known: bool
) -> None:
    fake.add(external_id="other", stripe_customer_id="cus_9")
    if known:
        fake.add(external_id="u/1", country="FR")
    with pytest.raises(errors.Conflict):
        customers.upsert({**BODY, "stripe_customer_id": "cus_9"})
    assert len(fake.customers) == (2 if known else 1)


def test_upsert_passes_the_options_to_each_request(fake: FakeDub, customers: Any) -> None:
    fake.faults.add(faults.Status(503))
    with pytest.raises(errors.SDKError):
        customers.upsert(BODY, retries=None)
    assert methods(fake) == ["PATCH"]


def test_upsert_many_returns_ordered_results_and_errors(fake: FakeDub, customers: Any) -> None:
    fake.add(external_id="1", country="FR", name="Bo")
    bodies = [{"external_id": str(n), "country": "GB", "name": "Ada"} for n in range(4)]
    results = list(customers.upsert_many([*bodies, {"name": "Ada"}], workers=2))
    assert [result.external_id for result in results[:4]] == ["0", "1", "2", "3"]
    assert isinstance(results[4], ValueError)
    assert {customer.name for customer in fake.customers} == {"Ada"}


def test_update_many_returns_ordered_results_and_errors(fake: FakeDub, customers: Any) -> None:
    fake.add_many(3)
    changes = [(customer.id, {"name": customer.external_id}) for customer in fake.customers]
    pairs: list[Any] = [*changes, ("cus_nobody", {}), ("ext_user_1",), "ab", ["ext_user_1", {}]]
    results = list(customers.update_many(pairs, workers=2))
    assert [result.name for result in results[:3]] == [name["name"] for _, name in changes]
    assert [type(result).__name__ for result in results[3:]] == [
        "NotFound",
        "TypeError",
        "TypeError",
        "Customer",
    ]
    assert "each change must be a pair" in str(results[5])


@pytest.mark.parametrize("batch", ["update_many", "upsert_many"])
def test_update_many_and_upsert_many_read_the_source_lazily(
    fake: FakeDub, make: Any, batch: str
) -> None:
    read: list[int] = []

    def source() -> Iterator[Any]:
        for number in itertools.count():
            read.append(number)
            body = {"external_id": str(number), "country": "GB"}
            yield (f"ext_{number}", {}) if batch == "update_many" else body

    results = getattr(make(), batch)(source(), workers=3)
    assert read == []
    next(iter(results))
    assert len(read) <= 4
    if hasattr(results, "close"):
        results.close()


@pytest.mark.parametrize("batch", ["update_many", "upsert_many"])
@pytest.mark.parametrize("items", ["ab", {"external_id": "1"}, 5])
def test_update_many_of_one_item_instead_of_a_list_raises(
    customers: Any, batch: str, items: Any
) -> None:
    with pytest.raises(TypeError):
        getattr(customers, batch)(items)


def test_update_many_and_upsert_many_read_an_async_source(fake: FakeDub, make: Any) -> None:
    customers = make()
    if isinstance(customers, CustomersConsumer):
        pytest.skip("only the asynchronous client reads asynchronous iterables")

    async def bodies() -> AsyncIterator[Any]:
        yield BODY

    async def changes() -> AsyncIterator[Any]:
        yield "ext_u/1", {"name": "Grace"}

    assert [result.name for result in customers.upsert_many(bodies())] == ["Ada"]
    assert [result.name for result in customers.update_many(changes())] == ["Grace"]
