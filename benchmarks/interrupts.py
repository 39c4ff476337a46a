"""Interrupt imports and exports at random times, and check for lost and duplicate customers.

``python -m benchmarks.interrupts --seconds 900`` runs the command repeatedly with a fake. It sends
SIGINT after a random time: during start-up, during the job, or after the report, during shutdown.
One run in five gets a second SIGINT. The command is restarted until the job is complete. Then the
file or the report must agree with the store of the fake on every customer. Some requests meet rate
limits or lose their response.

The exit status is 1 if a run hangs, has an unexpected status, or loses or duplicates a customer.
Needs the extra ``cli``, and a system with POSIX signals.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NamedTuple

from dub_uplink.testing import FakeDub, faults

ROWS = 1_000  # of an import
CUSTOMERS = 4_000  # of an export
HANG_SECONDS = 60.0
SECOND_SIGNAL = 0.2  # share of the runs
AT_SHUTDOWN = 0.15  # share of the runs
#: Complete, interrupted, and interrupted while Python does not handle the signal.
STATUSES = (0, 130, -signal.SIGINT)
#: Messages of Python, with status 1, if it is interrupted before it runs the command.
IN_PYTHON = ("Fatal Python error: init_", '"<frozen site>"', "Could not import runpy module")
SHARES: dict[faults.Fault, float] = {
    faults.DropAfter(): 0.01,
    faults.Truncate(20): 0.01,
    faults.RateLimited(0.1, "unix_ms"): 0.01,
}


@dataclass
class Result:
    """The counts of a run of the benchmark."""

    runs: collections.Counter[str] = field(default_factory=collections.Counter)
    jobs: collections.Counter[str] = field(default_factory=collections.Counter)
    statuses: collections.Counter[int] = field(default_factory=collections.Counter)
    tracebacks: collections.Counter[str] = field(default_factory=collections.Counter)
    examples: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return (
            f"interrupted runs: {dict(self.runs)}, jobs completed and checked: {dict(self.jobs)},"
            f" statuses: {dict(self.statuses)}, tracebacks: {dict(self.tracebacks)},"
            f" failures: {len(self.failures)}"
        )


class Run(NamedTuple):
    """One process: whether it ran at the signal, its status, and its output."""

    interrupted: bool
    status: int | None
    output: str


class Job:
    """An import or an export, and the arguments of its command."""

    def __init__(self, operation: str, folder: Path, fake: FakeDub, size: int) -> None:
        self.operation = operation
        self._fake = fake
        self._size = size
        if operation == "import":
            self.path = folder / "people.csv"
            rows = (f"user_{n},user_{n}@example.com,GB\n" for n in range(size))
            self.path.write_text("external_id,email,country\n" + "".join(rows))
            self.arguments = ["import", str(self.path)]
        else:
            self.path = folder / "customers.jsonl"
            fake.add_many(size)
            self.arguments = ["export", "--resume", str(self.path)]
        self.report = f"{size:,} rows: " if operation == "import" else f"{size:,} customers in "

    def problem(self, output: str) -> str | None:
        """Return the difference between the result and the store, or ``None``."""
        stored = list(self._fake.customers)
        if self.operation == "import":
            ids = collections.Counter(customer.external_id for customer in stored)
            expected = {f"user_{n}" for n in range(self._size)}
            report = f"{self._size:,} rows: {self._size:,} created, 0 updated, 0 skipped, 0 failed"
            if report not in output:
                return f"the report is {output!r}"
        else:
            lines = self.path.read_text(encoding="utf-8").splitlines()
            ids = collections.Counter(json.loads(line)["id"] for line in lines)
            expected = {customer.id for customer in stored}
            remaining = [path.name for path in self.path.parent.iterdir() if path != self.path]
            if remaining:
                return f"remaining files: {remaining}"
        duplicates = [name for name, count in ids.items() if count > 1]
        if duplicates or set(ids) != expected:
            return f"duplicates: {duplicates}, lost: {len(expected - set(ids))}"
        return None


@contextlib.contextmanager
def prepare(operation: str, size: int, seed: int) -> Iterator[tuple[Job, dict[str, str]]]:
    """Yield a job with a separate fake, and the environment for its command."""
    fake = FakeDub(keep_requests=1)
    fake.faults.randomly(SHARES, seed=seed)
    with tempfile.TemporaryDirectory() as folder, fake.serve() as url:
        env = {name: value for name, value in os.environ.items() if not name.startswith("DUB_")}
        env |= {"DUB_API_KEY": fake.token, "DUB_SERVER_URL": url, "PYTHONFAULTHANDLER": "1"}
        yield Job(operation, Path(folder), fake, size), env


def run(
    job: Job, env: dict[str, str], delay: float | None, gap: float | None, *, at_report: bool
) -> Run:
    """Run the command once.

    Args:
        job: The job.
        env: The environment.
        delay: Seconds until SIGINT; ``None`` for no signal.
        gap: Seconds until a second SIGINT; ``None`` for none.
        at_report: Count ``delay`` from the report, not from the start.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "dub_uplink", "customers", *job.arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    output: list[bytes] = []
    reported = threading.Event()
    reader = threading.Thread(
        target=_read, args=(process.stdout, output, job.report.encode(), reported), daemon=True
    )
    reader.start()
    interrupted = False
    if delay is not None:
        if at_report:
            reported.wait(HANG_SECONDS)
        time.sleep(delay)
        interrupted = process.poll() is None
        process.send_signal(signal.SIGINT)
        if gap is not None:
            time.sleep(gap)
            process.send_signal(signal.SIGINT)
    status: int | None = None
    try:
        status = process.wait(HANG_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # faulthandler prints the stacks
        process.wait()
    reader.join()
    process.stdout.close()
    return Run(interrupted, status, b"".join(output).decode("utf-8", "replace"))


def _read(source: IO[bytes], output: list[bytes], report: bytes, reported: threading.Event) -> None:
    while data := os.read(source.fileno(), 65536):
        output.append(data)
        if report in b"".join(output):
            reported.set()
    reported.set()


def complete(operation: str, size: int, seed: int, typical: float, result: Result) -> None:
    """Interrupt and restart one job until it is complete, and check the result."""
    generator = random.Random(seed)
    with prepare(operation, size, seed) as (job, env):
        while True:
            at_report = generator.random() < AT_SHUTDOWN
            delay = generator.uniform(0, 0.1 if at_report else 1.1 * typical)
            gap = generator.uniform(0, 0.1) if generator.random() < SECOND_SIGNAL else None
            completed = run(job, env, delay, gap, at_report=at_report)
            result.runs[operation] += completed.interrupted
            if completed.status is None:
                result.failures.append(f"{operation} {seed} hangs: {completed.output}")
                return
            result.statuses[completed.status] += 1
            if "Traceback" in completed.output:
                frames = [
                    line for line in completed.output.splitlines() if line.startswith('  File "')
                ]
                own = any("/_cli/" in line for line in frames)
                where = "in the command" if own else "before the command"
                result.tracebacks[where] += 1
                result.examples[where] = completed.output
            if completed.status not in STATUSES and not any(map(completed.output.count, IN_PYTHON)):
                failure = f"{operation} {seed}: status {completed.status}: {completed.output}"
                result.failures.append(failure)
                return
            if job.report in completed.output and " remaining" not in completed.output:
                break
        problem = job.problem(completed.output)
        if problem is not None:
            result.failures.append(f"{operation} {seed}: {problem}: {completed.output}")
        result.jobs[operation] += 1


def typical_seconds(operation: str, size: int) -> float:
    """Return the seconds of a run without interrupts."""
    with prepare(operation, size, 0) as (job, env):
        started = time.monotonic()
        completed = run(job, env, None, None, at_report=False)
        assert completed.status == 0, completed.output
        return time.monotonic() - started


def soak(
    seconds: float, seed: int, workers: int, rows: int = ROWS, customers: int = CUSTOMERS
) -> Result:
    """Interrupt jobs for a time in seconds; complete at least one import and one export."""
    result = Result()
    sizes = {"import": rows, "export": customers}
    typical = {operation: typical_seconds(operation, size) for operation, size in sizes.items()}
    end = time.monotonic() + seconds
    # Start the operation with fewer interrupted runs, so that both get about the same number.
    lock = threading.Lock()
    seeds = iter(range(seed, sys.maxsize))
    started: collections.Counter[str] = collections.Counter()

    def work() -> None:
        while True:
            with lock:
                if time.monotonic() > end and len(started) == len(sizes):
                    return
                operation = min(sizes, key=lambda name: (started[name] > 0, result.runs[name]))
                started[operation] += 1
                job_seed = next(seeds)
            complete(operation, sizes[operation], job_seed, typical[operation], result)

    with ThreadPoolExecutor(workers) as pool:
        for future in [pool.submit(work) for _ in range(workers)]:
            future.result()
    return result


def main() -> None:
    """Run the benchmark and print its counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    result = soak(options.seconds, options.seed, options.workers)
    print(result)  # noqa: T201 - the output of a command
    for text in (*result.failures, *result.examples.values()):
        print(f"\n{text}")  # noqa: T201
    sys.exit(1 if result.failures else 0)


if __name__ == "__main__":
    main()
