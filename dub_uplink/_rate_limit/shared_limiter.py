"""A rate limit that processes and machines share, in Redis."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
import uuid
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from .._internal.fork_safety import ForkSafeLock
from .redis_connection import RedisConnection
from .redis_limiter import RedisTurns
from .sliding_window import Given, Notice, Rules, Ticket, Turns, Window
from .worker import Errands, ended_within

if TYPE_CHECKING:
    from ..retries import Clock

logger = logging.getLogger("dub_uplink")

_PATIENCE = 0.08  # seconds that a call waits for the storage before it goes on without
#: Seconds after which a storage that answers nobody in time is taken to be away. Longer than a call
#: waits: a machine that is very busy is not a storage that is gone.
_GRACE = 1.0
_INTERVAL = 0.5  # seconds between two looks whether it is back
#: So often it must be found in a row: by then the other processes have told it of theirs as well.
_FOUND = 2
_LOOKS_FOR = 60.0  # seconds after the last call, then the next one has to ask for it
_SAID_FOR = 60.0  # seconds in which it is not said again that it is away


class Storage:
    """A storage that was opened: the turns of each key in it, and whether it is there.

    No call waits for a storage that has failed. The thread that talks to it looks for it.
    """

    def __init__(self, url: str, rules: Rules) -> None:
        self._connection = RedisConnection(url)
        self._rules = rules
        self._turns: weakref.WeakSet[SharedTurns] = weakref.WeakSet()
        self._errands = Errands(self._look, _INTERVAL)
        self._away = False
        self._found = 0
        # When, on the real clock; the last of them since when no answer has come in time.
        self._said = self._asked = float("-inf")
        self._unanswered: float | None = None
        self._lock = ForkSafeLock()

    def turns(self, name: str) -> Turns:
        """The turns of the key that goes by ``name``."""
        turns = SharedTurns(self, RedisTurns(self._connection, name, self._rules), self._rules)
        self._turns.add(turns)
        return turns

    def reachable(self) -> bool:
        """Whether it was there when it was last asked."""
        if self._away:
            self._asked = time.monotonic()
            self._errands.start()
        return not self._away

    def send(self, exchange: Callable[[], Given]) -> Future[Given]:
        """Have an exchange made, for its result."""

        if self._unanswered is None:
            self._unanswered = time.monotonic()

        def errand() -> Given:
            started = time.monotonic()
            try:
                given = exchange()
            except Exception as error:
                self.lost(error)
                raise
            if time.monotonic() - started < _PATIENCE:
                self._unanswered = None
            return given

        return self._errands.send(errand)

    def tell(self, exchange: Callable[[], object]) -> None:
        """Have an exchange made that nobody waits for, where the storage is there."""

        def errand() -> None:
            try:
                exchange()
            except Exception as error:  # noqa: BLE001 - whatever it is, calls go on
                self.lost(error)

        if self.reachable():
            self._errands.send(errand)

    def late(self) -> None:
        """Told by a call that has waited as long as it may."""
        since = self._unanswered
        if since is not None and time.monotonic() - since > _GRACE:
            self.lost(TimeoutError())

    def lost(self, error: Exception) -> None:
        """Go on without it, and look for it."""
        with self._lock:
            if self._away:
                return
            self._away, self._found, self._unanswered = True, 0, None
            self._asked = now = time.monotonic()
            level = logging.WARNING if now - self._said > _SAID_FOR else logging.DEBUG
            self._said = now
        sharers = max((turns.sharers for turns in list(self._turns)), default=1)
        logger.log(
            level,
            "the storage of the rate limit, %s, is out of reach (%s): this process goes on with its"
            " own share, %d of %d requests, and comes back by itself",
            self,
            type(error).__name__,
            max(self._rules.limit // sharers, 1),
            self._rules.limit,
        )
        self._errands.start()

    def _look(self) -> bool:
        """Whether to look again; called by the thread."""
        started = time.monotonic()
        if not self._away or started - self._asked > _LOOKS_FOR:
            return False
        try:
            for turns in list(self._turns):
                turns.restore()
        except Exception:  # noqa: BLE001 - not yet
            self._found = 0
        else:
            self._found = self._found + 1 if time.monotonic() - started < _PATIENCE else 0
        if self._found == _FOUND:
            # Said first: once it is back, it may be said at once that it is away again.
            logger.info("the storage of the rate limit, %s, is back", self)
            self._away = False
        return True

    def close(self) -> None:
        """Close the connections."""
        closed = self._errands.send(self._connection.close)
        self._errands.end()
        with contextlib.suppress(Exception):  # it is away, or busy: they close with the process
            closed.result(_PATIENCE)

    def __str__(self) -> str:
        return str(self._connection)


class SharedTurns:
    """The turns of one key that others give out as well, and its own while the storage is away.

    Every turn of this process is noted in a window of its own. When the storage fails, that window
    goes on alone, with the part of the limit that falls to one process; when the storage is back it
    is told what happened meanwhile.
    """

    def __init__(self, storage: Storage, remote: RedisTurns, rules: Rules) -> None:
        self._storage = storage
        self._remote = remote
        self._rules = rules
        self._own = Window(rules)
        self._name = uuid.uuid4().hex[:16]
        self._numbers = itertools.count()
        self._given: dict[str, float] = {}
        self._clock: Clock | None = None
        self.sharers = 1
        self._memory: str | None = None
        self._lock = ForkSafeLock()

    def ask(self, ticket: Ticket, patience: float) -> float:
        asking = self._begin(ticket, patience)
        if asking is None:
            return self._alone(ticket, patience)
        try:
            given = asking.result(_PATIENCE)
        except Exception:  # noqa: BLE001 - whatever it is, calls go on
            self._storage.late()
            return self._alone(ticket, patience)
        return self._take(ticket, patience, given)

    async def ask_awaited(self, ticket: Ticket, patience: float) -> float:
        asking = self._begin(ticket, patience)
        if asking is None:
            return self._alone(ticket, patience)
        await ended_within(asking, _PATIENCE)
        try:
            given = asking.result(0)
        except Exception:  # noqa: BLE001 - whatever it is, calls go on
            self._storage.late()
            return self._alone(ticket, patience)
        return self._take(ticket, patience, given)

    def _begin(self, ticket: Ticket, patience: float) -> Future[Given] | None:
        self._clock = ticket.clock
        if not ticket.member:
            # The process is asked for each time: a fork has all the rest in common.
            ticket.member = f"{self._name}:{os.getpid()}:{next(self._numbers)}"
        if ticket.place is self._own or not self._storage.reachable():
            return None

        def exchange() -> Given:
            given = self._remote.ask(ticket, patience)
            if ticket.gone:
                self._remote.give_back(ticket)
            return given

        return self._storage.send(exchange)

    def _take(self, ticket: Ticket, patience: float, given: Given) -> float:
        if given.memory != self._memory:
            if self._memory is not None:
                self._storage.tell(self.restore)
            self._memory = given.memory
        self.sharers = given.sharers
        if given.wait >= patience:
            self._forget(ticket)
        elif given.placed or ticket.due is not None:
            if ticket.due is not None:
                self._own.forget(ticket.due)
            ticket.due = ticket.clock.monotonic() + given.wait
            ticket.place, ticket.used = self._remote, given.used
            self._own.note(ticket.due)
            self._note(ticket)
        return given.wait

    def _alone(self, ticket: Ticket, patience: float) -> float:
        if ticket.due is not None and ticket.place is self._remote:
            # It has waited for its turn, and nobody can say that it was put off.
            wait = max(ticket.due - ticket.clock.monotonic(), 0.0)
            if wait >= patience:
                self._forget(ticket)
            return wait
        self._own.share_with(self.sharers)
        wait = self._own.ask(ticket, patience)
        if ticket.due is not None:
            self._note(ticket)
        return wait

    def _note(self, ticket: Ticket) -> None:
        assert ticket.due is not None
        with self._lock:
            self._given[ticket.member] = ticket.due
            oldest = next(iter(self._given))
            while self._given[oldest] < ticket.due - 2 * self._rules.window:
                del self._given[oldest]
                oldest = next(iter(self._given))

    def _forget(self, ticket: Ticket) -> None:
        with self._lock:
            self._given.pop(ticket.member, None)
        if ticket.due is not None:
            self._own.forget(ticket.due)
            ticket.due = None

    def give_back(self, ticket: Ticket) -> None:
        ticket.gone = True
        if ticket.place is self._own:
            self._own.give_back(ticket)
        if ticket.member:
            self._storage.tell(lambda: self._remote.give_back(ticket))
        self._forget(ticket)

    def late(self, ticket: Ticket) -> None:
        self._own.late(ticket)  # its note moves as the place of one of its own does
        if ticket.due is not None:
            self._note(ticket)
            self._storage.tell(lambda: self._remote.late(ticket))

    def heed(self, notice: Notice, ticket: Ticket) -> None:
        # What is missing in the server's count are the other processes, not strangers.
        self._own.heed(Notice(notice.limit, None, notice.reset, refused=notice.refused), ticket)
        self._storage.tell(lambda: self._remote.heed(notice, ticket.member))

    def restore(self) -> None:
        """Tell the storage of the turns of this process."""
        if self._clock is None:
            return
        now = self._clock.monotonic()
        with self._lock:
            given = list(self._given.items())
        recent = now - self._rules.window
        self._remote.restore([(now - due, name) for name, due in given if due > recent])
