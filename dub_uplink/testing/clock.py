"""Time under a test's control: the fake's own clock, and a client's clock whose sleep only skips.

Imports the client's public ``Clock`` and ``use_clock``, and those only when asked for them.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..retries import Clock

_fake_clocks: weakref.WeakSet[FakeClock] = weakref.WeakSet()
_skipping: list[SkippingClock] = []


class FakeClock:
    """The time a fake lives in: that of ``now``, by default the wall clock, and what was advanced.

    ``now`` returns an aware datetime or Unix seconds.
    """

    def __init__(self, now: Callable[[], dt.datetime | float] | None = None) -> None:
        self._now = now
        self._offset = 0.0
        self._lock = threading.Lock()
        _fake_clocks.add(self)

    def time(self) -> float:
        """Unix time in seconds."""
        # Looked up at each call, so that libraries which replace time.time are followed.
        now = time.time() if self._now is None else self._now()
        if isinstance(now, dt.datetime):
            if now.tzinfo is None:
                raise ValueError(
                    "FakeDub(now=...) returned a datetime without a time zone;"
                    " use datetime.now(timezone.utc)"
                )
            now = now.timestamp()
        return now + self._offset

    def milliseconds(self) -> int:
        """Unix time in whole milliseconds."""
        return round(self.time() * 1000)

    def advance(self, seconds: float) -> None:
        """Move ahead. ``ValueError`` for going back."""
        if not seconds >= 0:
            raise ValueError(f"a clock only moves ahead, not by {seconds!r} seconds")
        with self._lock:
            self._offset += seconds


class SkippingClock:
    """A clock that runs as the real one does, but whose ``sleep`` only moves it ahead.

    So nothing waits and every deadline still holds. ``slept`` are the seconds skipped, one entry a
    sleep; ``on_sleep`` is called with the seconds of each.
    """

    def __init__(self, on_sleep: Callable[[float], object] | None = None) -> None:
        self.slept: list[float] = []
        self._on_sleep = on_sleep
        self._offset = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Seconds of the monotonic clock, with what was slept."""
        return time.monotonic() + self._offset

    def time(self) -> float:
        """Unix time in seconds, with what was slept."""
        return time.time() + self._offset

    def sleep(self, seconds: float) -> None:
        """Move ahead by so many seconds."""
        with self._lock:
            self.slept.append(seconds)
            self._offset += max(seconds, 0.0)
        if self._on_sleep is not None:
            self._on_sleep(max(seconds, 0.0))

    async def async_sleep(self, seconds: float) -> None:
        """Move ahead by so many seconds."""
        self.sleep(seconds)

    def clock(self) -> Clock:
        """This clock as a client takes it: ``Dub(..., clock=skipping.clock())``."""
        from ..retries import Clock  # noqa: PLC0415 - a fake alone needs no client

        return Clock(
            monotonic=self.monotonic,
            time=self.time,
            sleep=self.sleep,
            random=random.random,
            async_sleep=self.async_sleep,
        )


@contextlib.contextmanager
def no_sleep() -> Iterator[SkippingClock]:
    """Within it neither clients sleep between attempts nor mounted fakes before answers.

    Clients with a clock of their own keep it.
    Time moves ahead instead, for the clients and for every fake, so that deadlines hold and rate-
    limit windows pass. Gives the clock, whose ``slept`` says how long the waits would have been.
    """
    from ..retries import use_clock  # noqa: PLC0415 - a fake alone needs no client

    skipping = SkippingClock(on_sleep=_advance_all)
    _skipping.append(skipping)
    try:
        with use_clock(skipping.clock()):
            yield skipping
    finally:
        _skipping.remove(skipping)


def _advance_all(seconds: float) -> None:
    for clock in list(_fake_clocks):
        clock.advance(seconds)


def sleep(seconds: float) -> None:
    """Sleep, or skip that long within :func:`no_sleep`."""
    if seconds > 0:
        (_skipping[-1].sleep if _skipping else time.sleep)(seconds)
