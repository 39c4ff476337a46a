"""Measure an export and an import of 100,000 customers under faults.

``python -m benchmarks.transfer`` exports the customers from a fake in another process, and imports
the exported file. One attempt in ten fails. Each of the two commands is killed twice (SIGKILL) and
restarted. Afterwards the files, the journal and the server must agree on every customer. The peak
memory of each process is read from the kernel (VmHWM), which requires Linux. The CPU time of the
progress bar is measured on a terminal, directly and by comparing runs with and without the bar. The
exit status is 1 if a customer is lost or duplicated. Needs the extra ``cli``.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import dataclasses
import json
import os
import platform
import pty
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.transfer_bar import START
from dub_uplink.testing import FakeDub, Request, faults

#: The share of each fault among the attempts, one in ten in total. The server has applied some of
#: the requests with status 500 or 503, and the client cannot know which. Status 429 is rarer,
#: because each one stops all workers for up to a second.
SHARES: dict[faults.Fault, float] = {
    faults.DropBefore(): 0.02,
    faults.DropAfter(): 0.02,
    faults.Truncate(20): 0.015,
    faults.Status(500): 0.01,
    faults.Status(500, carried_out=True): 0.01,
    faults.Status(503, carried_out=True): 0.02,
    faults.RateLimited(0.2, "unix_ms"): 0.005,
}
#: The shares of the customers after which the command is killed.
KILLED_AT = (0.35, 0.7)


def serve() -> None:
    """Run a fake that is controlled by lines of JSON; print one line of JSON for each."""
    fake = FakeDub(keep_requests=1)
    counts: collections.Counter[str] = collections.Counter()
    next_fault = fake.faults.next

    def count(request: Request) -> faults.Fault | None:
        fault = next_fault(request)
        counts["requests"] += 1
        counts["faulty"] += fault is not None
        return fault

    fake.faults.next = count  # type: ignore[method-assign]
    with fake.serve() as url:
        _log(json.dumps(url))
        for line in sys.stdin:
            command, argument = json.loads(line)
            result: Any = None
            if command == "fill":
                fake.add_many(argument)
            elif command == "clear":
                fake.clear()
            elif command == "faults":
                fake.faults.randomly(SHARES, seed=1)
            elif command == "count":
                result = fake.customer_count
            elif command == "take_request_counts":
                result = dict(counts)
                counts.clear()
            elif command == "dump":
                with open(argument, "w", newline="", encoding="utf-8") as file:
                    writer = csv.writer(file)
                    for customer in fake.customers:
                        writer.writerow([getattr(customer, name) for name in FIELDS])
            _log(json.dumps(result))


FIELDS = ("external_id", "email", "name", "country")


class Server:
    """The fake in a separate process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.transfer", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url: str = self._read_result()

    def execute(self, command: str, argument: Any = None) -> Any:
        """Send a command to the fake and return its result."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, argument]) + "\n")
        self._process.stdin.flush()
        return self._read_result()

    def _read_result(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """Kill the process."""
        self._process.kill()
        self._process.wait()


@dataclasses.dataclass
class Run:
    """The exit status, time, peak memory and output of one process of the command."""

    status: int
    seconds: float
    cpu: float
    peak_mb: float
    out: str


def command(
    url: str,
    *arguments: str,
    kill_when: Callable[[], bool] | None = None,
    terminal: bool = False,
    module: str = "dub_uplink",
) -> Run:
    """Run the command on a terminal or on pipes; kill it when ``kill_when`` returns true."""
    env = {
        **os.environ,
        "DUB_API_KEY": "dub_test",
        "DUB_SERVER_URL": url,
        "COLUMNS": "100",
        "TERM": "xterm-256color",
    }
    controller, tty = pty.openpty()
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    if terminal:
        pipes = {"stdout": tty, "stderr": tty}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", module, "customers", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        **pipes,
    )
    os.close(tty)
    output: list[bytes] = []
    source = controller if terminal else process.stdout.fileno()  # type: ignore[union-attr]
    reader = threading.Thread(target=_drain, args=(source, output), daemon=True)
    reader.start()
    peak = 0.0
    while True:
        peak = max(peak, _peak_mb(process.pid))
        # Popen.wait() discards the resource usage of the process.
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        if kill_when is not None and kill_when():
            process.send_signal(signal.SIGKILL)
            kill_when = None
        time.sleep(0.02)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    reader.join(5)
    os.close(controller)
    return Run(
        process.returncode,
        seconds,
        usage.ru_utime + usage.ru_stime,
        peak,
        b"".join(output).decode("utf-8", "replace"),
    )


def _drain(source: int, output: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while chunk := os.read(source, 65536):
            output.append(chunk)


def _peak_mb(pid: int) -> float:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


def run_until_complete(
    server: Server,
    log: Callable[[str], object],
    *arguments: str,
    progress: Callable[[], int],
    size: int,
) -> list[Run]:
    """Run the command, kill it at each share of ``KILLED_AT``, and restart it until it exits."""
    runs = []
    for share in (*KILLED_AT, None):
        kill = None if share is None else (lambda goal=share * size: progress() >= goal)
        run = command(server.url, *arguments, kill_when=kill)
        log(f"  ended with {run.status} after {run.seconds:.0f} s, {run.peak_mb:.1f} MB")
        runs.append(run)
    if runs[-1].status:
        log(runs[-1].out)
    return runs


def read_rows(path: Path, names: tuple[str, ...] | None) -> list[tuple[str, ...]]:
    """Return the sorted rows of a CSV file, limited to the named columns."""
    with path.open(newline="", encoding="utf-8") as file:
        if names is None:
            return sorted(map(tuple, csv.reader(file)))
        return sorted(tuple(row[name] for name in names) for row in csv.DictReader(file))


def compare(actual: list[tuple[str, ...]], expected: list[tuple[str, ...]]) -> dict[str, int]:
    """Count the missing, the unexpected and the duplicate rows."""
    return {
        "customers": len(actual),
        "lost": len(set(expected) - set(actual)),
        "foreign": len(set(actual) - set(expected)),
        "doubled": len(actual) - len({row[0] for row in actual}),
    }


EXPORTED_COLUMNS = ("externalId", "email", "name", "country")


def transfer(size: int, workers: int, log: Callable[[str], object]) -> dict[str, Any]:
    """Export and import the customers with faults, and kill each command twice."""
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Server()) as server:
        folder = Path(directory)
        target, dump = folder / "customers.csv", folder / "server.csv"
        server.execute("fill", size)
        server.execute("dump", str(dump))
        before = read_rows(dump, None)
        server.execute("faults")

        def exported() -> int:
            with contextlib.suppress(OSError, ValueError):
                record = target.with_name(target.name + ".part.json").read_text()
                return int(json.loads(record)["customers"])
            return 0

        log(f"Export of {size:,}")
        server.execute("take_request_counts")
        runs = run_until_complete(
            server, log, "export", "--resume", str(target), progress=exported, size=size
        )
        out = _figures(runs, server) | compare(read_rows(target, EXPORTED_COLUMNS), before)

        def imported() -> int:
            return int(server.execute("count"))  # the command locks its journal

        log(f"Import of {size:,}, {workers} workers")
        server.execute("clear")
        server.execute("faults")
        server.execute("take_request_counts")
        runs = run_until_complete(
            server,
            log,
            *("import", "--workers", str(workers), str(target)),
            progress=imported,
            size=size,
        )
        into = _figures(runs, server)
        server.execute("dump", str(dump))
        into |= compare(read_rows(dump, None), before)
        into["report"] = runs[-1].out.strip().splitlines()[-1]
        return {"export": out, "import": into}


def _figures(runs: list[Run], server: Server) -> dict[str, Any]:
    return {
        "kills": sum(run.status == -signal.SIGKILL for run in runs),
        "status": runs[-1].status,
        "seconds": round(sum(run.seconds for run in runs), 1),
        "cpu_seconds_of_the_last": round(runs[-1].cpu, 1),
        "peak_mb": round(max(run.peak_mb for run in runs), 1),
        **server.execute("take_request_counts"),
    }


def measure_bar(size: int, rounds: int, log: Callable[[str], object]) -> dict[str, Any]:
    """Measure the CPU time of the progress bar on a terminal, by runs with and without it."""
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as directory, contextlib.closing(Server()) as server:
        folder = Path(directory)
        source = folder / "customers.csv"
        for kind, count in (("import", size // 5), ("export", size)):
            server.execute("clear")
            server.execute("fill", count)
            if kind == "import":
                command(server.url, "export", str(source))
            runs: dict[str, list[Run]] = {"with": [], "without": []}
            for number in range(rounds):
                for which in sorted(runs, reverse=bool(number % 2)):
                    quiet = ("--quiet",) if which == "without" else ()
                    if kind == "export":
                        arguments = ("export", "--force", *quiet, str(folder / "out.csv"))
                    else:
                        server.execute("clear")
                        arguments = ("import", "--restart", *quiet, str(source))
                    module = "benchmarks.transfer_bar" if which == "with" else "dub_uplink"
                    run = command(server.url, *arguments, terminal=True, module=module)
                    assert run.status == 0, run.out
                    runs[which].append(run)
            figures[kind] = {
                f"{what}_{which}": round(statistics.median(getattr(r, what) for r in of), 3)
                for which, of in runs.items()
                for what in ("seconds", "cpu")
            }
            pairs = list(zip(runs["with"], runs["without"], strict=True))
            for what in ("seconds", "cpu"):
                ratio = statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)
                figures[kind][f"{what}_more_percent"] = round((ratio - 1) * 100, 1)
            own = [float(run.out.partition(START)[2].split()[0]) for run in runs["with"]]
            shares = [cpu / run.cpu for cpu, run in zip(own, runs["with"], strict=True)]
            figures[kind]["cpu_of_the_bar"] = round(statistics.median(own), 3)
            figures[kind]["cpu_of_the_bar_percent"] = round(statistics.median(shares) * 100, 1)
            log(f"  {kind}: {figures[kind]}")
    return figures


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument(
        "--bar-size",
        type=int,
        default=50_000,
        help="customers of the export with the bar; an import has a fifth",
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="runs with the bar, and as many without"
    )
    parser.add_argument("--only", choices=["transfer", "bar"])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return 0
    figures: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "size": options.size,
        "workers": options.workers,
    }
    if options.only != "bar":
        figures |= transfer(options.size, options.workers, _log)
    if options.only != "transfer":
        figures["bar"] = {"size": options.bar_size, "turns": options.rounds}
        figures["bar"] |= measure_bar(options.bar_size, options.rounds, _log)
    text = json.dumps(figures, indent=2)
    _log(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    results = [figures[kind] for kind in ("export", "import") if kind in figures]
    must_be_zero = ("status", "lost", "foreign", "doubled")
    return int(any(result[name] for result in results for name in must_be_zero))


def _log(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
