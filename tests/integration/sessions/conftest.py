"""Provide a server that counts requests, and both clients with the same methods."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dub_uplink import AsyncCustomersConsumer, CustomersConsumer


class Driven:
    """An asynchronous consumer with synchronous methods."""

    def __init__(self, loop: asyncio.AbstractEventLoop, consumer: AsyncCustomersConsumer) -> None:
        self.loop = loop
        self.consumer = consumer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.consumer, name)
        return lambda *args, **options: self.loop.run_until_complete(method(*args, **options))


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop: Any = asyncio.new_event_loop()
    yield loop
    # aiohttp 3.12 does not wait for the shutdown of TLS when it closes a session:
    # https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown
    for transport in list(loop._transports.values()):
        transport.abort()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.fixture
def connect_async(loop: asyncio.AbstractEventLoop, token: str) -> Iterator[Callable[..., Driven]]:
    """Make asynchronous clients of a URL, by default without retries.

    ``client`` is a function that creates the session, because a session needs the loop.
    """
    with contextlib.ExitStack() as stack:

        def make(url: str, client: Callable[[], Any] = lambda: None, **settings: Any) -> Driven:
            async def make_session() -> Any:
                return client()

            session = loop.run_until_complete(make_session())
            settings = {"retry_config": None, **settings}
            consumer = AsyncCustomersConsumer(token, server_url=url, client=session, **settings)
            if session is not None:
                stack.callback(lambda: loop.run_until_complete(session.close()))
            stack.callback(lambda: loop.run_until_complete(consumer.aclose()))
            return Driven(loop, consumer)

        yield make


@pytest.fixture(params=["sync", "async"])
def connect_both(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make clients of either type with separate sessions."""
    name = "connect" if request.param == "sync" else "connect_async"
    make: Callable[..., CustomersConsumer | Driven] = request.getfixturevalue(name)
    return make
