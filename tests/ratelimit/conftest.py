"""Fixtures: a clock that only sleeps advance, both clients, and Redis servers."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dub_uplink import AsyncCustomersConsumer, Clock, CustomersConsumer
from dub_uplink._rate_limit.sliding_window import Reservation
from dub_uplink.testing import FakeDub

NOW = 1_795_333_861.424
TOKEN = "dub_s3cr3tT0k3n"


class Timeline:
    """Time that only sleeps advance.

    ``wrong`` is the error of the client's wall clock, ``lag`` the delay of a request, in seconds.
    """

    def __init__(self) -> None:
        self.now = 1_000.0
        self.wrong = self.lag = 0.0
        self.slept: list[float] = []
        self.on_sleep: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        self.on_sleep()

    async def async_sleep(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    def unix(self) -> float:
        """Return the server's time."""
        self.now += self.lag
        return NOW + self.now - 1_000

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: self.now,
            time=lambda: self.unix() + self.wrong,
            sleep=self.sleep,
            random=random.random,
            async_sleep=self.async_sleep,
        )

    def reservation(self, *, bulk: bool = False) -> Reservation:
        return Reservation(self.clock(), bulk=bulk)


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


class Driven:
    """Either consumer, with synchronous methods."""

    def __init__(self, loop: asyncio.AbstractEventLoop, consumer: Any) -> None:
        self.loop = loop
        self.consumer = consumer

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.consumer, name)
        if not callable(found):
            return found

        def call(*args: Any, **options: Any) -> Any:
            made = found(*args, **options)
            if inspect.isawaitable(made):
                return self.loop.run_until_complete(made)
            return self._each(made) if hasattr(made, "__anext__") else made

        return call

    def _each(self, made: Any) -> Iterator[Any]:
        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield self.loop.run_until_complete(anext(made))


@pytest.fixture(params=["sync", "async"])
def kind(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture
def driven(kind: str) -> Iterator[Callable[..., Any]]:
    """Make a synchronous or asynchronous client: ``driven(url, **settings)``."""
    with contextlib.ExitStack() as stack:
        loop = asyncio.new_event_loop()
        stack.callback(loop.close)

        def make(url: str, **settings: Any) -> Any:
            settings = {"token": TOKEN, "server_url": url, **settings}
            if kind == "sync":
                return stack.enter_context(CustomersConsumer(**settings))
            consumer = AsyncCustomersConsumer(**settings)
            stack.callback(lambda: loop.run_until_complete(consumer.aclose()))
            return Driven(loop, consumer)

        yield make


@pytest.fixture
def limited(timeline: Timeline) -> Iterator[Callable[..., tuple[FakeDub, str]]]:
    """Serve a fake with a rate limit on the timeline: ``fake, url = limited(limit, window)``."""
    with contextlib.ExitStack() as stack:

        def make(limit: int | None, window: float = 60.0, **settings: Any) -> tuple[FakeDub, str]:
            fake = FakeDub(TOKEN, rate_limit=limit, window=window, now=timeline.unix, **settings)
            fake.add(external_id="1", country="GB")
            return fake, stack.enter_context(fake.serve())

        yield make


def free_port() -> int:
    """Return a port outside the ephemeral range, so that a server can be restarted on it."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Redis:
    """A redis-server process on a free local port, without persistence."""

    def __init__(self, home: Path, *options: str) -> None:
        self._home = home
        self._options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = f"redis-server --port {self.port} --bind 127.0.0.1 --appendonly no".split()
        self._process = subprocess.Popen(
            [*command, "--save", "", *self._options],
            cwd=self._home,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + 60
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.01)
        pytest.fail("redis-server did not start")

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def client(self, **options: Any) -> Any:
        import redis

        return redis.Redis(port=self.port, **options)


@pytest.fixture(scope="session")
def redis_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server here; Debian has it in the package redis-server")
    pytest.importorskip("redis", reason="the extra redis is not installed")
    return tmp_path_factory.mktemp("redis")


@pytest.fixture(scope="session")
def redis(redis_home: Path) -> Iterator[Redis]:
    """Return a server that all tests share, each with its own keys."""
    server = Redis(redis_home)
    yield server
    server.kill()


@pytest.fixture
def start_redis(redis_home: Path) -> Iterator[Callable[..., Redis]]:
    """Start a server for one test: ``start_redis("--maxmemory", "1mb")``."""
    with contextlib.ExitStack() as stack:

        def start(*options: str) -> Redis:
            server = Redis(redis_home, *options)
            stack.callback(server.kill)
            return server

        yield start
