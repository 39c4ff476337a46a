"""100,000 customers out of a workspace and into another while things fail, and what it takes.

``python -m benchmarks.transfer`` exports them and imports what it exported, on a fake in another
process. One attempt in ten meets a fault, and each of the two commands is killed twice (SIGKILL)
and started again. Then the files, the journal and the server must agree on every customer. The
peak of each process's memory is the kernel's own (VmHWM), so that this needs Linux. The cost of
the progress bar is measured on a terminal: by a watch on its own CPU, and by runs with and without
it in turn. Ends with status 1 where a customer is lost or doubled. Needs the ``cli`` extra.
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

#: What goes wrong, each at its share of the attempts: one in ten in all. Of the 500s and 503s some
#: were carried out, and the client cannot tell which. A 429 pauses every worker, as it must, for
#: up to a second each time: there are fewer of them.
SHARES: dict[faults.Fault, float] = {
    faults.DropBefore(): 0.02,
    faults.DropAfter(): 0.02,
    faults.Truncate(20): 0.015,
    faults.Status(500): 0.01,
    faults.Status(500, carried_out=True): 0.01,
    faults.Status(503, carried_out=True): 0.02,
    faults.RateLimited(0.2, "unix_ms"): 0.005,
}
#: Where, of all customers, the command is killed.
KILLED_AT = (0.35, 0.7)


def serve() -> None:
    """A fake that is told what to do by lines of JSON, and answers each with one."""
    fake = FakeDub(keep_requests=1)
    asked: collections.Counter[str] = collections.Counter()
    following = fake.faults.next

    def counted(request: Request) -> faults.Fault | None:
        fault = following(request)
        asked["requests"] += 1
        asked["faulty"] += fault is not None
        return fault

    fake.faults.next = counted  # type: ignore[method-assign]
    with fake.serve() as url:
        _say(json.dumps(url))
        for line in sys.stdin:
            command, argument = json.loads(line)
            answer: Any = None
            if command == "seed":
                fake.add_many(argument)
            elif command == "clear":
                fake.clear()
            elif command == "faults":
                fake.faults.randomly(SHARES, seed=1)
            elif command == "count":
                answer = fake.customer_count
            elif command == "asked":
                answer = dict(asked)
                asked.clear()
            elif command == "dump":
                with open(argument, "w", newline="", encoding="utf-8") as file:
                    writer = csv.writer(file)
                    for found in fake.customers:
                        writer.writerow([getattr(found, name) for name in FIELDS])
            _say(json.dumps(answer))


FIELDS = ("external_id", "email", "name", "country")


class Server:
    """The fake in its process."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.transfer", "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url: str = self._answer()

    def tell(self, command: str, argument: Any = None) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps([command, argument]) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        self._process.kill()
        self._process.wait()


@dataclasses.dataclass
class Run:
    """One process of the command: how it ended, what it took, what it said."""

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
    """Run the command, on a terminal or on pipes, and kill it when it is time to."""
    env = {
        **os.environ,
        "DUB_API_KEY": "dub_test",
        "DUB_SERVER_URL": url,
        "COLUMNS": "100",
        "TERM": "xterm-256color",
    }
    ours, theirs = pty.openpty()
    where = {"stdout": theirs, "stderr": theirs} if terminal else {}
    pipes: dict[str, Any] = where or {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", module, "customers", *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        **pipes,
    )
    os.close(theirs)
    said: list[bytes] = []
    source = ours if terminal else process.stdout.fileno()  # type: ignore[union-attr]
    reader = threading.Thread(target=_drain, args=(source, said), daemon=True)
    reader.start()
    peak = 0.0
    while True:
        peak = max(peak, _peak_mb(process.pid))
        # Not wait(): that would take the usage of the process with it.
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
    os.close(ours)
    return Run(
        process.returncode,
        seconds,
        usage.ru_utime + usage.ru_stime,
        peak,
        b"".join(said).decode("utf-8", "replace"),
    )


def _drain(source: int, said: list[bytes]) -> None:
    with contextlib.suppress(OSError):
        while got := os.read(source, 65536):
            said.append(got)


def _peak_mb(pid: int) -> float:
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    return 0.0


def until_done(
    server: Server, say: Callable[[str], object], *arguments: str, far: Callable[[], int], size: int
) -> list[Run]:
    """The command again and again, killed at each of ``KILLED_AT``, until it ends by itself."""
    runs = []
    for share in (*KILLED_AT, None):
        kill = None if share is None else (lambda goal=share * size: far() >= goal)
        run = command(server.url, *arguments, kill_when=kill)
        say(f"  ended with {run.status} after {run.seconds:.0f} s, {run.peak_mb:.1f} MB")
        runs.append(run)
    if runs[-1].status:
        say(runs[-1].out)
    return runs


def rows_of(path: Path, names: tuple[str, ...] | None) -> list[tuple[str, ...]]:
    """The fields that matter of each row, sorted."""
    with path.open(newline="", encoding="utf-8") as file:
        if names is None:
            return sorted(map(tuple, csv.reader(file)))
        return sorted(tuple(row[name] for name in names) for row in csv.DictReader(file))


def compared(have: list[tuple[str, ...]], want: list[tuple[str, ...]]) -> dict[str, int]:
    """What is missing, more than there is to be, or there twice."""
    return {
        "customers": len(have),
        "lost": len(set(want) - set(have)),
        "foreign": len(set(have) - set(want)),
        "doubled": len(have) - len({row[0] for row in have}),
    }


EXPORTED = ("externalId", "email", "name", "country")


def transfer(size: int, workers: int, say: Callable[[str], object]) -> dict[str, Any]:
    """Export and import, with faults and two kills each."""
    with tempfile.TemporaryDirectory() as place, contextlib.closing(Server()) as server:
        folder = Path(place)
        target, theirs = folder / "customers.csv", folder / "server.csv"
        server.tell("seed", size)
        server.tell("dump", str(theirs))
        before = rows_of(theirs, None)
        server.tell("faults")

        def exported() -> int:
            with contextlib.suppress(OSError, ValueError):
                record = target.with_name(target.name + ".part.json").read_text()
                return int(json.loads(record)["customers"])
            return 0

        say(f"Export of {size:,}")
        server.tell("asked")
        runs = until_done(server, say, "export", "--resume", str(target), far=exported, size=size)
        out = _figures(runs, server) | compared(rows_of(target, EXPORTED), before)

        def imported() -> int:
            return int(server.tell("count"))  # the journal is locked

        say(f"Import of {size:,}, {workers} workers")
        server.tell("clear")
        server.tell("faults")
        server.tell("asked")
        runs = until_done(
            server,
            say,
            *("import", "--workers", str(workers), str(target)),
            far=imported,
            size=size,
        )
        into = _figures(runs, server)
        server.tell("dump", str(theirs))
        into |= compared(rows_of(theirs, None), before)
        into["report"] = runs[-1].out.strip().splitlines()[-1]
        return {"export": out, "import": into}


def _figures(runs: list[Run], server: Server) -> dict[str, Any]:
    return {
        "kills": sum(run.status == -signal.SIGKILL for run in runs),
        "status": runs[-1].status,
        "seconds": round(sum(run.seconds for run in runs), 1),
        "cpu_seconds_of_the_last": round(runs[-1].cpu, 1),
        "peak_mb": round(max(run.peak_mb for run in runs), 1),
        **server.tell("asked"),
    }


def bar(size: int, turns: int, say: Callable[[str], object]) -> dict[str, Any]:
    """What the progress bar costs: the same commands on a terminal, with and without it."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place, contextlib.closing(Server()) as server:
        folder = Path(place)
        source = folder / "customers.csv"
        for kind, count in (("import", size // 5), ("export", size)):
            server.tell("clear")
            server.tell("seed", count)
            if kind == "import":
                command(server.url, "export", str(source))
            runs: dict[str, list[Run]] = {"with": [], "without": []}
            for turn in range(turns):
                for which in sorted(runs, reverse=bool(turn % 2)):
                    quiet = ("--quiet",) if which == "without" else ()
                    if kind == "export":
                        arguments = ("export", "--force", *quiet, str(folder / "out.csv"))
                    else:
                        server.tell("clear")
                        arguments = ("import", "--restart", *quiet, str(source))
                    module = "benchmarks.transfer_bar" if which == "with" else "dub_uplink"
                    run = command(server.url, *arguments, terminal=True, module=module)
                    assert run.status == 0, run.out
                    runs[which].append(run)
            found[kind] = {
                f"{what}_{which}": round(statistics.median(getattr(r, what) for r in of), 3)
                for which, of in runs.items()
                for what in ("seconds", "cpu")
            }
            pairs = list(zip(runs["with"], runs["without"], strict=True))
            for what in ("seconds", "cpu"):
                ratio = statistics.median(getattr(a, what) / getattr(b, what) for a, b in pairs)
                found[kind][f"{what}_more_percent"] = round((ratio - 1) * 100, 1)
            own = [float(run.out.partition(START)[2].split()[0]) for run in runs["with"]]
            shares = [took / run.cpu for took, run in zip(own, runs["with"], strict=True)]
            found[kind]["cpu_of_the_bar"] = round(statistics.median(own), 3)
            found[kind]["cpu_of_the_bar_percent"] = round(statistics.median(shares) * 100, 1)
            say(f"  {kind}: {found[kind]}")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--bar-size", type=int, default=50_000, help="of an import, a fifth")
    parser.add_argument("--turns", type=int, default=5, help="runs with the bar, and without")
    parser.add_argument("--only", choices=["transfer", "bar"])
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return 0
    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "size": options.size,
        "workers": options.workers,
    }
    say = _say
    if options.only != "bar":
        found |= transfer(options.size, options.workers, say)
    if options.only != "transfer":
        found["bar"] = {"size": options.bar_size, "turns": options.turns}
        found["bar"] |= bar(options.bar_size, options.turns, say)
    text = json.dumps(found, indent=2)
    _say(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")
    both = [found[kind] for kind in ("export", "import") if kind in found]
    wrong = ("status", "lost", "foreign", "doubled")
    return int(any(each[name] for each in both for name in wrong))


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
