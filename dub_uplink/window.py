"""Whose turn it is to send, and when: the requests of one key in a moving window.

Pure but for the clock, which comes with each question. Imports nothing else of ours.
"""

from __future__ import annotations

import bisect
import os
import threading
import weakref
from typing import Protocol

from .clock import Clock

#: How much longer a window is taken to be than it is: a request that travels slower than the one a
#: window later would otherwise be in the same window of the server's.
_MARGIN, _MARGIN_AT_MOST = 0.02, 1.0  # of the window; seconds
#: One in so many requests is left to interactive calls, however much a bulk has to do.
LEFT_TO_INTERACTIVE = 20
#: What a refusal taught is tried again after this many seconds: a plan may have been upgraded.
LEARNED_FOR = 600.0
#: A server that asks for a longer pause than this is not heeded by the others, only by the caller.
_LONGEST_PAUSE = 86_400.0  # seconds


class Ticket:
    """One attempt that asks for its turn: ``due`` once it has a place, ``place`` where that is."""

    __slots__ = ("bulk", "clock", "due", "member", "place", "used", "version")

    def __init__(self, clock: Clock, *, bulk: bool) -> None:
        self.clock = clock
        self.bulk = bulk
        self.due: float | None = None
        self.place: object = None
        self.version = 0
        self.member = ""
        #: How many requests the window held when this one was let in.
        self.used = 0


class Notice:
    """What the server said of the limit: with any error, or as the refusal of a request.

    ``reset`` is in seconds from now; ``limit`` is ``None`` where only a pause was asked for.
    """

    __slots__ = ("limit", "refused", "remaining", "reset")

    def __init__(self, limit: int | None, remaining: int, reset: float, *, refused: bool) -> None:
        self.limit = limit
        self.remaining = 0 if refused else remaining
        self.reset = min(max(reset, 0.0), _LONGEST_PAUSE)
        self.refused = refused


class Turns(Protocol):
    """Who gives out the turns of one key."""

    #: Whether asking may take a moment, since it goes over a socket.
    remote: bool

    def ask(self, ticket: Ticket, patience: float) -> float:
        """Seconds until the ticket's turn, 0 where it has come.

        More than ``patience`` (seconds): there is no turn in time, and no place is kept. Otherwise
        sleep so long and ask again, since the turn may have been put off meanwhile.
        """

    def give_back(self, ticket: Ticket) -> None:
        """Give up the place of a ticket whose caller waits no longer."""

    def heed(self, notice: Notice, ticket: Ticket) -> None:
        """Correct the limit, what is left of it, and its end by what the server said."""


class Rules:
    """The numbers of a limit: requests in a window, in seconds."""

    __slots__ = ("limit", "per", "spread", "window")

    def __init__(self, limit: int, per: float) -> None:
        self.limit = limit
        self.per = per
        self.window = per + min(per * _MARGIN, _MARGIN_AT_MOST)
        #: Seconds over which those who were held up by a pause come back.
        self.spread = self.window - per

    def room(self, limit: int, *, bulk: bool) -> int:
        """How many of ``limit`` a call of this priority may see taken before it has to wait."""
        return limit - limit // LEFT_TO_INTERACTIVE if bulk else limit


def strangers(notice: Notice, limit: int, used: int, window: float) -> list[float]:
    """Requests of others that the server's count betrays: seconds until each leaves the window.

    Nobody knows when they were sent. The first leaves at the reset, the others are taken to follow
    evenly, which is how the server's own sliding window gives its room back.
    """
    missing = max(limit - notice.remaining - used, 0)
    first = min(notice.reset, window)
    return [first + (window - first) * n / missing for n in range(missing)]


class Window:
    """The turns of one key within this process.

    Keeps the moments of the requests in the last window and of those that wait, in order. A request
    that finds no room is given the first moment at which there is; so the order is that of asking,
    and nobody has to ask twice. Safe to share between threads.
    """

    remote = False

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._sharers = 1
        self._slots: list[float] = []
        self._version = 0
        self._not_before = float("-inf")
        self._learned: tuple[int, float] | None = None
        self.lock = threading.Lock()
        _windows.add(self)

    def ask(self, ticket: Ticket, patience: float) -> float:
        with self.lock:
            now = ticket.clock.monotonic()
            if ticket.due is not None:
                if ticket.version == self._version:
                    return max(ticket.due - now, 0.0)
                self._leave(ticket)
            del self._slots[: bisect.bisect_right(self._slots, now - self._rules.window)]
            ticket.used = len(self._slots)
            wait = self._next(now, ticket) - now
            # A bulk takes no place in the queue, or interactive calls would have to stand behind.
            if wait > patience or (wait > 0 and ticket.bulk):
                return wait
            ticket.due, ticket.version, ticket.place = now + wait, self._version, self
            bisect.insort(self._slots, ticket.due)
            return wait

    def _next(self, now: float, ticket: Ticket) -> float:
        room = self._rules.room(max(self.limit(now) // self._sharers, 1), bulk=ticket.bulk)
        taken = len(self._slots)
        due = now if taken < room else self._slots[taken - room] + self._rules.window
        if due < self._not_before:
            due = self._not_before + ticket.clock.random() * self._rules.spread
        return max(due, now)

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
        with self.lock:
            del self._slots[: bisect.bisect_right(self._slots, due - 2 * self._rules.window)]
            bisect.insort(self._slots, due)

    def give_back(self, ticket: Ticket) -> None:
        with self.lock:
            self._leave(ticket)

    def _leave(self, ticket: Ticket) -> None:
        if ticket.due is not None:
            index = bisect.bisect_left(self._slots, ticket.due)
            if self._slots[index : index + 1] == [ticket.due]:
                del self._slots[index]
            ticket.due = None

    def heed(self, notice: Notice, ticket: Ticket) -> None:
        with self.lock:
            now = ticket.clock.monotonic()
            if notice.limit is not None:
                before = self.limit(now)
                self._learned = (notice.limit, now + LEARNED_FOR)
                limit = self.limit(now)
                used = bisect.bisect_right(self._slots, now)
                used -= bisect.bisect_right(self._slots, now - self._rules.window)
                others = strangers(notice, limit, used, self._rules.window)
                for leaves in others:
                    bisect.insort(self._slots, now + leaves - self._rules.window)
                if others or limit < before:
                    self._version += 1
            if notice.refused and now + notice.reset > self._not_before:
                self._not_before = now + notice.reset
                self._version += 1


_windows: weakref.WeakSet[Window] = weakref.WeakSet()


def _renew_locks() -> None:
    # Another thread may have held one when this process was forked off; it is not here to let go.
    for window in _windows:
        window.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_locks)
