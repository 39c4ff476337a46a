"""Provide a clock that only sleeps advance, both clients, and Redis servers."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import random
import secrets
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dub_uplink import AsyncCustomersConsumer, Clock, CustomersConsumer, RateLimit
from dub_uplink._rate_limit.sliding_window import Reservation
from dub_uplink.testing import FakeDub

NOW = 1_795_333_861.424
TOKEN = "dub_s3cr3tT0k3n"


class Timeline:
    """A clock that only sleeps advance.

    ``wrong`` is the error of the wall clock of the client, and ``lag`` the delay of a request, both
    in seconds.
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
        """Return the time of the server."""
        self.now += self.lag
        return NOW + self.now - 1_000

    def clock(self) -> Clock:
        return Clock(
            monotonic=lambda: self.now,
            time=lambda: self.unix() + self.wrong,
            sleep=self.sleep,
            random=random.SystemRandom().random,  # the thread of the worker also calls it
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
        attribute = getattr(self.consumer, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **options: Any) -> Any:
            result = attribute(*args, **options)
            if inspect.isawaitable(result):
                return self.loop.run_until_complete(result)
            return self._each(result) if hasattr(result, "__anext__") else result

        return call

    def _each(self, result: Any) -> Iterator[Any]:
        with contextlib.suppress(StopAsyncIteration):
            while True:
                yield self.loop.run_until_complete(anext(result))


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


class Forwarder:
    """A TCP forwarder: delays bytes by ``delay`` seconds, drops them, or sends ``reply`` instead.

    A change of ``port`` applies to new connections, like a change of a host name. ``reply`` is the
    response to each command on the connections that are open when it is set.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.delay = 0.0
        self.swallow = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._replies: dict[socket.socket, bytes] = {}
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client_socket, _ = self._listener.accept()
                try:
                    server_socket = socket.create_connection(("127.0.0.1", self.port))
                except OSError:
                    client_socket.close()
                    continue
                self._open += [client_socket, server_socket]
                threading.Thread(
                    target=self._forward, args=(client_socket, server_socket), daemon=True
                ).start()

    def _forward(self, client_socket: socket.socket, server_socket: socket.socket) -> None:
        with contextlib.suppress(OSError), client_socket, server_socket:
            while True:
                for source in select.select([client_socket, server_socket], [], [])[0]:
                    data = source.recv(65_536)
                    if not data:
                        return
                    if self.swallow:
                        continue
                    if source is client_socket and client_socket in self._replies:
                        client_socket.sendall(self._replies[client_socket])
                        continue
                    if source is server_socket:
                        time.sleep(self.delay)
                    (server_socket if source is client_socket else client_socket).sendall(data)

    def reply(self, error: str) -> None:
        """Respond to each command on the connections that are open with an error."""
        self._replies = dict.fromkeys(self._open, f"-{error}\r\n".encode())

    def drop(self) -> None:
        """Close the connections."""
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()


@pytest.fixture
def forwarder() -> Iterator[Callable[[int], Forwarder]]:
    """Make forwarders: ``forwarder(port)``."""
    with contextlib.ExitStack() as stack:

        def make(port: int) -> Forwarder:
            started = Forwarder(port)
            stack.callback(started.close)
            return started

        yield make


class Traffic:
    """Two clients with a shared limit, like two processes; each calls from a thread.

    The calls continue until the block ends. Errors of calls are collected in ``errors``.
    """

    def __init__(self, server_url: str, storage: str, token: str, limit: int, per: float) -> None:
        self.limits = [RateLimit(limit, per, storage=storage) for _ in range(2)]
        self.errors: list[Exception] = []
        self.calls = 0
        self._settings: dict[str, Any] = {"token": token, "server_url": server_url}
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(limit,), daemon=True) for limit in self.limits
        ]

    def _call(self, limit: RateLimit) -> None:
        with CustomersConsumer(**self._settings, rate_limit=limit) as client:
            while not self._stopped.wait(0.02):
                try:
                    client.get("ext_1")
                except Exception as error:  # noqa: BLE001 - the test asserts that there is none
                    self.errors.append(error)
                self.calls += 1

    def __enter__(self) -> Traffic:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(30)
        for limit in self.limits:
            limit.close()

    def _names(self) -> set[str]:
        """Return the ids of the limiters, which are prefixes of their members in Redis."""
        limiters: list[Any] = [one for limit in self.limits for one in limit._limiters.values()]
        return {limiter._limiter_id for limiter in limiters}

    def is_shared(self, server: Redis, within: float = 5.0) -> bool:
        """Return whether both clients reserve new slots on a server within a time in seconds."""
        end = time.monotonic() + within
        with server.client(decode_responses=True) as client:
            while time.monotonic() < end:
                storages: list[Any] = [limit._storage for limit in self.limits]
                started = len(self._names()) == len(self.limits)
                if started and all(storage.is_available() for storage in storages):
                    seconds, microseconds = client.time()
                    since = seconds + microseconds / 1e6
                    time.sleep(0.3)
                    keys = client.keys("dub_uplink:*:slots")
                    members = [m for key in keys for m in client.zrangebyscore(key, since, "+inf")]
                    if self._names() <= {member.partition(":")[0] for member in members}:
                        return True
                time.sleep(0.02)
        return False


@pytest.fixture
def traffic() -> Iterator[Callable[..., Traffic]]:
    """Start calls of two clients that share a storage: ``traffic(storage_url)``."""
    with contextlib.ExitStack() as stack:

        def start(storage: str, limit: int = 100_000, per: float = 60.0) -> Traffic:
            fake = FakeDub(TOKEN)
            fake.add(external_id="1", country="GB")
            url = stack.enter_context(fake.serve())
            return stack.enter_context(Traffic(url, storage, TOKEN, limit, per))

        yield start
