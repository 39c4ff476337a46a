"""Retry policies, retry budgets and clocks: what a user configures about retries."""

from __future__ import annotations

import asyncio
import random as random_
import sys
import time as time_
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ._internal.fork_safety import ForkSafeLock

__all__ = [
    "BackoffStrategy",
    "Clock",
    "RateLimitStatus",
    "RetryBudget",
    "RetryConfig",
    "current_clock",
    "use_clock",
]

_MAX_FLOAT = sys.float_info.max


@dataclass(frozen=True)
class BackoffStrategy:
    """Exponential backoff between the attempts of a call. All times are in milliseconds.

    The interval after the n-th failed attempt is ``initial_interval * exponent ** (n - 1)``, at
    most ``max_interval``. The wait is a random time between half of the interval and the interval.
    ``max_elapsed_time`` bounds the whole call: no attempt and no wait continues after it.

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
            if not 0 < value <= _MAX_FLOAT:  # false for nan as well
                raise ValueError(f"{name} must be above 0 and finite, not {value!r:.40}")
        if self.exponent < 1:
            raise ValueError(f"exponent must be 1 or more, not {self.exponent!r}")
        if self.max_interval < self.initial_interval:
            raise ValueError(
                f"max_interval must be at least initial_interval: "
                f"{self.max_interval!r} < {self.initial_interval!r}"
            )

    def interval(self, attempt: int) -> float:
        """Return the seconds to wait after failed attempt ``attempt`` (from 1), before jitter."""
        try:
            interval = self.initial_interval * float(self.exponent) ** (attempt - 1)
        except OverflowError:  # near attempt 1,000 where it doubles
            interval = self.max_interval
        return min(interval, self.max_interval) / 1000


@dataclass(frozen=True)
class RetryConfig:
    """Whether and how a call is retried.

    ``strategy`` is ``"backoff"`` or ``"none"``. The statuses 429, 500, 502, 503 and 504 are
    retried; connection errors, timeouts and incomplete responses are retried too unless
    ``retry_connection_errors`` is ``False``.

    Raises:
        ValueError: ``strategy`` is unknown, or an argument is of the wrong type.
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


#: The default of every client. 90 seconds outlast a rate-limit window of Dub, which is 60.
DEFAULT_RETRY_CONFIG = RetryConfig()


@dataclass(frozen=True)
class RateLimitStatus:
    """The rate limit of the token, as the server last reported it.

    ``limit`` and ``remaining`` count requests in the current window, which ends at ``reset``.
    """

    limit: int
    remaining: int
    reset: datetime | None


class RetryBudget:
    """A bound on retries across calls, so that a client does not add load to an outage.

    A token bucket as in botocore's standard mode: a retry takes a token, and a response that needs
    no retry puts one back, a 404 as well as a 200. The bucket stays full while most attempts
    succeed; when every attempt fails, retries end after ``capacity`` of them. Clients and threads
    may share one budget.

    Raises:
        ValueError: ``capacity`` is below 1.
    """

    def __init__(self, capacity: int = 100) -> None:
        raw_capacity: object = capacity
        if isinstance(raw_capacity, bool) or not isinstance(raw_capacity, int) or raw_capacity < 1:
            raise ValueError(f"capacity must be a whole number above 0, not {capacity!r}")
        self.capacity = capacity
        self._tokens = capacity
        self._lock = ForkSafeLock()

    @property
    def tokens(self) -> int:
        """The number of retries that are left."""
        return self._tokens

    def take(self) -> bool:
        """Take a token for a retry and return ``True``, or ``False`` if none is left."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def refill(self) -> None:
        """Put a token back after a response that needs no retry."""
        if self._tokens < self.capacity:  # read without the lock, since it is nearly always full
            with self._lock:
                self._tokens = min(self.capacity, self._tokens + 1)

    def __repr__(self) -> str:
        return f"RetryBudget(capacity={self.capacity}, tokens={self._tokens})"


def _unix_time() -> float:
    return time_.time()  # looked up at each call, so that freezegun applies


@dataclass(frozen=True)
class Clock:
    """The time, the sleep and the random numbers of a client. Tests replace them.

    Attributes:
        monotonic: returns monotonic seconds; deadlines are measured with it.
        time: returns Unix time in seconds; dates in ``Retry-After`` are compared with it.
        sleep: sleeps for a number of seconds.
        random: returns a number from 0 up to, not including, 1; for the jitter.
        async_sleep: awaits a number of seconds.
    """

    monotonic: Callable[[], float] = time_.monotonic
    time: Callable[[], float] = _unix_time
    sleep: Callable[[float], None] = time_.sleep
    random: Callable[[], float] = random_.random
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


_default_clock = Clock()


def current_clock() -> Clock:
    """Return the clock of every client that has none of its own."""
    return _default_clock


@contextmanager
def use_clock(clock: Clock) -> Iterator[Clock]:
    """Make every client without a clock of its own use this one, in all threads.

    For tests of code that creates its own client; :func:`dub_uplink.testing.no_sleep` uses it.
    """
    global _default_clock  # noqa: PLW0603 - one process, one time
    previous, _default_clock = _default_clock, clock
    try:
        yield clock
    finally:
        _default_clock = previous
