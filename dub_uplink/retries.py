"""Retry policies, retry budgets and clocks: what a user configures about retries."""

from __future__ import annotations

import asyncio
import random as random_
import sys
import threading
import time as time_
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ._internal.fork_safety import after_fork_in_child

__all__ = [
    "BackoffStrategy",
    "Clock",
    "RateLimitStatus",
    "RetryBudget",
    "RetryConfig",
    "current_clock",
    "use_clock",
]

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


@dataclass(frozen=True)
class RateLimitStatus:
    """What the server last said of the rate limit of this token.

    ``limit`` and ``remaining`` count requests in the current window, which ends at ``reset``.
    """

    limit: int
    remaining: int
    reset: datetime | None


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
        after_fork_in_child(self, RetryBudget._renew)

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


@dataclass(frozen=True)
class Clock:
    """Where a client gets its time, its pauses and its random numbers.

    Attributes:
        monotonic: seconds that never go back; deadlines are measured on it.
        time: Unix time in seconds; ``Retry-After`` dates are compared with it.
        sleep: pauses for so many seconds.
        random: a number from 0 up to, not including, 1; for the jitter.
        async_sleep: pauses a coroutine for so many seconds.
    """

    monotonic: Callable[[], float] = time_.monotonic
    time: Callable[[], float] = time_.time
    sleep: Callable[[float], None] = time_.sleep
    random: Callable[[], float] = random_.random
    async_sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


_current = Clock()


def current_clock() -> Clock:
    """The clock of every client that was not given one of its own."""
    return _current


@contextmanager
def use_clock(clock: Clock) -> Iterator[Clock]:
    """Let every client without a clock of its own use this one, in all threads.

    For tests of code that makes its own client. :func:`dub_uplink.testing.no_sleep` is built on it.
    """
    global _current  # noqa: PLW0603 - one process, one time
    before, _current = _current, clock
    try:
        yield clock
    finally:
        _current = before
