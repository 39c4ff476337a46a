"""Check many calls for leaks of memory and connections: ``python -m benchmarks.soak``.

    python -m benchmarks.soak threads --seconds 60     # 32 threads share a client, with faults
    python -m benchmarks.soak memory --calls 100000    # both clients; three of four calls fail

Both parts take about ten minutes. The fake runs in another process, so that the figures are those
of the client. The exit status is 1 if a call received the response of another call, a connection
stayed open, or memory grew by 2 MB. Linux only: connections and memory are read from ``/proc``.
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
MAX_GROWTH = 2_000_000  # bytes
#: The share of each fault among the attempts.
SHARES: dict[faults.Fault, float] = {
    faults.DropBefore(): 0.05,
    faults.DropAfter(): 0.05,
    faults.Truncate(20): 0.05,
    faults.Status(500): 0.05,
    faults.Status(503): 0.05,
    faults.Status(200, {"Content-Type": "text/html"}, "<html>"): 0.02,
}
#: Retries with short waits, so that a run has many attempts.
SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(5, 50, 2.0, 60_000))


def connections_to(url: str) -> int:
    """Return the number of open connections to a local server, on the whole machine."""
    port = f":{urlsplit(url).port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]]
    # The kernel lists locally closed connections for a while; those states are not counted.
    open_states = ("01", "02", "08")
    return sum(row[2].endswith(port) and row[3] in open_states for row in rows)


def own_connections_to(url: str) -> int:
    """Return the number of open connections of this process to a server.

    The connection objects are counted, because ``/proc`` does not show one point in time.
    """
    port = urlsplit(url).port
    connections = [found for found in gc.get_objects() if issubclass(type(found), HTTPConnection)]
    # Another thread may be constructing a connection, which has no attributes yet.
    ports = [getattr(each, "port", None) for each in connections if getattr(each, "sock", None)]
    return ports.count(port)


def resident_bytes() -> int:
    """Return the resident memory of this process."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * 4096


@dataclasses.dataclass
class Tally:
    """The results of many threads that share one client."""

    calls: int = 0
    #: Calls that raised a DubError: all their attempts may meet a fault.
    failed: int = 0
    #: Calls that received the response of another call. Must be 0.
    wrong_responses: int = 0
    #: Exceptions other than DubError. Must be 0.
    other_exceptions: int = 0
    #: The peak number of connections. Must not exceed the number of threads.
    peak_connections: int = 0
    #: Open connections after ``close()``. Must be 0.
    open_connections: int = 0

    @property
    def clean(self) -> bool:
        """Return whether all figures are correct."""
        return (
            not (self.wrong_responses or self.other_exceptions or self.open_connections)
            and 0 < self.peak_connections <= THREADS
        )


def threads(url: str, seconds: float, count: int = THREADS, seed: int = 1) -> Tally:
    """Call one client from ``count`` threads for a time in seconds."""
    tally, lock = Tally(), threading.Lock()
    end = time.monotonic() + seconds

    def work(number: int) -> None:
        generator, own = random.Random(seed * 1000 + number), Tally()
        while time.monotonic() < end:
            external_id = f"user_{generator.randrange(CUSTOMERS) + 1}"
            own.calls += 1
            try:
                if generator.random() < 0.5:
                    customers = [client.get(f"ext_{external_id}")]
                else:
                    customers = client.list(external_id=external_id)
                received = [customer.external_id for customer in customers]
                own.wrong_responses += received != [external_id]
            except errors.DubError:
                own.failed += 1
            except Exception:  # noqa: BLE001 - counted
                own.other_exceptions += 1
        with lock:
            for name in ("calls", "failed", "wrong_responses", "other_exceptions"):
                setattr(tally, name, getattr(tally, name) + getattr(own, name))

    with CustomersConsumer(
        "dub_test", server_url=url, retry_config=SHORT_RETRIES, retry_budget=None
    ) as client:
        workers = [threading.Thread(target=work, args=(number,)) for number in range(count)]
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            tally.peak_connections = max(tally.peak_connections, own_connections_to(url))
            time.sleep(0.1)
    tally.open_connections = connections_to(url)
    return tally


#: The calls of a round, for both clients: a success and three errors. Faults add more errors.
ROUND = ("get", "missing", "duplicate", "refused")
DUPLICATE = {"external_id": "user_1", "country": "GB"}


def synchronous(url: str) -> Iterator[str]:
    """Make endless calls and yield the outcome of each."""
    unreachable = CustomersConsumer("dub_x", server_url="http://127.0.0.1:1", retry_config=None)
    with CustomersConsumer("dub_test", server_url=url, retry_config=None) as client, unreachable:
        calls: dict[str, Callable[[], object]] = {
            "get": lambda: client.get("ext_user_1"),
            "missing": lambda: client.get("ext_nobody"),
            "duplicate": lambda: client.create(DUPLICATE),
            "refused": unreachable.list,
        }
        while True:
            for operation in ROUND:
                try:
                    calls[operation]()
                except errors.DubError as error:
                    yield type(error).__name__
                else:
                    yield "success"


def asynchronous(url: str) -> Iterator[str]:
    """Make endless calls of an ``AsyncDub``; its event loop stops between two calls."""
    loop = asyncio.new_event_loop()
    unreachable = AsyncDub("dub_x", server_url="http://127.0.0.1:1", retry_config=None)
    dub = AsyncDub("dub_test", server_url=url, retry_config=None)
    calls: dict[str, Callable[[], object]] = {
        "get": lambda: dub.customers.get("ext_user_1"),
        "missing": lambda: dub.customers.get("ext_nobody"),
        "duplicate": lambda: dub.customers.create(DUPLICATE),
        "refused": unreachable.customers.list,
    }

    async def one(operation: str) -> str:
        try:
            await calls[operation]()  # type: ignore[misc]
        except errors.DubError as error:
            return type(error).__name__
        return "success"

    try:
        while True:
            for operation in ROUND:
                yield loop.run_until_complete(one(operation))
    finally:
        loop.run_until_complete(dub.aclose())
        loop.run_until_complete(unreachable.aclose())
        loop.close()


def memory(outcomes: Iterator[str], calls: int, log: Callable[[str], object]) -> int:
    """Return the growth of this process in bytes, after a warm-up of a tenth of the calls."""
    counts: Counter[str] = Counter()
    for _ in range(calls // 10):
        next(outcomes)
    gc.collect()
    before = resident_bytes()
    for number in range(calls):
        counts[next(outcomes)] += 1
        if (number + 1) % max(calls // 5, 1) == 0:
            log(f"  {number + 1:>7} calls: {(resident_bytes() - before) / 1e6:+.2f} MB")
    gc.collect()
    log(f"  {', '.join(f'{name} {count}' for name, count in counts.most_common())}")
    return resident_bytes() - before


@contextlib.contextmanager
def run_server() -> Iterator[str]:
    """Run a fake with faults in another process and yield its URL."""
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
    """Serve until the process ends."""
    fake = FakeDub(keep_requests=1)
    for number in range(1, CUSTOMERS + 1):
        fake.add(external_id=f"user_{number}", country="GB")
    fake.faults.randomly(SHARES, seed=1)
    with fake.serve() as url:
        log(url)
        threading.Event().wait()


def log(text: str) -> None:
    """Print a line."""
    print(text, flush=True)  # noqa: T201 - the output of a command


def main(arguments: list[str] | None = None) -> int:
    """Run the parts and print their figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("part", choices=["threads", "memory", "serve"], nargs="?")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--trace", action="store_true", help="print the largest allocations")
    options = parser.parse_args(arguments)
    if options.part == "serve":
        serve()
    failed = False
    with run_server() as url:
        if options.part != "memory":
            tally = threads(url, options.seconds)
            log(f"{tally}")
            failed = not tally.clean
        if options.part != "threads":
            for outcomes in (synchronous, asynchronous):
                log(f"{outcomes.__name__}, {options.calls} calls")
                if options.trace:
                    tracemalloc.start()
                growth = memory(outcomes(url), options.calls, log)
                log(f"  growth: {growth / 1e6:.2f} MB")
                failed = failed or growth >= MAX_GROWTH
                if options.trace:
                    for line in tracemalloc.take_snapshot().statistics("lineno")[:15]:
                        log(f"  {line}")
                    tracemalloc.stop()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
