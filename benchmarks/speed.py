"""Measure the time and the memory of several clients on one server.

Each client runs in a separate process and environment. In each round, all clients run one after
another. The results are ratios, because absolute times depend on the machine and its load.
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

#: The client that the ratios refer to; the published results use this key.
BASELINE = "floor"
#: The title of each client, by its name in ``speed_worker.py``.
CLIENTS = {
    BASELINE: "requests + json",
    "ours": "dub-uplink",
    "official": peers.OFFICIAL,
    "official_2024": peers.OFFICIAL_2024,
}


@dataclass(frozen=True)
class Case:
    """One measured operation.

    ``calls`` is the number of calls of a client per round. It is small, so that other load on the
    machine affects all clients equally. ``rounds`` is the share of the rounds that run this case.
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
    Case("error", "error response", 6),
    Case("iterate", "iterate over 10,000", 1, rounds=0.25),
    Case("threads", "get, 8 threads", 1, rounds=0.25),
)
FRESH = Case("fresh", "import, client, first call", 1, rounds=0.2)
MEMORY = Case("memory", "peak memory after that", 1)


@dataclass
class Measurements:
    """The samples of a run by case, client and round: seconds, or kilobytes of memory."""

    samples: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)

    def add(self, case: str, client: str, samples: list[float]) -> None:
        """Add the samples of one round."""
        self.samples.setdefault(case, {}).setdefault(client, []).append(samples)

    def median(self, case: str, client: str) -> float | None:
        """Return the median of all samples, or ``None`` without samples."""
        rounds = self.samples.get(case, {}).get(client)
        return statistics.median(x for samples in rounds for x in samples) if rounds else None

    def ratio(self, case: str, client: str, to: str) -> float | None:
        """Return the ratio of the medians of two clients."""
        median, reference = self.median(case, client), self.median(case, to)
        return median / reference if median is not None and reference else None

    def quartiles(self, case: str, client: str, to: str) -> tuple[float, float] | None:
        """Return the lower and the upper quartile of the ratios of the single rounds."""
        by_client = self.samples.get(case, {})
        pairs = zip(by_client.get(client, []), by_client.get(to, []), strict=False)
        ratios = [statistics.median(a) / statistics.median(b) for a, b in pairs]
        if len(ratios) < 2:
            return None
        low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
        return low, high


def minimal_environment() -> dict[str, str]:
    """Return an environment without proxies and keys, with this checkout on the import path."""
    kept = ("PATH", "HOME", "LANG", "SYSTEMROOT", "TMPDIR", "TEMP", "LD_LIBRARY_PATH")
    environ = {name: os.environ[name] for name in kept if name in os.environ}
    return {**environ, "PYTHONPATH": str(peers.CHECKOUT), "NETRC": os.devnull}


class Worker:
    """A client in a separate process."""

    def __init__(self, python: Path, client: str, url: str) -> None:
        self._command = [str(python), str(HERE / "speed_worker.py"), client, url]
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=minimal_environment(),
        )
        self.cases = self._read_line().split()

    def close(self) -> None:
        """End the process."""
        with contextlib.suppress(OSError):
            self._process.communicate(timeout=10)

    def measure(self, case: str, calls: int) -> list[float]:
        """Return the seconds of each call."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{case} {calls}\n")
        self._process.stdin.flush()
        return [float(x) for x in self._read_line().split()]

    def measure_startup(self) -> tuple[float, float]:
        """Return the seconds and the peak kilobytes of a new process that makes one call."""
        completed = subprocess.run(
            [*self._command, "fresh"],
            capture_output=True,
            text=True,
            check=True,
            env=minimal_environment(),
        )
        seconds, kilobytes = completed.stdout.split()
        return float(seconds), float(kilobytes)

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self._command)} ended; standard error has the reason")
        return line


@contextlib.contextmanager
def run_server(script: str = "speed_server.py") -> Iterator[str]:
    """Run a server in another process and yield its URL."""
    command = [sys.executable, str(HERE / script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.kill()


def interpreters(log: Callable[[str], object]) -> dict[str, Path]:
    """Return the Python of each client's environment; create missing environments."""
    ours = peers.python_of(*peers.own_requirements(), log=log)
    return {
        BASELINE: ours,
        "ours": ours,
        "official": peers.python_of(peers.OFFICIAL, log=log),
        "official_2024": peers.python_of(peers.OFFICIAL_2024, log=log),
    }


def plan(rounds: int) -> list[tuple[Case, int]]:
    """Return the cases of each round; long cases run in some rounds only."""
    steps: list[tuple[Case, int]] = []
    for number in range(rounds):
        for case in (*CASES, FRESH):
            every = max(1, round(1 / case.rounds))
            if number % every == 0:
                steps.append((case, number))
    return steps


def measure(
    pythons: dict[str, Path], rounds: int, progress: Callable[[list[object]], Iterator[object]]
) -> Measurements:
    """Measure all cases; ``progress`` yields the steps and shows the progress."""
    measurements = Measurements()
    with run_server() as url, contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for client, python in pythons.items():
            workers[client] = Worker(python, client, url)
            stack.callback(workers[client].close)
            for case in CASES:  # warm up: open connections, fill caches, compile converters
                if case.name in workers[client].cases:
                    workers[client].measure(case.name, 3 if case.calls > 1 else 1)
            workers[client].measure_startup()  # write the bytecode
        for step in progress(list(plan(rounds))):
            assert isinstance(step, tuple)
            case, number = step
            # Rotate the order: the load of the preceding client affects the next measurement.
            names = list(workers)
            for client in names[number % len(names) :] + names[: number % len(names)]:
                _measure_case(measurements, workers[client], case, client)
    return measurements


def _measure_case(measurements: Measurements, worker: Worker, case: Case, client: str) -> None:
    if case is FRESH:
        seconds, kilobytes = worker.measure_startup()
        measurements.add(FRESH.name, client, [seconds])
        measurements.add(MEMORY.name, client, [kilobytes])
    elif case.name in worker.cases:
        measurements.add(case.name, client, worker.measure(case.name, case.calls))
