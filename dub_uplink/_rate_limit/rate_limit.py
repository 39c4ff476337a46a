"""A rate limit that is kept instead of run into, by one process or by many."""

from __future__ import annotations

import hashlib
import logging
from typing import Literal

from .._internal.credentials import RedactedStr
from .sliding_window import Rules, Turns, Window

__all__ = ["RateLimit"]

logger = logging.getLogger("dub_uplink")

Period = Literal["second", "minute", "hour", "day"]
Priority = Literal["interactive", "bulk"]

_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}


class RateLimit:
    """How many requests a key may send, so that calls wait for their turn and are not refused.

    Dub counts the requests of each API key in a sliding window of a minute: 60 on the free plan,
    600 on pro, 1,200 on business, 3,000 above. Give one to every client that uses the key::

        Dub(rate_limit=RateLimit(600, per="minute"))
        Dub(rate_limit=RateLimit(600, per="minute", storage="redis://localhost:6379"))

    Waiting counts against the time of a call. One that cannot have its turn within it is a
    :class:`~dub_uplink.models.errors.RateLimitExceeded` at once, unsent, with ``retry_after`` in
    seconds.
    What the server says with its errors corrects the limit downwards, never above ``limit``.

    Args:
        limit: requests in a window.
        per: the window: ``"second"``, ``"minute"``, ``"hour"``, ``"day"``, or a number of seconds.
        storage: where the count is kept: ``None`` for this object, which the clients and threads
            of a process may share, or the URL of a Redis server that processes and machines share:
            ``redis://…``, ``rediss://…`` (TLS) or ``unix://…``, as redis-py reads them (the extra
            ``redis``). The token is not written to it, a keyed hash of it is.
        priority: ``"bulk"`` for a client that should leave one request in twenty, and the earlier
            turn, to the others. ``create_many()`` and ``delete_many()`` are bulk in any case.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of bounds.
        ImportError: the storage needs a library that is not installed; the message names it.
    """

    def __init__(
        self,
        limit: int,
        per: Period | float = "minute",
        *,
        storage: str | None = None,
        priority: Priority = "interactive",
    ) -> None:
        self._rules = Rules(_checked_limit(limit), _seconds(per))
        if priority not in ("interactive", "bulk"):
            raise ValueError(f'priority must be "interactive" or "bulk", not {priority!r}')
        self.limit = limit
        self.per = per
        self.priority = priority
        self._storage = None
        if storage is not None:
            from .shared_limiter import Storage  # noqa: PLC0415 - it is an extra's

            self._storage = Storage(storage, self._rules)
        self._said = False
        self._turns: dict[str, Turns] = {}
        # A key's name takes longer to work out than all the rest of a turn.
        self._last: tuple[RedactedStr, str, Turns] | None = None

    def turns(self, server_url: str, authorization: RedactedStr) -> Turns:
        """The turns of one key on one server. Called by the client."""
        last = self._last
        if last is not None and last[0] is authorization and last[1] == server_url:
            return last[2]
        name = _name(server_url, authorization)
        found = self._turns.get(name)
        if found is None:
            # Atomic: threads that ask first at the same time have the same turns.
            found = self._turns.setdefault(
                name, Window(self._rules) if self._storage is None else self._storage.turns(name)
            )
            # Tokens that are renewed leave their windows behind.
            for old in list(self._turns)[:-64]:
                self._turns.pop(old, None)
        self._last = (authorization, server_url, found)
        return found

    @property
    def margin(self) -> float:
        """Seconds by which an answer may be late without being counted anew."""
        return self._rules.spread

    def told(self, limit: int) -> None:
        """Say so once if the server allows fewer requests than this. Called by the client."""
        if limit < self.limit and not self._said:
            self._said = True
            logger.warning(
                "the server allows %d requests where this client was told %r; it keeps to the"
                " server's number",
                limit,
                self,
            )

    def close(self) -> None:
        """Close the connections to the storage; another call opens them again."""
        if self._storage is not None:
            self._storage.close()

    def __repr__(self) -> str:
        shared = "" if self._storage is None else f", storage={str(self._storage)!r}"
        bulk = ', priority="bulk"' if self.priority == "bulk" else ""
        return f"RateLimit({self.limit}, per={self.per!r}{shared}{bulk})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a RateLimit cannot be pickled: it holds a count; make one in each process")


def _checked_limit(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be a whole number of requests, not {limit!r}")
    if not 0 < limit <= 1_000_000:
        raise ValueError(f"limit must be between 1 and 1,000,000 requests, not {limit!r}")
    return limit


def _seconds(per: object) -> float:
    if isinstance(per, str):
        if per not in _SECONDS:
            raise ValueError(f"per must be one of {', '.join(_SECONDS)}, not {per!r}")
        return _SECONDS[per]
    if isinstance(per, bool) or not isinstance(per, (int, float)):
        raise TypeError(f"per must be a name or a number of seconds, not {per!r}")
    if not 0.1 <= per <= _SECONDS["day"]:
        raise ValueError(f"per must be between 0.1 seconds and a day, not {per!r}")
    return float(per)


def _name(server_url: str, authorization: RedactedStr) -> str:
    """What stands for a key in a storage: it cannot be turned back into the key."""
    told = f"{server_url}\n{str.__str__(authorization)}".encode()
    return hashlib.blake2b(told, key=b"dub_uplink rate limit", digest_size=16).hexdigest()
