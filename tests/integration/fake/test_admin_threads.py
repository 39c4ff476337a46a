"""The admin API while other threads use the fake."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dub_uplink.testing import FakeDub, faults

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def frequent_thread_switches() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@contextlib.contextmanager
def in_thread(function: Callable[[], object]) -> Iterator[None]:
    """Call a function again and again in a thread."""
    stopping = threading.Event()

    def repeat() -> None:
        while not stopping.is_set():
            function()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()


def send(url: str, method: str, path: str, body: Any) -> tuple[int, Any]:
    with contextlib.closing(http.client.HTTPConnection(url[7:], timeout=20)) as connection:
        connection.request(method, f"/_fake/{path}", json.dumps(body), JSON)
        response = connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "customers/seed", {"count": 2}),
        ("DELETE", "customers", {}),
        ("DELETE", "requests", {}),
        ("PATCH", "settings", {"role": "viewer"}),
        ("POST", "reset", {}),
    ],
)
def test_write_during_shutdown_gets_410_only_if_not_applied(
    tmp_path: Any, method: str, path: str, body: Any
) -> None:
    for number in range(60):
        database = str(tmp_path / f"{number}.sqlite")
        with FakeDub(database=database) as fake, fake.serve(admin=True) as url:
            fake.add_many(1)
            fake.session().get(f"{fake.base_url}/customers")
            before = (1, 1, "owner")
            closing = threading.Timer(number / 20_000, fake.close)
            closing.start()
            status, received = send(url, method, path, body)
            closing.join()
            after_requests, role = len(fake.requests), fake.settings.role
        with FakeDub(database=database) as fake:
            after = (fake.customer_count, after_requests, role)
        if status == 410:
            assert after == before, received


def test_advance_keeps_a_clock_that_another_thread_freezes() -> None:
    is_freezing = threading.Event()

    def now() -> float:
        if threading.current_thread() is thread:
            is_freezing.set()
            time.sleep(0.3)  # the request arrives before the clock is frozen
        return 0

    with FakeDub(now=now) as fake, fake.serve(admin=True) as url:
        thread = threading.Thread(target=fake.clock.freeze)
        thread.start()
        is_freezing.wait()
        clock = send(url, "POST", "clock", {"advance": 1})[1]
        thread.join()
    assert (clock["offset"], clock["frozen"]) == (1, True)


def test_clock_time_is_right_while_another_thread_unfreezes() -> None:
    now = 0.0
    times: set[float] = set()
    fake = FakeDub(now=lambda: now)
    end = time.monotonic() + 1
    with in_thread(lambda: times.add(fake.clock.time())):
        while time.monotonic() < end:
            fake.clock.freeze()
            now += 1000
            fake.clock.unfreeze()
    assert times == {0}


def test_listed_random_faults_match_the_listed_seed(fake: FakeDub) -> None:
    codes = itertools.cycle(range(500, 600))

    def replace() -> None:
        code = next(codes)
        fake.faults.randomly({faults.Status(code): 0.5}, seed=code)

    replace()
    with fake.serve(admin=True) as url, in_thread(replace):
        for _ in range(100):
            listed = send(url, "POST", "faults", {"fault": "DropBefore"})[1]
            assert listed["random"][0]["code"] == listed["seed"]
