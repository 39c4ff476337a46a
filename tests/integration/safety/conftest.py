"""Provide clients of each type for the tests of the promises in SECURITY.rst."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest
import requests
import uplink

from dub_uplink import AsyncCustomersConsumer, CustomersConsumer

Reach = Callable[..., Any]

#: All combinations of consumers and their ``client`` argument.
KINDS: dict[str, tuple[bool, Callable[[], Any]]] = {
    "own session": (False, lambda: None),
    "given session": (False, requests.Session),
    "uplink client": (False, lambda: uplink.RequestsClient(requests.Session())),
    "own aiohttp": (True, lambda: None),
    "given aiohttp": (True, aiohttp.ClientSession),
}
SHORT = ["own session", "own aiohttp"]


class Driven:
    """An asynchronous consumer with synchronous methods."""

    def __init__(self, loop: asyncio.AbstractEventLoop, consumer: AsyncCustomersConsumer) -> None:
        self.loop = loop
        self.consumer = consumer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.consumer, name)
        return lambda *args, **options: self.loop.run_until_complete(method(*args, **options))


@contextlib.contextmanager
def _reaching(kind: str, token: str) -> Iterator[Reach]:
    is_async, client = KINDS[kind]
    with contextlib.ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)

        async def make_client() -> Any:
            return client()

        def make(url: str, **settings: Any) -> Any:
            settings = {"token": token, "server_url": url, "retry_config": None, **settings}
            classes = settings.pop("classes", (CustomersConsumer, AsyncCustomersConsumer))
            if not is_async:
                settings.setdefault("client", client())
                return stack.enter_context(classes[0](**settings))
            settings.setdefault("client", loop.run_until_complete(make_client()))
            consumer = classes[1](**settings)
            stack.callback(lambda: loop.run_until_complete(consumer.aclose()))
            if settings["client"] is not None:
                stack.callback(lambda: loop.run_until_complete(settings["client"].close()))
            return Driven(loop, consumer)

        yield make


def _name(kind: str) -> str:
    return kind.replace(" ", "-")


@pytest.fixture(params=KINDS, ids=_name)
def reach(request: pytest.FixtureRequest, token: str) -> Iterator[Reach]:
    """Make clients of a URL, of each type and without retries; they are closed after the test."""
    with _reaching(request.param, token) as make:
        yield make


@pytest.fixture(params=[kind for kind in KINDS if kind != "uplink client"], ids=_name)
def reach_session(request: pytest.FixtureRequest, token: str) -> Iterator[Reach]:
    """Like ``reach``, without the uplink client, whose session is not accessible."""
    with _reaching(request.param, token) as make:
        yield make


@pytest.fixture(params=SHORT, ids=_name)
def reach_own(request: pytest.FixtureRequest, token: str) -> Iterator[Reach]:
    """Like ``reach``, for the clients without a ``client`` argument."""
    with _reaching(request.param, token) as make:
        yield make


def _chain(error: BaseException, seen: list[BaseException]) -> list[BaseException]:
    if not any(error is other for other in seen):
        seen.append(error)
        for link in (error.__cause__, error.__context__):
            if link is not None:
                _chain(link, seen)
    return seen


@pytest.fixture
def shown() -> Callable[..., str]:
    """Return a function for all texts that a log, a report or a debugger prints of an error.

    The frames of the tests are omitted.
    """

    def render(error: BaseException) -> str:
        printed: list[str] = []
        seen: dict[int, object] = {}
        for link in _chain(error, []):
            printed += [str(link), repr(link), repr(link.args), repr(vars(link))]
            printed += traceback.format_exception(type(link), link, link.__traceback__)
            for frame, _ in traceback.walk_tb(link.__traceback__):
                if "/tests/" in frame.f_code.co_filename.replace("\\", "/"):
                    continue  # the tests know the token
                values = [v for v in frame.f_locals.values() if seen.setdefault(id(v), v) is v]
                for value in values:
                    printed += [repr(value), repr(getattr(value, "__dict__", None))]
        return "\n".join(printed)

    return render
