"""A storage that is gone, slow, full or locked: no call fails or waits for it, and it is said once.

A call waits 0.08 seconds at most. Where that is what a test is about, to wait for the storage would
take 10 seconds or more, and the test allows half of it: no machine is so busy. Elsewhere calls wait
for as long as the storage takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import select
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
from dub_uplink._rate_limit.sliding_window import Ticket

pytest.importorskip("redis", reason="the extra redis is not installed")

KEY = "Bearer dub_test"
BUSY = 5.0  # seconds


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times a second, where users have half a second between two looks."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._INTERVAL", 0.1)


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The storage is given the time that it takes."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._PATIENCE", 20.0)


@pytest.fixture
def limit_on() -> Iterator[Callable[..., RateLimit]]:
    made: list[RateLimit] = []

    def make(url: str, limit: int = 1_000, per: float = 60.0) -> RateLimit:
        made.append(RateLimit(limit, per, storage=url))
        return made[-1]

    yield make
    for limit in made:
        limit.close()


def ask(limit: RateLimit, clock: Clock | None = None) -> tuple[float, float]:
    """The wait of a new ticket, and the seconds that it took to ask."""
    started = time.monotonic()
    wait: float = limit.turns("x", RedactedStr(KEY)).ask(
        Ticket(clock or Clock(), bulk=False), 600.0
    )
    return wait, time.monotonic() - started


def later(seconds: float) -> Clock:
    """A clock that is ahead of that of the others."""
    return Clock(monotonic=lambda: time.monotonic() + seconds)


def settle(limit: RateLimit) -> None:
    """Wait until the storage has been told what nobody waits for."""
    storage: Any = limit._storage
    storage._errands.send(lambda: None).result(60)


def is_back(limit: RateLimit, seconds: float = 60.0) -> bool:
    """Whether the storage was found again, within so many seconds."""
    end = time.monotonic() + seconds
    storage: Any = limit._storage
    while not storage.reachable():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]


class Proxy:
    """Passes bytes on to a port, after ``delay`` seconds each time, or not at all."""

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        self.swallow = False
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._port))
                self._open += [near, far]
                threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError), near, far:
            while True:
                for one in select.select([near, far], [], [])[0]:
                    data = one.recv(65_536)
                    if not data:
                        return
                    if self.swallow:
                        continue
                    if one is far:
                        time.sleep(self.delay)
                    (far if one is near else near).sendall(data)

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
def proxy(redis: Any) -> Iterator[Proxy]:
    made = Proxy(redis.port)
    yield made
    made.close()


def test_a_storage_that_was_never_there_costs_nothing_and_is_said_once(
    limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit = limit_on("redis://127.0.0.1:1", 30)
    asked = [ask(limit) for _ in range(31)]
    assert [wait for wait, _ in asked[:30]] == [0.0] * 30
    assert asked[30][0] > 50  # its own share, that of one process
    assert max(took for _, took in asked) < BUSY
    [said] = warnings(caplog)
    assert "redis://127.0.0.1:1, is out of reach (ConnectionError)" in said
    assert "30 of 30 requests" in said


def test_a_name_that_nobody_knows_delays_no_call(
    limit_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that does not answer: what no time-out of a socket bounds."""
    let_go = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: let_go.wait(20) and [])
    limit = limit_on("redis://redis.example:6379")
    took = [ask(limit)[1] for _ in range(40)]
    let_go.set()
    assert max(took) < BUSY
    assert statistics.median(took) < 0.05  # after a second none waits at all


@pytest.mark.usefixtures("answers")
def test_killed_and_restarted_empty_it_comes_back_by_itself_and_knows_what_was_sent(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    limit = limit_on(server.url, 20)
    assert [ask(limit)[0] for _ in range(5)] == [0.0] * 5
    server.kill()
    with caplog.at_level(logging.INFO, "dub_uplink"):
        asked = [ask(limit) for _ in range(5)]
        assert [wait for wait, _ in asked] == [0.0] * 5
        assert max(took for _, took in asked) < BUSY
        server.start()
        assert is_back(limit)
    assert len(warnings(caplog)) == 1
    assert caplog.messages[-1] == f"the storage of the rate limit, {server.url}, is back"
    with server.client() as client:
        [slots] = client.keys("dub_uplink:*:slots")
        assert client.zcard(slots) == 10
    assert [ask(limit)[0] > 0 for _ in range(11)] == [False] * 10 + [True]


@pytest.mark.usefixtures("answers")
def test_a_storage_that_has_forgotten_is_told_again(start_redis: Any, limit_on: Any) -> None:
    server = start_redis()
    limit = limit_on(server.url, 10)
    assert [ask(limit)[0] for _ in range(5)] == [0.0] * 5
    with server.client() as client:
        client.flushall()
    assert ask(limit)[0] == 0
    settle(limit)  # it is told after the answer
    assert [ask(limit)[0] > 0 for _ in range(5)] == [False] * 4 + [True]


@pytest.mark.usefixtures("answers")
def test_while_it_is_away_each_process_keeps_to_its_share(start_redis: Any, limit_on: Any) -> None:
    """Two rate limits stand for two processes."""
    server = start_redis()
    first, second = limit_on(server.url, 20), limit_on(server.url, 20)
    ask(first), ask(second)
    ask(first, later(1.1)), ask(second, later(1.1))  # each says once a second that it is there
    server.kill()
    for limit in (first, second):
        assert [ask(limit)[0] > 0 for _ in range(9)] == [False] * 8 + [True]


@pytest.mark.usefixtures("answers")
def test_who_waits_for_a_turn_when_it_goes_has_it_all_the_same(
    start_redis: Any, limit_on: Any
) -> None:
    server = start_redis()
    turns = limit_on(server.url, 1, 100.0).turns("x", RedactedStr(KEY))
    ahead = 0.0
    clock = Clock(monotonic=lambda: time.monotonic() + ahead)
    turns.ask(Ticket(clock, bulk=False), 600)
    ticket = Ticket(clock, bulk=False)
    wait = turns.ask(ticket, 600)
    assert 50 < wait <= 101
    server.kill()
    assert 20 < turns.ask(ticket, 600) <= wait
    ahead = wait
    assert turns.ask(ticket, 600) == 0
    assert turns.ask(Ticket(clock, bulk=False), 600) > 0


def test_a_call_waits_for_a_storage_for_a_tenth_of_a_second_at_most() -> None:
    """How much later a busy machine wakes it is nobody's promise; that it does stands below."""
    assert 0.05 <= shared_limit._PATIENCE <= 0.1


@pytest.mark.parametrize("how", ["swallows", "is slow", "stands still"])
def test_a_storage_that_does_not_answer_in_time_delays_no_call_by_much(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    server = start_redis()
    proxy = Proxy(server.port)
    # What waits for the storage and not for 0.08 s takes this long.
    limit = limit_on(f"{proxy.url}?socket_timeout={2 * BUSY}")
    ask(limit)
    assert is_back(limit)
    process = server._process.pid
    if how == "stands still":
        os.kill(process, signal.SIGSTOP)
    elif how == "swallows":
        proxy.swallow = True
    else:
        proxy.delay = 0.15
    asked = [ask(limit) for _ in range(12)]
    time.sleep(0.3)
    asked += [ask(limit) for _ in range(12)]
    assert {wait for wait, _ in asked} == {0.0}
    assert max(took for _, took in asked) < BUSY
    assert statistics.median(took for _, took in asked[12:]) < 0.05
    assert len(warnings(caplog)) == 1
    os.kill(process, signal.SIGCONT)
    proxy.swallow, proxy.delay = False, 0.0
    proxy.drop()
    assert is_back(limit)
    proxy.close()


def test_an_awaited_call_goes_on_too_and_an_answer_after_its_loop_disturbs_nobody(
    proxy: Proxy, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit = limit_on(f"{proxy.url}?socket_timeout={4 * BUSY}")
    ask(limit)
    assert is_back(limit)
    proxy.swallow = True
    turns, started = limit.turns("x", RedactedStr(KEY)), time.monotonic()
    assert asyncio.run(turns.ask_awaited(Ticket(Clock(), bulk=False), 600.0)) == 0
    assert time.monotonic() - started < BUSY
    proxy.drop()
    settle(limit)
    assert [record.name for record in caplog.records] == ["dub_uplink"]  # that it is away


@pytest.mark.usefixtures("answers")
def test_a_storage_that_is_a_little_slow_is_waited_for(
    proxy: Proxy, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit = limit_on(proxy.url)
    ask(limit)
    is_back(limit)
    proxy.delay = 0.01
    assert [ask(limit)[0] for _ in range(10)] == [0.0] * 10
    assert warnings(caplog) == []


@pytest.mark.usefixtures("answers")
def test_a_connection_that_was_closed_while_it_was_idle_is_no_loss(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    limit = limit_on(server.url)
    ask(limit)
    time.sleep(1.1)
    with server.client() as client:
        client.client_kill_filter(_type="normal", skipme=True)
    assert ask(limit)[0] == 0
    with server.client() as client:
        assert client.zcard(client.keys("dub_uplink:*:slots")[0]) == 2
    assert warnings(caplog) == []


@pytest.mark.usefixtures("answers")
def test_a_full_storage_is_as_good_as_none(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    limit = limit_on(server.url)
    ask(limit)
    with server.client() as client:
        client.set("much", "x" * 5_000_000)
        client.config_set("maxmemory-policy", "noeviction")
        client.config_set("maxmemory", "1mb")
        asked = [ask(limit) for _ in range(20)]
        # Once a second it is told who is there, and says that it is full.
        asked += [ask(limit, later(1.1)) for _ in range(20)]
        time.sleep(0.5)  # two looks and more
        assert {wait for wait, _ in asked} == {0.0}
        assert max(took for _, took in asked) < BUSY
        assert not limit._storage.reachable()
        assert len(warnings(caplog)) == 1
        client.config_set("maxmemory", "0")
    assert is_back(limit)


@pytest.mark.usefixtures("answers")
def test_a_wrong_password_is_as_good_as_no_storage(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    password = uuid.uuid4().hex
    server = start_redis("--requirepass", password)
    for url in (server.url, server.url.replace("//", "//:wrong@")):
        limit = limit_on(url)
        assert {ask(limit)[0] for _ in range(5)} == {0.0}
        assert not limit._storage.reachable()
    limit = limit_on(server.url.replace("//", f"//:{password}@"))
    ask(limit)
    assert is_back(limit)
    assert password not in caplog.text


@pytest.mark.usefixtures("answers")
def test_a_storage_that_comes_and_goes_is_said_once_a_minute(
    start_redis: Any, limit_on: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = start_redis()
    limit = limit_on(server.url)
    for _ in range(2):
        ask(limit)
        server.kill()
        ask(limit)
        server.start()
        assert is_back(limit)
    assert len(warnings(caplog)) == 1


def test_a_limit_that_nobody_uses_any_more_is_not_looked_for(
    limit_on: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._LOOKS_FOR", 0.0)
    monkeypatch.setattr("dub_uplink._rate_limit.worker._IDLE", 0.1)
    limit = limit_on("redis://127.0.0.1:1")
    ask(limit)
    storage: Any = limit._storage
    thread = storage._errands._thread
    assert thread is not None
    thread.join(10)
    assert not thread.is_alive()
    assert ask(limit)[0] == 0
