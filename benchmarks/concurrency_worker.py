"""Measure one asynchronous client in a separate process.

``concurrency_worker.py NAME URL`` reads lines ``case calls concurrency`` and writes the seconds per
call. At the end it writes the numbers of sockets, tasks and threads. The script imports only the
standard library and the client.
"""

# ruff: noqa: PLC0415 - the environment has only the measured client

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
    """Yield the calls with aiohttp and json alone."""
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def call(path: str) -> Any:
            async with session.get(url + path, headers=HEADERS) as response:
                return json.loads(await response.read())

        yield {case: functools.partial(call, path) for case, path in PATHS.items()}


@contextlib.asynccontextmanager
async def aiohttp_with_options(url: str) -> AsyncIterator[Cases]:
    """Yield the calls with aiohttp and the options that dub-uplink passes to it."""
    import aiohttp

    async def pass_through(request: Any, handler: Any) -> Any:
        return await handler(request)

    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def call(path: str) -> Any:
            async with session.get(
                url + path,
                headers=HEADERS,
                middlewares=(pass_through,),
                allow_redirects=False,
                auto_decompress=False,
                raise_for_status=False,
                timeout=aiohttp.ClientTimeout(total=30, connect=27, sock_connect=5),
            ) as response:
                return json.loads(await response.read())

        yield {case: functools.partial(call, path) for case, path in PATHS.items()}


@contextlib.asynccontextmanager
async def bare_uplink(url: str) -> AsyncIterator[Cases]:
    """Yield the calls of an uplink consumer with uplink's aiohttp client and without models."""
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
    """Yield the calls with httpx and json alone."""
    import httpx  # type: ignore[import-not-found,unused-ignore]

    limits = httpx.Limits(max_connections=100)
    async with httpx.AsyncClient(headers=HEADERS, limits=limits) as client:

        async def call(path: str) -> Any:
            return json.loads((await client.get(url + path)).content)

        yield {case: functools.partial(call, path) for case, path in PATHS.items()}


@contextlib.asynccontextmanager
async def official(url: str) -> AsyncIterator[Cases]:
    """Yield the calls with the official SDK."""
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
    """Yield the calls with dub-uplink."""
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


async def seconds(call: Callable[[], Awaitable[object]], calls: int, concurrency: int) -> float:
    """Return the seconds per call at a constant number of concurrent calls."""
    remaining = iter(range(calls))

    async def worker() -> None:
        for _ in remaining:
            await call()

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(concurrency)))
    return (time.perf_counter() - started) / calls


def resource_counts() -> str:
    """Return the numbers of open sockets, tasks and threads."""
    sockets = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            sockets += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    tasks = len(asyncio.all_tasks()) - 1
    return f"{sockets} {tasks} {threading.active_count()}"


async def main() -> None:
    """Measure the cases that the standard input names."""
    before = resource_counts()
    async with CLIENTS[sys.argv[1]](sys.argv[2]) as cases:
        print("ready", flush=True)  # noqa: T201
        while line := (await asyncio.to_thread(sys.stdin.readline)).split():
            case, calls, concurrency = line[0], int(line[1]), int(line[2])
            print(await seconds(cases[case], calls, concurrency), flush=True)  # noqa: T201
    await asyncio.sleep(0.1)
    print(before, resource_counts(), flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
