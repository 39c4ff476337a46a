"""Test that an unavailable, slow, full or locked storage fails no call and is logged once.

A call waits at most 0.08 seconds for the storage. The tests of this bound allow half of the time
that an unbounded call takes, 10 seconds or more, for busy machines. In all other tests calls wait
for the storage.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import statistics
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dub_uplink import Clock, RateLimit
from dub_uplink._internal.credentials import RedactedStr
from dub_uplink._rate_limit import shared_limiter as shared_limit
from dub_uplink._rate_limit.sliding_window import Reservation

pytest.importorskip("redis", reason="the extra redis is not installed")

KEY = "Bearer dub_test"
BUSY = 5.0  # seconds


@pytest.fixture(autouse=True)
def probes_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Probe ten times a second instead of twice."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._PROBE_INTERVAL", 0.1)


@pytest.fixture
def storage_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for a response of the storage on a slow machine."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._CALL_TIMEOUT", 20.0)


@pytest.fixture
def limit_on() -> Iterator[Callable[..., RateLimit]]:
    created: list[RateLimit] = []

    def make(url: str, limit: int = 1_000, per: float = 60.0) -> RateLimit:
        created.append(RateLimit(limit, per, storage=url))
        return created[-1]

    yield make
    for limit in created:
        limit.close()


def reserve(limit: RateLimit, clock: Clock | None = None) -> tuple[float, float]:
    """Return the wait of a new reservation, and the seconds that the call elapsed."""
    started = time.monotonic()
    wait: float = limit._limiter_for("x", RedactedStr(KEY)).reserve(
        Reservation(clock or Clock(), bulk=False), 600.0
    )
    return wait, time.monotonic() - started


def later(seconds: float) -> Clock:
    """Return a clock that is ahead by a number of seconds."""
    return Clock(monotonic=lambda: time.monotonic() + seconds)


def settle(limit: RateLimit) -> None:
    """Wait until the worker has completed all its jobs."""
    storage: Any = limit._storage
    storage._worker.submit(lambda: None).result(60)


def is_back(limit: RateLimit, seconds: float = 60.0) -> bool:
    """Return whether the storage becomes available within a time in seconds."""
    end = time.monotonic() + seconds
    storage: Any = limit._storage
    while not storage.is_available():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


@pytest.fixture
def proxy(redis: Any, forwarder: Any) -> Any:
    return forwarder(redis.port)


def test_calls_without_available_storage_succeed_and_warn_once(
    limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit = limit_on("redis://127.0.0.1:1", 30)
    results = [reserve(limit) for _ in range(31)]
    assert [wait for wait, _ in results[:30]] == [0.0] * 30
    assert results[30][0] > 50  # the share of the only process is the limit
    assert max(elapsed for _, elapsed in results) < BUSY
    [message] = warnings(caplog)
    assert "rate limit storage redis://127.0.0.1:1 is unavailable (ConnectionError)" in message
    assert "30 of 30 requests" in message


def test_unresponsive_dns_resolver_does_not_delay_calls(
    limit_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Socket timeouts do not bound a DNS query."""
    release = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: release.wait(20) and [])
    limit = limit_on("redis://redis.example:6379")
    elapsed = [reserve(limit)[1] for _ in range(40)]
    release.set()
    assert max(elapsed) < BUSY
    assert statistics.median(elapsed) < 0.05  # after a second no call waits


@pytest.mark.usefixtures("storage_responds")
def test_limiter_restores_slots_after_an_empty_restart(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    limit = limit_on(server.url, 20)
    assert [reserve(limit)[0] for _ in range(5)] == [0.0] * 5
    server.kill()
    with caplog.at_level(logging.INFO, "dub_uplink"):
        results = [reserve(limit) for _ in range(5)]
        assert [wait for wait, _ in results] == [0.0] * 5
        assert max(elapsed for _, elapsed in results) < BUSY
        server.start()
        assert is_back(limit)
    assert len(warnings(caplog)) == 1
    assert caplog.messages[-1] == f"rate limit storage {server.url} is available again"
    with server.client() as client:
        [slots] = client.keys("dub_uplink:*:slots")
        assert client.zcard(slots) == 10
    assert [reserve(limit)[0] > 0 for _ in range(11)] == [False] * 10 + [True]


@pytest.mark.usefixtures("storage_responds")
def test_limiter_restores_slots_after_a_flush(start_redis: Any, limit_on: Any) -> None:
    server = start_redis()
    limit = limit_on(server.url, 10)
    assert [reserve(limit)[0] for _ in range(5)] == [0.0] * 5
    with server.client() as client:
        client.flushall()
    assert reserve(limit)[0] == 0
    settle(limit)  # slots are restored after the response
    assert [reserve(limit)[0] > 0 for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.usefixtures("storage_responds")
def test_processes_without_storage_use_their_share_of_the_limit(
    start_redis: Any, limit_on: Any
) -> None:
    """Each rate limit represents a process."""
    server = start_redis()
    first, second = limit_on(server.url, 20), limit_on(server.url, 20)
    reserve(first), reserve(second)
    (
        reserve(first, later(1.1)),
        reserve(second, later(1.1)),
    )  # sends a heartbeat, at most once a second
    server.kill()
    for limit in (first, second):
        assert [reserve(limit)[0] > 0 for _ in range(9)] == [False] * 8 + [True]


@pytest.mark.usefixtures("storage_responds")
def test_slot_reserved_before_a_storage_outage_stays_valid(start_redis: Any, limit_on: Any) -> None:
    server = start_redis()
    limiter = limit_on(server.url, 1, 100.0)._limiter_for("x", RedactedStr(KEY))
    ahead = 0.0
    clock = Clock(monotonic=lambda: time.monotonic() + ahead)
    limiter.reserve(Reservation(clock, bulk=False), 600)
    reservation = Reservation(clock, bulk=False)
    wait = limiter.reserve(reservation, 600)
    assert 50 < wait <= 101
    server.kill()
    assert 20 < limiter.reserve(reservation, 600) <= wait
    ahead = wait
    assert limiter.reserve(reservation, 600) == 0
    assert limiter.reserve(Reservation(clock, bulk=False), 600) > 0


def test_storage_call_timeout_is_below_100_milliseconds() -> None:
    """The next test shows that the timeout applies."""
    assert 0.05 <= shared_limit._CALL_TIMEOUT <= 0.1


@pytest.mark.parametrize("how", ["sends nothing", "is slow", "is stopped"])
def test_unresponsive_storage_does_not_delay_calls(
    start_redis: Any, forwarder: Any, limit_on: Any, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    server = start_redis()
    proxy = forwarder(server.port)
    # The time of a call that waits for the storage.
    limit = limit_on(f"{proxy.url}?socket_timeout={2 * BUSY}")
    reserve(limit)
    assert is_back(limit)
    process = server._process.pid
    if how == "is stopped":
        os.kill(process, signal.SIGSTOP)
    elif how == "sends nothing":
        proxy.swallow = True
    else:
        proxy.delay = 0.15
    results = [reserve(limit) for _ in range(12)]
    time.sleep(0.3)
    results += [reserve(limit) for _ in range(12)]
    assert {wait for wait, _ in results} == {0.0}
    assert max(elapsed for _, elapsed in results) < BUSY
    assert statistics.median(elapsed for _, elapsed in results[12:]) < 0.05
    assert len(warnings(caplog)) == 1
    os.kill(process, signal.SIGCONT)
    proxy.swallow, proxy.delay = False, 0.0
    proxy.drop()
    assert is_back(limit)


def test_storage_response_after_the_loop_closed_is_ignored(
    proxy: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit = limit_on(f"{proxy.url}?socket_timeout={4 * BUSY}")
    reserve(limit)
    assert is_back(limit)
    proxy.swallow = True
    limiter, started = limit._limiter_for("x", RedactedStr(KEY)), time.monotonic()
    assert asyncio.run(limiter.reserve_async(Reservation(Clock(), bulk=False), 600.0)) == 0
    assert time.monotonic() - started < BUSY
    proxy.port = 1  # connections are refused, and would otherwise wait for the socket timeout
    proxy.drop()
    settle(limit)
    assert [record.name for record in caplog.records] == ["dub_uplink"]  # only the warning


@pytest.mark.usefixtures("storage_responds")
def test_slow_storage_within_the_call_timeout_stays_available(
    proxy: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit = limit_on(proxy.url)
    reserve(limit)
    is_back(limit)
    proxy.delay = 0.01
    assert [reserve(limit)[0] for _ in range(10)] == [0.0] * 10
    assert warnings(caplog) == []


@pytest.mark.usefixtures("storage_responds")
def test_idle_storage_connection_closed_by_redis_is_reopened(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    limit = limit_on(server.url)
    reserve(limit)
    time.sleep(1.1)
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert reserve(limit)[0] == 0
    with server.client() as client:
        assert client.zcard(client.keys("dub_uplink:*:slots")[0]) == 2
    assert warnings(caplog) == []


@pytest.mark.usefixtures("storage_responds")
def test_redis_out_of_memory_is_unavailable_until_freed(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    limit = limit_on(server.url)
    reserve(limit)
    with server.client() as client:
        client.set("much", "x" * 5_000_000)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        results = [reserve(limit) for _ in range(20)]
        # The heartbeat, once a second, is a write, which Redis rejects.
        results += [reserve(limit, later(1.1)) for _ in range(20)]
        time.sleep(0.5)  # longer than two probes
        assert {wait for wait, _ in results} == {0.0}
        assert max(elapsed for _, elapsed in results) < BUSY
        assert not limit._storage.is_available()
        assert len(warnings(caplog)) == 1
        client.config_set("maxmemory", "0")
    assert is_back(limit)


@pytest.mark.usefixtures("storage_responds")
def test_wrong_redis_password_makes_storage_unavailable(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    password = uuid.uuid4().hex
    server = start_redis("--requirepass", password)
    for url in (server.url, server.url.replace("//", "//:wrong@")):
        limit = limit_on(url)
        assert {reserve(limit)[0] for _ in range(5)} == {0.0}
        assert not limit._storage.is_available()
    limit = limit_on(server.url.replace("//", f"//:{password}@"))
    reserve(limit)
    assert is_back(limit)
    assert password not in caplog.text


@pytest.mark.usefixtures("storage_responds")
def test_storage_failing_twice_warns_once_a_minute(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    limit = limit_on(server.url)
    for _ in range(2):
        reserve(limit)
        server.kill()
        reserve(limit)
        server.start()
        assert is_back(limit)
    assert len(warnings(caplog)) == 1


def test_idle_rate_limit_ends_the_worker_thread(
    limit_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._PROBE_DURATION", 0.0)
    monkeypatch.setattr("dub_uplink._rate_limit.worker._IDLE_TIMEOUT", 0.1)
    limit = limit_on("redis://127.0.0.1:1")
    reserve(limit)
    storage: Any = limit._storage
    thread = storage._worker._thread
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
    assert reserve(limit)[0] == 0
