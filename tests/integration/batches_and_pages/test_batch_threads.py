"""Test the threads of a batch: started on demand, reused and ended; also without threads."""

from __future__ import annotations

import contextlib
import gc
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator

import pytest

from dub_uplink import Dub, map_unordered
from dub_uplink.testing import FakeDub


@pytest.fixture
def fake() -> FakeDub:
    return FakeDub()


def bodies(count: int) -> Iterator[dict[str, str]]:
    return ({"external_id": f"user_{number}", "country": "GB"} for number in range(count))


def workers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "dub_uplink"}


@pytest.mark.parametrize("startable", [0, 1, 3])
def test_batch_completes_if_threads_cannot_start(
    fake: FakeDub, monkeypatch: pytest.MonkeyPatch, startable: int
) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def refusing(thread: threading.Thread) -> None:
        if len(started) >= startable:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    with Dub("dub_test", client=fake.session()) as dub:
        results = list(dub.customers.create_many(bodies(30)))
        assert [c.external_id for c in results if not isinstance(c, Exception)] == [
            f"user_{number}" for number in range(30)
        ]
        started.clear()
        pairs = list(map_unordered(dub.customers.delete, (c.id for c in fake.customers)))
        assert sorted(given for given, _ in pairs) == sorted(c.id for c in results)  # type: ignore[union-attr]
    assert not fake.customers


def test_exception_of_a_call_without_threads_becomes_a_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refusing(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    def call(number: int) -> int:
        if number == 2:
            raise KeyError(number)
        return number

    monkeypatch.setattr(threading.Thread, "start", refusing)
    results = map_unordered(call, range(4), workers=4)
    assert [next(results), next(results)] == [(0, 0), (1, 1)]
    with pytest.raises(KeyError):
        next(results)


def test_batch_reuses_at_most_workers_threads() -> None:
    used = set()

    def call(number: int) -> int:
        used.add(threading.current_thread())
        time.sleep(0.05 if number < 8 else 0)
        return number

    assert sorted(map_unordered(call, range(2000), workers=4)) == [(n, n) for n in range(2000)]
    assert len(used) == 4
    assert workers() == set()


@pytest.mark.parametrize("method", ["map_unordered", "create_many"])
def test_slow_source_does_not_delay_results(fake: FakeDub, method: str) -> None:
    read = []

    def slow() -> Iterator[dict[str, str]]:
        for body in bodies(8):
            read.append(body)
            yield body
            time.sleep(0.2)

    with Dub("dub_test", client=fake.session()) as dub:
        results: Iterator[object]
        if method == "create_many":
            results = dub.customers.create_many(slow())
        else:
            results = map_unordered(dub.customers.create, slow())
        next(results)
        assert len(read) < 5  # usually 2; 8 if all workers get a row before the first result
        assert len(list(results)) == 7


def test_batch_source_is_read_in_the_caller_thread(fake: FakeDub) -> None:
    # sqlite3 rejects a cursor in another thread, as other database drivers do.
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.execute("CREATE TABLE users (id TEXT)")
        database.executemany("INSERT INTO users VALUES (?)", [(str(n),) for n in range(30)])
        rows = database.execute("SELECT id FROM users ORDER BY rowid")
        with Dub("dub_test", client=fake.session()) as dub:
            results = dub.customers.create_many(
                {"external_id": number, "country": "GB"} for (number,) in rows
            )
            created = [c.external_id for c in results if not isinstance(c, Exception)]
    assert created == [str(number) for number in range(30)]


def test_idle_batch_threads_end_and_are_replaced() -> None:
    results = map_unordered(str, range(20), workers=2)
    collected = [next(results)]
    deadline = time.monotonic() + 30
    while workers() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert workers() == set()
    collected += results
    assert sorted(collected) == [(number, str(number)) for number in range(20)]


def test_unreferenced_batch_ends_the_worker_threads() -> None:
    results = map_unordered(str, range(100), workers=4)
    next(results)
    del results
    gc.collect()
    assert workers() == set()


def in_a_process(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_batch_continues_after_the_main_thread_ends(fake: FakeDub) -> None:
    code = """
        import sys, threading, time
        from dub_uplink import Dub

        def rows():
            for number in range(60):
                yield {"external_id": f"user_{number}", "country": "GB"}
                if number == 20:
                    threading.main_thread().join()
                    time.sleep(0.1)  # until the interpreter has begun to end

        def work():
            with Dub("dub_test", server_url=sys.argv[1]) as dub:
                for result in dub.customers.create_many(rows(), workers=4):
                    print(result.external_id)

        threading.Thread(target=work).start()
    """
    with fake.serve() as url:
        ended = in_a_process(code, url)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.split() == [f"user_{number}" for number in range(60)]
    assert len(fake.customers) == 60


def test_unfinished_batch_does_not_delay_the_exit(fake: FakeDub) -> None:
    code = """
        import sys, time
        from dub_uplink import Dub

        dub = Dub("dub_test", server_url=sys.argv[1])
        rows = ({"external_id": f"user_{number}", "country": "GB"} for number in range(60))
        results = dub.customers.create_many(rows, workers=4)
        print(next(results).external_id)
    """
    with fake.serve() as url:
        began = time.monotonic()
        ended = in_a_process(code, url)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "user_0\n", "")
    assert time.monotonic() - began < 30
    assert len(fake.customers) <= 4
