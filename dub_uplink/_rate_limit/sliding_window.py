"""Limit the request rate of one process, and define the types that all limiters share."""

from __future__ import annotations

import bisect
import os
from typing import NamedTuple, Protocol

from .._internal.fork_safety import ForkSafeLock
from ..retries import Clock

#: The client's window is 2 % longer than the server's window. Requests that the client sends one
#: window apart may arrive at a shorter interval. The margin keeps this interval from falling below
#: the server's window.
_WINDOW_MARGIN = 0.02
#: The maximum margin in seconds.
_MAX_WINDOW_MARGIN = 1.0
#: One slot in every 20 (5 % of the limit) is reserved for interactive calls.
INTERACTIVE_RESERVE_DIVISOR = 20
#: Times that differ by less than this number of seconds count as equal, because sums of floats are
#: inexact.
TIME_RESOLUTION = 1e-6
#: A server limit below the configured limit applies for this number of seconds. Afterwards the
#: configured limit applies again, because the plan may have been upgraded.
LEARNED_LIMIT_TTL = 600.0
#: The longest pause in seconds that a response can cause, even if the response has a wrong value.
_MAX_PAUSE = 3_600.0


class Reservation:
    """The reservation of a slot. A slot is the permission to send one request at a certain time.

    Attributes:
        clock: the clock of the client.
        bulk: whether the call has the priority ``"bulk"``.
        scheduled_at: monotonic time of the slot in seconds; ``None`` without a slot.
        owner: the limiter that granted the latest slot; ``None`` before the first slot.
        is_cancelled: whether the caller no longer waits for the slot.
        slot_id: the id of the slot in a shared storage; empty without a storage.
        window_count: number of requests in the window when the slot was granted.
    """

    __slots__ = (
        "bulk",
        "clock",
        "is_cancelled",
        "owner",
        "scheduled_at",
        "slot_id",
        "window_count",
    )

    def __init__(self, clock: Clock, *, bulk: bool) -> None:
        self.clock = clock
        self.bulk = bulk
        self.scheduled_at: float | None = None
        self.owner: object = None
        self.is_cancelled = False
        self.slot_id = ""
        self.window_count = 0


class ServerFeedback:
    """The rate limit that an error response reports.

    Args:
        limit: number of requests that the server allows in a window; ``None`` if unknown.
        remaining: number of requests that the server still allows in the window; ``None`` if
            unknown.
        reset_seconds: seconds until the window ends; after a rejection, seconds until the next
            attempt.
        rejected: whether the server rejected the request because of the rate limit.
    """

    __slots__ = ("limit", "rejected", "remaining", "reset_seconds")

    def __init__(
        self, limit: int | None, remaining: int | None, reset_seconds: float, *, rejected: bool
    ) -> None:
        self.limit = limit
        self.remaining = remaining
        self.reset_seconds = min(max(reset_seconds, 0.0), _MAX_PAUSE)
        self.rejected = rejected


class Limiter(Protocol):
    """Grants the slots of one API key."""

    def reserve(self, reservation: Reservation, max_wait: float) -> float:
        """Request a slot and return the seconds until its time. If the result is 0, send now.

        If the wait is ``max_wait`` seconds or more, the reservation has no slot afterwards. After a
        wait below ``max_wait``, call this method again, because the slot may have been postponed.
        """
        raise NotImplementedError

    async def reserve_async(self, reservation: Reservation, max_wait: float) -> float:
        """Request a slot asynchronously; see :meth:`reserve`."""
        raise NotImplementedError

    def cancel(self, reservation: Reservation) -> None:
        """Release the slot of a reservation whose request is not sent."""

    def postpone_slot(self, reservation: Reservation) -> None:
        """Move the slot of a slow request to a later time.

        The server counts a request when it arrives. A slow request may have arrived only just
        before its response.
        """

    def apply_feedback(self, feedback: ServerFeedback, reservation: Reservation) -> None:
        """Update the limit and the requests in the window. After a rejection, start a pause."""


class ReservationResult(NamedTuple):
    """The result that a shared storage returns for a reservation.

    Attributes:
        wait: seconds until the slot; see :meth:`Limiter.reserve`.
        granted: whether this call granted the slot. ``False`` if an earlier call granted the slot
            or there is no slot.
        window_count: number of requests in the window.
        process_count: number of processes that share the limit.
        epoch: an id that changes when the storage may have lost slots.
    """

    wait: float
    granted: bool
    window_count: int
    process_count: int
    epoch: str


class LimitConfig:
    """The configured limit.

    Attributes:
        limit: maximum number of requests in a window.
        per: length of the server's window in seconds.
        window: length of the client's window in seconds; slightly longer than ``per``.
        margin: seconds by which ``window`` exceeds ``per``. After a pause, all waiting callers
            resume within this time.
    """

    __slots__ = ("limit", "margin", "per", "window")

    def __init__(self, limit: int, per: float) -> None:
        self.limit = limit
        self.per = per
        self.window = per + min(per * _WINDOW_MARGIN, _MAX_WINDOW_MARGIN)
        self.margin = self.window - per


def infer_foreign_requests(
    feedback: ServerFeedback, limit: int, window_count: int, window: float
) -> list[float]:
    """Estimate the seconds until each request of other clients leaves the window.

    The server counts the requests of other clients, but this limiter does not record them. The
    estimate assumes that one request leaves at the reset, and the others follow at equal intervals.
    """
    if feedback.remaining is None:
        return []
    foreign_count = max(limit - feedback.remaining - window_count, 0)
    first = min(feedback.reset_seconds, window)
    return [first + (window - first) * n / foreign_count for n in range(foreign_count)]


class SlidingWindowLimiter:
    """A sliding-window rate limiter that the threads of one process may share.

    It stores the times of all requests in the last window and of all waiting requests. An
    interactive request beyond the limit immediately gets the first free slot. Therefore interactive
    callers are served in the order of their requests, and do not poll. A bulk request gets a slot
    only if it can be sent at once. Otherwise it waits without a slot.
    """

    def __init__(self, config: LimitConfig) -> None:
        self._config = config
        self._process_count = 1
        self._slots: list[float] = []  # monotonic times in ascending order
        # Maps each waiting reservation to the id of its process, because a forked child has copies
        # of the parent's reservations.
        self._waiting: dict[Reservation, int] = {}
        self._paused_until = float("-inf")
        # The server's limit, and the monotonic time until which it applies.
        self._learned_limit: tuple[int, float] | None = None
        self._lock = ForkSafeLock()

    def reserve(self, reservation: Reservation, max_wait: float) -> float:
        with self._lock:
            now = reservation.clock.monotonic()
            if reservation.scheduled_at is not None:
                wait = reservation.scheduled_at - now
            else:
                del self._slots[: bisect.bisect_right(self._slots, now - self._config.window)]
                reservation.window_count = len(self._slots)
                wait = self._next_slot(now, reservation) - now
            if wait >= max_wait:
                self._release(reservation)
            elif wait <= 0:
                if reservation.scheduled_at is None:
                    self._schedule(reservation, now)
                self._waiting.pop(reservation, None)
            # A bulk request has no slot while it waits, so that interactive calls go first.
            elif reservation.scheduled_at is None and not reservation.bulk:
                self._schedule(reservation, now + wait)
                self._waiting[reservation] = os.getpid()
            return max(wait, 0.0)

    async def reserve_async(self, reservation: Reservation, max_wait: float) -> float:
        return self.reserve(reservation, max_wait)

    def _next_slot(self, now: float, reservation: Reservation) -> float:
        earliest = now
        if now < self._paused_until:
            earliest = self._paused_until + reservation.clock.random() * self._config.margin
        return self._first_free_time(earliest, self._capacity(now, bulk=reservation.bulk))

    def _capacity(self, now: float, *, bulk: bool) -> int:
        capacity = max(self._current_limit(now) // self._process_count, 1)
        return capacity - capacity // INTERACTIVE_RESERVE_DIVISOR if bulk else capacity

    def _first_free_time(self, earliest: float, capacity: int) -> float:
        """Return the first time, not before ``earliest``, that allows one more request."""
        window = self._config.window
        # Each pair has the times of the first and the last of ``capacity`` consecutive requests.
        for first, last in zip(self._slots, self._slots[capacity - 1 :], strict=False):
            if last - window >= earliest:
                break
            # The requests from `first` to `last` fill the window until `first` leaves it.
            if last - first < window - TIME_RESOLUTION:
                earliest = max(earliest, first + window)
        return earliest

    def _schedule(self, reservation: Reservation, slot_time: float) -> None:
        reservation.scheduled_at, reservation.owner = slot_time, self
        bisect.insort(self._slots, slot_time)

    def _release(self, reservation: Reservation) -> None:
        if reservation.scheduled_at is not None:
            self._remove_slot(reservation.scheduled_at)
            reservation.scheduled_at = None
        self._waiting.pop(reservation, None)

    def _remove_slot(self, slot_time: float) -> None:
        index = bisect.bisect_left(self._slots, slot_time)
        if self._slots[index : index + 1] == [slot_time]:
            del self._slots[index]

    def _current_limit(self, now: float) -> int:
        if self._learned_limit is None or self._learned_limit[1] < now:
            return self._config.limit
        return min(self._learned_limit[0], self._config.limit)

    def set_process_count(self, process_count: int) -> None:
        """Set the number of processes that get equal shares of the limit."""
        self._process_count = max(process_count, 1)

    def record(self, slot_time: float) -> None:
        """Record a slot that a shared storage granted."""
        with self._lock:
            del self._slots[: bisect.bisect_right(self._slots, slot_time - 2 * self._config.window)]
            bisect.insort(self._slots, slot_time)

    def discard(self, slot_time: float) -> None:
        """Remove a recorded slot."""
        with self._lock:
            self._remove_slot(slot_time)

    def cancel(self, reservation: Reservation) -> None:
        with self._lock:
            self._release(reservation)

    def postpone_slot(self, reservation: Reservation) -> None:
        with self._lock:
            if reservation.scheduled_at is not None:
                now = reservation.clock.monotonic()
                self._remove_slot(reservation.scheduled_at)
                self._schedule(reservation, now - self._config.margin)
                self._reschedule(now)

    def apply_feedback(self, feedback: ServerFeedback, reservation: Reservation) -> None:
        with self._lock:
            now = reservation.clock.monotonic()
            window = self._config.window
            if feedback.limit is not None:
                self._learned_limit = (feedback.limit, now + LEARNED_LIMIT_TTL)
                window_count = bisect.bisect_right(self._slots, now)
                window_count -= bisect.bisect_right(self._slots, now - window)
                for exit_delay in infer_foreign_requests(
                    feedback, self._current_limit(now), window_count, window
                ):
                    bisect.insort(self._slots, now + exit_delay - window)
            if feedback.rejected:
                self._paused_until = max(self._paused_until, now + feedback.reset_seconds)
            self._reschedule(now)

    def _reschedule(self, now: float) -> None:
        """Grant new slots to this process's waiting requests, in the order of the old slots."""
        pid = os.getpid()
        waiting = [waiter for waiter, owner_pid in self._waiting.items() if owner_pid == pid]
        waiting.sort(key=lambda waiter: waiter.scheduled_at or 0.0)
        for waiter in list(self._waiting):
            self._release(waiter)
        first = max(now, self._paused_until)
        # After a pause, callers resume one after the other, not all in the same millisecond.
        interval = self._config.margin / max(len(waiting), 1) if first > now else 0.0
        for number, waiter in enumerate(waiting):
            capacity = self._capacity(now, bulk=False)
            self._schedule(waiter, self._first_free_time(first + number * interval, capacity))
            self._waiting[waiter] = pid
