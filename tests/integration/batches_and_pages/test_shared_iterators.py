"""Test iterators and batches that several threads or tasks share, over real sockets."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from dub_uplink import (
    AsyncDub,
    BackoffStrategy,
    Clock,
    Dub,
    RetryConfig,
    amap_unordered,
    errors,
    map_unordered,
)
from dub_uplink.testing import FakeDub, faults

CONSUMERS = 8
UNRELIABLE = {faults.DropAfter(): 0.05, faults.DropBefore(): 0.05, faults.Status(503): 0.05}


async def pass_control(_: float) -> None:
    await asyncio.sleep(0)


#: Retries without waits.
NO_WAITS = Clock(sleep=lambda _: None, async_sleep=pass_control, random=lambda: 0.0)


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub()


@pytest.fixture
def url(fake: FakeDub) -> Iterator[str]:
    with fake.serve() as url:
        yield url


@pytest.fixture
def dub(url: str) -> Iterator[Dub]:
    with Dub("dub_test", server_url=url, retry_config=None) as dub:
        yield dub


def run_async(url: str, main: Callable[[AsyncDub], Awaitable[None]], **settings: Any) -> None:
    async def run() -> None:
        async with AsyncDub("dub_test", server_url=url, **settings) as dub:
            await main(dub)

    asyncio.run(run())


def bodies(count: int) -> Iterator[dict[str, str]]:
    return ({"external_id": f"user_{number}", "country": "GB"} for number in range(count))


def take_in_threads(iterator: Iterator[Any]) -> tuple[list[Any], list[errors.DubError]]:
    """Take from an iterator in several threads until it ends; return the results and the errors."""
    collected: list[Any] = []
    raised: list[Any] = []

    def take() -> None:
        while True:
            try:
                collected.append(next(iterator))
            except StopIteration:
                return
            except errors.DubError as error:
                raised.append(error)
            except BaseException as error:
                raised.append(error)
                raise

    threads = [threading.Thread(target=take) for _ in range(CONSUMERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return collected, raised


async def take_in_tasks(iterator: AsyncIterator[Any]) -> tuple[list[Any], list[errors.DubError]]:
    """Take from an iterator in several tasks until it ends; return the results and the errors."""
    collected: list[Any] = []
    raised: list[errors.DubError] = []

    async def take() -> None:
        while True:
            try:
                collected.append(await anext(iterator))
            except StopAsyncIteration:
                return
            except errors.DubError as error:
                raised.append(error)

    await asyncio.gather(*(take() for _ in range(CONSUMERS)))
    return collected, raised


def test_iterate_in_threads_returns_each_customer_once(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(400)
    collected, raised = take_in_threads(dub.customers.iterate(page_size=10))
    assert raised == []
    assert sorted(c.id for c in collected) == sorted(c.id for c in fake.customers)


def test_iterate_in_threads_raises_each_error_once(fake: FakeDub, dub: Dub) -> None:
    fake.add_many(100)
    fake.faults.add(faults.Status(500), times=3)
    collected, raised = take_in_threads(dub.customers.iterate(page_size=10))
    assert [type(error) for error in raised] == [errors.InternalServerError] * 3
    assert sorted(c.id for c in collected) == sorted(c.id for c in fake.customers)


@pytest.mark.parametrize("prefetch", [False, True])
def test_iterate_in_tasks_returns_each_customer_once(
    fake: FakeDub, url: str, prefetch: bool
) -> None:
    fake.add_many(400)
    fake.faults.add(faults.Status(500), times=3)

    async def main(dub: AsyncDub) -> None:
        iterator = dub.customers.iterate(page_size=10, prefetch=prefetch)
        collected, raised = await take_in_tasks(iterator)
        assert [type(error) for error in raised] == [errors.InternalServerError] * 3
        assert sorted(c.id for c in collected) == sorted(c.id for c in fake.customers)

    run_async(url, main, retry_config=None)


def test_cancelled_async_iterate_loses_no_customer(fake: FakeDub, url: str) -> None:
    fake.add_many(30)
    fake.faults.add(faults.Delay(0.3))

    async def main(dub: AsyncDub) -> None:
        iterator = dub.customers.iterate(page_size=10)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(iterator), 0.1)
        found = [customer.id async for customer in iterator]
        assert sorted(found) == sorted(c.id for c in fake.customers)

    run_async(url, main)


def test_async_iterate_ends_when_closed_during_a_fetch(fake: FakeDub, url: str) -> None:
    fake.add_many(30)

    async def main(dub: AsyncDub) -> None:
        iterator = dub.customers.iterate(page_size=10, prefetch=True)
        waiting = asyncio.ensure_future(take_in_tasks(iterator))
        while not fake.requests:
            await asyncio.sleep(0)
        await iterator.aclose()
        assert await waiting == ([], [])
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_async(url, main)


def test_cursor_can_be_read_while_a_page_is_fetched(fake: FakeDub) -> None:
    fake.add_many(5)
    cursors = []

    def token() -> str:  # like a signal handler during next()
        cursors.append(iterator.cursor)
        return "dub_test"

    with Dub(token, client=fake.session()) as dub:
        iterator = dub.customers.iterate(page_size=2)
        assert len(list(iterator)) == 5
        assert len(list(dub.customers.iterate(page_size=2, cursor=cursors[0]))) == 5


def test_create_many_in_threads_returns_each_result_once(fake: FakeDub, dub: Dub) -> None:
    collected, raised = take_in_threads(dub.customers.create_many(bodies(100)))
    assert raised == []
    assert sorted(c.id for c in collected) == sorted(c.id for c in fake.customers)
    assert len(collected) == 100


def test_map_unordered_in_threads_returns_each_result_once(dub: Dub) -> None:
    collected, raised = take_in_threads(map_unordered(str, range(500)))
    assert raised == []
    assert sorted(collected) == [(number, str(number)) for number in range(500)]


def test_async_batches_in_tasks_return_each_result_once(fake: FakeDub, url: str) -> None:
    async def main(dub: AsyncDub) -> None:
        collected, raised = await take_in_tasks(dub.customers.create_many(bodies(100)))
        assert raised == []
        assert sorted(c.id for c in collected) == sorted(c.id for c in fake.customers)
        ids = [customer.id for customer in collected]
        collected, raised = await take_in_tasks(amap_unordered(dub.customers.get, ids))
        assert raised == []
        assert sorted(given for given, _ in collected) == sorted(ids)
        assert all(given == customer.id for given, customer in collected)

    run_async(url, main)


def test_cancelled_task_of_a_shared_async_batch_loses_no_result() -> None:
    async def call(number: int) -> int:
        await asyncio.sleep(0.01 if number % 3 else 0.05)
        return number

    async def items() -> AsyncIterator[int]:
        for number in range(20):
            await asyncio.sleep(0.01)
            yield number

    async def main() -> None:
        results = amap_unordered(call, items(), workers=3)
        collected: list[Any] = []
        while len(collected) < 20:
            waiting = asyncio.ensure_future(anext(results))
            await asyncio.sleep(0.004)
            if waiting.done() or not waiting.cancel():
                collected.append(await waiting)
            else:
                await asyncio.wait({waiting})
        assert sorted(collected) == [(number, number) for number in range(20)]
        with pytest.raises(StopAsyncIteration):
            await anext(results)

    asyncio.run(main())


def test_cancelled_async_create_many_loses_no_result(fake: FakeDub, url: str) -> None:
    fake.faults.randomly({faults.Delay(0.05): 0.5}, seed=5)

    async def main(dub: AsyncDub) -> None:
        results = dub.customers.create_many(bodies(30), workers=3)
        collected: list[Any] = []
        cancelled = 0
        while len(collected) < 30:
            waiting = asyncio.ensure_future(anext(results))
            await asyncio.wait({waiting}, timeout=0.01)
            if waiting.cancel():
                cancelled += 1
                await asyncio.wait({waiting})
            else:
                collected.append(await waiting)
        assert [c.external_id for c in collected] == [f"user_{number}" for number in range(30)]
        assert cancelled > 5

    run_async(url, main)


def test_async_batch_closed_before_reading_ends_waiting_task() -> None:
    async def main() -> None:
        results = amap_unordered(asyncio.sleep, [0])
        waiting = asyncio.ensure_future(anext(results))
        closing = asyncio.ensure_future(results.aclose())  # before the reading task has run
        with pytest.raises(StopAsyncIteration):
            await asyncio.wait_for(waiting, 10)
        await closing

    asyncio.run(main())


def test_closing_a_batch_ends_the_thread_that_waits_for_a_result() -> None:
    fake, sleeping = FakeDub(), threading.Event()
    fake.faults.add(faults.RateLimited(3_600, "unix_ms"), times=None)

    def sleep(seconds: float) -> None:
        sleeping.set()
        time.sleep(0.001)

    long_deadline = RetryConfig("backoff", BackoffStrategy(500, 8_000, 2.0, 7_200_000), True)
    clock = Clock(sleep=sleep)
    with Dub("dub_test", client=fake.session(), clock=clock, retry_config=long_deadline) as dub:
        results = map_unordered(lambda _: dub.customers.list(), range(100), workers=2)
        ended: list[Any] = []
        consumer = threading.Thread(target=lambda: ended.extend(take_in_threads(results)))
        consumer.start()
        assert sleeping.wait(60)
        results.close()
        consumer.join(60)
        assert not consumer.is_alive()
        assert ended == [[], []]


def test_closing_an_async_batch_ends_a_task_waiting_for_a_result() -> None:
    async def call(number: int) -> int:
        await asyncio.sleep(3_600)
        return number

    async def main() -> None:
        results = amap_unordered(call, range(100))
        waiting = asyncio.ensure_future(take_in_tasks(results))
        await asyncio.sleep(0.01)
        await results.aclose()
        assert await asyncio.wait_for(waiting, 60) == ([], [])
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_threads_with_faults_process_each_customer_once(fake: FakeDub, url: str) -> None:
    fake.faults.randomly(UNRELIABLE, seed=11)
    with Dub("dub_test", server_url=url, clock=NO_WAITS, retry_budget=None) as dub:
        created, raised = take_in_threads(dub.customers.create_many(bodies(300)))
        assert raised == []
        everyone = sorted(c.id for c in created)
        assert everyone == sorted(c.id for c in fake.customers)
        assert len(everyone) == 300
        ids = (customer.id for customer in dub.customers.iterate(page_size=20))
        deleted, raised = take_in_threads(dub.customers.delete_many(ids))
        assert raised == []
    assert sorted(result.id for result in deleted) == everyone
    assert not fake.customers


def test_tasks_with_faults_process_each_customer_once(fake: FakeDub, url: str) -> None:
    fake.faults.randomly(UNRELIABLE, seed=12)

    async def main(dub: AsyncDub) -> None:
        created, raised = await take_in_tasks(dub.customers.create_many(bodies(300)))
        assert raised == []
        everyone = sorted(c.id for c in created)
        assert everyone == sorted(c.id for c in fake.customers)
        assert len(everyone) == 300
        ids = (customer.id async for customer in dub.customers.iterate(page_size=20))
        deleted, raised = await take_in_tasks(dub.customers.delete_many(ids))
        assert raised == []
        assert sorted(result.id for result in deleted) == everyone
        assert not fake.customers

    run_async(url, main, clock=NO_WAITS, retry_budget=None)


def test_unreferenced_async_batch_leaves_no_task() -> None:
    async def call(number: int) -> int:
        await asyncio.sleep(3_600 if number else 0)
        return number

    async def main() -> None:
        results: AsyncGenerator[Any, None] = amap_unordered(call, range(100), workers=4)
        async for _ in results:
            break
        assert len(asyncio.all_tasks()) == 5
        del results
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
