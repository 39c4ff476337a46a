"""Test that the wait for a pooled connection counts, and that no request follows a timeout."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import aiohttp
import pytest
import requests
from requests.adapters import HTTPAdapter

from dub_uplink import BackoffStrategy, CustomersConsumer, RetryConfig, errors
from dub_uplink.testing import FakeDub, faults


def blocking() -> requests.Session:
    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=1, pool_block=True))
    return session


def one_connection() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1))


def test_wait_for_a_pooled_connection_obeys_the_timeout(
    fake: FakeDub, served: str, connect: Any
) -> None:
    fake.faults.add(faults.Delay(0.6), times=None, method="POST")
    session = blocking()
    customers: CustomersConsumer = connect(served, client=session, timeout_ms=1_000)

    def create(number: int) -> Any:
        started = time.monotonic()
        try:
            customers.create({"external_id": f"user_{number}", "country": "GB"})
        except errors.APITimeoutError as error:
            return error, time.monotonic() - started
        return None, time.monotonic() - started

    with ThreadPoolExecutor(6) as pool:
        results = list(pool.map(create, range(6)))
    assert max(seconds for _, seconds in results) < 2.5
    unsent = [error for error, _ in results if error is not None and not error.sent]
    assert unsent
    assert {str(error) for error in unsent} == {"POST: no connection within 0.5 s"}
    time.sleep(0.7)
    assert len(fake.customers) <= 6 - len(unsent), "no request may follow the timeout"


def test_create_waiting_for_a_pooled_connection_is_sent_once(
    fake: FakeDub, served: str, connect: Any
) -> None:
    fake.faults.add(faults.Delay(0.3), times=None, method="POST")
    retries = RetryConfig("backoff", BackoffStrategy(100, 400, 1.5, 60_000), True)
    customers: CustomersConsumer = connect(
        served, client=blocking(), timeout_ms=2_000, retry_config=retries
    )

    def create(number: int) -> int:
        row = {"external_id": f"user_{number}", "country": "GB"}
        return customers.with_raw_response.create(row).attempts

    with ThreadPoolExecutor(16) as pool:
        attempts = list(pool.map(create, range(16)))
    assert max(attempts) > 1
    assert len(fake.requests) == 16


def test_wait_for_a_connection_used_by_the_application_times_out(
    serving: Any, connect: Any
) -> None:
    server = serving(200, "[]", drip=0.03)  # 2 seconds for each response
    session = blocking()
    own = threading.Thread(target=session.get, args=(server.url,))
    own.start()
    while not server.received:
        time.sleep(0.01)
    started = time.monotonic()
    with pytest.raises(errors.APITimeoutError, match=r"no connection within 0\.1 s") as caught:
        connect(server.url, client=session, timeout_ms=200).list()
    assert time.monotonic() - started < 1.5
    assert caught.value.sent is False
    own.join()
    assert len(server.received) == 1


def test_wait_for_an_aiohttp_connector_obeys_the_timeout(
    fake: FakeDub, served: str, connect_async: Any
) -> None:
    fake.faults.add(faults.Delay(0.6), times=None, method="POST")
    customers = connect_async(served, client=one_connection, timeout_ms=1_000)

    async def create(number: int) -> Any:
        try:
            await customers.consumer.create({"external_id": f"user_{number}", "country": "GB"})
        except errors.APITimeoutError as error:
            return error
        return None

    async def all_of_them() -> list[Any]:
        return await asyncio.gather(*(create(number) for number in range(6)))

    results = customers.loop.run_until_complete(all_of_them())
    unsent = [error for error in results if error is not None and not error.sent]
    assert {str(error) for error in unsent} == {"POST: no connection within 0.5 s"}
    time.sleep(0.7)
    assert len(fake.customers) <= 6 - len(unsent)


def test_create_waiting_for_an_aiohttp_connector_is_sent_once(
    fake: FakeDub, served: str, connect_async: Any
) -> None:
    # A request that is sent after 1.3 s of the 2 s would time out and be retried.
    fake.faults.add(faults.Delay(0.7), times=None, method="POST")
    retries = RetryConfig("backoff", BackoffStrategy(100, 400, 1.5, 60_000), True)
    customers = connect_async(served, client=one_connection, timeout_ms=2_000, retry_config=retries)

    async def create(number: int) -> int:
        row = {"external_id": f"user_{number}", "country": "GB"}
        return (await customers.consumer.with_raw_response.create(row)).attempts

    async def all_of_them() -> list[int]:
        return await asyncio.gather(*(create(number) for number in range(5)))

    assert max(customers.loop.run_until_complete(all_of_them())) > 1
    assert len(fake.requests) == 5


def test_pool_recovers_after_waits_that_timed_out(
    serving: Any, connect: Any, http_response: Any
) -> None:
    server = serving(200, "[]", drip=0.004)  # 0.3 seconds for each response
    session = blocking()
    customers = connect(server.url, client=session, timeout_ms=450)
    outcomes: list[Any] = []

    def call() -> None:
        try:
            outcomes.append(customers.list())
        except errors.APITimeoutError as error:
            outcomes.append(error)

    for _ in range(3):
        threads = [threading.Thread(target=call) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    server.play(http_response(200, "[]"))
    assert customers.list(timeout_ms=10_000) == []
