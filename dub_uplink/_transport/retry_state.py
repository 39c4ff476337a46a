"""Decide whether and when a call is tried again: decisions only, no I/O."""

from __future__ import annotations

import math

from ..models.errors import APIConnectionError
from ..models.response import Response
from ..retries import Clock, RetryBudget, RetryConfig
from .retry_after import requested_delay

#: The statuses that may pass: too many requests, and four ways of a server being out of order.
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
_JITTER_AFTER_LIMIT = 1.0  # seconds
_LONGEST = 1e8  # seconds, three years; what nobody waits for, and what a sleep does not overflow at


class Outcome:
    """What came of one attempt: a response, or the error that no whole answer came.

    ``sent`` says whether the server may have carried it out, ``transient`` whether it could go
    better the next time.
    """

    __slots__ = ("error", "response", "sent", "transient")

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
            # A server that answers 5XX may have failed before or after it wrote.
            self.sent = response.status_code != 429
        else:
            self.transient = transient
            self.sent = error is not None and error.sent


class Attempts:
    """The attempts of one call: how many there were, and whether there is another.

    ``ambiguous`` says that an attempt may have been carried out although it failed. ``repeatable``
    is whether sending the request once more does no harm even then.
    """

    __slots__ = (
        "ambiguous",
        "budget",
        "clock",
        "config",
        "count",
        "deadline",
        "repeatable",
        "started",
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
        self.count = 0
        self.ambiguous = False
        self.started = clock.monotonic()
        self.deadline = (
            math.inf
            if self.config is None
            else self.started + min(self.config.backoff.max_elapsed_time / 1000, _LONGEST)
        )

    def remaining(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - self.clock.monotonic()

    def elapsed(self) -> float:
        """Seconds since the call started."""
        return self.clock.monotonic() - self.started

    def record(self, outcome: Outcome) -> Outcome:
        """Take note of an attempt that has ended."""
        self.count += 1
        self.ambiguous = self.ambiguous or (outcome.sent and outcome.transient)
        response = outcome.response
        if response is not None:
            response.attempts, response.elapsed = self.count, self.elapsed()
            response.retry_after = requested_delay(response, self.clock.time())
            if self.budget is not None and not outcome.transient:
                self.budget.refill()
        elif outcome.error is not None:
            outcome.error.attempts, outcome.error.elapsed = self.count, self.elapsed()
        return outcome

    def may_retry(self, outcome: Outcome) -> bool:
        """Whether this outcome is one that another attempt is allowed for."""
        if self.config is None or not outcome.transient:
            return False
        if outcome.error is not None and not self.config.retry_connection_errors:
            return False
        return self.repeatable or not outcome.sent

    def wait(self, outcome: Outcome) -> float:
        """Seconds to wait before the next attempt."""
        assert self.config is not None  # may_retry() said so
        asked = None if outcome.response is None else outcome.response.retry_after
        if asked is not None:
            return self.no_sooner(asked)
        # Never below half: a client that comes back at once is no help to an overloaded server.
        return self.config.backoff.interval(self.count) * (0.5 + 0.5 * self.clock.random())

    def no_sooner(self, asked: float) -> float:
        """``asked`` seconds, and up to one more.

        Without it all who were refused would come back in the same millisecond. It is never so much
        that less than half of the time that is left would remain for the attempt.
        """
        slack = min(_JITTER_AFTER_LIMIT, max(self.remaining() - asked, 0.0) / 2)
        return asked + self.clock.random() * slack

    def out_of_time(self, wait: float) -> bool:
        """Whether nothing would be left of the call's time after this wait, in seconds."""
        return wait >= self.remaining()
