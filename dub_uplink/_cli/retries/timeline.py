"""What one call that keeps failing would do: its attempts, its waits, its end.

Every number is asked of the package's own retry classes, on a clock that stands still in between.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from dub_uplink._transport.retry_state import Outcome, RetryState
from dub_uplink.models import errors
from dub_uplink.models.response import Response
from dub_uplink.retries import Clock, RetryBudget, RetryConfig, current_clock


@dataclass(frozen=True)
class Try:
    """An attempt and the wait after it, in seconds since the call began.

    ``shortest`` and ``longest`` bound the wait, which is up to chance; ``None`` after the last one.
    """

    started: float
    ended: float
    shortest: float | None = None
    longest: float | None = None


@dataclass(frozen=True)
class Timeline:
    """The attempts of one call, the seconds it has in all, and what ends it."""

    tries: tuple[Try, ...]
    deadline: float
    end: str

    @property
    def elapsed(self) -> float:
        """Seconds until the call has ended."""
        return self.tries[-1].ended


class _Moment:
    """Time and chance, moved by hand."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.chance = 0.5
        started = current_clock().time()  # a date in `Retry-After` is compared with it
        self.clock = Clock(
            monotonic=lambda: self.passed,
            time=lambda: started + self.passed,
            random=lambda: self.chance,
        )


def timeline(
    config: RetryConfig | None,
    *,
    attempt_seconds: float = 0.2,
    status: int = 503,
    retry_after: str | None = None,
) -> Timeline:
    """What a call does each of whose attempts is answered ``status``.

    Args:
        config: the policy; ``None`` for no retries.
        attempt_seconds: what each attempt takes, unless the call's time is over before.
        retry_after: the header of each answer, in any form that a server sends.

    Waits are drawn from the middle of their range. The client is a new one, whose budget of
    retries nobody else takes from.

    Raises:
        ValueError: ``attempt_seconds`` is negative or not finite.
    """
    if not 0 <= attempt_seconds < math.inf:
        raise ValueError(f"attempt_seconds must be 0 or more and finite, not {attempt_seconds!r}")
    moment = _Moment()
    attempts = RetryState(config, moment.clock, RetryBudget())
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    tries: list[Try] = []
    while True:
        started, left = moment.passed, attempts.remaining()
        moment.passed += min(attempt_seconds, left)
        if attempt_seconds < left:
            outcome = Outcome(Response(status, headers, b""))
        else:
            outcome = Outcome(error=errors.APITimeoutError("no whole answer"), transient=True)
        attempts.record(outcome)
        end = _end(attempts, outcome, moment)
        if end is not None:
            tries.append(Try(started, moment.passed))
            return Timeline(tuple(tries), attempts.deadline, end)
        tries.append(Try(started, moment.passed, *_waits(attempts, outcome, moment)))
        moment.passed += attempts.wait(outcome)


def _waits(attempts: RetryState, outcome: Outcome, moment: _Moment) -> tuple[float, float]:
    """The shortest and the longest that chance can make the wait."""
    bounds = []
    for moment.chance in (0.0, 1.0):
        bounds.append(attempts.wait(outcome))
    moment.chance = 0.5
    return bounds[0], bounds[1]


def _end(attempts: RetryState, outcome: Outcome, moment: _Moment) -> str | None:
    """Why there is no further attempt, or ``None`` where there is; as the transport decides it."""
    if not attempts.may_retry(outcome):
        return _not_retried(attempts, outcome)
    if attempts.exceeds_deadline(attempts.wait(outcome)):
        return _too_late(attempts, outcome, moment)
    budget = attempts.budget
    if budget is not None and not budget.take():
        return f"The client's budget of {budget.capacity} retries is used up: the error is raised."
    return None


def _not_retried(attempts: RetryState, outcome: Outcome) -> str:
    if attempts.config is None:
        return "There are no retries: the first failure is raised."
    if outcome.response is None:
        return "The call's time was over within the attempt: the time-out is raised."
    return f"A {outcome.response.status_code} is not tried again: its error is raised."


def _too_late(attempts: RetryState, outcome: Outcome, moment: _Moment) -> str:
    if outcome.response is None:
        return "The call's time was over within the attempt: the time-out is raised."
    left, asked = attempts.remaining(), outcome.response.retry_after
    if asked is not None:
        return (
            f"Retry-After asks for {asked:,.1f} s and {left:,.1f} s are left:"
            " the error is raised at once."
        )
    shortest, longest = _waits(attempts, outcome, moment)
    return (
        f"The next wait, {shortest:.3g} to {longest:.3g} s, would end after the deadline:"
        " the error is raised at once."
    )
