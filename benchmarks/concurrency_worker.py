"""One asynchronous client in a process and an environment of its own.

``concurrency_worker.py NAME URL`` reads a line ``case calls at_once`` at a time and writes the
seconds of one call; at the end it writes the sockets, tasks and threads that are left. Imports only
the standard library and the client that it measures.
"""

# ruff: noqa: PLC0415 - only the client that is measured is there to be imported

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

TOKEN = "dub_benchmark"
HEADERS = {"Authorization": f"Bearer {TOKEN}"}
PATHS = {"get": "/customers/cus_1", "list": "/customers"}
Cases = dict[str, Callable[[], Awaitable[object]]]


@contextlib.asynccontextmanager
async def plain_aiohttp(url: str) -> AsyncIterator[Cases]:
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def call(path: str) -> Any:
            async with session.get(url + path, headers=HEADERS) as response:
                return json.loads(await response.read())

        yield {case: functools.partial(call, path) for case, path in PATHS.items()}


@contextlib.asynccontextmanager
async def aiohttp_with_options(url: str) -> AsyncIterator[Cases]:
    """aiohttp with the options that dub-uplink passes to it."""
    import aiohttp

    async def repeat_nothing(request: Any, handler: Any) -> Any:
        return await handler(request)

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def call(path: str) -> Any:
            async with session.get(
                url + path,
                headers=HEADERS,
                middlewares=(repeat_nothing,),
                allow_redirects=False,
                auto_decompress=False,
                raise_for_status=False,
                timeout=aiohttp.ClientTimeout(total=30, connect=27, sock_connect=5),
            ) as response:
                return json.loads(await response.read())

        yield {case: functools.partial(call, path) for case, path in PATHS.items()}


@contextlib.asynccontextmanager
async def bare_uplink(url: str) -> AsyncIterator[Cases]:
    """uplink's own awaited call: two declarations, its own client, no models."""
    import aiohttp
    import uplink

    class Customers(uplink.Consumer):  # type: ignore[misc]
        @uplink.get("customers/{id}")  # type: ignore[untyped-decorator,unused-ignore]
        def get(self, id): ...  # type: ignore[no-untyped-def]

        @uplink.get("customers")  # type: ignore[untyped-decorator,unused-ignore]
        def list(self): ...  # type: ignore[no-untyped-def]

    async with aiohttp.ClientSession(headers=HEADERS) as session:
        customers = Customers(base_url=url + "/", client=uplink.AiohttpClient(session))

        async def call(method: Any, *args: str) -> Any:
            return json.loads(await (await method(*args)).read())

        yield {
            "get": lambda: call(customers.get, "cus_1"),
            "list": lambda: call(customers.list),
        }


@contextlib.asynccontextmanager
async def httpx(url: str) -> AsyncIterator[Cases]:
    import httpx  # type: ignore[import-not-found,unused-ignore]

    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(headers=HEADERS, limits=limits) as client:

        async def call(path: str) -> Any:
            return json.loads((await client.get(url + path)).content)

        yield {case: functools.partial(call, path) for case, path in PATHS.items()}


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


@contextlib.asynccontextmanager
async def ours(url: str) -> AsyncIterator[Cases]:
    from dub_uplink import AsyncDub

    async with AsyncDub(TOKEN, server_url=url) as s:
        yield {"get": lambda: s.customers.get("cus_1"), "list": s.customers.list}


CLIENTS = {
    "aiohttp": plain_aiohttp,
    "options": aiohttp_with_options,
    "uplink": bare_uplink,
    "ours": ours,
    "httpx": httpx,
    "official": official,
}


async def seconds(call: Callable[[], Awaitable[object]], calls: int, at_once: int) -> float:
    """The time of one call, with so many always in flight."""
    left = iter(range(calls))

    async def worker() -> None:
        for _ in left:
            await call()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return (time.perf_counter() - started) / calls


def left_over() -> str:
    sockets = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            sockets += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    tasks = len(asyncio.all_tasks()) - 1
    return f"{sockets} {tasks} {threading.active_count()}"


async def main() -> None:
    before = left_over()
    async with CLIENTS[sys.argv[1]](sys.argv[2]) as cases:
        print("ready", flush=True)  # noqa: T201
        while line := (await asyncio.to_thread(sys.stdin.readline)).split():
            case, calls, at_once = line[0], int(line[1]), int(line[2])
            print(await seconds(cases[case], calls, at_once), flush=True)  # noqa: T201
    await asyncio.sleep(0.1)
    print(before, left_over(), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
