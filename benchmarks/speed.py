"""Measures the clients side by side: in turn, interleaved, on one server, in one run.

Every client has a process of its own in its own environment. Ratios are the result: absolute times
are those of one machine at one moment.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import peers

HERE = Path(__file__).resolve().parent

#: Names as the worker has them, and as the reader sees them.
CLIENTS = {
    "floor": "requests + json",
    "ours": "dub-uplink",
    "official": peers.OFFICIAL,
    "official_2024": peers.OFFICIAL_2024,
}


@dataclass(frozen=True)
class Case:
    """What is measured: its title, and how many calls a client makes before it is the next's turn.

    Few calls, since what else the machine does should hit all of them alike. ``rounds`` is how
    often each has its turn, relative to the others.
    """

    name: str
    title: str
    calls: int
    rounds: float = 1.0


CASES = (
    Case("get", "get", 6),
    Case("create", "create", 6),
    Case("list", "list of 100", 4),
    Case("expanded", "list of 100, expanded", 3),
    Case("error", "an error answer", 6),
    Case("iterate", "iterate over 10,000", 1, rounds=0.25),
    Case("threads", "get, 8 threads", 1, rounds=0.25),
)
FRESH = Case("fresh", "import, client, first call", 1, rounds=0.2)
MEMORY = Case("memory", "peak memory after that", 1)


@dataclass
class Measured:
    """All samples of a run: seconds (kilobytes for memory) by case and client, round by round."""

    samples: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)

    def add(self, case: str, client: str, taken: list[float]) -> None:
        self.samples.setdefault(case, {}).setdefault(client, []).append(taken)

    def median(self, case: str, client: str) -> float | None:
        """The median of all samples, if there are any."""
        rounds = self.samples.get(case, {}).get(client)
        return statistics.median(x for taken in rounds for x in taken) if rounds else None

    def ratio(self, case: str, client: str, to: str) -> float | None:
        """The ratio of the medians."""
        one, other = self.median(case, client), self.median(case, to)
        return one / other if one is not None and other else None

    def spread(self, case: str, client: str, to: str) -> tuple[float, float] | None:
        """The quartiles of the rounds' own ratios: how much to trust the ratio."""
        found = self.samples.get(case, {})
        pairs = zip(found.get(client, []), found.get(to, []), strict=False)
        ratios = [statistics.median(a) / statistics.median(b) for a, b in pairs]
        if len(ratios) < 2:
            return None
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, high


def _environment() -> dict[str, str]:
    """The caller's environment without proxies and keys, with the checkout for this client."""
    kept = ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR", "TEMP", "LD_LIBRARY_PATH")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {**found, "PYTHONPATH": str(peers.CHECKOUT), "NETRC": os.devnull}


class Worker:
    """A client in its process."""

    def __init__(self, python: Path, client: str, url: str) -> None:
        self._command = [str(python), str(HERE / "speed_worker.py"), client, url]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=_environment(),
        )
        self.cases = self._answer().split()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._process.communicate(timeout=10)

    def take(self, case: str, calls: int) -> list[float]:
        """The seconds that each of so many calls took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{case} {calls}\n")
        self._process.stdin.flush()
        return [float(x) for x in self._answer().split()]

    def fresh(self) -> tuple[float, float]:
        """Seconds and kilobytes of a process that imports, makes a client and calls once."""
        done = subprocess.run(
            [*self._command, "fresh"],
            capture_output=True,
            text=True,
            check=True,
            env=_environment(),
        )
        seconds, kilobytes = done.stdout.split()
        return float(seconds), float(kilobytes)

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._command)} ended; its error is above")
        return line


@contextlib.contextmanager
def _server(script: str = "speed_server.py") -> Iterator[str]:
    """The URL of a lean server in another process."""
    command = [sys.executable, str(HERE / script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def interpreters(say: Callable[[str], object]) -> dict[str, Path]:
    """The interpreter of each client's environment; made at the first run."""
    ours = peers.python_of(*peers.own_requirements(), say=say)
    return {
        "floor": ours,
        "ours": ours,
        "official": peers.python_of(peers.OFFICIAL, say=say),
        "official_2024": peers.python_of(peers.OFFICIAL_2024, say=say),
    }


def plan(rounds: int) -> list[tuple[Case, int]]:
    """What to measure when: every case in every round, the long ones in some."""
    steps: list[tuple[Case, int]] = []
    for number in range(rounds):
        for case in (*CASES, FRESH):
            every = max(1, round(1 / case.rounds))
            if number % every == 0:
                steps.append((case, number))
    return steps


def measure(
    pythons: dict[str, Path], rounds: int, progress: Callable[[list[object]], Iterator[object]]
) -> Measured:
    """Run all cases so many rounds; ``progress`` wraps the steps and shows how far they are."""
    measured = Measured()
    with _server() as url, contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for client, python in pythons.items():
            workers[client] = Worker(python, client, url)
            stack.callback(workers[client].close)
            for case in CASES:  # connections, caches, what is compiled at the first call
                if case.name in workers[client].cases:
                    workers[client].take(case.name, 3 if case.calls > 1 else 1)
            workers[client].fresh()  # writes the bytecode
        for step in progress(list(plan(rounds))):
            assert isinstance(step, tuple)
            case, number = step
            # Each is first once: a client that runs after a busy one has a warm machine.
            names = list(workers)
            for client in names[number % len(names) :] + names[: number % len(names)]:
                _take(measured, workers[client], case, client)
    return measured


def _take(measured: Measured, worker: Worker, case: Case, client: str) -> None:
    if case is FRESH:
        seconds, kilobytes = worker.fresh()
        measured.add(FRESH.name, client, [seconds])
        measured.add(MEMORY.name, client, [kilobytes])
    elif case.name in worker.cases:
        measured.add(case.name, client, worker.take(case.name, case.calls))
