"""Test the event loop and the lifetime of the asynchronous client."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import aiohttp
import pytest

from dub_uplink import AsyncCustomersConsumer, AsyncDub, Clock, errors
from dub_uplink.testing import FakeDub, faults

T = TypeVar("T")
Run = Callable[[Callable[[], Awaitable[T]]], T]


def loops() -> list[str]:
    try:
        import uvloop  # noqa: F401
    except ImportError:
        return ["asyncio"]
    return ["asyncio", "uvloop"]


@pytest.fixture(params=loops())
def run(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Run a coroutine function in a loop of either type, and check that no task remains."""
    if request.param == "uvloop":
        import uvloop

        loop = uvloop.new_event_loop()
    else:
        loop = asyncio.new_event_loop()

    def run(main: Callable[[], Awaitable[T]]) -> T:
        async def whole() -> T:
            value = await main()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert left == set()
            return value

        return loop.run_until_complete(whole())

    yield run
    loop.close()


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub()


@pytest.fixture
def url(fake: FakeDub) -> Iterator[str]:
    with fake.serve() as url:
        yield url


def open_sockets() -> int:
    """Count the sockets of this process; return 0 if the system does not list them."""
    if not os.path.isdir("/proc/self/fd"):
        return 0
    found = 0
    for name in os.listdir("/proc/self/fd"):
        try:
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
        except OSError:
            continue
    return found


def test_async_call_starts_no_thread_or_loop(url: str, run: Any, monkeypatch: Any) -> None:
    async def main() -> None:
        async with AsyncDub("dub_test", server_url=url) as s:
            await s.customers.list()
            # The server of the fake has a thread per connection; only the other threads count.
            started: list[str] = []
            start = threading.Thread.start
            monkeypatch.setattr(
                threading.Thread,
                "start",
                lambda self: (started.append(repr(self)), start(self))[1],
            )
            monkeypatch.setattr(asyncio, "new_event_loop", None)
            await s.customers.list()
            with pytest.raises(errors.NotFound):
                await s.customers.get("cus_no")
            assert started == []
            monkeypatch.undo()

    run(main)


def test_event_loop_is_not_blocked_during_a_list_call(fake: FakeDub, url: str, run: Any) -> None:
    fake.add_many(1_000)

    async def main() -> tuple[int, int]:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        async with AsyncDub("dub_test", server_url=url) as s:
            ticking = asyncio.create_task(tick())
            count = len([c async for c in s.customers.iterate()])
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        return count, ticks

    count, ticks = run(main)
    assert count == 1_000
    assert ticks > 12  # at each wait for one of the twelve responses, many times per wait


def test_cancelled_call_closes_the_connection(fake: FakeDub, url: str, run: Any) -> None:
    fake.faults.add(faults.Delay(20))

    async def main() -> None:
        async with AsyncDub("dub_test", server_url=url) as s:
            call = asyncio.create_task(s.customers.list())  # type: ignore[arg-type]
            while not fake.requests:
                await asyncio.sleep(0.01)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            assert await s.customers.list() == []

    run(main)


def test_cancelled_retry_wait_ends_the_call(fake: FakeDub, url: str, run: Any) -> None:
    fake.faults.add(faults.Status(503), times=100)

    async def main() -> None:
        waits = asyncio.Event()

        async def sleep(seconds: float) -> None:
            waits.set()
            await asyncio.sleep(3_600)

        async with AsyncDub("dub_test", server_url=url, clock=Clock(async_sleep=sleep)) as s:
            call = asyncio.ensure_future(s.customers.list())
            await waits.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    run(main)
    assert len(fake.requests) == 1


# Sessions still accept this class; aiohttp 4 removes it.
@pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")
def test_given_aiohttp_session_stays_open_and_sends_the_api_key(url: str, run: Any) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession(auth=aiohttp.BasicAuth("x", "y")) as session:
            async with AsyncDub("dub_test", server_url=url, client=session) as s:
                assert await s.customers.list() == []
            assert not session.closed

    run(main)


def test_call_after_close_raises_runtime_error(url: str, run: Any) -> None:
    async def main() -> None:
        s = AsyncDub("dub_test", server_url=url)
        await s.aclose()
        with pytest.raises(RuntimeError, match="the client is closed"):
            await s.customers.list()

    run(main)


def test_call_from_another_loop_raises_runtime_error(url: str) -> None:
    s = AsyncDub("dub_test", server_url=url)
    first = asyncio.new_event_loop()
    first.run_until_complete(s.customers.list())
    second = asyncio.new_event_loop()
    with pytest.raises(RuntimeError, match="the event loop of its first call"):
        second.run_until_complete(s.customers.list())
    second.close()
    first.run_until_complete(s.aclose())
    first.close()


@pytest.mark.parametrize("client", [object(), 5, "session"])
def test_unsupported_async_client_argument_raises_type_error(client: Any) -> None:
    with pytest.raises(TypeError, match=r"aiohttp\.ClientSession"):
        AsyncCustomersConsumer("dub_test", client=client)


def test_concurrent_calls_leave_no_socket_task_or_thread(fake: FakeDub, url: str, run: Any) -> None:
    fake.faults.randomly({faults.DropAfter(): 0.1, faults.Status(503): 0.1}, seed=3)
    before = open_sockets(), threading.active_count()

    async def quick(_: float) -> None:
        await asyncio.sleep(0)

    async def main() -> None:
        clock = Clock(async_sleep=quick)
        async with AsyncDub("dub_test", server_url=url, clock=clock, retry_budget=None) as s:
            for _ in range(5):
                await asyncio.gather(*(s.customers.list() for _ in range(100)))

    run(main)
    gc.collect()
    deadline = threading.Event()
    for _ in range(500):  # the connections of the fake are served by separate threads
        if (open_sockets(), threading.active_count()) <= before:
            break
        deadline.wait(0.01)
    assert open_sockets() <= before[0]
    assert threading.active_count() <= before[1]


def test_prefetch_requests_the_next_page_early(fake: FakeDub, url: str, run: Any) -> None:
    fake.add_many(30)

    async def main() -> None:
        async with AsyncDub("dub_test", server_url=url) as s:
            iterator = s.customers.iterate(page_size=10, prefetch=True)
            found = [await anext(iterator)]
            while len(fake.requests) < 2:
                await asyncio.sleep(0.01)
            found += [c async for c in iterator]
            assert len({c.id for c in found}) == len(found) == 30
            # The same number as without it, and one request for the empty page at the end.
            assert len(fake.requests) <= 6

    run(main)


def test_unreferenced_prefetching_iterator_leaves_no_task(
    fake: FakeDub, url: str, run: Any
) -> None:
    fake.add_many(30)

    async def main() -> None:
        async with AsyncDub("dub_test", server_url=url) as s:
            iterator = s.customers.iterate(page_size=10, prefetch=True)
            await anext(iterator)
            await iterator.aclose()

    run(main)


def test_async_batch_limits_calls_in_flight_to_workers(fake: FakeDub, url: str, run: Any) -> None:
    in_flight = most = 0

    class Counting(AsyncCustomersConsumer):
        async def create(self, *args: Any, **options: Any) -> Any:
            nonlocal in_flight, most
            in_flight += 1
            most = max(most, in_flight)
            try:
                return await super().create(*args, **options)
            finally:
                in_flight -= 1

    def bodies() -> Iterator[dict[str, str]]:
        number = 0
        while True:
            number += 1
            yield {"external_id": str(number), "country": "GB"}

    async def main() -> None:
        async with Counting("dub_test", server_url=url) as customers:
            results = customers.create_many(bodies(), workers=4)
            for _ in range(20):
                await anext(results)
            await results.aclose()  # type: ignore[attr-defined]

    run(main)
    assert most == 4
    assert in_flight == 0
    assert 20 <= len(fake.customers) <= 24


def test_aiohttp_reconnect_does_not_repeat_a_delete(fake: FakeDub, url: str, run: Any) -> None:
    fake.add(external_id="1")

    async def main() -> None:
        async with AsyncDub("dub_test", server_url=url) as s:
            await s.customers.list()  # the connection is in the pool now
            fake.faults.add(faults.DropAfter())
            with pytest.raises(errors.APIConnectionError) as caught:
                await s.customers.delete("ext_1", retries=None)
            assert caught.value.sent

    run(main)
    assert [r.method for r in fake.requests] == ["GET", "DELETE"]
