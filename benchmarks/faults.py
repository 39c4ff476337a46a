"""What this client does when the network and the server fail: ``python -m benchmarks.faults``.

Three parts: a matrix of failures beside the official SDK, thousands of writes through a storm of
faults, and the load that retries add to a server that is down. Ends with status 1 where a figure
is not what it must be.
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

Say = Callable[[str], object]
Table = tuple[str, list[str], list[list[str]]]

PACKAGES = ("dub-uplink", "uplink", "requests", "urllib3", "tenacity", "marshmallow")


@contextlib.contextmanager
def progress() -> Iterator[tuple[Say, Callable[[str, int, int], object]]]:
    """How lines and counts are shown on stderr: as bars where rich is there, else as lines."""
    try:
        from rich.console import Console  # noqa: PLC0415 - it may be missing
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TimeElapsedColumn,
        )
    except ImportError:
        yield _say, _count
        return
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:
        tasks: dict[str, Any] = {}

        def count(kind: str, done: int, size: int) -> None:
            if kind not in tasks:
                tasks[kind] = bars.add_task(kind, total=size)
            bars.update(tasks[kind], completed=done)

        yield bars.console.print, count


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _count(kind: str, done: int, size: int) -> None:
    if done % max(size // 10, 1) == 0:
        _say(f"{kind}: {done} of {size}")


def versions() -> dict[str, str]:
    """What the figures were measured with."""
    found = {"Python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def matrix_table(matrix: dict[str, Any]) -> Table:
    """A row a failure, a column a client."""
    official = f"``dub`` {matrix['versions']['dub']}, retries on"
    rows = [
        [title, ours, theirs]
        for title, ours, theirs in zip(
            matrix["columns"], matrix["rows"]["ours"], matrix["rows"]["official"], strict=True
        )
    ]
    return "Single failures", ["failure", "``dub_uplink``", official], rows


def storm_table(storm: dict[str, faults_storm.Tally]) -> Table:
    """A row a figure, a column a kind of call."""
    named = {
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
    for name, title in named.items():
        cells = [getattr(tally, name) for tally in storm.values()]
        if name == "faulty":
            shares = [tally.faulty / tally.requests for tally in storm.values()]
            rows.append([title, *(f"{n:,} ({s:.1%})" for n, s in zip(cells, shares, strict=True))])
        else:
            rows.append([title, *(f"{cell:,}" for cell in cells)])
    return "Bulk calls with random faults", ["", *storm], rows


def load_table(loads: Sequence[faults_load.Load]) -> Table:
    """A row a share of failing attempts and a policy."""
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
    """A table for a terminal."""
    title, header, rows = table
    lines = [[cell.replace("``", "") for cell in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    shown = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    return "\n".join([title, "", shown[0], "-" * sum(widths, 2 * len(widths) - 2), *shown[1:], ""])


def as_rst(table: Table) -> str:
    """A table for the documentation."""
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
    """What was measured; the parts that were asked for."""

    matrix: dict[str, Any] | None
    storm: dict[str, faults_storm.Tally] | None
    load: list[faults_load.Load] | None

    def tables(self) -> list[Table]:
        """Every part as a table."""
        return [
            *([matrix_table(self.matrix)] if self.matrix else []),
            *([storm_table(self.storm)] if self.storm else []),
            *([load_table(self.load)] if self.load else []),
        ]

    def failures(self) -> list[str]:
        """What is not as it must be."""
        found = []
        if self.matrix:
            marks = zip(self.matrix["columns"], self.matrix["passed"]["ours"], strict=True)
            found += [f"matrix: {title}" for title, passed in marks if not passed]
        for kind, tally in (self.storm or {}).items():
            if not tally.clean:
                found.append(f"storm: {kind}")
        for load in self.load or []:
            if load.share == 1.0 and load.budget and load.late_per_call > 1.1:
                found.append("load: more than one retry for ten calls in the long run")
            if load.share == 0.3 and load.failed:
                found.append("load: a call went without its retry at 30 %")
        return found

    def as_json(self) -> dict[str, Any]:
        """Everything, with what it was measured with."""
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
    """Run the parts in turn."""
    with progress() as (say, count):
        matrix = faults_matrix.run(say) if "matrix" in parts else None
        storm = None
        if "storm" in parts:
            say(
                f"storm: time runs {factor:g} times as fast, for the client and the server alike;"
                " the sockets are real"
            )
            storm = faults_storm.run(size, factor=factor, say=count)
        load = faults_load.run(size, say) if "load" in parts else None
    return Report(matrix, storm, load)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=__doc__)
    parser.add_argument("--size", type=int, default=10_000, help="calls of each kind (10000)")
    parser.add_argument("--factor", type=float, default=20.0, help="how fast time runs (20)")
    parser.add_argument(
        "--only", choices=("matrix", "storm", "load"), action="append", help="just this part"
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
        _say(f"not as it must be: {failure}")
    return 1 if report.failures() else 0


if __name__ == "__main__":
    sys.exit(main())
