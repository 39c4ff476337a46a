"""One asynchronous client, many calls at once, in the environment it is installed in.

``concurrency_worker.py NAME URL`` reads a line ``case calls at_once`` at a time and writes calls a
second; at the end it writes the sockets, tasks and threads that are left. Imports only the
standard library and the client that it measures.
"""

# ruff: noqa: PLC0415 - only the client that is measured is there to be imported

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable

TOKEN = "dub_benchmark"
Cases = dict[str, Callable[[], Awaitable[object]]]


@contextlib.asynccontextmanager
async def ours(url: str) -> AsyncIterator[Cases]:
    from dub_uplink import AsyncDub

    async with AsyncDub(TOKEN, server_url=url) as s:
        yield {"get": lambda: s.customers.get("cus_1"), "list": s.customers.list}


@contextlib.asynccontextmanager
async def official(url: str) -> AsyncIterator[Cases]:
    from dub import Dub  # type: ignore[import-not-found,unused-ignore]
    from dub.models import operations  # type: ignore[import-not-found,unused-ignore]

    async with Dub(token=TOKEN, server_url=url) as s:
        request = operations.GetCustomersRequest()
        yield {
            "get": lambda: s.customers.get_async(request={"id": "cus_1"}),
            "list": lambda: s.customers.list_async(request=request),
        }


async def rate(call: Callable[[], Awaitable[object]], calls: int, at_once: int) -> float:
    """Calls a second, with so many always in flight."""
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await call()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return calls / (time.perf_counter() - started)


def left_over() -> str:
    sockets = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            sockets += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    tasks = len(asyncio.all_tasks()) - 1
    return f"{sockets} {tasks} {threading.active_count()}"


async def main() -> None:
    before = left_over()
    client = {"ours": ours, "official": official}[sys.argv[1]]
    async with client(sys.argv[2]) as cases:
        print("ready", flush=True)  # noqa: T201
        while line := (await asyncio.to_thread(sys.stdin.readline)).split():
            case, calls, at_once = line[0], int(line[1]), int(line[2])
            print(await rate(cases[case], calls, at_once), flush=True)  # noqa: T201
    await asyncio.sleep(0.1)
    print(before, left_over(), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
