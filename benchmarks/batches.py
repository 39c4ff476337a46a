"""Compare ``create_many`` with a thread pool: ``python -m benchmarks.batches``.

Each variant has eight workers. All variants run in one process, one after another; the server is
another process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import requests

from dub_uplink import Dub

from .speed import run_server

WORKERS = 8
NEW = [{"externalId": f"user_{n}", "name": "Ada", "country": "GB"} for n in range(200)]


def main() -> None:
    """Measure and print the time per creation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    with run_server("concurrency_server.py") as url, Dub("dub_benchmark", server_url=url) as client:
        session = requests.Session()
        session.trust_env = False

        def post(body: dict[str, str]) -> object:
            return json.loads(session.post(f"{url}/customers", json=body).content)

        def pooled(create: Callable[[dict[str, str]], object]) -> Callable[[], int]:
            def run() -> int:
                with ThreadPoolExecutor(WORKERS) as pool:
                    return len(list(pool.map(create, NEW)))

            return run

        cases: dict[str, Callable[[], int]] = {
            "a pool and requests": pooled(post),
            "a pool and create()": pooled(client.customers.create),
            "create_many()": lambda: len(list(client.customers.create_many(NEW, workers=WORKERS))),
        }
        samples: dict[str, list[float]] = {name: [] for name in cases}
        for number in range(rounds + 1):
            for name, run in cases.items():
                started = time.perf_counter()
                if run() != len(NEW):
                    sys.exit(f"{name}: not all customers were created")
                seconds = (time.perf_counter() - started) / len(NEW)
                samples[name] += [seconds] if number else []  # the first round opens connections
        baseline = samples["a pool and requests"]
        for name, times in samples.items():
            ratio = statistics.median(a / b for a, b in zip(times, baseline, strict=True))
            print(f"{name:20} {statistics.median(times) * 1e6:5.0f} µs  {ratio:.2f}")  # noqa: T201


if __name__ == "__main__":
    main()
