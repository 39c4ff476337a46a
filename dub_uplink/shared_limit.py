"""A rate limit that processes and machines share, in Redis or another storage of ``limits``.

May import the window.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import logging
import os
import threading
import time
import uuid
import weakref
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from .window import Notice, Rules, Ticket, Turns, Window

if TYPE_CHECKING:
    from .clock import Clock

logger = logging.getLogger("dub_uplink")

#: Seconds for one exchange with the storage. A call has at most two: to connect, and to ask.
_PATIENCE = 0.045
_TRY_AGAIN = 0.5  # seconds between two looks whether a storage is back
_REDIS = ("redis", "rediss", "redis+unix", "valkey", "valkeys", "valkey+unix")


class Remote(Protocol):
    """Turns as a storage gives them; every method may raise what its library raises."""

    def ask(self, ticket: Ticket, patience: float, *, waited: bool) -> tuple[float, int]:
        """The wait as :meth:`Turns.ask` has it, and how many processes share the limit."""

    def give_back(self, ticket: Ticket) -> None: ...

    def heed(self, notice: Notice, name: str) -> None: ...

    def restore(self, given: Iterable[tuple[float, str]]) -> None:
        """Put back turns that the storage may not know of: the age of each in seconds, its name."""


class Storage:
    """A storage that was opened, and the turns of each key in it."""

    def __init__(self, url: str, storage: Any, rules: Rules) -> None:
        self._url = url
        self._storage = storage
        self._rules = rules

    def turns(self, name: str) -> Turns:
        """The turns of the key that goes by ``name``."""
        remote: Remote
        if urlsplit(self._url).scheme in _REDIS:
            from .redis_turns import RedisTurns  # noqa: PLC0415 - only where it is Redis

            remote = RedisTurns(self._storage, name, self._rules)
        else:
            from .counted_turns import CountedTurns  # noqa: PLC0415 - only where it is not

            remote = CountedTurns(self._storage, name, self._rules)
        return SharedTurns(remote, self._rules, str(self))

    def close(self) -> None:
        """Close the connections."""
        self._storage.storage.close()

    def __str__(self) -> str:
        url = urlsplit(self._url)
        # Without user and password, and without the query, which may hold them as well.
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def open_storage(url: str, rules: Rules) -> Storage:
    """The storage at a URL; nothing is sent yet.

    Raises:
        TypeError: the URL is not a string.
        ValueError: it is of no storage that is known here.
        ImportError: a library is missing.
    """
    if not isinstance(url, str):
        raise TypeError(f"storage must be a URL or None, not {type(url).__name__}")
    scheme = urlsplit(url).scheme
    options: dict[str, Any]
    if scheme in _REDIS:
        # Without `retry` the library would try three times, with pauses, before it gives up.
        options = {"socket_timeout": _PATIENCE, "socket_connect_timeout": _PATIENCE, "retry": None}
    elif scheme == "memcached":
        options = {"timeout": _PATIENCE, "connect_timeout": _PATIENCE}
    else:
        known = ", ".join(f"{name}://" for name in (*_REDIS, "memcached"))
        raise ValueError(f"storage must begin with one of {known}, not with {scheme[:20]!r}")
    try:
        storages = importlib.import_module("limits.storage")
        errors = importlib.import_module("limits.errors")
    except ImportError as error:
        raise ImportError(
            'storage=… needs the library limits: run  pip install "dub-uplink[redis]"'
        ) from error
    try:
        return Storage(url, storages.storage_from_string(url, **options), rules)
    except errors.ConfigurationError as error:
        library = "pymemcache" if scheme == "memcached" else scheme[:6].rstrip("s+")
        raise ImportError(
            f"storage={scheme}://… needs the library {library}: run  pip install {library}"
        ) from error


class SharedTurns:
    """The turns of one key that others give out as well, and its own while the storage is away.

    Every turn of this process is noted in a window of its own. When the storage fails, that window
    goes on alone, with the part of the limit that falls to one process; when the storage is back it
    is told what happened meanwhile. No call waits for a storage that has failed: a thread looks for
    it.
    """

    remote = True

    def __init__(self, remote: Remote, rules: Rules, shown: str) -> None:
        self._remote = remote
        self._own = Window(rules)
        self._rules = rules
        self._shown = shown
        self._name = uuid.uuid4().hex
        self._numbers = itertools.count()
        self._given: deque[tuple[float, str]] = deque()
        self._clock: Clock | None = None
        self._sharers = 1
        self._away = False
        self._search: threading.Thread | None = None

    def ask(self, ticket: Ticket, patience: float) -> float:
        self._clock = ticket.clock
        if not ticket.member:
            # The process is asked for each time: a fork has all the rest in common.
            ticket.member = f"{self._name}:{os.getpid()}:{next(self._numbers)}"
        waited = ticket.due is not None
        if ticket.place is self._own:
            return self._own.ask(ticket, patience)
        if self._reachable():
            try:
                wait, self._sharers = self._remote.ask(ticket, patience, waited=waited)
            except Exception as error:  # noqa: BLE001 - whatever it is, calls go on
                self._lost(error)
            else:
                if not waited and ticket.due is not None:
                    self._own.note(ticket.due)
                    self._note(ticket)
                return wait
        if waited:
            return 0.0  # it has waited for its turn, and nobody can say that it was put off
        self._own.share_with(self._sharers)
        wait = self._own.ask(ticket, patience)
        if ticket.due is not None:
            self._note(ticket)
        return wait

    def _note(self, ticket: Ticket) -> None:
        given, due = self._given, ticket.due
        assert due is not None
        given.append((due, ticket.member))
        with contextlib.suppress(IndexError):  # another thread may have been quicker
            while given[0][0] < due - 2 * self._rules.window:
                given.popleft()

    def give_back(self, ticket: Ticket) -> None:
        if ticket.place is self._own:
            self._own.give_back(ticket)
        elif ticket.due is not None and not self._away:
            try:
                self._remote.give_back(ticket)
            except Exception as error:  # noqa: BLE001 - the place runs out by itself
                self._lost(error)

    def heed(self, notice: Notice, ticket: Ticket) -> None:
        self._own.heed(notice, ticket)
        if self._reachable():
            try:
                self._remote.heed(notice, ticket.member)
            except Exception as error:  # noqa: BLE001 - this process knows, at least
                self._lost(error)

    def _reachable(self) -> bool:
        if self._away and (self._search is None or not self._search.is_alive()):
            self._look_for_it()  # the thread that did was not forked off with this process
        return not self._away

    def _lost(self, error: Exception) -> None:
        with self._own.lock:
            if self._away:
                return
            self._away = True
        share = max(self._rules.limit // max(self._sharers, 1), 1)
        logger.warning(
            "the storage of the rate limit, %s, is out of reach (%s): this process goes on with its"
            " own share, %d of %d, and comes back by itself",
            self._shown,
            type(error).__name__,
            share,
            self._rules.limit,
        )
        self._look_for_it()

    def _look_for_it(self) -> None:
        with self._own.lock:
            if self._search is not None and self._search.is_alive():
                return
            self._search = threading.Thread(
                target=_search, args=(weakref.ref(self),), name="dub_uplink_storage", daemon=True
            )
            self._search.start()

    def found(self) -> bool:
        """Whether the storage is back, and knows of the turns that were given meanwhile."""
        assert self._clock is not None
        now = self._clock.monotonic()
        recent = now - self._rules.window
        try:
            self._remote.restore(
                [(now - due, name) for due, name in list(self._given) if due > recent]
            )
        except Exception:  # noqa: BLE001 - not yet
            return False
        self._away = False
        logger.info("the storage of the rate limit, %s, is back", self._shown)
        return True


def _search(turns: weakref.ref[SharedTurns]) -> None:
    while True:
        time.sleep(_TRY_AGAIN)
        lost = turns()
        if lost is None or lost.found():
            return
        del lost
