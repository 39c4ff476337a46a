"""A wait that the threads of one bulk share, and one way to end them all."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextvars import ContextVar

from .._transport.retry_state import RetryState
from ..models.response import Response
from ..retries import Clock

_SLICE = 0.25  # seconds until a sleeping thread notices that its bulk has ended


class BatchCancelled(Exception):
    """The bulk that this thread works for was ended; nothing more is sent."""


class Cooldown:
    """What one worker is told by the server, the others heed.

    Without it each of eight workers would run into the same rate limit by itself.
    """

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._until = float("-inf")

    def stop(self) -> None:
        """End every wait, now and later."""
        self._stopped.set()

    def until(self, moment: float) -> None:
        """Let nobody send before ``moment`` of the monotonic clock."""
        self._until = max(self._until, moment)

    def left(self, clock: Clock) -> float:
        """Seconds until one may send again; at most 0 where one may."""
        if self._stopped.is_set():
            raise BatchCancelled
        return self._until - clock.monotonic()

    def sleep(self, seconds: float, clock: Clock) -> None:
        """Sleep as the clock does, but wake up when the bulk ends."""
        left = seconds
        while left > 0:
            if self._stopped.is_set():
                raise BatchCancelled
            clock.sleep(min(left, _SLICE))
            left -= _SLICE


#: The cooldown of the bulk that the current thread works for.
current_cooldown: ContextVar[Cooldown | None] = ContextVar("dub_uplink_cooldown", default=None)


def sleeper(clock: Clock) -> Callable[[float], None]:
    """How a call of this thread sleeps: one of a bulk's wakes up when the bulk ends."""
    cooldown = current_cooldown.get()
    return clock.sleep if cooldown is None else functools.partial(cooldown.sleep, clock=clock)


def wait_for_cooldown(attempts: RetryState) -> None:
    """Wait for what the server told another worker of the same bulk, where there is time to."""
    cooldown = current_cooldown.get()
    if cooldown is None:
        return
    left = cooldown.left(attempts.clock)
    if 0 < left < attempts.remaining():
        cooldown.sleep(attempts.with_jitter(left), attempts.clock)


def publish_cooldown(response: Response, clock: Clock) -> None:
    """Let the other workers of the same bulk heed what the server asked of this one."""
    cooldown = current_cooldown.get()
    if cooldown is not None and response.retry_after is not None:
        cooldown.until(clock.monotonic() + response.retry_after)
