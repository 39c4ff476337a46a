"""Provide a clock that only sleeps advance, scripted connections, and a fake.

The tests do not wait, because the sleeps of a client advance its clock. The sockets are real.
"""

from __future__ import annotations

import contextlib
import json
import random
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
    """A clock that only sleeps and ``tick`` advance; ``slept`` has the seconds of each sleep.

    ``jitter`` is the random number for each jitter; ``None`` draws a new one each time.
    """

    now: float = 1_000.0
    jitter: float | None = 0.5
    slept: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start = self.now

    @property
    def elapsed(self) -> float:
        return self.now - self._start

    def tick(self, seconds: float) -> None:
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def unix(self) -> float:
        return NOW + self.elapsed

    def clock(self, **changes: Any) -> Clock:
        parts = {
            "monotonic": lambda: self.now,
            "time": self.unix,
            "sleep": self.sleep,
            "random": lambda: random.random() if self.jitter is None else self.jitter,
        }
        return Clock(**{**parts, **changes})


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


def make_response(
    status: int = 200, body: Any = None, headers: Mapping[str, str | list[str]] | None = None
) -> bytes:
    """Return a response with a length; a body that is not bytes is encoded as JSON."""
    content = body if isinstance(body, bytes) else json.dumps([] if body is None else body).encode()
    lines = [f"HTTP/1.1 {status} Scripted", f"Content-Length: {len(content)}"]
    for name, value in (headers or {}).items():
        lines += [f"{name}: {one}" for one in ([value] if isinstance(value, str) else value)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


@pytest.fixture
def http_response() -> Callable[..., bytes]:
    return make_response


@pytest.fixture
def connect(timeline: Timeline) -> Iterator[Callable[..., CustomersConsumer]]:
    """Make clients with the clock of the timeline: ``connect(url, **arguments)``."""
    with contextlib.ExitStack() as stack:

        def make(
            url: str, cls: type[CustomersConsumer] = CustomersConsumer, **arguments: Any
        ) -> CustomersConsumer:
            arguments = {"clock": timeline.clock(), **arguments}
            return stack.enter_context(cls("dub_test", server_url=url, **arguments))

        yield make


@pytest.fixture
def fake(timeline: Timeline) -> Iterator[FakeDub]:
    """Return a fake with the clock of the timeline."""
    with FakeDub(now=timeline.unix) as fake:
        yield fake


@pytest.fixture
def on_fake(fake: FakeDub, connect: Callable[..., CustomersConsumer]) -> Callable[..., Any]:
    """Make clients of the fake without sockets: ``on_fake(**arguments)``."""

    def make(**arguments: Any) -> CustomersConsumer:
        return connect(fake.base_url, client=fake.session(), **arguments)

    return make


class Script(requests.adapters.BaseAdapter):
    """An adapter that responds after scripted durations and records the timeout of each attempt.

    Each attempt is ``(seconds, status, headers)``. An attempt that is longer than its timeout
    times out.
    """

    def __init__(self, timeline: Timeline, attempts: list[Any]) -> None:
        super().__init__()
        self._timeline = timeline
        self._attempts = attempts
        self.timeouts: list[float] = []

    def send(self, request: Any, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        seconds_allowed = float(timeout)
        self.timeouts.append(seconds_allowed)
        attempt = self._attempts.pop(0) if len(self._attempts) > 1 else self._attempts[0]
        if isinstance(attempt, BaseException):
            raise attempt
        seconds, status, headers = attempt
        if seconds > seconds_allowed:
            self._timeline.tick(seconds_allowed)
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
    """Make sessions with scripted responses: ``session, script = script((0, 503, {}), …)``."""

    def make(*attempts: Any) -> tuple[requests.Session, Script]:
        session = requests.Session()
        adapter = Script(timeline, list(attempts))
        session.mount("https://", adapter)
        return session, adapter

    return make


@pytest.fixture
def policy() -> Callable[..., RetryConfig]:
    """Make retry policies from changes of the default: ``policy(max_elapsed_time=5_000)``."""

    def make(*, connection_errors: bool = True, **changes: Any) -> RetryConfig:
        return RetryConfig("backoff", BackoffStrategy(**changes), connection_errors)

    return make
