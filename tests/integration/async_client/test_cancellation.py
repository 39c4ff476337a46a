"""A call that is cancelled while its body arrives gives its connection back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from dub_uplink import AsyncDub, amap_unordered
from dub_uplink.testing import FakeDub, faults

Call = Callable[[], Awaitable[Any]]


async def cancel_task(call: Call) -> None:
    task = asyncio.ensure_future(call())
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def use_timeout(call: Call) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await call()


async def use_wait_for(call: Call) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(call(), 0.2)


async def use_anyio(call: Call) -> None:
    anyio = pytest.importorskip("anyio")
    with anyio.move_on_after(0.2):
        await call()
        raise AssertionError("the call ended before it was cancelled")


async def close_batch(call: Call) -> None:
    async def call_once(_: int) -> Any:
        return await call()

    batch = amap_unordered(call_once, range(3), workers=1)
    first = asyncio.ensure_future(anext(batch))
    await asyncio.sleep(0.2)
    await batch.aclose()
    with pytest.raises(StopAsyncIteration):
        await first


CANCELLATIONS = [cancel_task, use_timeout, use_wait_for, use_anyio, close_batch]


@pytest.mark.parametrize("cancel", CANCELLATIONS)
def test_call_cancelled_in_the_body_releases_its_connection(
    fake: FakeDub, served: str, cancel: Callable[[Call], Awaitable[None]]
) -> None:
    async def main() -> None:
        connector = aiohttp.TCPConnector(limit=1)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            AsyncDub(fake.token, server_url=served, client=session) as dub,
        ):
            fake.faults.add(faults.Drip(50))
            fake.add(external_id="user_1")
            await cancel(dub.customers.list)
            assert not connector._acquired
            assert len(await dub.customers.list(timeout_ms=5_000, retries=None)) == 1

    asyncio.run(main())


def test_many_cancelled_calls_do_not_block_the_next_call(fake: FakeDub, served: str) -> None:
    fake.faults.add(faults.Drip(50), times=100)
    fake.add(external_id="user_1")

    async def main() -> None:
        async with AsyncDub(fake.token, server_url=served) as dub:
            calls = [asyncio.ensure_future(dub.customers.list()) for _ in range(100)]
            while len(fake.requests) < 100:
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.2)
            for call in calls:
                call.cancel()
            await asyncio.gather(*calls, return_exceptions=True)
            assert await dub.customers.list(timeout_ms=5_000, retries=None)

    asyncio.run(main())
