"""Wait for a slot of the client-side rate limit before an attempt.

A slot is the permission to send one request at a certain time.
"""

from __future__ import annotations

import json
import math

from .._concurrency.cooldown import current_cooldown, make_sleep
from .._internal.credentials import RedactedStr
from .._rate_limit.rate_limit import RateLimit
from .._rate_limit.sliding_window import Limiter, Reservation, ServerFeedback
from ..models.response import Response
from ..retries import RateLimitStatus
from .rate_limit_headers import parse_rate_limit_status
from .retry_after import server_time
from .retry_state import Outcome, RetryState


class RateLimitGate:
    """Delays one attempt of a call until the rate limit allows it.

    Attributes:
        authorization: the ``Authorization`` header with the API key whose limit applies. ``None``
            after a wait, because the token may have expired.
    """

    __slots__ = (
        "_limiter",
        "_max_wait",
        "_rate_limit",
        "_reservation",
        "_retry_state",
        "authorization",
    )

    def __init__(
        self,
        rate_limit: RateLimit,
        limiter: Limiter,
        retry_state: RetryState,
        timeout: float,
        authorization: RedactedStr,
    ) -> None:
        self.authorization: RedactedStr | None = authorization
        self._rate_limit = rate_limit
        self._limiter = limiter
        self._retry_state = retry_state
        # A call without retries has no deadline. The attempt's timeout limits the wait instead.
        self._max_wait = timeout if math.isinf(retry_state.deadline) else math.inf
        bulk = rate_limit.priority == "bulk" or current_cooldown.get() is not None
        self._reservation = Reservation(retry_state.clock, bulk=bulk)

    def _remaining_wait(self) -> float:
        return min(self._retry_state.remaining(), self._max_wait - self._retry_state.elapsed())

    def acquire(self) -> Outcome | None:
        """Wait for a slot and return ``None``.

        If no slot becomes free in time, create a 429 response and return its outcome.
        """
        sleep = make_sleep(self._retry_state.clock)
        reservation = self._reservation
        try:
            while (
                wait := self._limiter.reserve(reservation, remaining := self._remaining_wait())
            ) < remaining:
                if wait <= 0:
                    return None
                self.authorization = None
                sleep(wait)
        except BaseException:
            self._limiter.cancel(reservation)
            raise
        return self._make_rejection(wait, remaining)

    async def acquire_async(self) -> Outcome | None:
        """Wait for a slot asynchronously; see :meth:`acquire`."""
        reservation = self._reservation
        try:
            while (
                wait := await self._limiter.reserve_async(
                    reservation, remaining := self._remaining_wait()
                )
            ) < remaining:
                if wait <= 0:
                    return None
                self.authorization = None
                await self._retry_state.clock.async_sleep(wait)
        except BaseException:
            self._limiter.cancel(reservation)
            raise
        return self._make_rejection(wait, remaining)

    def report(self, outcome: Outcome) -> None:
        """Report a slow request, or the rate limit of an error response, to the limiter."""
        reservation = self._reservation
        scheduled_at = reservation.scheduled_at
        if scheduled_at is not None:
            delay = reservation.clock.monotonic() - scheduled_at
            if delay > self._rate_limit._config.margin:
                # The server may have counted the request at any time until now.
                self._limiter.postpone_slot(reservation)
        feedback = self._make_feedback(outcome)
        if feedback is not None:
            self._limiter.apply_feedback(feedback, reservation)

    def _make_rejection(self, wait: float, remaining: float) -> Outcome:
        retry_state = self._retry_state
        message = (
            f"rate limit: next slot in {wait:.3g} s, but only {max(remaining, 0):.3g} s remain;"
            " not sent"
        )
        error = {"code": "rate_limit_exceeded", "message": message}
        response = Response(429, {"Retry-After": str(math.ceil(wait))})
        response.content = json.dumps({"error": error}).encode()
        response.attempts, response.elapsed = retry_state.attempt_count, retry_state.elapsed()
        response.retry_after = wait
        return Outcome(response)

    def _make_feedback(self, outcome: Outcome) -> ServerFeedback | None:
        response = outcome.response
        if response is None or response.ok:
            return None
        now = server_time(response.headers, self._retry_state.clock.time())
        status = parse_rate_limit_status(response.headers, now)
        rejected = response.status_code == 429
        requested_delay = response.retry_after if rejected else None
        if status is None:
            if requested_delay is None:
                return None
            return ServerFeedback(None, None, requested_delay, rejected=True)
        reset = requested_delay
        if reset is None:
            reset = 0.0 if status.reset is None else status.reset.timestamp() - now
        if not rejected and not self._is_unexpected(status):
            return None
        self._rate_limit._warn_if_lower(status.limit)
        remaining = 0 if rejected else status.remaining
        return ServerFeedback(status.limit, remaining, reset, rejected=rejected)

    def _is_unexpected(self, status: RateLimitStatus) -> bool:
        """Return whether the server has a lower limit or a higher count than the client."""
        limit = self._rate_limit.limit
        return status.limit < limit or limit - status.remaining > self._reservation.window_count + 1
