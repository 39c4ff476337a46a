"""Measure many workers with one API key, with and without a shared rate limit.

Run ``python -m benchmarks.workers``. Eight processes with four threads each send requests for three
windows of the rate limit. The server enforces the limit with a sliding window; 100 % are the
requests that it permits in that time. As root, ``--machines`` distributes the processes over four
network namespaces on a bridge. Needs ``redis-server`` and the extra ``redis``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dub_uplink import Clock, RateLimit
from dub_uplink._internal.credentials import RedactedStr
from dub_uplink._transport.rate_limit_gate import RateLimitGate
from dub_uplink._transport.retry_state import RetryState

from .workers_plot import plot

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PROCESSES, WINDOWS, LIMIT, WINDOW = 8, 3, 600, 5.0
MACHINES, BRIDGE, NETWORK = 4, "dub-bench", "10.213.97"


class Redis:
    """A redis-server process that can be killed and restarted."""

    def __init__(self, host: str) -> None:
        with socket.create_server((host, 0)) as listener:
            self._port = listener.getsockname()[1]
        self.url = f"redis://{host}:{self._port}"
        self._host = host
        self._home = tempfile.mkdtemp()
        self.start()

    def start(self) -> None:
        """Start the server without data."""
        command = f"redis-server --bind {self._host} --port {self._port} --appendonly no --save"
        self._process = subprocess.Popen(
            [*command.split(), "", "--protected-mode", "no"],
            stdout=subprocess.DEVNULL,
            cwd=self._home,
        )
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection((self._host, self._port)).close()
                return
            time.sleep(0.01)

    def kill(self) -> None:
        """Kill the server."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        """Stop the server and remove its files."""
        self.kill()
        shutil.rmtree(self._home)


@contextlib.contextmanager
def machines(count: int) -> Iterator[list[list[str]]]:
    """Create network namespaces and return the prefix of a command in each."""

    def ip(command: str) -> None:
        subprocess.run(["ip", *command.split()], check=True)

    names = [f"{BRIDGE}-{number}" for number in range(count)]
    with contextlib.ExitStack() as stack:
        ip(f"link add {BRIDGE} type bridge")
        stack.callback(ip, f"link del {BRIDGE}")
        ip(f"addr add {NETWORK}.1/24 dev {BRIDGE}")
        ip(f"link set {BRIDGE} up")
        for number, name in enumerate(names):
            ip(f"netns add {name}")
            stack.callback(ip, f"netns del {name}")
            ip(f"link add dubb{number} type veth peer name eth0 netns {name}")
            ip(f"link set dubb{number} master {BRIDGE} up")
            ip(f"-n {name} addr add {NETWORK}.{number + 2}/24 dev eth0")
            ip(f"-n {name} link set eth0 up")
            ip(f"-n {name} link set lo up")
        yield [["ip", "netns", "exec", name] for name in names]


class Process:
    """A Python script that is controlled by lines on its standard input."""

    def __init__(self, script: str, *arguments: object, on: list[str] | None = None) -> None:
        self._process = subprocess.Popen(
            [*(on or []), sys.executable, "-W", "ignore", HERE / script, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout

    def read(self) -> str:
        """Return the next line of output."""
        line = self._out.readline()
        if not line:
            raise RuntimeError("a process ended; standard error has the reason")
        return line

    def write(self, line: object = "") -> None:
        """Write a line to the input."""
        self._in.write(f"{line}\n")
        self._in.flush()

    def stop(self) -> None:
        """Close the input; kill the process if it does not exit."""
        self._in.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._process.kill()
        self._process.wait()


def run(how: str, host: str, on: list[list[str]], meanwhile: Callable[[], object]) -> Any:
    """Run the workers in one mode and return the statistics."""
    server = Process("workers_server.py", host, LIMIT, WINDOW)
    url = server.read().strip()
    seconds = WINDOWS * WINDOW
    workers = [
        Process("workers_worker.py", url, LIMIT, WINDOW, seconds, how, on=on[n % len(on)])
        for n in range(PROCESSES)
    ]
    for worker in workers:
        worker.read()
    start = time.time() + 0.3
    for worker in workers:
        worker.write(start - 0.3)
    background = threading.Thread(target=meanwhile)
    background.start()
    results: Counter[str] = Counter()
    for worker in workers:
        results.update(json.loads(worker.read()))
    background.join()
    server.write()
    requests = json.loads(server.read())
    for process in (*workers, server):
        process.stop()
    first = min(at for at, _ in requests)
    counted = [(at - first, status) for at, status in requests if at - first < seconds]
    successful = sum(status == 200 for _, status in counted)
    rejected = sum(status == 429 for _, status in counted)
    failed = {name: count for name, count in results.items() if name != "successful"}
    return {
        "used": successful / (LIMIT * WINDOWS),
        "rejected": rejected / len(counted),
        "requests": len(counted),
        "failed calls": failed,
        "seen": [(round(at, 3), status) for at, status in counted],
    }


def per_call(storage: str | None, calls: int = 5_000) -> dict[str, float]:
    """Return the median milliseconds of a reservation, for both clients."""
    limit = RateLimit(1_000_000, "second", storage=storage)
    key = RedactedStr("Bearer dub_test")

    def gate() -> RateLimitGate:
        limiter = limit._limiter_for("https://api.dub.co/", key)
        return RateLimitGate(limit, limiter, RetryState(None, Clock()), 30.0, key)

    def measure() -> float:
        started = time.perf_counter()
        gate().acquire()
        return time.perf_counter() - started

    async def measure_async() -> list[float]:
        times = []
        for _ in range(calls):
            started = time.perf_counter()
            await gate().acquire_async()
            times.append(time.perf_counter() - started)
        return times

    measure()
    samples = {"sync": [measure() for _ in range(calls)], "async": asyncio.run(measure_async())}
    limit.close()
    return {name: statistics.median(times) * 1000 for name, times in samples.items()}


def main() -> None:
    """Measure, print, and write the results with ``--write``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--machines", action="store_true", help="use four network namespaces")
    parser.add_argument("--write", action="store_true", help="write the results and the plot")
    options = parser.parse_args()
    with contextlib.ExitStack() as stack:
        host, on = "127.0.0.1", list[list[str]]([[]])
        if options.machines:
            host, on = f"{NETWORK}.1", stack.enter_context(machines(MACHINES))
        redis = Redis(host)
        stack.callback(redis.close)

        def restart_redis() -> None:
            time.sleep(WINDOW * 1.2)
            redis.kill()
            time.sleep(WINDOW * 0.4)
            redis.start()

        results_by_mode: dict[str, Any] = {}
        modes: list[tuple[str, str, Callable[[], object]]] = [
            ("shared in Redis", redis.url, lambda: None),
            ("Redis killed and restarted", redis.url, restart_redis),
            ("separate limits", "own", lambda: None),
            ("no rate limit, retries only", "none", lambda: None),
        ]
        for name, how, meanwhile in modes:
            results_by_mode[name] = result = run(how, host, on, meanwhile)
            print(  # noqa: T201
                f"{name:28} used {result['used']:6.1%}  rejected {result['rejected']:6.2%}"
                f"  of {result['requests']} requests; failed calls: {result['failed calls'] or 0}"
            )
        durations = {"in-process": per_call(None), "Redis": per_call(redis.url)}
        for name, by_client in durations.items():
            text = ", ".join(f"{client} {ms:.4f} ms" for client, ms in by_client.items())
            print(f"a reservation, {name}: {text}")  # noqa: T201
    about = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    about += f", {MACHINES} network namespaces" if options.machines else ", one machine"
    if options.write:
        RESULTS.joinpath("workers.svg").write_text(
            plot(results_by_mode, LIMIT, WINDOW, about), "utf-8"
        )
        kept = {
            name: {k: v for k, v in result.items() if k != "seen"}
            for name, result in results_by_mode.items()
        }
        text = (
            json.dumps({"about": about, "ways": kept, "milliseconds": durations}, indent=2) + "\n"
        )
        RESULTS.joinpath("workers.json").write_text(text, "utf-8")


if __name__ == "__main__":
    main()
