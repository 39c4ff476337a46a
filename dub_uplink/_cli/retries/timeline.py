"""Compute the attempts and waits of one call that always fails.

As in real calls, ``RetryState`` decides about retries. It uses a simulated clock.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dub_uplink._transport.retry_state import Outcome, RetryState
from dub_uplink.models import errors
from dub_uplink.models.response import Response
from dub_uplink.retries import Clock, RetryBudget, RetryConfig, current_clock


@dataclass(frozen=True)
class TimelineAttempt:
    """An attempt and the random wait after it.

    Attributes:
        started: the start of the attempt, in seconds since the start of the call.
        ended: the end of the attempt, in seconds since the start of the call.
        shortest_wait: the shortest wait in seconds; ``None`` after the last attempt.
        longest_wait: the longest wait in seconds; ``None`` after the last attempt.
    """

    started: float
    ended: float
    shortest_wait: float | None = None
    longest_wait: float | None = None


@dataclass(frozen=True)
class Timeline:
    """The attempts of one call.

    Attributes:
        attempts: the attempts in their order.
        deadline: the time limit of the call, in seconds.
        end_reason: why the call ended.
    """

    attempts: tuple[TimelineAttempt, ...]
    deadline: float
    end_reason: str

    @property
    def elapsed(self) -> float:
        """Return the seconds from the start of the call to its end."""
        return self.attempts[-1].ended

    def summary(self) -> str:
        """Return one line with the number of attempts, the duration, and why the call ended."""
        count = len(self.attempts)
        attempts = "1 attempt" if count == 1 else f"{count} attempts"
        return f"{attempts} in {format_seconds(self.elapsed)}. {self.end_reason}"


def format_seconds(value: float) -> str:
    """Format a duration in seconds. A long duration has fewer decimal places."""
    if value >= 1e6:
        return f"{value:.1e} s"
    return f"{value:.2f} s" if value < 10 else f"{value:,.1f} s"


class _Simulation:
    """A simulated clock. It returns the attributes ``now`` (in seconds) and ``random``."""

    def __init__(self) -> None:
        self.now = 0.0
        self.random = 0.5
        # The simulated date starts at the current date, because `Retry-After` may be a date.
        start_time = current_clock().time()
        self.clock = Clock(
            monotonic=lambda: self.now,
            time=lambda: start_time + self.now,
            random=lambda: self.random,
        )


def compute_timeline(
    config: RetryConfig | None,
    *,
    attempt_seconds: float = 0.2,
    status: int = 503,
    retry_after: str | None = None,
) -> Timeline:
    """Compute the timeline of a call that gets the same response to each attempt.

    Each wait is in the middle of its random range. At the start, the retry budget is full.

    Args:
        config: The retry policy; ``None`` for no retries.
        attempt_seconds: The duration of each attempt, in seconds. The deadline can end an attempt
            earlier.
        status: The status code of each response.
        retry_after: The ``Retry-After`` header of each response; ``None`` for no header.

    Returns:
        The timeline of the call.

    Raises:
        ValueError: ``attempt_seconds`` is negative or not finite.
    """
    if not 0 <= attempt_seconds < math.inf:
        raise ValueError(f"attempt_seconds must be 0 or more and finite, not {attempt_seconds!r}")
    simulation = _Simulation()
    state = RetryState(config, simulation.clock, RetryBudget())
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    attempts: list[TimelineAttempt] = []
    while True:
        started, remaining = simulation.now, state.remaining()
        simulation.now += min(attempt_seconds, remaining)
        if attempt_seconds < remaining:
            outcome = Outcome(Response(status, headers, b""))
        else:
            outcome = Outcome(error=errors.APITimeoutError("timed out"), transient=True)
        state.record(outcome)
        end_reason = _find_end_reason(state, outcome, simulation)
        if end_reason is not None:
            attempts.append(TimelineAttempt(started, simulation.now))
            return Timeline(tuple(attempts), state.deadline, end_reason)
        bounds = _compute_wait_bounds(state, outcome, simulation)
        attempts.append(TimelineAttempt(started, simulation.now, *bounds))
        simulation.now += state.compute_wait(outcome)


def _compute_wait_bounds(
    state: RetryState, outcome: Outcome, simulation: _Simulation
) -> tuple[float, float]:
    bounds = []
    for simulation.random in (0.0, 1.0):
        bounds.append(state.compute_wait(outcome))
    simulation.random = 0.5
    return bounds[0], bounds[1]


def _find_end_reason(state: RetryState, outcome: Outcome, simulation: _Simulation) -> str | None:
    """Return why the call ends, or ``None`` if another attempt follows.

    The transport makes the same checks in the same order.
    """
    if not state.may_retry(outcome):
        return _explain_no_retry(state, outcome)
    if state.exceeds_deadline(state.compute_wait(outcome)):
        return _explain_deadline(state, outcome, simulation)
    budget = state.budget
    if budget is not None and not budget.take():
        return f"The client's budget of {budget.capacity} retries is used up: the error is raised."
    return None


_TIMED_OUT = "The deadline of the call passed during the attempt: the timeout is raised."


def _explain_no_retry(state: RetryState, outcome: Outcome) -> str:
    if state.config is None:
        return "Retries are off: the first error is raised."
    if outcome.response is None:
        return _TIMED_OUT
    return f"The status {outcome.response.status_code} is not retried: its error is raised."


def _explain_deadline(state: RetryState, outcome: Outcome, simulation: _Simulation) -> str:
    if outcome.response is None:
        return _TIMED_OUT
    remaining, requested = state.remaining(), outcome.response.retry_after
    if requested is not None:
        return (
            f"Retry-After requests {requested:,.1f} s and {remaining:,.1f} s remain:"
            " the error is raised at once."
        )
    shortest, longest = _compute_wait_bounds(state, outcome, simulation)
    return (
        f"The next wait, {shortest:.3g} to {longest:.3g} s, would end after the deadline:"
        " the error is raised at once."
    )
