"""Measure how the client handles failures of network and server: ``python -m benchmarks.faults``.

The benchmark has three parts: a matrix of failures that includes the official SDK, thousands of
writes with random faults, and the load that retries add to a failing server. The exit status is 1
if a figure is out of its bounds.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import datetime as dt
import importlib.metadata
import json
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from . import faults_load, faults_matrix, faults_storm

Log = Callable[[str], object]
Table = tuple[str, list[str], list[list[str]]]

PACKAGES = ("dub-uplink", "uplink", "requests", "urllib3", "tenacity", "marshmallow")


@contextlib.contextmanager
def progress() -> Iterator[tuple[Log, Callable[[str, int, int], object]]]:
    """Yield functions that print lines and counts to stderr; counts are bars if rich is there."""
    try:
        from rich.console import Console  # noqa: PLC0415 - rich is optional
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TimeElapsedColumn,
        )
    except ImportError:
        yield _log, _count
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def count(operation: str, done: int, size: int) -> None:
            if operation not in tasks:
                tasks[operation] = bars.add_task(operation, total=size)
            bars.update(tasks[operation], completed=done)

        yield bars.console.print, count


def _log(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _count(operation: str, done: int, size: int) -> None:
    if done % max(size // 10, 1) == 0:
        _log(f"{operation}: {done} of {size}")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def matrix_table(matrix: dict[str, Any]) -> Table:
    """Return a table with a row per failure and a column per client."""
    official = f"``dub`` {matrix['versions']['dub']}, retries on"
    rows = [
        [title, ours, theirs]
        for title, ours, theirs in zip(
            matrix["columns"], matrix["rows"]["ours"], matrix["rows"]["official"], strict=True
        )
    ]
    return "Single failures", ["failure", "``dub_uplink``", official], rows


def storm_table(storm: dict[str, faults_storm.Tally]) -> Table:
    """Return a table with a row per figure and a column per operation."""
    titles = {
        "calls": "calls",
        "requests": "requests sent",
        "faulty": "requests with a fault",
        "lost": "lost writes",
        "doubled": "duplicate writes",
        "false_errors": "false ``Conflict`` or ``NotFound``",
        "false_successes": "results with the wrong customer",
        "failed": "other ``DubError``",
        "foreign": "exceptions other than ``DubError``",
    }
    rows = []
    for name, title in titles.items():
        cells = [getattr(tally, name) for tally in storm.values()]
        if name == "faulty":
            shares = [tally.faulty / tally.requests for tally in storm.values()]
            rows.append([title, *(f"{n:,} ({s:.1%})" for n, s in zip(cells, shares, strict=True))])
        else:
            rows.append([title, *(f"{cell:,}" for cell in cells)])
    return "Bulk calls with random faults", ["", *storm], rows


def load_table(loads: Sequence[faults_load.Load]) -> Table:
    """Return a table with a row per share of failing attempts and per budget."""
    rows = [
        [
            f"{load.share:.0%}",
            "yes" if load.budget else "no",
            f"{load.per_call:.2f}",
            f"{load.late_per_call:.2f}",
            f"{load.failed / load.calls:.1%}",
        ]
        for load in loads
    ]
    header = [
        "share of failing attempts",
        "budget",
        "requests per call",
        "requests per call, last tenth",
        "calls failed",
    ]
    return "Load on the server", header, rows


def as_text(table: Table) -> str:
    """Return a table as text."""
    title, header, rows = table
    lines = [[cell.replace("``", "") for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([title, "", shown[0], "-" * sum(widths, 2 * len(widths) - 2), *shown[1:], ""])


def as_rst(table: Table) -> str:
    """Return a table as reStructuredText."""
    title, header, rows = table
    lines = [f".. list-table:: {title}", "   :header-rows: 1", ""]
    for row in (header, *rows):
        lines += [
            f"   {'* - ' if number == 0 else '  - '}{cell}".rstrip()
            for number, cell in enumerate(row)
        ]
    return "\n".join([*lines, ""])


@dataclasses.dataclass
class Report:
    """The results of the selected parts."""

    matrix: dict[str, Any] | None
    storm: dict[str, faults_storm.Tally] | None
    load: list[faults_load.Load] | None

    def tables(self) -> list[Table]:
        """Return a table for each part."""
        return [
            *([matrix_table(self.matrix)] if self.matrix else []),
            *([storm_table(self.storm)] if self.storm else []),
            *([load_table(self.load)] if self.load else []),
        ]

    def failures(self) -> list[str]:
        """Return a line for each figure that is out of its bounds."""
        found = []
        if self.matrix:
            marks = zip(self.matrix["columns"], self.matrix["passed"]["ours"], strict=True)
            found += [f"matrix: {title}" for title, passed in marks if not passed]
        for operation, tally in (self.storm or {}).items():
            if not tally.clean:
                found.append(f"storm: {operation}")
        for load in self.load or []:
            if load.share == 1.0 and load.budget and load.late_per_call > 1.1:
                found.append("load: more than one retry for ten calls in the long run")
            if load.share == 0.3 and load.failed:
                found.append("load: a call went without its retry at 30 %")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the results, the date and the versions."""
        return {
            "date": dt.datetime.now(dt.timezone.utc).date().isoformat(),
            "versions": versions(),
            "matrix": self.matrix,
            "storm": {k: dataclasses.asdict(v) for k, v in (self.storm or {}).items()},
            "load": [
                {**dataclasses.asdict(load), "requests_per_call": load.per_call}
                for load in self.load or []
            ],
        }


def measure(parts: Sequence[str], size: int, factor: float) -> Report:
    """Run the parts one after another."""
    with progress() as (log, count):
        matrix = faults_matrix.run(log) if "matrix" in parts else None
        storm = None
        if "storm" in parts:
            log(
                f"storm: the clocks of client and server run {factor:g} times as fast; the sockets"
                " are real"
            )
            storm = faults_storm.run(size, factor=factor, log=count)
        load = faults_load.run(size, log) if "load" in parts else None
    return Report(matrix, storm, load)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument(
        "--size", type=int, default=10_000, help="calls per operation (default: 10000)"
    )
    parser.add_argument(
        "--factor", type=float, default=20.0, help="speed of the clocks (default: 20)"
    )
    parser.add_argument(
        "--only", choices=("matrix", "storm", "load"), action="append", help="run this part only"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--rst", action="store_true", help="print tables for the documentation")
    options = parser.parse_args(arguments)
    report = measure(options.only or ("matrix", "storm", "load"), options.size, options.factor)
    if options.json:
        sys.stdout.write(json.dumps(report.as_json(), indent=2) + "\n")
    else:
        show = as_rst if options.rst else as_text
        measured = ", ".join(f"{name} {version}" for name, version in versions().items())
        sys.stdout.write("\n".join([*map(show, report.tables()), measured, ""]))
    for failure in report.failures():
        _log(f"out of bounds: {failure}")
    return 1 if report.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
