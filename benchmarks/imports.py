"""Compare the import times of the package and its dependencies: ``python -m benchmarks.imports``.

Each statement runs in a new process, in an environment without aiohttp and in one with it, because
uplink imports aiohttp if it is installed.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
from pathlib import Path

from . import peers
from .speed import minimal_environment

STATEMENTS = {
    "requests, uplink": "import requests, uplink",
    "dub-uplink": "from dub_uplink import Dub; Dub('dub_benchmark')",
    "dub-uplink, async": "from dub_uplink import AsyncDub; AsyncDub('dub_benchmark')",
}


def seconds(python: Path, statement: str) -> float:
    """Return the seconds of a statement in a new process."""
    script = f"import time; t = time.perf_counter(); {statement}; print(time.perf_counter() - t)"
    completed = subprocess.run(
        [str(python), "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=minimal_environment(),
    )
    return float(completed.stdout)


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for extra in ([], ["aiohttp>=3.12"]):
        python = peers.python_of(*peers.own_requirements(), *extra)
        statements = dict(list(STATEMENTS.items())[: 3 if extra else 2])
        samples: dict[str, list[float]] = {name: [] for name in statements}
        for number in range(rounds + 1):
            for name, statement in statements.items():
                samples[name] += (
                    [seconds(python, statement)] if number else []
                )  # the first writes bytecode
        baseline = samples["requests, uplink"]
        for name, times in samples.items():
            ratio = statistics.median(a / b for a, b in zip(times, baseline, strict=True))
            where = "with aiohttp" if extra else "without aiohttp"
            print(  # noqa: T201
                f"{where:16} {name:18} {statistics.median(times) * 1e3:4.0f} ms  {ratio:.2f}"
                f"   least {min(times) * 1e3:4.0f} ms  {min(times) / min(baseline):.2f}"
            )


if __name__ == "__main__":
    main()
