"""Compare awaited calls with those of aiohttp, httpx and the official SDK.

Run ``python -m benchmarks.concurrency``. The server is another process, and the clients run one
after another. The table has the median time of a call, the median ratio to plain aiohttp, and the
median difference in µs to aiohttp with the options of dub-uplink.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from pathlib import Path

from . import peers
from .speed import minimal_environment, run_server

WORKER = Path(__file__).with_name("concurrency_worker.py")
TITLES = {
    "aiohttp": "aiohttp + json",
    "options": "aiohttp, our options",
    "uplink": "uplink alone",
    "ours": "dub-uplink",
    "httpx": "httpx + json",
    "official": peers.OFFICIAL,
}
#: The number of calls per round, by case and by the number of concurrent calls.
CASES = {"get": {1: 60, 10: 100, 100: 200}, "list": {1: 15, 10: 30, 50: 50}}


class Worker:
    """A client in a separate process."""

    def __init__(self, client: str, url: str) -> None:
        requirements = (
            [peers.OFFICIAL]  # it requires httpx
            if client in ("official", "httpx")
            else [*peers.own_requirements(), "aiohttp>=3.12"]
        )
        self._process = subprocess.Popen(
            [str(peers.python_of(*requirements)), str(WORKER), client, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=minimal_environment(),
        )
        self._read_line()

    def seconds(self, case: str, calls: int, concurrency: int) -> float:
        """Return the time of one call."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{case} {calls} {concurrency}\n")
        self._process.stdin.flush()
        return float(self._read_line())

    def resource_counts(self) -> list[int]:
        """Return the sockets, tasks and threads before construction and after closing."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return [int(x) for x in self._read_line().split()]

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the worker ended; standard error has the reason")
        return line


def measure(
    workers: dict[str, Worker], case: str, concurrency: int, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds per call of each client and round."""
    samples: dict[str, list[float]] = {client: [] for client in workers}
    for number in range(rounds + 1):
        for client, worker in workers.items():
            seconds = worker.seconds(case, CASES[case][concurrency], concurrency)
            samples[client] += [seconds] if number else []  # the first round warms up
    return samples


def cell(samples: dict[str, list[float]], client: str) -> str:
    """Return the time of a client, its ratio to aiohttp and its difference to our options."""
    times = samples[client]
    ratio = statistics.median(a / b for a, b in zip(times, samples["aiohttp"], strict=True))
    above = statistics.median(a - b for a, b in zip(times, samples["options"], strict=True))
    return f"{statistics.median(times) * 1e6:.0f} µs {ratio:.2f}x {above * 1e6:+.0f}"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with run_server("concurrency_server.py") as url:
        workers = {client: Worker(client, url) for client in TITLES}
        print(f"{'':16}" + "".join(f"{title:>24}" for title in TITLES.values()))  # noqa: T201
        for case, levels in CASES.items():
            for concurrency in levels:
                samples = measure(workers, case, concurrency, rounds)
                row = f"{case}, {concurrency} at once"
                cells = (f"{cell(samples, client):>24}" for client in workers)
                print(f"{row:16}" + "".join(cells), flush=True)  # noqa: T201
        workers["ours"].seconds("get", 10_000, 100)
        counts = {client: worker.resource_counts() for client, worker in workers.items()}["ours"]
        # The worker itself has a thread that reads its standard input.
        print(f"sockets, tasks, threads: {counts[:3]} before, {counts[3:]} after")  # noqa: T201


if __name__ == "__main__":
    main()
