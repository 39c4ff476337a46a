"""Test the inputs of batches of both clients: iterables, iterables that raise, and wrong types."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from dub_uplink import AsyncDub, Customer, Dub, amap_unordered, map_unordered
from dub_uplink.testing import FakeDub, faults


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub()


@pytest.fixture
def url(fake: FakeDub) -> Iterator[str]:
    with fake.serve() as url:
        yield url


def bodies(count: int) -> Iterator[dict[str, str]]:
    return ({"external_id": f"user_{number}", "country": "GB"} for number in range(count))


class SourceError(Exception):
    """The exception that the sources in these tests raise."""


def failing(count: int) -> Iterator[dict[str, str]]:
    yield from bodies(count)
    raise SourceError


async def failing_async(count: int) -> AsyncIterator[dict[str, str]]:
    for body in bodies(count):
        yield body
    raise SourceError


def run_async(url: str, main: Callable[[AsyncDub], Any]) -> None:
    async def run() -> None:
        async with AsyncDub("dub_test", server_url=url) as dub:
            await main(dub)

    asyncio.run(run())


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_batch_raises_a_source_error_after_all_results(
    fake: FakeDub, url: str, workers: int
) -> None:
    fake.faults.add(faults.Delay(0.1))
    with Dub("dub_test", server_url=url) as dub:
        results = dub.customers.create_many(failing(5), workers=workers)
        collected: list[Any] = []
        with pytest.raises(SourceError):
            for result in results:
                collected.append(result)
        assert [c.external_id for c in collected] == [f"user_{number}" for number in range(5)]
        assert next(results, None) is None
    assert len(fake.customers) == 5


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_map_unordered_raises_a_source_error_after_all_results(workers: int) -> None:
    collected: list[Any] = []
    with pytest.raises(SourceError):
        for body, result in map_unordered(len, failing(5), workers):
            collected.append((body["external_id"], result))
    assert sorted(collected) == [(f"user_{number}", 2) for number in range(5)]


@pytest.mark.parametrize("source", [failing, failing_async])
@pytest.mark.parametrize("workers", [1, 3, 8])
def test_async_batch_raises_a_source_error_after_all_results(
    fake: FakeDub, url: str, source: Any, workers: int
) -> None:
    fake.faults.add(faults.Delay(0.1))

    async def main(dub: AsyncDub) -> None:
        results = dub.customers.create_many(source(5), workers=workers)
        collected: list[Any] = []
        with pytest.raises(SourceError):
            async for result in results:
                collected.append(result)
        assert [c.external_id for c in collected] == [f"user_{number}" for number in range(5)]
        assert await anext(results, None) is None
        calls = amap_unordered(dub.customers.ensure, source(5), workers=workers)
        ensured: list[Any] = []
        with pytest.raises(SourceError):
            async for _, result in calls:
                ensured.append(result)
        assert {c.id for c in ensured} == {c.id for c in collected}

    run_async(url, main)
    assert len(fake.customers) == 5


def test_cancelled_async_source_ends_the_batch() -> None:
    async def items() -> AsyncIterator[int]:
        yield 1
        raise asyncio.CancelledError

    async def call(number: int) -> int:
        return number

    async def main() -> None:
        results = amap_unordered(call, items())
        assert await anext(results) == (1, 1)
        with pytest.raises(asyncio.CancelledError):
            await anext(results)

    asyncio.run(main())


def test_async_delete_many_takes_an_async_iterable(fake: FakeDub, url: str) -> None:
    fake.add_many(250)

    async def main(dub: AsyncDub) -> None:
        everyone = dub.customers.iterate()
        deleted = [r async for r in dub.customers.delete_many(c.id async for c in everyone)]
        assert len({result.id for result in deleted if not isinstance(result, Exception)}) == 250

    run_async(url, main)
    assert not fake.customers


def test_async_batch_reads_the_source_in_one_task(fake: FakeDub, url: str) -> None:
    tasks = set()

    async def items() -> AsyncIterator[dict[str, str]]:
        async with asyncio.Lock():
            for body in bodies(20):
                tasks.add(asyncio.current_task())
                yield body

    async def main(dub: AsyncDub) -> None:
        results = [r async for r in dub.customers.create_many(items(), workers=2)]
        assert [type(result) for result in results] == [Customer] * 20

    run_async(url, main)
    assert len(tasks) == 1


def test_async_batch_reads_at_most_workers_items_ahead() -> None:
    read = []

    async def items() -> AsyncIterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    async def call(number: int) -> int:
        return number

    async def main() -> None:
        results = amap_unordered(call, items(), workers=4)
        assert read == []
        for collected in range(1, 10):
            await anext(results)
            for _ in range(5):
                await asyncio.sleep(0)
            assert len(read) == collected + 3
        await results.aclose()

    asyncio.run(main())


def test_closing_a_batch_does_not_close_the_source() -> None:
    source = iter(bodies(10))
    together = threading.Barrier(2, timeout=60)  # no result before both workers have a row
    results = map_unordered(lambda _: together.wait(), source, workers=2)
    next(results)
    results.close()
    assert next(source)["external_id"] == "user_2"


NO_BATCHES = ["cus_1", b"cus_1", {"external_id": "user_1"}, 5, None, Customer(id="cus_1")]


@pytest.mark.parametrize("items", NO_BATCHES, ids=lambda items: type(items).__name__)
def test_batch_of_a_single_item_raises_when_called(fake: FakeDub, items: Any) -> None:
    with Dub("dub_test", client=fake.session()) as dub:
        for call in (
            dub.customers.create_many,
            dub.customers.delete_many,
            AsyncDub("dub_test").customers.create_many,
            AsyncDub("dub_test").customers.delete_many,
            lambda items: map_unordered(str, items),
            lambda items: amap_unordered(asyncio.sleep, items),
        ):
            with pytest.raises(TypeError) as caught:
                call(items)
            message = str(caught.value)
            assert message.startswith("a batch needs an iterable with one item for each call, not ")
            assert type(items).__name__ in message
            assert message.endswith("put a single item in a list")
    assert not fake.requests


def test_async_iterable_in_the_sync_client_raises_type_error(fake: FakeDub) -> None:
    with Dub("dub_test", client=fake.session()) as dub, pytest.raises(TypeError, match="async"):
        dub.customers.create_many(failing_async(1))  # type: ignore[arg-type]


def test_map_unordered_rejects_a_coroutine_function() -> None:
    with pytest.raises(TypeError, match="use amap_unordered"):
        map_unordered(asyncio.sleep, [0])


def test_synchronous_batch_of_an_async_iterable_names_asyncdub() -> None:
    async def items() -> AsyncGenerator[Any, None]:
        yield {}

    for start in (Dub("dub_test").customers.create_many, functools.partial(map_unordered, str)):
        with pytest.raises(TypeError, match="asynchronous iterable; use AsyncDub"):
            start(items())  # type: ignore[operator]


def test_amap_unordered_ends_if_call_returns_no_awaitable() -> None:
    async def main() -> list[Any]:
        return [pair async for pair in amap_unordered(str, [1, 2])]  # type: ignore[arg-type]

    with pytest.raises(TypeError, match="needs a coroutine function, but the call returned str"):
        asyncio.run(main())


@pytest.mark.parametrize("workers", [0, -1, 1.5, "8", None])
def test_async_batches_reject_an_invalid_number_of_workers(workers: Any) -> None:
    with pytest.raises(ValueError, match=r"^workers must be a whole number of 1 or more"):
        amap_unordered(asyncio.sleep, [0], workers)
    with pytest.raises(ValueError, match=r"^workers must be a whole number of 1 or more"):
        AsyncDub("dub_test").customers.delete_many([], workers=workers)


def test_batch_accepts_an_object_with_only_getitem() -> None:
    class Three:
        def __getitem__(self, index: int) -> int:
            if index == 3:
                raise IndexError
            return index

    assert sorted(map_unordered(str, Three())) == [(0, "0"), (1, "1"), (2, "2")]  # type: ignore[arg-type]


def test_contextlib_closing_stops_a_batch(fake: FakeDub, url: str) -> None:
    with (
        Dub("dub_test", client=fake.session()) as dub,
        contextlib.closing(dub.customers.create_many(bodies(100), workers=2)) as results,
    ):
        next(results)
    sent = len(fake.requests)
    assert 1 <= sent <= 3

    async def main(dub: AsyncDub) -> None:
        async with contextlib.aclosing(
            dub.customers.create_many(bodies(100), workers=2)
        ) as results:
            await anext(results)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    run_async(url, main)
    assert sent < len(fake.requests) <= sent + 3


def test_generator_throw_and_close_end_a_batch() -> None:
    results = map_unordered(str, range(100), workers=2)
    next(results)
    with pytest.raises(KeyError):
        results.throw(KeyError("a"))
    assert list(results) == []

    async def call(number: int) -> int:
        return number

    async def main() -> None:
        results = amap_unordered(call, range(100), workers=2)
        await anext(results)
        with pytest.raises(KeyError):
            await results.athrow(KeyError("a"))
        assert [result async for result in results] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_amap_unordered_yields_a_fast_call_before_a_slow_one() -> None:
    async def call(seconds: float) -> str:
        await asyncio.sleep(seconds)
        if not seconds:
            raise ValueError("no wait")
        return "done"

    async def main() -> None:
        results = [pair async for pair in amap_unordered(call, [0.2, 0.01, 0], workers=2)]
        assert results[0] == (0.01, "done")
        assert (results[1][0], str(results[1][1])) == (0, "no wait")
        assert results[2] == (0.2, "done")

    asyncio.run(main())


def test_unexpected_exception_ends_an_async_batch() -> None:
    async def call(number: int) -> int:
        if number % 2:
            raise KeyError(number)
        await asyncio.Event().wait()
        return number

    async def main() -> None:
        reported: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: reported.append(context)
        )
        results = amap_unordered(call, range(10), workers=4)
        with pytest.raises(KeyError):
            await anext(results)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        with pytest.raises(StopAsyncIteration):
            await anext(results)
        del results
        await asyncio.sleep(0.01)
        gc.collect()
        assert reported == []  # the other KeyError, which is never raised

    asyncio.run(main())


def test_batch_whose_source_reads_the_batch_raises() -> None:
    def items() -> Iterator[int]:
        yield 1
        next(results)

    results = map_unordered(str, items(), workers=4)
    assert next(results) == (1, "1")
    with pytest.raises(
        RuntimeError, match="the source of a batch takes results from the same batch"
    ):
        next(results)


def test_batch_whose_call_reads_the_batch_raises() -> None:
    def call(_: int) -> object:
        return next(results)

    results: Iterator[Any] = map_unordered(call, range(4), workers=2)
    with pytest.raises(RuntimeError, match="a call of a batch takes results from the same batch"):
        next(results)


@pytest.mark.parametrize("workers", [1, 4])
def test_async_batch_whose_source_reads_the_batch_raises(workers: int) -> None:
    async def call(number: int) -> int:
        return number

    async def items() -> AsyncIterator[int]:
        yield 1
        await anext(results)

    async def main() -> None:
        async with asyncio.timeout(10):
            assert await anext(results) == (1, 1)
            with pytest.raises(RuntimeError, match="the source of a batch takes results from"):
                await anext(results)
        assert [result async for result in results] == []
        assert asyncio.all_tasks() == {asyncio.current_task()}

    results = amap_unordered(call, items(), workers=workers)
    asyncio.run(main())


def test_async_batch_whose_call_reads_the_batch_raises() -> None:
    async def call(_: int) -> object:
        return await anext(results)

    async def main() -> None:
        async with asyncio.timeout(10):
            with pytest.raises(RuntimeError, match="a call of a batch takes results from"):
                await anext(results)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    results: AsyncGenerator[Any, None] = amap_unordered(call, range(4), workers=2)
    asyncio.run(main())
