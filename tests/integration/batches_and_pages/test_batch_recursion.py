"""A batch that reads itself raises an error, also through other tasks and other batches."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import Any

import pytest

from dub_uplink import amap_unordered, map_unordered


@pytest.fixture(params=["tasks", "eager tasks"])
def eager(request: pytest.FixtureRequest) -> bool:
    is_eager: bool = request.param == "eager tasks"
    if is_eager and sys.version_info < (3, 12):
        pytest.skip("Python 3.11 has no eager tasks")
    return is_eager


async def read_all(results: AsyncIterator[Any], eager: bool) -> None:
    """Read a batch to its end, with the task factory that ``eager`` selects."""
    if eager and sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    async with asyncio.timeout(5):
        async for _ in results:
            pass


@pytest.mark.parametrize("through", ["the call", "gather", "a task", "a nested batch"])
@pytest.mark.parametrize("waits", [False, True])
def test_async_call_that_reads_its_own_batch_raises(eager: bool, through: str, waits: bool) -> None:
    async def read(_: int) -> Any:
        return await anext(results)

    async def call(number: int) -> Any:
        if waits:
            await asyncio.sleep(0)
        if through == "gather":
            return await asyncio.gather(read(number))
        if through == "a task":
            return await asyncio.create_task(read(number))
        if through == "a nested batch":
            return [pair async for pair in amap_unordered(read, [number])]
        return await read(number)

    results: AsyncGenerator[Any, None] = amap_unordered(call, range(4), workers=2)
    with pytest.raises(RuntimeError, match="a call of a batch takes results from the same batch"):
        asyncio.run(read_all(results, eager))


@pytest.mark.parametrize("waits", [False, True])
def test_async_source_that_reads_its_own_batch_raises(eager: bool, waits: bool) -> None:
    async def call(number: int) -> int:
        return number

    async def items() -> AsyncIterator[int]:
        yield 1
        if waits:
            await asyncio.sleep(0)
        await asyncio.gather(anext(results))

    results: AsyncGenerator[Any, None] = amap_unordered(call, items(), workers=2)
    with pytest.raises(RuntimeError, match="the source of a batch takes results from the same"):
        asyncio.run(read_all(results, eager))


def test_batch_of_another_batch_can_be_read_in_a_call(eager: bool) -> None:
    async def double(number: int) -> int:
        return 2 * number

    async def add(number: int) -> int:
        return sum([result async for _, result in amap_unordered(double, range(number))])

    async def main() -> list[Any]:
        if eager and sys.version_info >= (3, 12):
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        return sorted([pair async for pair in amap_unordered(add, range(4), workers=2)])

    assert asyncio.run(main()) == [(0, 0), (1, 0), (2, 2), (3, 6)]


def test_call_that_reads_its_batch_in_a_nested_batch_raises() -> None:
    def read(_: int) -> Any:
        return next(results)

    def call(number: int) -> Any:
        return list(map_unordered(read, [number]))

    results: Iterator[Any] = map_unordered(call, range(4), workers=2)
    with pytest.raises(RuntimeError, match="a call of a batch takes results from the same batch"):
        next(results)
