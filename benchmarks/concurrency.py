"""``python -m benchmarks.concurrency``: 100 awaited calls at once, ours beside the official SDK.

One server, one run, in turn; the ratio of the medians is the result.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from pathlib import Path

from . import peers
from .speed import _environment, _server

WORKER = Path(__file__).with_name("concurrency_worker.py")
CLIENTS = ("ours", "official")


class Worker:
    """A client in its process."""

    def __init__(self, client: str, url: str) -> None:
        requirements = (
            [peers.OFFICIAL]
            if client == "official"
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

    def rate(self, case: str, calls: int, at_once: int) -> float:
        """Calls a second."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{case} {calls} {at_once}\n")
        self._process.stdin.flush()
        return float(self._line())

    def left_over(self) -> list[int]:
        """Sockets, tasks and threads before the client was made, and after it was closed."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return [int(x) for x in self._line().split()]

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the worker ended; its error is above")
        return line


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--at-once", type=int, default=100)
    given = parser.parse_args()
    with _server() as url:
        workers = {client: Worker(client, url) for client in CLIENTS}
        for case, calls in (("get", 1_000), ("list", 300)):
            taken: dict[str, list[float]] = {client: [] for client in CLIENTS}
            for number in range(given.rounds + 1):
                for client in CLIENTS:
                    rate = workers[client].rate(case, calls, given.at_once)
                    taken[client] += [rate] if number else []  # the first warms up
            medians = {client: statistics.median(rates) for client, rates in taken.items()}
            ratios = sorted(a / b for a, b in zip(taken["ours"], taken["official"], strict=True))
            print(  # noqa: T201
                f"{case:5} ours {medians['ours']:6.0f}/s   official {medians['official']:6.0f}/s"
                f"   ratio {medians['ours'] / medians['official']:.2f}"
                f" ({ratios[0]:.2f} to {ratios[-1]:.2f})"
            )
        workers["ours"].rate("get", 10_000, given.at_once)
        left = workers["ours"].left_over()
        # The worker itself has a thread, in which it waits for its orders.
        print(f"sockets, tasks, threads: {left[:3]} before, {left[3:]} after")  # noqa: T201


if __name__ == "__main__":
    main()
