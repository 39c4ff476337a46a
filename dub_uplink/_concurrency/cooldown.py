"""Share state between the calls of a batch: a wait requested by the server, and cancellation."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar

from ..retries import Clock

_CHECK_INTERVAL = 0.25  # seconds between two checks of a sleeping thread for cancellation


class BatchCancelled(Exception):
    """Raised in a worker of a closed batch, so that the worker sends no further request."""


class Cooldown:
    """Make all workers of a batch wait when the server asks one of them to wait.

    Otherwise each worker would exceed the same rate limit before it waits.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._ends_at = float("-inf")

    def cancel(self) -> None:
        """Make every current and later wait raise ``BatchCancelled``."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise ``BatchCancelled`` if the batch was closed."""
        if self._cancelled.is_set():
            raise BatchCancelled

    def extend_to(self, ends_at: float) -> None:
        """Extend the cooldown to ``ends_at``, a monotonic time in seconds."""
        self._ends_at = max(self._ends_at, ends_at)

    def remaining(self, clock: Clock) -> float:
        """Return the seconds until the cooldown ends; 0 or less means that it has ended.

        Raises:
            BatchCancelled: the batch was closed.
        """
        self.check()
        return self._ends_at - clock.monotonic()

    def sleep(self, seconds: float, clock: Clock) -> None:
        """Sleep in short intervals on ``clock``, so that closing the batch ends the sleep.

        Raises:
            BatchCancelled: the batch was closed.
        """
        while seconds > 0:
            self.check()
            clock.sleep(min(seconds, _CHECK_INTERVAL))
            seconds -= _CHECK_INTERVAL


#: The cooldown of the batch to which the current thread or task belongs.
current_cooldown: ContextVar[Cooldown | None] = ContextVar("dub_uplink_cooldown", default=None)


def make_sleep(clock: Clock) -> Callable[[float], None]:
    """Return a sleep function. Inside a batch, closing the batch ends the sleep."""
    cooldown = current_cooldown.get()
    return clock.sleep if cooldown is None else functools.partial(cooldown.sleep, clock=clock)


def publish_cooldown(seconds: float, clock: Clock) -> None:
    """Make all workers of the current batch wait as long as a response asks."""
    cooldown = current_cooldown.get()
    if cooldown is not None:
        cooldown.extend_to(clock.monotonic() + seconds)
