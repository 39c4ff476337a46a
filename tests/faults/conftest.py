"""Time that stands still, connections that fail as scripted, and a fake Dub.

Nothing sleeps: a client's sleeps move its own time ahead. The sockets are real.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import requests

from dub_uplink import BackoffStrategy, Clock, CustomersConsumer, RetryConfig
from dub_uplink.testing import FakeDub

NOW = 1_795_333_861.424


@dataclass
class Timeline:
    """Time that only moves when something sleeps, and what was slept.

    ``tick`` moves it by hand. ``chance`` is the random number of every jitter, drawn if ``None``.
    """

    now: float = 1_000.0
    chance: float | None = 0.5
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start = self.now

    @property
    def passed(self) -> float:
        return self.now - self._start

    def tick(self, seconds: float) -> None:
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def unix(self) -> float:
        return NOW + self.passed

    def clock(self, **changes: Any) -> Clock:
        parts = {
            "monotonic": lambda: self.now,
            "time": self.unix,
            "sleep": self.sleep,
            "random": lambda: random.random() if self.chance is None else self.chance,
        }
        return Clock(**{**parts, **changes})


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


def http(
    status: int = 200, body: Any = None, headers: Mapping[str, str | list[str]] | None = None
) -> bytes:
    """An answer with a length; what is not bytes is written as JSON."""
    content = body if isinstance(body, bytes) else json.dumps([] if body is None else body).encode()
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(content)}"]
    for name, value in (headers or {}).items():
        lines += [f"{name}: {one}" for one in ([value] if isinstance(value, str) else value)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


@dataclass(frozen=True)
class Step:
    """What happens to one request: bytes are sent, then the connection stays or is done with.

    ``then`` is ``keep``, ``close``, ``reset`` (RST instead of FIN) or ``hold`` (nothing follows).
    ``unread`` does not read the request first.
    """

    send: bytes = b""
    then: str = "keep"
    unread: bool = False


class Wire:
    """A server that follows a script, one step a request, the last one again and again."""

    def __init__(self, *steps: Step | bytes, tls: ssl.SSLContext | None = None) -> None:
        self._steps = [step if isinstance(step, Step) else Step(step) for step in steps]
        self._tls = tls
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._sockets: list[socket.socket] = []
        #: The requests that were read, method and target, and the connection each came by.
        self.seen: list[str] = []
        self.bodies: list[bytes] = []
        self.by: list[int] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def drop(self) -> None:
        """Close every connection, as a server does with idle ones."""
        with self._lock:
            sockets, self._sockets = self._sockets, []
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError), sock:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with self._lock:
                self._sockets.append(sock)
            with sock, sock.makefile("rb") as stream:
                while self._one(sock, stream, number):
                    pass

    def _one(self, sock: socket.socket, stream: Any, number: int) -> bool:
        if self._steps[0].unread:
            sock.sendall(self._steps[0].send)
            return self._finish(sock, self._steps[0])
        line = stream.readline().decode()
        if not line:
            return False
        length = 0
        while header := stream.readline().strip().decode().lower():
            name, _, value = header.partition(":")
            if name == "content-length":
                length = int(value)
        body = stream.read(length)
        with self._lock:
            self.seen.append(line.rpartition(" ")[0])
            self.bodies.append(body)
            self.by.append(number)
            step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        sock.sendall(step.send)
        return self._finish(sock, step)

    def _finish(self, sock: socket.socket, step: Step) -> bool:
        if step.then == "hold":
            self._stop.wait(10)
        elif step.then == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif step.then == "close":
            sock.shutdown(socket.SHUT_RDWR)
        return step.then == "keep"


@pytest.fixture
def wire() -> Iterator[Callable[..., Wire]]:
    """Start scripted servers: ``wire(step, step, …)``."""
    with contextlib.ExitStack() as stack:

        def start(*steps: Step | bytes, tls: ssl.SSLContext | None = None) -> Wire:
            server = Wire(*steps, tls=tls)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def step() -> type[Step]:
    return Step


@pytest.fixture
def said() -> Callable[..., bytes]:
    return http


@pytest.fixture
def connect(timeline: Timeline) -> Iterator[Callable[..., CustomersConsumer]]:
    """Make clients whose time is the timeline: ``connect(url, **arguments)``."""
    with contextlib.ExitStack() as stack:

        def make(
            url: str, cls: type[CustomersConsumer] = CustomersConsumer, **arguments: Any
        ) -> CustomersConsumer:
            arguments = {"clock": timeline.clock(), **arguments}
            return stack.enter_context(cls("dub_test", server_url=url, **arguments))

        yield make


@pytest.fixture
def fake(timeline: Timeline) -> Iterator[FakeDub]:
    """A fake Dub that lives in the timeline."""
    with FakeDub(now=timeline.unix) as made:
        yield made


@pytest.fixture
def on_fake(fake: FakeDub, connect: Callable[..., CustomersConsumer]) -> Callable[..., Any]:
    """Make clients of the fake, without a socket between: ``on_fake(**arguments)``."""

    def make(**arguments: Any) -> CustomersConsumer:
        return connect(fake.base_url, client=fake.session(), **arguments)

    return make


class Script(requests.adapters.BaseAdapter):
    """An adapter that takes its time as told and remembers how much it was given.

    Each attempt is ``(seconds, status, headers)``; one that would take longer than it was given
    is a time-out.
    """

    def __init__(self, timeline: Timeline, attempts: list[Any]) -> None:
        super().__init__()
        self._timeline = timeline
        self._attempts = attempts
        self.given: list[float] = []

    def send(self, request: Any, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        _, given = timeout  # to connect, and to read
        self.given.append(given)
        planned = self._attempts.pop(0) if len(self._attempts) > 1 else self._attempts[0]
        if isinstance(planned, BaseException):
            raise planned
        seconds, status, headers = planned
        if seconds > given:
            self._timeline.tick(given)
            raise requests.ReadTimeout("timed out", request=request)
        self._timeline.tick(seconds)
        response = requests.Response()
        response.status_code = status
        response.headers.update(headers)
        response._content = b"[]"
        response.request = request
        response.url = request.url
        return response

    def close(self) -> None:
        pass


@pytest.fixture
def script(timeline: Timeline) -> Callable[..., tuple[requests.Session, Script]]:
    """A session that answers as scripted: ``session, script = script((0, 503, {}), …)``."""

    def make(*attempts: Any) -> tuple[requests.Session, Script]:
        session = requests.Session()
        adapter = Script(timeline, list(attempts))
        session.mount("https://", adapter)
        return session, adapter

    return make


@pytest.fixture
def policy() -> Callable[..., RetryConfig]:
    """A retry policy by what differs from the default: ``policy(max_elapsed_time=5_000)``."""

    def make(*, connection_errors: bool = True, **changes: Any) -> RetryConfig:
        return RetryConfig("backoff", BackoffStrategy(**changes), connection_errors)

    return make
