"""Share the state of a batch between its calls: the cooldown and the cancellation.

A cooldown is a wait that the server requests from one worker and that applies to all workers.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar

from ..retries import Clock

#: A sleeping thread checks at this interval, in seconds, whether the batch was closed.
_CHECK_INTERVAL = 0.25


class BatchCancelled(Exception):
    """Raised in the workers of a closed batch, so that they send no further request."""


class Cooldown:
    """The cooldown of one batch, and whether the batch was closed."""

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._ends_at = float("-inf")

    def cancel(self) -> None:
        """Make current and later waits raise ``BatchCancelled``."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise ``BatchCancelled`` if the batch was closed."""
        if self._cancelled.is_set():
            raise BatchCancelled

    def extend_to(self, ends_at: float) -> None:
        """Make the cooldown last at least until ``ends_at``, a monotonic time in seconds."""
        self._ends_at = max(self._ends_at, ends_at)

    def remaining(self, clock: Clock) -> float:
        """Return the seconds until the cooldown ends. If it has ended, return 0 or less.

        Raises:
            BatchCancelled: the batch was closed.
        """
        self.check()
        return self._ends_at - clock.monotonic()

    def sleep(self, seconds: float, clock: Clock) -> None:
        """Sleep on ``clock`` in short intervals, so that closing the batch ends the sleep.

        Raises:
            BatchCancelled: the batch was closed.
        """
        while seconds > 0:
            self.check()
            clock.sleep(min(seconds, _CHECK_INTERVAL))
            seconds -= _CHECK_INTERVAL


#: The cooldown of the batch that runs the current thread or task.
current_cooldown: ContextVar[Cooldown | None] = ContextVar("dub_uplink_cooldown", default=None)


def make_sleep(clock: Clock) -> Callable[[float], None]:
    """Create a sleep function. In a worker of a batch, closing the batch ends the sleep."""
    cooldown = current_cooldown.get()
    return clock.sleep if cooldown is None else functools.partial(cooldown.sleep, clock=clock)


def publish_cooldown(seconds: float, clock: Clock) -> None:
    """Make all workers of the current batch wait for ``seconds``."""
    cooldown = current_cooldown.get()
    if cooldown is not None:
        cooldown.extend_to(clock.monotonic() + seconds)
