"""Decide whether and when to retry a call, without I/O."""

from __future__ import annotations

import math

from ..models.errors import APIConnectionError, APITimeoutError
from ..models.response import Response
from ..retries import Clock, RetryBudget, RetryConfig
from .retry_after import requested_delay

#: Statuses to retry: too many requests, and temporary server errors.
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
#: The maximum jitter in seconds that is added to a wait that the server requests.
_MAX_RETRY_AFTER_JITTER = 1.0
#: The maximum duration of a call in seconds (three years). Much longer sleeps overflow.
_MAX_DURATION = 1e8


class Outcome:
    """The outcome of one attempt: a complete response, or the error that prevented one.

    Attributes:
        may_have_been_applied: whether the server may have applied the request.
        transient: whether another attempt could succeed.
    """

    __slots__ = ("error", "may_have_been_applied", "response", "transient")

    def __init__(
        self,
        response: Response | None = None,
        error: APIConnectionError | None = None,
        *,
        transient: bool = False,
    ) -> None:
        self.response = response
        self.error = error
        if response is not None:
            self.transient = response.status_code in RETRIED_STATUSES
            # A server that returns a 5XX may have applied the request before it failed.
            self.may_have_been_applied = response.status_code != 429
        else:
            self.transient = transient
            self.may_have_been_applied = error is not None and error.sent

    def prefer_earlier(self, earlier: Outcome | None) -> Outcome:
        """Return ``earlier`` if this attempt timed out before the request was sent, else ``self``.

        The last attempt before the deadline may have too little time to connect. The earlier
        failure then describes the cause better. The method copies the attempt count and the
        duration of this outcome to the earlier failure.
        """
        is_unsent_timeout = (
            isinstance(self.error, APITimeoutError) and not self.may_have_been_applied
        )
        if earlier is None or self.error is None or not is_unsent_timeout:
            return self
        for failure in (earlier.error, earlier.response):
            if failure is not None:
                failure.attempts, failure.elapsed = self.error.attempts, self.error.elapsed
        return earlier


class RetryState:
    """Counts the attempts of one call and decides whether another attempt is allowed.

    Attributes:
        attempt_count: number of attempts made.
        may_have_been_applied: whether the server may have applied an attempt that failed.
        repeatable: whether the request may be repeated even if the server may have applied it.
        deadline: monotonic time in seconds by which the call must end; infinite without retries.
    """

    __slots__ = (
        "attempt_count",
        "budget",
        "clock",
        "config",
        "deadline",
        "may_have_been_applied",
        "repeatable",
        "started_at",
    )

    def __init__(
        self,
        config: RetryConfig | None,
        clock: Clock,
        budget: RetryBudget | None = None,
        *,
        repeatable: bool = True,
    ) -> None:
        self.config = None if config is None or config.strategy == "none" else config
        self.clock = clock
        self.budget = budget
        self.repeatable = repeatable
        self.attempt_count = 0
        self.may_have_been_applied = False
        self.started_at = clock.monotonic()
        self.deadline = (
            math.inf
            if self.config is None
            else self.started_at + min(self.config.backoff.max_elapsed_time / 1000, _MAX_DURATION)
        )

    def remaining(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - self.clock.monotonic()

    def elapsed(self) -> float:
        """Return the seconds since the call started."""
        return self.clock.monotonic() - self.started_at

    def record(self, outcome: Outcome) -> Outcome:
        """Count an attempt, and store the attempt count and the durations in its outcome."""
        self.attempt_count += 1
        if outcome.may_have_been_applied and outcome.transient:
            self.may_have_been_applied = True
        response = outcome.response
        if response is not None:
            response.attempts = self.attempt_count
            response.elapsed = self.clock.monotonic() - self.started_at
            if outcome.transient:
                response.retry_after = requested_delay(response, self.clock.time())
            elif self.budget is not None:
                self.budget.refill()
        elif outcome.error is not None:
            outcome.error.attempts, outcome.error.elapsed = self.attempt_count, self.elapsed()
            # `error.sent` describes the whole call: an earlier attempt may have been applied.
            outcome.error.sent = outcome.may_have_been_applied or self.may_have_been_applied
        return outcome

    def may_retry(self, outcome: Outcome) -> bool:
        """Return whether the retry policy allows another attempt after this outcome."""
        if self.config is None or not outcome.transient:
            return False
        if outcome.error is not None and not self.config.retry_connection_errors:
            return False
        return self.repeatable or not outcome.may_have_been_applied

    def compute_wait(self, outcome: Outcome) -> float:
        """Return the seconds to wait before the next attempt."""
        assert self.config is not None  # true because may_retry() has returned True
        requested = None if outcome.response is None else outcome.response.retry_after
        if requested is not None:
            return self.add_jitter(requested)
        # Wait at least half of the interval, because an overloaded server needs time to recover.
        return self.config.backoff.interval(self.attempt_count) * (0.5 + 0.5 * self.clock.random())

    def add_jitter(self, delay: float) -> float:
        """Return ``delay`` (seconds) plus up to one second of jitter.

        Because of the jitter, rejected clients do not all retry in the same millisecond. The jitter
        is at most half of the time from the end of ``delay`` to the deadline. The attempt gets the
        other half.
        """
        slack = min(_MAX_RETRY_AFTER_JITTER, max(self.remaining() - delay, 0.0) / 2)
        return delay + self.clock.random() * slack

    def exceeds_deadline(self, wait: float) -> bool:
        """Return whether a wait of ``wait`` seconds ends at or after the deadline."""
        return wait >= self.remaining()
