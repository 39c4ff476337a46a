"""Test the background worker: threads that cannot start, shutdown, and forks."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from dub_uplink import Clock, Dub, RateLimit
from dub_uplink._internal.credentials import RedactedStr
from dub_uplink._internal.fork_safety import ForkSafeLock
from dub_uplink._rate_limit.sliding_window import LimitConfig, Reservation, SlidingWindowLimiter
from dub_uplink._rate_limit.worker import BackgroundWorker
from dub_uplink.testing import FakeDub

TOKEN = "dub_worker"
forks = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


@pytest.fixture
def no_threads() -> Iterator[Any]:
    """Prevent new threads, by a stack size above that of the address space."""
    before = threading.stack_size()
    threading.stack_size(1 << 47)
    yield lambda: threading.stack_size(before)
    threading.stack_size(before)


def exit_code_of_child(function: Any) -> int:
    """Run a function in a forked child and return its exit code; 0 if the function returns true."""
    pid = os.fork()
    if pid == 0:
        code = 2
        try:
            code = 0 if function() else 1
        finally:
            os._exit(code)
    end = time.monotonic() + 30
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
    pytest.fail("the child hangs")


def test_calls_succeed_if_the_worker_thread_cannot_start(redis: Any, no_threads: Any) -> None:
    fake = FakeDub(TOKEN)
    fake.add(external_id="1", country="GB")
    allow_threads, session = no_threads, requests.Session()
    allow_threads()
    with fake.serve() as url, session:
        # The server keeps a thread for this connection, which is used again below.
        Dub(TOKEN, server_url=url, client=session).customers.get("ext_1")
        threading.stack_size(1 << 47)
        limit = RateLimit(100, 60.0, storage=redis.url)
        dub = Dub(TOKEN, server_url=url, client=session, rate_limit=limit)
        assert dub.customers.get("ext_1").external_id == "1"
        assert limit._storage is not None
        assert not limit._storage.is_available()
        allow_threads()
        limit.close()
    assert len(fake.requests) == 2


def test_worker_thread_start_is_retried_after_a_failure(
    redis: Any, no_threads: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limit = RateLimit(100, 60.0, storage=redis.url)
    limiter: Any = limit._limiter_for("x", RedactedStr(f"Bearer {time.time()}"))
    assert limiter.reserve(Reservation(Clock(), bulk=False), 60.0) == 0
    storage: Any = limit._storage
    assert not storage.is_available()
    assert "unavailable (RuntimeError)" in caplog.messages[0]
    no_threads()
    end = time.monotonic() + 5
    while not storage.is_available() and time.monotonic() < end:
        time.sleep(0.05)
    assert storage.is_available()
    with redis.client() as client:
        assert client.zcard(limiter._redis_limiter._keys[0]) == 1
    limit.close()


def test_rate_limit_can_be_closed_if_no_thread_can_start(redis: Any, no_threads: Any) -> None:
    RateLimit(100, 60.0, storage=redis.url).close()


def test_failed_thread_start_removes_the_submitted_job(no_threads: Any) -> None:
    worker = BackgroundWorker(lambda: False, 0.1)
    done: list[str] = []
    with pytest.raises(RuntimeError):
        worker.submit(lambda: done.append("first"))
    no_threads()
    worker.submit(lambda: done.append("second")).result(30)
    assert done == ["second"]


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_worker_in_a_forked_child_starts_its_own_thread() -> None:
    worker = BackgroundWorker(lambda: False, 0.1)
    busy, release = threading.Event(), threading.Event()

    def job() -> None:
        busy.set()
        release.wait(30)

    worker.submit(job)
    worker.submit(lambda: None)
    assert busy.wait(30)
    code = exit_code_of_child(lambda: worker.submit(os.getpid).result(10) == os.getpid())
    release.set()
    assert code == 0
    worker.shutdown()


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_lock_held_during_fork_is_free_in_the_child() -> None:
    lock = ForkSafeLock()
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            held.set()
            release.wait(30)

    def enter() -> bool:
        with lock:
            return True

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(30)
    code = exit_code_of_child(enter)
    release.set()
    thread.join(30)
    assert code == 0


def test_fork_safe_lock_admits_one_thread_at_a_time() -> None:
    lock, inside, most = ForkSafeLock(), 0, 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(50):
            with lock:
                inside += 1
                most = max(most, inside)
                time.sleep(0)
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == 1


@forks
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_forked_child_does_not_inherit_waiting_callers() -> None:
    limiter = SlidingWindowLimiter(LimitConfig(1, 100.0))
    waiting = [Reservation(Clock(), bulk=False) for _ in range(3)]
    for reservation in waiting:
        limiter.reserve(reservation, 600.0)

    def forgets() -> bool:
        limiter._reschedule(time.monotonic())
        return not limiter._waiting

    assert exit_code_of_child(forgets) == 0
    assert len(limiter._waiting) == 2
