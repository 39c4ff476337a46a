"""``python -m benchmarks.concurrency``: awaited calls beside aiohttp, httpx and the official SDK.

One server in another process, one run, the clients in turn. Prints the medians, and the medians of
the rounds' own ratios to plain aiohttp and of their µs above aiohttp with dub-uplink's options.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from pathlib import Path

from . import peers
from .speed import _environment, _server

WORKER = Path(__file__).with_name("concurrency_worker.py")
TITLES = {
    "aiohttp": "aiohttp + json",
    "options": "aiohttp, our options",
    "uplink": "uplink alone",
    "ours": "dub-uplink",
    "httpx": "httpx + json",
    "official": peers.OFFICIAL,
}
#: Each case with the numbers of calls at once, and how many calls a turn has.
CASES = {"get": {1: 60, 10: 100, 100: 200}, "list": {1: 15, 10: 30, 50: 50}}


class Worker:
    """A client in its process."""

    def __init__(self, client: str, url: str) -> None:
        requirements = (
            [peers.OFFICIAL]  # which is built on httpx
            if client in ("official", "httpx")
            else [*peers.own_requirements(), "aiohttp>=3.12"]
        )
        self._process = subprocess.Popen(
            [str(peers.python_of(*requirements)), str(WORKER), client, url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        self._line()

    def seconds(self, case: str, calls: int, at_once: int) -> float:
        """Return the time of one call."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{case} {calls} {at_once}\n")
        self._process.stdin.flush()
        return float(self._line())

    def left_over(self) -> list[int]:
        """Return the sockets, tasks and threads before the client was made, and after its end."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return [int(x) for x in self._line().split()]

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the worker ended; its error is above")
        return line


def measure(
    workers: dict[str, Worker], case: str, at_once: int, rounds: int
) -> dict[str, list[float]]:
    """Return the seconds of one call of each client, round by round."""
    taken: dict[str, list[float]] = {client: [] for client in workers}
    for number in range(rounds + 1):
        for client, worker in workers.items():
            one = worker.seconds(case, CASES[case][at_once], at_once)
            taken[client] += [one] if number else []  # the first warms up
    return taken


def cell(taken: dict[str, list[float]], client: str) -> str:
    """Return the time of a client, beside plain aiohttp and above aiohttp with our options."""
    times = taken[client]
    ratio = statistics.median(a / b for a, b in zip(times, taken["aiohttp"], strict=True))
    above = statistics.median(a - b for a, b in zip(times, taken["options"], strict=True))
    return f"{statistics.median(times) * 1e6:.0f} µs {ratio:.2f}x {above * 1e6:+.0f}"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with _server("concurrency_server.py") as url:
        workers = {client: Worker(client, url) for client in TITLES}
        print(f"{'':16}" + "".join(f"{title:>24}" for title in TITLES.values()))  # noqa: T201
        for case, levels in CASES.items():
            for at_once in levels:
                taken = measure(workers, case, at_once, rounds)
                row = f"{case}, {at_once} at once"
                cells = (f"{cell(taken, client):>24}" for client in workers)
                print(f"{row:16}" + "".join(cells), flush=True)  # noqa: T201
        workers["ours"].seconds("get", 10_000, 100)
        left = workers["ours"].left_over()
        # The worker itself has a thread, in which it waits for its orders.
        print(f"sockets, tasks, threads: {left[:3]} before, {left[3:]} after")  # noqa: T201


if __name__ == "__main__":
    main()
