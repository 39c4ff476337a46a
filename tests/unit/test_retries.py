"""Test the growth and the jitter of waits, and the arguments of a strategy."""

from __future__ import annotations

import dataclasses
import math
import pickle
import random
from typing import Any

import pytest

from dub_uplink import BackoffStrategy, Clock, Response, RetryBudget, RetryConfig, utils
from dub_uplink._transport.retry_state import Outcome, RetryState
from dub_uplink.models.errors import APIConnectionError
from dub_uplink.retries import DEFAULT_RETRY_CONFIG
from dub_uplink.testing import SkippingClock


def _waits(backoff: BackoffStrategy, attempt: int, jitters: list[float]) -> list[float]:
    """Return the waits of several clients after the same failed attempt."""
    waits = []
    for jitter in jitters:
        attempts = RetryState(RetryConfig("backoff", backoff), Clock(random=lambda c=jitter: c))
        attempts.attempt_count = attempt - 1
        waits.append(attempts.compute_wait(attempts.record(Outcome(Response(503)))))
    return waits


def test_backoff_intervals_double_up_to_the_maximum() -> None:
    backoff = BackoffStrategy(500, 8_000, 2.0, 90_000)
    assert [backoff.interval(n) for n in range(1, 8)] == pytest.approx([0.5, 1, 2, 4, 8, 8, 8])


@pytest.mark.parametrize("attempt", [1, 3, 5, 50, 10_000])
def test_backoff_jitter_spreads_clients_evenly(attempt: int) -> None:
    rng = random.Random(attempt)
    backoff = BackoffStrategy(500, 8_000, 2.0, 90_000)
    waits = _waits(backoff, attempt, [rng.random() for _ in range(1_000)])
    most = backoff.interval(attempt)
    assert all(most / 2 <= wait <= most for wait in waits)
    # Each of ten equal slices has about a tenth of the waits, also at the upper bound. The
    # expected number is 100, with a standard deviation of 9.5.
    slices = [0] * 10
    for wait in waits:
        slices[min(int((wait / most - 0.5) * 20), 9)] += 1
    assert all(60 <= count <= 140 for count in slices), slices
    assert len({round(wait, 9) for wait in waits}) > 990


@pytest.mark.parametrize("attempt", [1, 2, 10, 1_023, 1_024, 1_025, 10_000, 10**9])
@pytest.mark.parametrize("exponent", [1, 1.0, 1.000_001, 2, 10, 1e10, 1e308])
def test_backoff_wait_never_exceeds_the_maximum(attempt: int, exponent: float) -> None:
    backoff = BackoffStrategy(1, 8_000, exponent, 90_000)
    low, high = _waits(backoff, attempt, [0.0, math.nextafter(1.0, 0.0)])
    assert 0 < low <= high <= 8.0


@pytest.mark.parametrize(
    ("initial", "most"), [(5e-324, 1e308), (1e-300, 1e-299), (1, 1), (1e307, 1e308)]
)
@pytest.mark.parametrize("attempt", [1, 2, 1_000, 10_000])
def test_extreme_backoff_values_give_finite_waits(
    initial: float, most: float, attempt: int
) -> None:
    interval = BackoffStrategy(initial, most, 2.0, 1).interval(attempt)  # type: ignore[arg-type]
    assert 0 <= interval <= most / 1000


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({name: bad}, name)
        for name in ("initial_interval", "max_interval", "exponent", "max_elapsed_time")
        for bad in (0, -1, -0.5, math.nan, math.inf, -math.inf, 10**400, True, "5", None, [5])
    ]
    + [
        ({"exponent": 0.99}, "exponent"),
        ({"initial_interval": 8_001}, "max_interval"),
        ({"max_interval": 499}, "max_interval"),
    ],
)
def test_invalid_backoff_strategy_error_names_the_field(values: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} "):
        BackoffStrategy(**values)


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"strategy": "linear"}, "strategy"),
        ({"strategy": None}, "strategy"),
        ({"strategy": ["backoff"]}, "strategy"),
        ({"backoff": None}, "backoff"),
        ({"backoff": {"initial_interval": 5}}, "backoff"),
        ({"retry_connection_errors": 1}, "retry_connection_errors"),
        ({"retry_connection_errors": "no"}, "retry_connection_errors"),
    ],
)
def test_invalid_retry_config_error_names_the_field(values: dict[str, Any], name: str) -> None:
    with pytest.raises(ValueError, match=rf"^{name} "):
        RetryConfig(**values)


@pytest.mark.parametrize("capacity", [0, -1, 1.5, math.nan, True, "10", None])
def test_invalid_retry_budget_error_names_the_field(capacity: Any) -> None:
    with pytest.raises(ValueError, match=r"^capacity "):
        RetryBudget(capacity)


def test_retry_configs_compare_by_value_and_have_exact_reprs() -> None:
    config = RetryConfig("backoff", BackoffStrategy(200, 5_000, 2.0, 30_000), True)
    same = RetryConfig("backoff", BackoffStrategy(200, 5_000, 2.0, 30_000), True)
    assert config == same
    assert hash(config) == hash(same)
    assert config != RetryConfig("none")
    assert config.backoff != BackoffStrategy()
    assert eval(repr(config)) == config
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.strategy = "none"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.backoff.exponent = 3.0  # type: ignore[misc]
    assert utils.RetryConfig is RetryConfig
    assert utils.BackoffStrategy is BackoffStrategy


def test_default_retry_config_has_the_documented_values() -> None:
    assert RetryConfig("backoff", BackoffStrategy(500, 8_000, 2.0, 90_000), True) == (
        DEFAULT_RETRY_CONFIG
    )


def test_retry_budget_runs_out_and_refills() -> None:
    budget = RetryBudget(2)
    assert [budget.take() for _ in range(4)] == [True, True, False, False]
    assert budget.tokens == 0
    for _ in range(5):
        budget.refill()
    assert budget.tokens == 2
    assert repr(budget) == "RetryBudget(capacity=2, tokens=2)"


@pytest.mark.parametrize(
    ("outcome", "refilled"),
    [
        (Outcome(Response(200)), True),
        (Outcome(Response(201)), True),
        # These statuses show that the server works, so a client that looks customers up or creates
        # existing ones keeps its budget.
        (Outcome(Response(404)), True),
        (Outcome(Response(409)), True),
        (Outcome(Response(429)), False),
        (Outcome(Response(500)), False),
        (Outcome(Response(503)), False),
        (Outcome(error=APIConnectionError("reset"), transient=True), False),
        (Outcome(error=APIConnectionError("TLS failed"), transient=False), False),
    ],
)
def test_success_404_and_409_refill_the_retry_budget(outcome: Outcome, refilled: bool) -> None:
    budget = RetryBudget(5)
    budget.take()
    RetryState(RetryConfig(), Clock(), budget).record(outcome)
    assert budget.tokens == (5 if refilled else 4)


@pytest.mark.parametrize("clock", [Clock(), SkippingClock().clock()])
def test_jitter_does_not_change_the_global_random_state(clock: Clock) -> None:
    before = random.getstate()
    assert 0 <= clock.random() < 1
    assert clock.random() != clock.random()
    assert random.getstate() == before
