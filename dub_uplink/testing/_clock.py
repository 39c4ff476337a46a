"""Clocks for tests: the clock of a fake, and a clock for clients that skips every sleep."""

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

#: The longest sleep of :func:`sleep`, in seconds.
_MAX_SLEEP = 1e9
#: The largest offset of a clock, and the latest Unix time that ``set`` accepts, in seconds. With
#: this offset, the time stays below the year 9999, the last year of datetime.
_MAX_OFFSET = 190_000_000_000.0

_fake_clocks: weakref.WeakSet[FakeClock] = weakref.WeakSet()
_active_no_sleep_clocks: list[SkippingClock] = []


class FakeClock:
    """The clock of a fake. Its time is the result of ``now`` plus an offset.

    Args:
        now: A function that returns the time as an aware datetime or Unix seconds; by default,
            the wall clock.
    """

    def __init__(self, now: Callable[[], dt.datetime | float] | None = None) -> None:
        self._now = now
        # The time of ``freeze``, or None, and the offset. Replace both in one step, because threads
        # read them without the lock.
        self._state: tuple[float | None, float] = (None, 0.0)
        self._lock = threading.Lock()
        _fake_clocks.add(self)

    def time(self) -> float:
        """Return Unix time in seconds."""
        return self._read()[0]

    def _read(self) -> tuple[float, float, bool]:
        """Return the Unix time, ``offset`` and ``frozen``, read in one step."""
        while True:
            state = self._state
            frozen_at, offset = state
            now = self._time_without_offset() if frozen_at is None else frozen_at
            if self._state is state:  # else another thread has changed the clock; read it again
                return now + offset, offset, frozen_at is not None

    def _time_without_offset(self) -> float:
        # Look up time.time at each call, because freezegun and similar libraries replace it.
        now = time.time() if self._now is None else self._now()
        if isinstance(now, dt.datetime):
            if now.tzinfo is None:
                raise ValueError(
                    "FakeDub(now=...) returned a datetime without a time zone;"
                    " use datetime.now(timezone.utc)"
                )
            now = now.timestamp()
        return now

    def milliseconds(self) -> int:
        """Return Unix time in milliseconds."""
        return round(self.time() * 1000)

    def advance(self, seconds: float) -> None:
        """Move the clock ahead by a number of seconds.

        Raises:
            ValueError: ``seconds`` is negative, or would move the clock past the year 8000.
        """
        if not seconds >= 0:
            raise ValueError(f"seconds must be 0 or more, not {seconds!r}")
        with self._lock:
            frozen_at, offset = self._state
            if offset + seconds > _MAX_OFFSET:
                raise ValueError(
                    f"{seconds!r} seconds would move the clock past the year 8000; advance by less"
                )
            self._state = (frozen_at, offset + seconds)

    def set(self, moment: dt.datetime) -> None:
        """Set the clock to a time in the future or past. A frozen clock stays frozen.

        Raises:
            ValueError: ``moment`` has no time zone, or is before 1970 or after the year 8000.
        """
        if moment.tzinfo is None:
            raise ValueError(f"moment has no time zone, such as timezone.utc: {moment!r}")
        if not 0 <= moment.timestamp() <= _MAX_OFFSET:
            raise ValueError(f"moment must be between the years 1970 and 8000, not {moment}")
        with self._lock:
            frozen_at, offset = self._state
            self._state = (frozen_at, offset + moment.timestamp() - self.time())

    def freeze(self) -> None:
        """Stop the clock. ``advance`` and ``set`` still move a frozen clock."""
        with self._lock:
            frozen_at, offset = self._state
            if frozen_at is None:
                self._state = (self._time_without_offset(), offset)

    def unfreeze(self) -> None:
        """Start a frozen clock again, from its current time."""
        with self._lock:
            frozen_at, offset = self._state
            if frozen_at is not None:
                self._state = (None, offset + frozen_at - self._time_without_offset())

    def reset(self) -> None:
        """Undo every ``advance``, ``set`` and ``freeze``."""
        with self._lock:
            self._state = (None, 0.0)

    @property
    def frozen(self) -> bool:
        """Return whether the clock is frozen."""
        return self._state[0] is not None

    @property
    def offset(self) -> float:
        """Return the seconds that are added to ``now``; if frozen, to the time of ``freeze``."""
        return self._state[1]


class SkippingClock:
    """A clock whose ``sleep`` returns at once, and moves the clock ahead instead.

    ``slept`` lists the duration of each sleep in seconds.

    Args:
        on_sleep: A function to call with the seconds of each sleep.
    """

    __module__ = "dub_uplink.testing"

    def __init__(self, on_sleep: Callable[[float], object] | None = None) -> None:
        self.slept: list[float] = []
        self._on_sleep = on_sleep
        self._offset = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        """Return the monotonic time plus the duration of all sleeps, in seconds."""
        return time.monotonic() + self._offset

    def time(self) -> float:
        """Return the Unix time plus the duration of all sleeps, in seconds."""
        return time.time() + self._offset

    def sleep(self, seconds: float) -> None:
        """Move the clock ahead by a number of seconds."""
        with self._lock:
            self.slept.append(seconds)
            self._offset += max(seconds, 0.0)
        if self._on_sleep is not None:
            self._on_sleep(max(seconds, 0.0))

    async def async_sleep(self, seconds: float) -> None:
        """Move the clock ahead by a number of seconds."""
        self.sleep(seconds)

    def clock(self) -> Clock:
        """Return the ``clock`` argument for a client: ``Dub(..., clock=skipping.clock())``."""
        from ..retries import Clock  # noqa: PLC0415 - a fake can be used without a client

        return Clock(
            monotonic=self.monotonic,
            time=self.time,
            sleep=self.sleep,
            random=random.SystemRandom().random,
            async_sleep=self.async_sleep,
        )


@contextlib.contextmanager
def no_sleep() -> Iterator[SkippingClock]:
    """Skip the waits of clients, and the delays of ``FakeDub.session()`` and ``wsgi_app``.

    A skipped wait moves the clocks of clients and of all fakes ahead. Therefore deadlines and rate
    limit windows end as usual. A client with a ``clock`` argument still sleeps by that clock.

    Returns:
        A context manager. In ``with no_sleep() as clock``, ``clock`` is a :class:`SkippingClock`,
        and ``clock.slept`` lists the duration of each wait in seconds.
    """
    from ..retries import use_clock  # noqa: PLC0415 - a fake can be used without a client

    skipping = SkippingClock(on_sleep=_advance_all)
    _active_no_sleep_clocks.append(skipping)
    try:
        with use_clock(skipping.clock()):
            yield skipping
    finally:
        _active_no_sleep_clocks.remove(skipping)


def _advance_all(seconds: float) -> None:
    for clock in list(_fake_clocks):
        clock.advance(seconds)


def sleep(seconds: float) -> None:
    """Sleep for a number of seconds. Within :func:`no_sleep`, skip the sleep."""
    if seconds > 0:
        # Above this limit, time.sleep may raise OverflowError.
        seconds = min(seconds, _MAX_SLEEP)
        (_active_no_sleep_clocks[-1].sleep if _active_no_sleep_clocks else time.sleep)(seconds)
