"""Configure retries: retry policies, retry budgets and clocks."""

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
    most ``max_interval``. The wait is random, between half of the interval and the whole interval.
    If the server sends a valid ``Retry-After``, the wait is the time in ``Retry-After`` plus up to
    one second.
    ``max_elapsed_time`` limits the whole call, including all attempts and waits.

    Raises:
        ValueError: an argument is not a number or is out of range; the message names the argument.
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
            if not 0 < value <= _MAX_FLOAT:  # also rejects nan
                raise ValueError(f"{name} must be above 0 and finite, not {value!r:.40}")
        if self.exponent < 1:
            raise ValueError(f"exponent must be 1 or more, not {self.exponent!r}")
        if self.max_interval < self.initial_interval:
            raise ValueError(
                f"max_interval must be at least initial_interval: "
                f"{self.max_interval!r} < {self.initial_interval!r}"
            )

    def interval(self, attempt: int) -> float:
        """Return the interval in seconds after a failed attempt, without jitter.

        ``attempt`` counts from 1.
        """
        try:
            interval_ms = self.initial_interval * float(self.exponent) ** (attempt - 1)
        except OverflowError:  # an exponent of 2 overflows from about attempt 1,000 on
            interval_ms = self.max_interval
        return min(interval_ms, self.max_interval) / 1000


@dataclass(frozen=True)
class RetryConfig:
    """A retry policy: whether and how the client retries a call.

    ``strategy`` is ``"backoff"`` or ``"none"``. With ``"backoff"`` the client retries the statuses
    429, 500, 502, 503 and 504. It also retries connection errors, timeouts and incomplete
    responses, unless ``retry_connection_errors`` is ``False``.

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


#: The default policy. It limits a call to 90 seconds. Dub's rate-limit window is 60 seconds, so a
#: call can wait for the next window.
DEFAULT_RETRY_CONFIG = RetryConfig()


@dataclass(frozen=True)
class RateLimitStatus:
    """The rate limit of the API key, from the last error response that reported it.

    ``limit`` is the number of requests that the server allows in one time window. ``remaining`` is
    the number of further requests in the current window. ``reset`` is the end of the current
    window, or ``None`` if the end is unknown.
    """

    limit: int
    remaining: int
    reset: datetime | None


class RetryBudget:
    """A limit on retries across calls, so that a client does not add load during an outage.

    The budget is a token bucket, as in the standard retry mode of ``botocore``. Each retry takes a
    token. Each response that needs no retry, such as a 200 or a 404, puts one token back. While
    most attempts succeed, the bucket stays full. If every attempt fails, the budget
    allows ``capacity`` retries.
    Clients and threads may share one budget.

    Args:
        capacity: the initial and maximum number of tokens.

    Raises:
        ValueError: ``capacity`` is not a whole number above 0.
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
        """The number of retries that the budget still allows."""
        return self._tokens

    def take(self) -> bool:
        """Take a token for a retry; return ``False`` if the bucket is empty."""
        with self._lock:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def refill(self) -> None:
        """Put a token back after a response that needs no retry."""
        if self._tokens < self.capacity:  # a full bucket, the common case, needs no lock
            with self._lock:
                self._tokens = min(self.capacity, self._tokens + 1)

    def __repr__(self) -> str:
        return f"RetryBudget(capacity={self.capacity}, tokens={self._tokens})"


def _unix_time() -> float:
    return time_.time()  # looked up at each call, because freezegun replaces `time.time`


@dataclass(frozen=True)
class Clock:
    """The functions that a client uses for time, sleep and random numbers. Replace them in tests.

    Attributes:
        monotonic: returns monotonic time in seconds; used for deadlines.
        time: returns Unix time in seconds; used for dates such as in ``Retry-After``.
        sleep: blocks for a number of seconds.
        random: returns a random number from 0 (inclusive) to 1 (exclusive); used for jitter.
        async_sleep: a coroutine function that sleeps for a number of seconds.
    """

    monotonic: Callable[[], float] = time_.monotonic
    time: Callable[[], float] = _unix_time
    sleep: Callable[[float], None] = time_.sleep
    # Not the global generator: if an application seeds it, its processes draw the same numbers.
    random: Callable[[], float] = random_.SystemRandom().random
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


_default_clock = Clock()


def current_clock() -> Clock:
    """Return the default clock: the clock of every client without the argument ``clock``."""
    return _default_clock


@contextmanager
def use_clock(clock: Clock) -> Iterator[Clock]:
    """Replace the default clock in all threads, until the ``with`` block ends.

    Use this function to test code that creates its own client.
    :func:`dub_uplink.testing.no_sleep` also uses it.
    """
    global _default_clock  # noqa: PLW0603 - the default of the whole process
    previous_clock, _default_clock = _default_clock, clock
    try:
        yield clock
    finally:
        _default_clock = previous_clock
