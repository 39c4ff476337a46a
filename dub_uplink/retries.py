"""When to try again and how long to wait first: decisions only, no I/O.

The transport asks through tenacity. Time and chance come from a ``Clock``.
"""

from __future__ import annotations

import math
import re
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Literal

from ._internal.clock import Clock, current_clock, use_clock
from ._internal.forks import in_children
from .models.errors import APIConnectionError
from .models.response import Response

__all__ = [
    "Attempts",
    "BackoffStrategy",
    "Clock",
    "Outcome",
    "RateLimitStatus",
    "RetryBudget",
    "RetryConfig",
    "current_clock",
    "parse_retry_after",
    "use_clock",
]

#: The statuses that may pass: too many requests, and four ways of a server being out of order.
RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})
#: Where `Retry-After` means something; Dub's server sends it on a 404 as well.
_TIMED_STATUSES = frozenset({429, 503})
_JITTER_AFTER_LIMIT = 1.0  # seconds
_LONGEST = 1e8  # seconds, three years; what nobody waits for, and what a sleep does not overflow at


_LARGEST = sys.float_info.max


@dataclass(frozen=True)
class BackoffStrategy:
    """How the waits between attempts grow. All times in milliseconds.

    The wait after the n-th failed attempt is ``initial_interval * exponent ** (n - 1)``, at most
    ``max_interval``, of which the upper half is left to chance. ``max_elapsed_time`` bounds the
    whole call: no attempt and no wait goes on after it.

    Raises:
        ValueError: a value is out of range; the message names it.
    """

    initial_interval: int = 500
    max_interval: int = 8_000
    exponent: float = 2.0
    max_elapsed_time: int = 90_000

    def __post_init__(self) -> None:
        for name in ("initial_interval", "max_interval", "exponent", "max_elapsed_time"):
            value: object = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"{name} must be a number, not {value!r}")
            if not 0 < value <= _LARGEST:  # false for nan as well
                raise ValueError(f"{name} must be above 0 and finite, not {value!r:.40}")
        if self.exponent < 1:
            raise ValueError(f"exponent must be 1 or more, not {self.exponent!r}")
        if self.max_interval < self.initial_interval:
            raise ValueError(
                f"max_interval must not be below initial_interval: "
                f"{self.max_interval!r} < {self.initial_interval!r}"
            )

    def interval(self, attempt: int) -> float:
        """Seconds to wait after failed attempt ``attempt`` (from 1), before jitter."""
        try:
            interval = self.initial_interval * float(self.exponent) ** (attempt - 1)
        except OverflowError:  # near attempt 1,000 where it doubles
            interval = self.max_interval
        return min(interval, self.max_interval) / 1000


@dataclass(frozen=True)
class RetryConfig:
    """Whether and how a call is tried again.

    ``strategy`` is ``"backoff"`` or ``"none"``. ``retry_connection_errors`` says whether failed
    connections, time-outs and answers that broke off are tried again as well as the statuses 429,
    500, 502, 503 and 504.

    Raises:
        ValueError: an unknown strategy, or a ``backoff`` that is no :class:`BackoffStrategy`.
    """

    strategy: Literal["backoff", "none"] = "backoff"
    backoff: BackoffStrategy = field(default_factory=BackoffStrategy)
    retry_connection_errors: bool = True

    def __post_init__(self) -> None:
        if self.strategy not in ("backoff", "none"):
            raise ValueError(f'strategy must be "backoff" or "none", not {self.strategy!r}')
        if not isinstance(self.backoff, BackoffStrategy):
            raise ValueError(f"backoff must be a BackoffStrategy, not {self.backoff!r}")
        if not isinstance(self.retry_connection_errors, bool):
            raise ValueError(
                f"retry_connection_errors must be True or False, "
                f"not {self.retry_connection_errors!r}"
            )


#: What a client does that was told nothing. 90 seconds, since a rate-limit window of Dub's is 60.
DEFAULT_RETRY_CONFIG = RetryConfig()

_NUMBER = re.compile(r"\d{1,24}(?:\.\d{0,24})?", re.ASCII)
# Unix time in seconds has been above this since 2001, as a count of seconds it is 31 years.
_UNIX_SECONDS = 1e9
# Unix time in milliseconds has been above this since 1973, in seconds it is the year 5138.
_UNIX_MILLISECONDS = 1e11


def parse_retry_after(text: str, now: float) -> float | None:
    """Seconds to wait for a ``Retry-After`` or ``X-RateLimit-Reset`` of any form, or ``None``.

    Seconds and HTTP dates are the standard's (RFC 9110, 10.2.3). Dub's server sends Unix time in
    milliseconds, other servers in seconds; a number's size tells them apart. ``now`` is Unix time
    in seconds. A moment that has passed, zero and anything that cannot be read are ``None``.
    """
    text = text.strip()
    if _NUMBER.fullmatch(text):
        value = float(text)
        if value >= _UNIX_MILLISECONDS:
            value = (value - now * 1000) / 1000
        elif value >= _UNIX_SECONDS:
            value -= now
    elif "," in text.partition(" ")[2]:
        return None  # a repeated header: the parser would take the first of its dates
    else:
        try:
            value = _unix_time(text) - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return value if value > 0 else None


def _unix_time(date: str) -> float:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:  # "-0000": UTC, its origin unknown (RFC 5322, 3.3)
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def asked_wait(response: Response, now: float) -> float | None:
    """Seconds the server asked to wait, on the statuses where it means that."""
    if response.status_code not in _TIMED_STATUSES:
        return None
    header = response.headers.get("Retry-After")
    if header is None:
        header = response.headers.get("X-RateLimit-Reset", "")
    return parse_retry_after(header, server_time(response.headers, now))


_DISAGREEMENT = 2.0  # seconds; `Date` has whole ones, and the answer took its time


def server_time(headers: Mapping[str, str], now: float) -> float:
    """Unix time in seconds by the server's clock, where its ``Date`` and ours disagree.

    A moment that the server names is one of its own clock.
    """
    try:
        date = _unix_time(headers["Date"])
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return now
    return date if abs(date - now) > _DISAGREEMENT else now


@dataclass(frozen=True)
class RateLimitStatus:
    """What the server last said of the rate limit of this token.

    ``limit`` and ``remaining`` count requests in the current window, which ends at ``reset``.
    """

    limit: int
    remaining: int
    reset: datetime | None

    @classmethod
    def from_headers(cls, headers: Mapping[str, str], now: float) -> RateLimitStatus | None:
        """Read ``X-RateLimit-*``; ``None`` where they are missing, rubbish, or say nothing.

        When the store of Dub's limiter is slow, its server sends zero for all of them.
        """
        limit = headers.get("X-RateLimit-Limit", "")
        remaining = headers.get("X-RateLimit-Remaining", "")
        if not all(map(_COUNT.fullmatch, (limit, remaining))) or int(limit) == 0:
            return None
        wait = parse_retry_after(headers.get("X-RateLimit-Reset", ""), now)
        try:
            reset = None if wait is None else datetime.fromtimestamp(now + wait, timezone.utc)
        except (ValueError, OverflowError, OSError):
            reset = None
        return cls(int(limit), int(remaining), reset)


_COUNT = re.compile(r"\d{1,9}", re.ASCII)


class RetryBudget:
    """How many retries a client may have in hand, so that it does not add load to an outage.

    A token bucket as in botocore's standard mode: a retry takes a token, an answer of a server that
    is well puts one back, a 404 as much as a 200. While most attempts succeed it stays full; where
    everything fails, retries end after ``capacity`` of them. One budget may be shared by clients
    and threads.

    Raises:
        ValueError: ``capacity`` is below 1.
    """

    def __init__(self, capacity: int = 100) -> None:
        given: object = capacity
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            raise ValueError(f"capacity must be a whole number above 0, not {capacity!r}")
        self.capacity = capacity
        self._tokens = capacity
        self._renew()
        in_children(self, RetryBudget._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    @property
    def tokens(self) -> int:
        """How many retries are left."""
        return self._tokens

    def take(self) -> bool:
        """Take a token for a retry; ``False`` where none is left."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def refill(self) -> None:
        """Put a token back after an answer that is no failure of the server's."""
        if self._tokens < self.capacity:  # looked at without the lock: nearly always full
            with self._lock:
                self._tokens = min(self.capacity, self._tokens + 1)

    def __repr__(self) -> str:
        return f"RetryBudget(capacity={self.capacity}, tokens={self._tokens})"


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
            response.retry_after = asked_wait(response, self.clock.time())
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
