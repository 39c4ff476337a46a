"""``python -m benchmarks``: measure, and write table, JSON and plot beside this file."""

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


def say(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201 - a command's own output


def progress(steps: list[object]) -> Iterator[object]:
    """The steps one by one, with a bar where rich is there."""
    if importlib.util.find_spec("rich"):  # it works without, and shows less
        from rich.progress import track  # noqa: PLC0415

        yield from track(steps, description="measuring")
        return
    for number, step in enumerate(steps, 1):
        if number % 20 == 1:
            say(f"step {number} of {len(steps)}")
        yield step


def described(pythons: dict[str, Path]) -> dict[str, str]:
    """The versions and the date that belong to a result."""
    ours, official = (peers.versions_in(pythons[name]) for name in ("ours", "official"))
    return {
        "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
        "Python": platform.python_version(),
        **{name: ours[name] for name in ("requests", "uplink", "marshmallow", "urllib3")},
        **{name: official[name] for name in ("httpx", "pydantic")},
        "on": f"{platform.system()} {platform.machine()}",
    }


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=80, help="turns of each client (80)")
    parser.add_argument("--quick", action="store_true", help="two rounds, nothing written: a test")
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory of the results")
    chosen = parser.parse_args(arguments)
    pythons = speed.interpreters(say)
    measured = speed.measure(pythons, 2 if chosen.quick else chosen.rounds, progress)
    about = described(pythons)
    written: dict[str, Callable[..., str]] = {
        "speed.rst": speed_report.table,
        "speed.json": speed_report.as_json,
        "speed.svg": speed_report.plot,
    }
    made = {name: make(measured, about) for name, make in written.items()}
    say(made["speed.rst"])
    for line in speed_report.missed(measured):
        say(f"not reached: {line}")
    if not chosen.quick or chosen.out != RESULTS:
        chosen.out.mkdir(parents=True, exist_ok=True)
        for name, content in made.items():
            (chosen.out / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
