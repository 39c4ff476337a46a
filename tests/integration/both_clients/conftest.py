"""Provide both clients with synchronous methods; a loop runs each call of the asynchronous one."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dub_uplink import AsyncCustomersConsumer, Clock, CustomersConsumer
from dub_uplink.testing import FakeDub

KINDS = ["sync", "async"]


class Awaited:
    """An asynchronous consumer with the methods of the synchronous one."""

    def __init__(self, loop: asyncio.AbstractEventLoop, consumer: AsyncCustomersConsumer) -> None:
        self.loop = loop
        self.consumer = consumer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.consumer, name)
        return self._driven(found) if callable(found) else found

    def _driven(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            return self._done(method(*args, **options))

        return call

    def _done(self, result: Any) -> Any:
        if inspect.isawaitable(result):
            return self._page(self.loop.run_until_complete(result))
        if hasattr(result, "__anext__"):
            return self._each(result)
        return result

    def _page(self, value: Any) -> Any:
        return Page(self, value) if hasattr(value, "has_next") else value

    def _each(self, result: Any) -> Iterator[Any]:
        while True:
            try:
                yield self.loop.run_until_complete(anext(result))
            except StopAsyncIteration:
                return


class Page(list[Any]):
    """A page with a synchronous ``next()``."""

    def __init__(self, awaited: Awaited, page: Any) -> None:
        super().__init__(page)
        self._awaited = awaited
        self._page = page
        self.has_next = page.has_next

    def next(self) -> Any:
        return self._awaited._done(self._page.next())


class Skips:
    """A clock that sleeps advance; ``slept`` has the seconds of each sleep."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self.slept: list[float] = []
        real = Clock()
        self.clock = Clock(
            monotonic=lambda: real.monotonic() + self.ahead,
            time=lambda: real.time() + self.ahead,
            sleep=self._sleep,
            random=lambda: 0.5,
            async_sleep=self._async_sleep,
        )

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.ahead += seconds

    async def _async_sleep(self, seconds: float) -> None:
        self._sleep(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def skips() -> Skips:
    return Skips()


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub()


@pytest.fixture(params=KINDS)
def make(request: pytest.FixtureRequest, fake: FakeDub, skips: Skips) -> Iterator[Any]:
    """Make clients of either type for the served fake, with a clock that does not wait.

    ``make.stub`` decorates the function of a declared endpoint: for the asynchronous client it
    returns a coroutine function.
    """
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(fake.serve())
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)

        def make(declared: dict[str, Any] | None = None, **settings: Any) -> Any:
            settings = {"token": "dub_test", "server_url": url, "clock": skips.clock, **settings}
            base = CustomersConsumer if request.param == "sync" else AsyncCustomersConsumer
            cls: Any = base if declared is None else type(base)("Mine", (base,), declared)
            consumer = cls(**settings)
            if request.param == "sync":
                stack.callback(consumer.close)
                return consumer
            stack.callback(lambda: loop.run_until_complete(consumer.aclose()))
            return Awaited(loop, consumer)

        result: Any = make
        result.stub = _awaited if request.param == "async" else lambda function: function
        yield result


def _awaited(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def stub(*arguments: Any, **keywords: Any) -> Any: ...

    return stub


@pytest.fixture
def customers(make: Any) -> Any:
    return make()
