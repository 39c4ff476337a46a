"""Test concurrent upserts and ensures of one customer while another client deletes it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dub_uplink import AsyncDub, CustomersConsumer, Dub, errors
from dub_uplink.testing import FakeDub, faults
from dub_uplink.utils import BackoffStrategy, RetryConfig

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(5, 50, 2.0, 60_000))
BASE = FakeDub().base_url
IDS = ["a", "b"]
KEYS = ["ext_a", "ext_b"]
CALLS = 30
WORKERS = 8
BODY = {"external_id": "a", "country": "GB", "name": "Ada"}


class Deleted(faults.Fault):
    """A customer of another client, which deletes it after the request."""

    def __init__(self, fake: FakeDub) -> None:
        self._fake = fake

    def apply(self, execute: Any, now: float) -> Any:
        customer = self._fake.add(external_id="a")
        delivery = faults.Delay(0).apply(execute, now)
        other = CustomersConsumer("dub_test", server_url=BASE, client=self._fake.session())
        other.delete(customer.id)
        return delivery


def body(worker: int, number: int) -> dict[str, Any]:
    name = f"{worker}-{number}"
    return {"external_id": IDS[(worker + number) % 2], "country": "GB", "name": name}


def test_upserts_in_threads_during_deletes_all_succeed() -> None:
    with (
        FakeDub() as fake,
        fake.serve() as url,
        Dub(fake.token, server_url=url, retry_config=SHORT_RETRIES) as dub,
    ):
        ended = threading.Event()

        def delete() -> int:
            deleted = 0
            while not ended.is_set():
                for result in dub.customers.delete_many(KEYS, workers=1):
                    deleted += not isinstance(result, errors.NotFound)
            return deleted

        def upsert(worker: int) -> None:
            for number in range(CALLS):
                sent = body(worker, number)
                made = dub.customers.upsert(sent)
                assert (made.external_id, made.name) == (sent["external_id"], sent["name"])

        with ThreadPoolExecutor() as threads:
            deleting = threads.submit(delete)
            try:
                with ThreadPoolExecutor(WORKERS) as workers:
                    list(workers.map(upsert, range(WORKERS)))
            finally:
                ended.set()
            assert deleting.result() > 0
        assert any(request.status == 409 for request in fake.requests)
        last = [{**BODY, "external_id": external_id} for external_id in IDS]
        assert [made.external_id for made in dub.customers.upsert_many(last)] == IDS
        assert len(fake.customers) == len(IDS)


def test_upserts_in_tasks_during_deletes_all_succeed() -> None:
    async def main(url: str) -> None:
        async with AsyncDub("dub_test", server_url=url, retry_config=SHORT_RETRIES) as dub:

            async def delete() -> None:
                while True:
                    async for _ in dub.customers.delete_many(KEYS):
                        pass

            async def upsert(worker: int) -> None:
                for number in range(CALLS):
                    sent = body(worker, number)
                    made = await dub.customers.upsert(sent)
                    assert (made.external_id, made.name) == (sent["external_id"], sent["name"])

            deleting = asyncio.create_task(delete())
            await asyncio.gather(*map(upsert, range(WORKERS)))
            deleting.cancel()
            await asyncio.wait([deleting])

    with FakeDub() as fake, fake.serve() as url:
        asyncio.run(main(url))
        assert any(request.status == 409 for request in fake.requests)


#: The bodies of two workers for one customer. Only the second worker sends an avatar.
WORKER_BODIES = [BODY, {**BODY, "avatar": "https://dubassets.com/ada.png"}]
RACES = [f"user_{number}" for number in range(150)]


def lose_requests(fake: FakeDub) -> None:
    fake.faults.randomly({faults.DropBefore(): 0.2, faults.DropAfter(): 0.1}, seed=1)


def assert_all_have_the_avatar(fake: FakeDub) -> None:
    assert sorted(customer.external_id or "" for customer in fake.customers) == sorted(RACES)
    assert {customer.avatar for customer in fake.customers} == {WORKER_BODIES[1]["avatar"]}


def test_upserts_in_two_threads_with_lost_requests_merge() -> None:
    with FakeDub() as fake, fake.serve() as url:
        lose_requests(fake)
        barrier = threading.Barrier(2, timeout=30)

        def upsert(body: dict[str, Any]) -> None:
            with Dub(
                "dub_test", server_url=url, retry_config=SHORT_RETRIES, retry_budget=None
            ) as dub:
                for external_id in RACES:
                    barrier.wait()
                    dub.customers.upsert({**body, "external_id": external_id})

        with ThreadPoolExecutor(2) as workers:
            list(workers.map(upsert, WORKER_BODIES))
        assert_all_have_the_avatar(fake)


def test_upserts_in_two_tasks_with_lost_requests_merge() -> None:
    async def main(url: str) -> None:
        async with AsyncDub(
            "dub_test", server_url=url, retry_config=SHORT_RETRIES, retry_budget=None
        ) as dub:
            for external_id in RACES:
                bodies = [{**body, "external_id": external_id} for body in WORKER_BODIES]
                await asyncio.gather(*map(dub.customers.upsert, bodies))

    with FakeDub() as fake, fake.serve() as url:
        lose_requests(fake)
        asyncio.run(main(url))
        assert_all_have_the_avatar(fake)


CREATING: dict[str, Callable[[Any], Any]] = {
    "upsert": lambda c: c.upsert(BODY),
    "ensure": lambda c: c.ensure(BODY),
}


@pytest.mark.parametrize("name", CREATING)
def test_upsert_creates_a_customer_deleted_before_the_update(
    fake: FakeDub, customers: Any, skips: Any, name: str
) -> None:
    fake.faults.add(Deleted(fake), method="POST", times=4)
    assert CREATING[name](customers).external_id == "a"
    assert len(fake.customers) == 1
    assert skips.slept == [0.375, 0.75, 1.5, 3.0]  # the default policy with the mean of its jitter


@pytest.mark.parametrize("name", CREATING)
def test_upsert_of_repeatedly_deleted_customer_raises_conflict(
    fake: FakeDub, make: Any, skips: Any, name: str
) -> None:
    customers = make(retry_config=RetryConfig("backoff", BackoffStrategy(100, 100, 1.0, 1_000)))
    fake.faults.add(Deleted(fake), method="POST", times=1_000)
    text = rf"^409 conflict: {name}\(\) could neither find nor create the customer with external_id"
    with pytest.raises(errors.Conflict, match=rf"{text} 'a': other clients create and delete this"):
        CREATING[name](customers)
    assert 0.5 < sum(skips.slept) < 1  # requests take some real time


def test_upsert_without_retries_of_deleted_customer_raises(
    fake: FakeDub, customers: Any, skips: Any
) -> None:
    fake.faults.add(Deleted(fake), method="POST", times=1_000)
    with pytest.raises(errors.Conflict, match="other clients create and delete this"):
        customers.upsert(BODY, retries=None)
    sent = [request.method for request in fake.requests if request.method != "DELETE"]
    assert sent == ["PATCH", "POST", "PATCH"]
    assert skips.slept == []


def test_upsert_with_options_uses_the_given_retries(fake: FakeDub, make: Any, skips: Any) -> None:
    customers = make()
    consumer = getattr(customers, "consumer", customers).with_options(retries=None)
    loop = getattr(customers, "loop", None)
    view = consumer if loop is None else type(customers)(loop, consumer)
    fake.faults.add(Deleted(fake), method="POST", times=1_000)
    with pytest.raises(errors.Conflict):
        view.upsert(BODY)
    assert skips.slept == []


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("name", ["upsert", "ensure"])
def test_upsert_with_stripe_id_in_use_sends_few_requests(
    fake: FakeDub, customers: Any, name: str, known: bool
) -> None:
    fake.add(external_id="other", stripe_customer_id="cus_9")
    if known and name == "upsert":
        fake.add(external_id="a")
    with pytest.raises(errors.Conflict, match="another customer has stripe_customer_id 'cus_9'"):
        getattr(customers, name)({**BODY, "stripe_customer_id": "cus_9"})
    assert len(fake.requests) == (1 if known and name == "upsert" else 7)
    assert len(fake.customers) == (2 if known and name == "upsert" else 1)


def test_closing_upsert_many_ends_retry_waits(fake: FakeDub) -> None:
    with fake.serve() as url, Dub("dub_test", server_url=url) as dub:
        fake.faults.add(Deleted(fake), method="POST", times=1_000)
        results = dub.customers.upsert_many([BODY])
        taking = threading.Thread(target=next, args=(results, None))
        taking.start()
        while taking.is_alive() and len(fake.requests) < 7:  # a wait of seconds follows
            taking.join(0.01)
        results.close()
        taking.join(5)
        assert not taking.is_alive()
