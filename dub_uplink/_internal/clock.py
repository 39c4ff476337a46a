"""Time and chance, as the retries ask for them, so that a test can hold both in its hand."""

from __future__ import annotations

import asyncio
import random as random_
import time as time_
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


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
