"""Compare the speed of the clients and write a table, JSON and a plot: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.util
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from . import peers, speed, speed_report

RESULTS = peers.HERE / "results"


def log(text: str) -> None:
    """Print a line to the standard error."""
    print(text, file=sys.stderr)  # noqa: T201 - the output of a command


def progress(steps: list[object]) -> Iterator[object]:
    """Yield the steps and show the progress; with a bar if rich is installed."""
    if importlib.util.find_spec("rich"):
        from rich.progress import track  # noqa: PLC0415

        yield from track(steps, description="measuring")
        return
    for number, step in enumerate(steps, 1):
        if number % 20 == 1:
            log(f"step {number} of {len(steps)}")
        yield step


def environment(pythons: dict[str, Path]) -> dict[str, str]:
    """Return the date, the platform and the versions of a measurement."""
    ours, official = (peers.versions_in(pythons[name]) for name in ("ours", "official"))
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "Python": platform.python_version(),
        **{name: ours[name] for name in ("requests", "uplink", "marshmallow", "urllib3")},
        **{name: official[name] for name in ("httpx", "pydantic")},
        "on": f"{platform.system()} {platform.machine()}",
    }


def main(arguments: list[str] | None = None) -> int:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=200, help="rounds of each client (200)")
    parser.add_argument("--quick", action="store_true", help="run two rounds, write no results")
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory of the results")
    options = parser.parse_args(arguments)
    pythons = speed.interpreters(log)
    measurements = speed.measure(pythons, 2 if options.quick else options.rounds, progress)
    about = environment(pythons)
    formats: dict[str, Callable[..., str]] = {
        "speed.rst": speed_report.table,
        "speed.json": speed_report.as_json,
        "speed.svg": speed_report.plot,
    }
    reports = {name: render(measurements, about) for name, render in formats.items()}
    log(reports["speed.rst"])
    for line in speed_report.missed_targets(measurements):
        log(f"target missed: {line}")
    if not options.quick or options.out != RESULTS:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, content in reports.items():
            (options.out / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
