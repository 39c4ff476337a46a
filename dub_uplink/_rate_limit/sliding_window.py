"""Whose turn it is to send, and when: the requests of one key in a moving window.

Pure but for the clock, which comes with each question.
"""

from __future__ import annotations

import bisect
import os
from typing import NamedTuple, Protocol

from .._internal.fork_safety import ForkSafeLock
from ..retries import Clock

#: How much longer a window is taken to be than it is: a request that travels slower than the one a
#: window later would otherwise be in the same window of the server's.
_MARGIN, _MARGIN_AT_MOST = 0.02, 1.0  # of the window; seconds
#: One in so many requests is left to interactive calls, however much a bulk has to do.
LEFT_TO_INTERACTIVE = 20
#: Times this close (seconds) are equal: sums and differences of floats are not exact.
RESOLUTION = 1e-6
#: What a refusal taught is tried again after this many seconds: a plan may have been upgraded.
LEARNED_FOR = 600.0
#: Of a longer pause the others learn no more than this: a mistaken one would stop them all.
_LONGEST_PAUSE = 3_600.0  # seconds


class Ticket:
    """One attempt that asks for its turn: ``due`` once it has a place, ``place`` where that is.

    ``gone`` says that its caller waits no longer.
    """

    __slots__ = ("bulk", "clock", "due", "gone", "member", "place", "used")

    def __init__(self, clock: Clock, *, bulk: bool) -> None:
        self.clock = clock
        self.bulk = bulk
        self.due: float | None = None
        self.place: object = None
        self.gone = False
        self.member = ""
        #: How many requests the window held when this one was let in.
        self.used = 0


class Notice:
    """What the server said of the limit: with any error, or as the refusal of a request.

    ``reset`` is in seconds from now. ``limit`` is ``None`` where only a pause was asked for,
    ``remaining`` where the count says nothing.
    """

    __slots__ = ("limit", "refused", "remaining", "reset")

    def __init__(
        self, limit: int | None, remaining: int | None, reset: float, *, refused: bool
    ) -> None:
        self.limit = limit
        self.remaining = remaining
        self.reset = min(max(reset, 0.0), _LONGEST_PAUSE)
        self.refused = refused


class Turns(Protocol):
    """Who gives out the turns of one key."""

    def ask(self, ticket: Ticket, patience: float) -> float:
        """Seconds until the ticket's turn, 0 where it has come.

        ``patience`` (seconds) or more: there is no turn in time, and no place is kept. Otherwise
        sleep so long and ask again, since the turn may have been put off meanwhile.
        """
        raise NotImplementedError

    async def ask_awaited(self, ticket: Ticket, patience: float) -> float:
        """:meth:`ask`, awaited where that takes a moment."""
        raise NotImplementedError

    def give_back(self, ticket: Ticket) -> None:
        """Give up the place of a ticket whose caller waits no longer."""

    def late(self, ticket: Ticket) -> None:
        """Take note of an answer that came so late that the margin does not cover it."""

    def heed(self, notice: Notice, ticket: Ticket) -> None:
        """Correct the limit, what is left of it, and its end by what the server said."""


class Given(NamedTuple):
    """What a storage says of a ticket.

    ``wait`` is as :meth:`Turns.ask` has it, ``placed`` whether a place was given now, ``used`` the
    requests in the window, ``sharers`` the processes that share it. ``memory`` changes when the
    storage has forgotten.
    """

    wait: float
    placed: bool
    used: int = 0
    sharers: int = 1
    memory: str = ""


class Rules:
    """The numbers of a limit: requests in a window, in seconds."""

    __slots__ = ("limit", "per", "spread", "window")

    def __init__(self, limit: int, per: float) -> None:
        self.limit = limit
        self.per = per
        self.window = per + min(per * _MARGIN, _MARGIN_AT_MOST)
        #: Seconds over which those who were held up by a pause come back.
        self.spread = self.window - per


def strangers(notice: Notice, limit: int, used: int, window: float) -> list[float]:
    """Requests of others that the server's count betrays: seconds until each leaves the window.

    Nobody knows when they were sent. The first leaves at the reset, the others are taken to follow
    evenly, which is how the server's own sliding window gives its room back.
    """
    if notice.remaining is None:
        return []
    missing = max(limit - notice.remaining - used, 0)
    first = min(notice.reset, window)
    return [first + (window - first) * n / missing for n in range(missing)]


class Window:
    """The turns of one key within this process.

    Keeps the moments of the requests in the last window and of those that wait, in order. A request
    that finds no room is given the first moment at which there is; so the order is that of asking,
    and nobody has to ask twice. Safe to share between threads.
    """

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._sharers = 1
        self._slots: list[float] = []
        # In the order in which they asked, each with its process: a fork has copies of all.
        self._waiting: dict[Ticket, int] = {}
        self._not_before = float("-inf")
        self._learned: tuple[int, float] | None = None
        self._lock = ForkSafeLock()

    def ask(self, ticket: Ticket, patience: float) -> float:
        with self._lock:
            now = ticket.clock.monotonic()
            if ticket.due is not None:
                wait = ticket.due - now
            else:
                del self._slots[: bisect.bisect_right(self._slots, now - self._rules.window)]
                ticket.used = len(self._slots)
                wait = self._next(now, ticket) - now
            if wait >= patience:
                self._leave(ticket)
            elif wait <= 0:
                if ticket.due is None:
                    self._enter(ticket, now)
                self._waiting.pop(ticket, None)
            # A bulk takes no place in the queue, or interactive calls would have to stand behind.
            elif ticket.due is None and not ticket.bulk:
                self._enter(ticket, now + wait)
                self._waiting[ticket] = os.getpid()
            return max(wait, 0.0)

    async def ask_awaited(self, ticket: Ticket, patience: float) -> float:
        return self.ask(ticket, patience)

    def _next(self, now: float, ticket: Ticket) -> float:
        due = now
        if now < self._not_before:
            due = self._not_before + ticket.clock.random() * self._rules.spread
        return self._first_free(due, self._room(now, bulk=ticket.bulk))

    def _room(self, now: float, *, bulk: bool) -> int:
        room = max(self.limit(now) // self._sharers, 1)
        return room - room // LEFT_TO_INTERACTIVE if bulk else room

    def _first_free(self, due: float, room: int) -> float:
        """The first moment from ``due`` on that makes no window of more than ``room``."""
        window = self._rules.window
        # As many as follow each other within a window; with fewer than ``room`` there are none.
        for first, last in zip(self._slots, self._slots[room - 1 :], strict=False):
            if last - window >= due:
                break
            if (
                last - first < window - RESOLUTION
            ):  # as many as may be: none between the ends of their windows
                due = max(due, first + window)
        return due

    def _enter(self, ticket: Ticket, due: float) -> None:
        ticket.due, ticket.place = due, self
        bisect.insort(self._slots, due)

    def _leave(self, ticket: Ticket) -> None:
        if ticket.due is not None:
            self._remove(ticket.due)
            ticket.due = None
        self._waiting.pop(ticket, None)

    def _remove(self, due: float) -> None:
        index = bisect.bisect_left(self._slots, due)
        if self._slots[index : index + 1] == [due]:
            del self._slots[index]

    def limit(self, now: float) -> int:
        """The limit as it is known at ``now``: what was given, or what a refusal taught."""
        if self._learned is None or self._learned[1] < now:
            return self._rules.limit
        return min(self._learned[0], self._rules.limit)

    def share_with(self, sharers: int) -> None:
        """Keep to one part in so many of the limit."""
        self._sharers = max(sharers, 1)

    def note(self, due: float) -> None:
        """Take note of a turn that was given elsewhere."""
        with self._lock:
            del self._slots[: bisect.bisect_right(self._slots, due - 2 * self._rules.window)]
            bisect.insort(self._slots, due)

    def forget(self, due: float) -> None:
        """Take back a note."""
        with self._lock:
            self._remove(due)

    def give_back(self, ticket: Ticket) -> None:
        with self._lock:
            self._leave(ticket)

    def late(self, ticket: Ticket) -> None:
        with self._lock:
            if ticket.due is not None:
                now = ticket.clock.monotonic()
                self._remove(ticket.due)
                self._enter(ticket, now - self._rules.spread)
                self._plan_anew(now)

    def heed(self, notice: Notice, ticket: Ticket) -> None:
        with self._lock:
            now = ticket.clock.monotonic()
            if notice.limit is not None:
                self._learned = (notice.limit, now + LEARNED_FOR)
                used = bisect.bisect_right(self._slots, now)
                used -= bisect.bisect_right(self._slots, now - self._rules.window)
                for leaves in strangers(notice, self.limit(now), used, self._rules.window):
                    bisect.insort(self._slots, now + leaves - self._rules.window)
            if notice.refused:
                self._not_before = max(self._not_before, now + notice.reset)
            self._plan_anew(now)

    def _plan_anew(self, now: float) -> None:
        """Give all who wait another turn, by what is known now and in the same order."""
        process = os.getpid()
        waiting = [ticket for ticket, its in self._waiting.items() if its == process]
        waiting.sort(key=lambda ticket: ticket.due or 0.0)
        for ticket in list(self._waiting):
            self._leave(ticket)
        first = max(now, self._not_before)
        # Not all in the same millisecond.
        step = self._rules.spread / max(len(waiting), 1) if first > now else 0.0
        for number, ticket in enumerate(waiting):
            room = self._room(now, bulk=False)
            self._enter(ticket, self._first_free(first + number * step, room))
            self._waiting[ticket] = os.getpid()
