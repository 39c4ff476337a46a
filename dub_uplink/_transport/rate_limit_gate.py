"""An attempt's wait for its turn, where the client keeps to a rate limit."""

from __future__ import annotations

import json
import math

from .._concurrency.cooldown import current_cooldown, sleeper
from .._internal.credentials import RedactedStr
from .._rate_limit.rate_limit import RateLimit
from .._rate_limit.sliding_window import Notice, Ticket, Turns
from ..models.response import Response
from ..retries import RateLimitStatus
from .rate_limit_headers import rate_limit_status
from .retry_after import server_time
from .retry_state import Outcome, RetryState


class Turn:
    """The turn of one attempt, among those of its key."""

    __slots__ = ("_attempts", "_limit", "_patience", "_ticket", "_turns", "authorization")

    def __init__(
        self,
        limit: RateLimit,
        turns: Turns,
        attempts: RetryState,
        timeout: float,
        authorization: RedactedStr,
    ) -> None:
        #: What the turn is for; ``None`` after a wait, in which a token may have run out.
        self.authorization: RedactedStr | None = authorization
        self._limit = limit
        self._turns = turns
        self._attempts = attempts
        # A call without retries has no time of its own: it is given that of its one attempt.
        self._patience = timeout if math.isinf(attempts.deadline) else math.inf
        bulk = limit.priority == "bulk" or current_cooldown.get() is not None
        self._ticket = Ticket(attempts.clock, bulk=bulk)

    def _left(self) -> float:
        return min(self._attempts.remaining(), self._patience - self._attempts.elapsed())

    def take(self) -> Outcome | None:
        """Wait for the turn. Returns the refusal of a call that cannot have one in its time."""
        sleep = sleeper(self._attempts.clock)
        try:
            while (wait := self._turns.ask(self._ticket, left := self._left())) < left:
                if wait <= 0:
                    return None
                self.authorization = None
                sleep(wait)
        except BaseException:
            self._turns.give_back(self._ticket)
            raise
        return self._refusal(wait, left)

    async def take_awaited(self) -> Outcome | None:
        """:meth:`take`, awaited."""
        try:
            while (
                wait := await self._turns.ask_awaited(self._ticket, left := self._left())
            ) < left:
                if wait <= 0:
                    return None
                self.authorization = None
                await self._attempts.clock.async_sleep(wait)
        except BaseException:
            self._turns.give_back(self._ticket)
            raise
        return self._refusal(wait, left)

    def heed(self, outcome: Outcome) -> None:
        """Let all who share the limit know what an answer says of it, by its time and its word."""
        ticket = self._ticket
        if ticket.due is not None and ticket.clock.monotonic() - ticket.due > self._limit.margin:
            # The server may have counted it only now.
            self._turns.late(ticket)
        notice = self._notice(outcome)
        if notice is not None:
            self._turns.heed(notice, ticket)

    def _refusal(self, wait: float, left: float) -> Outcome:
        attempts = self._attempts
        message = (
            f"the client's own rate limit of {self._limit.limit:,} has no turn for this call before"
            f" {wait:.3g} s, and it has {max(left, 0):.3g} s left; it was not sent"
        )
        error = {"code": "rate_limit_exceeded", "message": message}
        response = Response(429, {"Retry-After": str(math.ceil(wait))})
        response.content = json.dumps({"error": error}).encode()
        response.attempts, response.elapsed = attempts.count, attempts.elapsed()
        response.retry_after = wait
        return Outcome(response)

    def _notice(self, outcome: Outcome) -> Notice | None:
        answer = outcome.response
        if answer is None or answer.ok:
            return None
        now = server_time(answer.headers, self._attempts.clock.time())
        status = rate_limit_status(answer.headers, now)
        refused = answer.status_code == 429
        if status is None:
            asked = answer.retry_after if refused else None
            return None if asked is None else Notice(None, None, asked, refused=True)
        reset = answer.retry_after if refused else None
        if reset is None:
            reset = 0.0 if status.reset is None else status.reset.timestamp() - now
        if not refused and not self._is_news(status):
            return None
        self._limit.told(status.limit)
        remaining = 0 if refused else status.remaining
        return Notice(status.limit, remaining, reset, refused=refused)

    def _is_news(self, status: RateLimitStatus) -> bool:
        limit = self._limit.limit
        return status.limit < limit or limit - status.remaining > self._ticket.used + 1
