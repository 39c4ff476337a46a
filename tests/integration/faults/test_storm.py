"""Run the parts of ``python -m benchmarks.faults`` with few calls."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest

from dub_uplink import Clock

# At the end of the path, so that the tests import the installed package.
sys.path.append(str(Path(__file__).parents[3]))

storm: Any = pytest.importorskip("benchmarks.faults_storm")
load: Any = pytest.importorskip("benchmarks.faults_load")
report: Any = pytest.importorskip("benchmarks.faults")

SIZE = 200


@pytest.fixture(scope="module")
def tallies() -> Any:
    """Skip the waits; real time ensures that no deadline ends a call on a busy machine."""
    return storm.run(SIZE, factor=1.0, clock=Clock(sleep=lambda seconds: None), seed=2026)


@pytest.mark.parametrize("operation", ["creates", "updates", "deletes"])
def test_writes_under_random_faults_are_each_applied_once(tallies: Any, operation: str) -> None:
    tally = tallies[operation]
    assert tally.clean, tally
    assert tally.calls == SIZE
    assert tally.requests > SIZE * 1.3
    assert 0.2 < tally.faulty / tally.requests < 0.4, (
        "the fault rate is outside of the expected range"
    )


def test_storm_benchmark_fault_shares_add_up_to_30_percent() -> None:
    assert sum(storm.SHARES.values()) == pytest.approx(0.3)


def test_storm_benchmark_detects_a_wrong_result() -> None:
    assert storm.Tally(1).clean
    for name in ("lost", "doubled", "false_errors", "false_successes", "failed", "foreign"):
        assert not storm.Tally(1, **{name: 1}).clean


@pytest.mark.parametrize(
    ("share", "budget", "per_call", "late"),
    [
        (0.3, True, (1.3, 1.6), (1.0, 2.0)),
        (0.5, False, (1.7, 2.3), (1.0, 3.0)),
        (1.0, True, (1.0, 1.5), (1.0, 1.1)),
        (1.0, False, (15.0, 25.0), (15.0, 25.0)),
    ],
)
def test_retries_under_faults_add_at_most_the_expected_requests(
    share: float, budget: bool, per_call: tuple[float, float], late: tuple[float, float]
) -> None:
    seen = load.measure(share, 300 if share < 1 or budget else 30, budget=budget)
    assert per_call[0] <= seen.per_call <= per_call[1]
    assert late[0] <= seen.late_per_call <= late[1]
    assert seen.failed == (seen.calls if share == 1 else 0)


def test_storm_benchmark_report_lists_tables_and_failures(tallies: Any) -> None:
    bad = {**tallies, "creates": dataclasses.replace(tallies["creates"], lost=1)}
    loads = [load.measure(1.0, 300, budget=True)]
    rendered = report.Report(None, tallies, loads)
    assert rendered.failures() == []
    assert report.Report(None, bad, loads).failures() == ["storm: creates"]
    for show in (report.as_text, report.as_rst):
        text = "\n".join(map(show, rendered.tables()))
        assert "duplicate writes" in text
        assert "1.33" in text
    assert rendered.as_json()["storm"]["creates"]["calls"] == SIZE
