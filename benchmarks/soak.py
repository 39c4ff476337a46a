"""What many calls leave behind: ``python -m benchmarks.soak``, about ten minutes.

    python -m benchmarks.soak threads --seconds 60     # 32 threads on one client, under faults
    python -m benchmarks.soak memory --calls 100000    # of both clients, three in four of them fail

The fake is served by a process of its own, so that what is counted is the client's. Ends with
status 1 where an answer went to the wrong call, a connection was left, or memory grew by 2 MB.
Linux only: connections and memory are read from ``/proc``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import gc
import random
import subprocess
import sys
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

from dub_uplink import AsyncDub, BackoffStrategy, CustomersConsumer, RetryConfig, errors
from dub_uplink.testing import FakeDub, faults

THREADS = 32
CUSTOMERS = 500
MOST_GROWTH = 2_000_000  # bytes
#: What goes wrong, each at its share of the attempts.
SHARES: dict[faults.Fault, float] = {
    faults.DropBefore(): 0.05,
    faults.DropAfter(): 0.05,
    faults.Truncate(20): 0.05,
    faults.Status(500): 0.05,
    faults.Status(503): 0.05,
    faults.Status(200, {"Content-Type": "text/html"}, "<html>"): 0.02,
}
#: Waits so short that time goes into attempts.
QUICK = RetryConfig("backoff", BackoffStrategy(5, 50, 2.0, 60_000))


def connections_to(url: str) -> int:
    """How many connections to a server on this machine the system knows of."""
    port = f":{urlsplit(url).port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    # Not those that were closed on our side: the kernel keeps a while what it knows of them.
    open_states = ("01", "02", "08")
    return sum(row[2].endswith(port) and row[3] in open_states for row in rows)


def connected(url: str) -> int:
    """How many connections to it this process has, at one moment: ``/proc`` takes its time."""
    port = urlsplit(url).port
    found = [thing for thing in gc.get_objects() if issubclass(type(thing), HTTPConnection)]
    # Another thread may be constructing a connection, which has no attributes yet.
    ports = [getattr(each, "port", None) for each in found if getattr(each, "sock", None)]
    return ports.count(port)


def resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


@dataclasses.dataclass
class Tally:
    """What came of many threads on one client."""

    calls: int = 0
    #: A DubError: faults may follow upon each other until a call gives up.
    failed: int = 0
    #: An answer that was another call's. Must be 0.
    mixed: int = 0
    #: Exceptions that are no DubError. Must be 0.
    foreign: int = 0
    #: Connections at once, at most; not more than threads.
    most: int = 0
    #: Connections after ``close()``. Must be 0.
    left: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing is what it must not be."""
        return not (self.mixed or self.foreign or self.left) and 0 < self.most <= THREADS


def threads(url: str, seconds: float, count: int = THREADS, seed: int = 1) -> Tally:
    """``count`` threads on one client for so many seconds, each call asking for one customer."""
    tally, lock = Tally(), threading.Lock()
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        chance, own = random.Random(seed * 1000 + number), Tally()
        while time.monotonic() < end:
            asked = f"user_{chance.randrange(CUSTOMERS) + 1}"
            own.calls += 1
            try:
                if chance.random() < 0.5:
                    own.mixed += client.get(f"ext_{asked}").external_id != asked
                else:
                    found = client.list(external_id=asked)
                    own.mixed += [customer.external_id for customer in found] != [asked]
            except errors.DubError:
                own.failed += 1
            except Exception:  # noqa: BLE001 - these are what is counted
                own.foreign += 1
        with lock:
            for name in ("calls", "failed", "mixed", "foreign"):
                setattr(tally, name, getattr(tally, name) + getattr(own, name))

    with CustomersConsumer(
        "dub_test", server_url=url, retry_config=QUICK, retry_budget=None
    ) as client:
        workers = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            tally.most = max(tally.most, connected(url))
            time.sleep(0.1)
    tally.left = connections_to(url)
    return tally


#: The calls of a round, for both clients: one that succeeds, and ways of failing. What the faults
#: make of them comes on top.
ROUND = ("get", "missing", "taken", "refused")
TAKEN = {"external_id": "user_1", "country": "GB"}


def synchronous(url: str) -> Iterator[str]:
    """Calls without end, and what came of each."""
    nowhere = CustomersConsumer("dub_x", server_url="http://127.0.0.1:1", retry_config=None)
    with CustomersConsumer("dub_test", server_url=url, retry_config=None) as client, nowhere:
        calls: dict[str, Callable[[], object]] = {
            "get": lambda: client.get("ext_user_1"),
            "missing": lambda: client.get("ext_nobody"),
            "taken": lambda: client.create(TAKEN),
            "refused": nowhere.list,
        }
        while True:
            for kind in ROUND:
                try:
                    calls[kind]()
                except errors.DubError as error:
                    yield type(error).__name__
                else:
                    yield "success"


def asynchronous(url: str) -> Iterator[str]:
    """The same of an ``AsyncDub``, in a loop that stands still between two calls."""
    loop = asyncio.new_event_loop()
    nowhere = AsyncDub("dub_x", server_url="http://127.0.0.1:1", retry_config=None)
    dub = AsyncDub("dub_test", server_url=url, retry_config=None)
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: dub.customers.get("ext_user_1"),
        "missing": lambda: dub.customers.get("ext_nobody"),
        "taken": lambda: dub.customers.create(TAKEN),
        "refused": nowhere.customers.list,
    }

    async def one(kind: str) -> str:
        try:
            await calls[kind]()  # type: ignore[misc]
        except errors.DubError as error:
            return type(error).__name__
        return "success"

    try:
        while True:
            for kind in ROUND:
                yield loop.run_until_complete(one(kind))
    finally:
        loop.run_until_complete(dub.aclose())
        loop.run_until_complete(nowhere.aclose())
        loop.close()


def memory(outcomes: Iterator[str], calls: int, say: Callable[[str], object]) -> int:
    """By how many bytes this process grows with so many calls, after a tenth of them."""
    came: Counter[str] = Counter()
    for _ in range(calls // 10):
        next(outcomes)
    gc.collect()
    before = resident()
    for number in range(calls):
        came[next(outcomes)] += 1
        if (number + 1) % max(calls // 5, 1) == 0:
            say(f"  {number + 1:>7} calls: {(resident() - before) / 1e6:+.2f} MB")
    gc.collect()
    say(f"  {', '.join(f'{name} {count}' for name, count in came.most_common())}")
    return resident() - before


@contextlib.contextmanager
def served() -> Iterator[str]:
    """The URL of a fake in a process of its own, with the faults."""
    command = [sys.executable, "-m", "benchmarks.soak", "serve"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield server.stdout.readline().strip()
        finally:
            server.terminate()


def serve() -> None:
    """Serve until this process is ended."""
    fake = FakeDub(keep_requests=1)
    for number in range(1, CUSTOMERS + 1):
        fake.add(external_id=f"user_{number}", country="GB")
    fake.faults.randomly(SHARES, seed=1)
    with fake.serve() as url:
        say(url)
        threading.Event().wait()


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a command's own output


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("part", choices=["threads", "memory", "serve"], nargs="?")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--trace", action="store_true", help="say what was allocated where")
    chosen = parser.parse_args(arguments)
    if chosen.part == "serve":
        serve()
    wrong = False
    with served() as url:
        if chosen.part != "memory":
            tally = threads(url, chosen.seconds)
            say(f"{tally}")
            wrong = not tally.clean
        if chosen.part != "threads":
            for make in (synchronous, asynchronous):
                say(f"{make.__name__}, {chosen.calls} calls")
                if chosen.trace:
                    tracemalloc.start()
                grown = memory(make(url), chosen.calls, say)
                say(f"  grown by {grown / 1e6:.2f} MB")
                wrong = wrong or grown >= MOST_GROWTH
                if chosen.trace:
                    for line in tracemalloc.take_snapshot().statistics("lineno")[:15]:
                        say(f"  {line}")
                    tracemalloc.stop()
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
