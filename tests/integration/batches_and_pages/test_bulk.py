"""Test ensure, create_many and delete_many with a mounted fake and over real sockets."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from dub_uplink import Clock, Customer, CustomersConsumer, Dub, errors
from dub_uplink.testing import FakeDub, faults


class Ticks:
    """A clock that counts the seconds of its sleeps; threads share it."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.slept: list[tuple[int, float]] = []
        self._lock = threading.Lock()
        self.clock = Clock(
            monotonic=lambda: self.now, time=time.time, sleep=self._sleep, random=lambda: 0.0
        )

    def _sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append((threading.get_ident(), seconds))
            self.now += seconds


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub()


@pytest.fixture
def dub(fake: FakeDub) -> Iterator[Dub]:
    with Dub("dub_test", client=fake.session(), retry_config=None) as s:
        yield s


def bodies(count: int) -> Iterator[dict[str, str]]:
    return ({"external_id": f"user_{number}", "country": "GB"} for number in range(count))


def test_ensure_creates_a_customer_once_and_then_gets_the_same(fake: FakeDub, dub: Dub) -> None:
    first = dub.customers.ensure({"external_id": "user_1", "name": "Ada", "country": "GB"})
    again = dub.customers.ensure({"externalId": "user_1", "name": "Countess", "country": "GB"})
    assert first == again
    assert [r.method for r in fake.requests] == ["GET", "POST", "GET"]


def test_ensure_returns_a_concurrently_created_customer(
    fake: FakeDub,
) -> None:
    class Racing(CustomersConsumer):
        def create(self, request: object, **options: object) -> Customer:
            fake.add(external_id="user_1", name="The other worker's")
            return super().create(request, **options)  # type: ignore[arg-type]

    with Racing("dub_test", client=fake.session(), retry_config=None) as customers:
        found = customers.ensure({"external_id": "user_1", "country": "GB"})
    assert found.name == "The other worker's"
    assert len(fake.customers) == 1


def test_ensure_with_stripe_id_in_use_raises_conflict(fake: FakeDub, dub: Dub) -> None:
    fake.add(external_id="other", stripe_customer_id="cus_s")
    with pytest.raises(errors.Conflict):
        dub.customers.ensure(
            {"external_id": "user_1", "country": "GB", "stripe_customer_id": "cus_s"}
        )


def test_ensure_validates_the_request_before_sending(fake: FakeDub, dub: Dub) -> None:
    with pytest.raises(ValueError, match=r"ensure\(\): unknown field 'nmae'"):
        dub.customers.ensure({"external_id": "user_1", "nmae": "Ada"})
    assert not fake.requests


def test_batch_methods_return_ordered_results_and_errors(fake: FakeDub, dub: Dub) -> None:
    fake.add(external_id="user_3")
    requests = list(bodies(6))
    requests[4] = {"external_id": 4}  # type: ignore[dict-item]
    results = list(dub.customers.create_many(requests, workers=3))
    types = [type(result).__name__ for result in results]
    assert types == ["Customer", "Customer", "Customer", "Conflict", "ValueError", "Customer"]
    created = [r.external_id for r in results if isinstance(r, Customer)]
    assert created == ["user_0", "user_1", "user_2", "user_5"]


def test_delete_many_accepts_dub_ids_and_external_ids(fake: FakeDub, dub: Dub) -> None:
    ids = [fake.add(external_id="a").id, "ext_b", "cus_unknown"]
    fake.add(external_id="b")
    results = list(dub.customers.delete_many(iter(ids)))
    assert [type(result).__name__ for result in results] == [
        "DeleteCustomerResponseBody",
        "DeleteCustomerResponseBody",
        "NotFound",
    ]
    assert not fake.customers


def test_batch_reads_the_source_lazily(fake: FakeDub, dub: Dub) -> None:
    read: list[int] = []

    def endless() -> Iterator[dict[str, str]]:
        for number in itertools.count():
            read.append(number)
            yield {"external_id": f"user_{number}", "country": "GB"}

    results = dub.customers.create_many(endless(), workers=4)
    assert read == []
    for returned in range(1, 10):
        next(results)
        assert len(read) <= returned + 3
    results.close()
    # Rows that were not started at the end were not sent.
    assert 9 <= len(fake.customers) <= len(read)


def test_batch_runs_as_many_calls_at_once_as_workers(fake: FakeDub) -> None:
    together = threading.Barrier(4, timeout=10)
    in_flight, most, lock = 0, 0, threading.Lock()

    class Counting(CustomersConsumer):
        def create(self, request: object, **options: object) -> Customer:
            nonlocal in_flight, most
            with lock:
                in_flight += 1
                most = max(most, in_flight)
            together.wait()  # passes only with four concurrent calls
            with lock:
                in_flight -= 1
            return super().create(request, **options)  # type: ignore[arg-type]

    with Counting("dub_test", client=fake.session(), retry_config=None) as customers:
        results = list(customers.create_many(bodies(16), workers=4))
    assert all(isinstance(result, Customer) for result in results)
    assert most == 4


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_batch_with_less_than_one_worker_raises_before_reading(dub: Dub, workers: int) -> None:
    with pytest.raises(ValueError, match="workers must be a whole number of 1 or more"):
        dub.customers.create_many(iter([]), workers=workers)


def test_429_of_one_worker_pauses_all_workers() -> None:
    fake, ticks = FakeDub(), Ticks()
    fake.faults.add(faults.RateLimited(retry_after=30))
    with Dub("dub_test", client=fake.session(), clock=ticks.clock) as s:
        results = list(s.customers.create_many(bodies(40), workers=4))
    assert all(isinstance(result, Customer) for result in results)
    # 40 calls and one rejection: the limit affects no other caller, although all share the clock.
    assert len(fake.requests) == 41
    assert ticks.now >= 1_030.0


def test_closing_a_batch_ends_the_waits_of_the_workers() -> None:
    fake = FakeDub()
    fake.faults.add(faults.RateLimited(retry_after=3_000), times=100)
    slept = threading.Event()

    def sleep(seconds: float) -> None:
        slept.set()
        time.sleep(min(seconds, 0.01))

    from dub_uplink import BackoffStrategy, RetryConfig

    class WaitingConsumer(CustomersConsumer):
        def create(self, request: object, **options: object) -> Customer:
            if request == {"external_id": 1}:
                slept.wait(60)  # otherwise its result precedes the next row
            return super().create(request, **options)  # type: ignore[arg-type]

    long_deadline = RetryConfig(backoff=BackoffStrategy(500, 8_000, 2.0, 4_000_000))
    clock = Clock(sleep=sleep)
    with WaitingConsumer(
        "dub_test", client=fake.session(), clock=clock, retry_config=long_deadline
    ) as s:
        requests = itertools.chain([{"external_id": 1}], bodies(4))
        results = s.create_many(requests, workers=2)  # type: ignore[arg-type]
        assert isinstance(next(results), ValueError)
        assert slept.wait(60)
        started = time.monotonic()
        results.close()  # like Ctrl-C
        assert time.monotonic() - started < 30  # not 3,000
    assert len(fake.requests) < 100


def test_batch_with_faults_writes_every_customer_once() -> None:
    fake, ticks = FakeDub(), Ticks()
    fake.faults.randomly(
        {faults.DropAfter(): 0.1, faults.DropBefore(): 0.1, faults.Status(503): 0.1}, seed=7
    )
    with fake.serve() as url, Dub("dub_test", server_url=url, clock=ticks.clock) as s:
        results = list(s.customers.create_many(bodies(200), workers=8))
    assert all(isinstance(result, Customer) for result in results)
    assert [r.external_id for r in results if isinstance(r, Customer)] == [
        f"user_{number}" for number in range(200)
    ]
    assert len(fake.customers) == 200
