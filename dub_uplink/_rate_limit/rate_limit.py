"""The public configuration of a client-side rate limit."""

from __future__ import annotations

import hashlib
import logging
from typing import Literal

from .._internal.credentials import RedactedStr
from .sliding_window import LimitConfig, Limiter, SlidingWindowLimiter

__all__ = ["RateLimit"]

logger = logging.getLogger("dub_uplink")

Period = Literal["second", "minute", "hour", "day"]
Priority = Literal["interactive", "bulk"]

_PERIOD_SECONDS = {"second": 1.0, "minute": 60.0, "hour": 3600.0, "day": 86_400.0}
_MAX_LIMITERS = 64  # API keys of one RateLimit


class RateLimit:
    """A limit of requests for each API key, kept by waiting before a request is sent.

    Dub counts the requests of each API key in a sliding window of a minute: 60 on the free plan,
    600 on pro, 1,200 on business, 3,000 above. Pass one to every client that uses the key::

        Dub(rate_limit=RateLimit(600, per="minute"))
        Dub(rate_limit=RateLimit(600, per="minute", storage="redis://localhost:6379"))

    The wait counts against the time of a call. A call with no free slot in that time raises
    :class:`~dub_uplink.models.errors.RateLimitExceeded` at once. It is not sent, and
    ``retry_after`` is the wait for the next slot in seconds.
    A lower limit in an error response of the server replaces ``limit``; a higher one does not.

    Args:
        limit: requests in a window.
        per: the window: ``"second"``, ``"minute"``, ``"hour"``, ``"day"``, or a number of seconds.
        storage: where requests are counted: ``None`` for this object, which the clients and threads
            of a process may share, or the URL of a Redis server that processes and machines share:
            ``redis://…``, ``rediss://…`` (TLS) or ``unix://…``, as redis-py reads them (the extra
            ``redis``). Redis stores a keyed hash of the token, not the token.
        priority: ``"bulk"`` for a client that yields to all others and leaves them one request in
            twenty. ``create_many()`` and ``delete_many()`` are bulk in any case.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of bounds.
        ImportError: the storage needs a library that is not installed; the message names it.
    """

    __module__ = "dub_uplink"

    def __init__(
        self,
        limit: int,
        per: Period | float = "minute",
        *,
        storage: str | None = None,
        priority: Priority = "interactive",
    ) -> None:
        self._config = LimitConfig(_check_limit(limit), _window_seconds(per))
        if priority not in ("interactive", "bulk"):
            raise ValueError(f'priority must be "interactive" or "bulk", not {priority!r}')
        self.limit = limit
        self.per = per
        self.priority = priority
        self._storage = None
        if storage is not None:
            from .shared_limiter import StorageConnection  # noqa: PLC0415 - needs an extra

            self._storage = StorageConnection(storage, self._config)
        self._warned = False
        self._limiters: dict[str, Limiter] = {}
        # The hash of a key takes longer than the rest of a reservation.
        self._last_limiter: tuple[RedactedStr, str, Limiter] | None = None

    def _limiter_for(self, server_url: str, authorization: RedactedStr) -> Limiter:
        """Return the limiter of one API key on one server. Called by the transport."""
        last = self._last_limiter
        if last is not None and last[0] is authorization and last[1] == server_url:
            return last[2]
        name = _limiter_name(server_url, authorization)
        limiter = self._limiters.get(name)
        if limiter is None:
            # Atomic: threads that use a key first at the same time get the same limiter.
            limiter = self._limiters.setdefault(name, self._make_limiter(name))
            # A token that is renewed leaves a limiter behind.
            for old in list(self._limiters)[:-_MAX_LIMITERS]:
                self._limiters.pop(old, None)
        self._last_limiter = (authorization, server_url, limiter)
        return limiter

    def _make_limiter(self, name: str) -> Limiter:
        if self._storage is None:
            return SlidingWindowLimiter(self._config)
        return self._storage.limiter(name)

    def _warn_if_lower(self, server_limit: int) -> None:
        """Log once that the server allows fewer requests. Called by the transport."""
        if server_limit < self.limit and not self._warned:
            self._warned = True
            logger.warning(
                "rate limit: the server allows %d requests, the client is configured with %r; the"
                " lower limit applies",
                server_limit,
                self,
            )

    def close(self) -> None:
        """Close the connection to the storage; the next call opens it again."""
        if self._storage is not None:
            self._storage.close()

    def __repr__(self) -> str:
        shared = "" if self._storage is None else f", storage={str(self._storage)!r}"
        bulk = ', priority="bulk"' if self.priority == "bulk" else ""
        return f"RateLimit({self.limit}, per={self.per!r}{shared}{bulk})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a RateLimit cannot be pickled or copied: create one in each process")


def _check_limit(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be a whole number of requests, not {limit!r}")
    if not 0 < limit <= 1_000_000:
        raise ValueError(f"limit must be between 1 and 1,000,000 requests, not {limit!r}")
    return limit


def _window_seconds(per: object) -> float:
    if isinstance(per, str):
        if per not in _PERIOD_SECONDS:
            raise ValueError(f"per must be one of {', '.join(_PERIOD_SECONDS)}, not {per!r}")
        return _PERIOD_SECONDS[per]
    if isinstance(per, bool) or not isinstance(per, (int, float)):
        raise TypeError(f"per must be a name or a number of seconds, not {per!r}")
    if not 0.1 <= per <= _PERIOD_SECONDS["day"]:
        raise ValueError(f"per must be between 0.1 seconds and a day, not {per!r}")
    return float(per)


def _limiter_name(server_url: str, authorization: RedactedStr) -> str:
    """Return the name of an API key in a storage, from which the key cannot be derived."""
    text = f"{server_url}\n{str.__str__(authorization)}".encode()
    return hashlib.blake2b(text, key=b"dub_uplink rate limit", digest_size=16).hexdigest()
