"""The state that the calls of a batch share: a wait that the server asked for, and cancellation."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar

from ..models.response import Response
from ..retries import Clock

_CHECK_INTERVAL = 0.25  # seconds until a sleeping thread sees that its batch was cancelled


class BatchCancelled(Exception):
    """Raised in a worker whose batch was closed, so that it sends nothing more."""


class Cooldown:
    """Hold back every worker of a batch until a moment that one of them received.

    Without it, each of eight workers runs into the same rate limit on its own.
    """

    def __init__(self) -> None:
        self._cancelled = threading.Event()
        self._until = float("-inf")

    def cancel(self) -> None:
        """End every current and future wait with ``BatchCancelled``."""
        self._cancelled.set()

    def check(self) -> None:
        """Raise ``BatchCancelled`` if the batch was closed."""
        if self._cancelled.is_set():
            raise BatchCancelled

    def extend(self, moment: float) -> None:
        """Send nothing before ``moment`` of the monotonic clock, in seconds."""
        self._until = max(self._until, moment)

    def remaining(self, clock: Clock) -> float:
        """Return the seconds until the next request may be sent; 0 or less means now.

        Raises:
            BatchCancelled: the batch was closed.
        """
        self.check()
        return self._until - clock.monotonic()

    def sleep(self, seconds: float, clock: Clock) -> None:
        """Sleep on ``clock`` in slices, so that closing the batch ends the wait.

        Raises:
            BatchCancelled: the batch was closed.
        """
        while seconds > 0:
            self.check()
            clock.sleep(min(seconds, _CHECK_INTERVAL))
            seconds -= _CHECK_INTERVAL


#: The cooldown of the batch that the current thread or task works for.
current_cooldown: ContextVar[Cooldown | None] = ContextVar("dub_uplink_cooldown", default=None)


def make_sleep(clock: Clock) -> Callable[[float], None]:
    """Return the sleep function of this thread; inside a batch, closing the batch ends it."""
    cooldown = current_cooldown.get()
    return clock.sleep if cooldown is None else functools.partial(cooldown.sleep, clock=clock)


def publish_cooldown(response: Response, clock: Clock) -> None:
    """Make every worker of the current batch wait as long as ``response`` asks."""
    cooldown = current_cooldown.get()
    if cooldown is not None and response.retry_after is not None:
        cooldown.extend(clock.monotonic() + response.retry_after)
