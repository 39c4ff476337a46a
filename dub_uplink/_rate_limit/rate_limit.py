"""Configure a client-side rate limit: the public class ``RateLimit``."""

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
_PERIODS = f"{', '.join(_PERIOD_SECONDS)} or a number of seconds"
#: The maximum number of limiters that a RateLimit keeps. Each API key has one limiter.
_MAX_LIMITERS = 64


class RateLimit:
    """A client-side rate limit. It delays requests, so that an API key stays below its limit.

    Dub allows each API key 60 requests per minute on the free plan, 600 on pro, 1,200 on business
    and 3,000 on higher plans. Pass the same object to every client that uses the key::

        Dub(rate_limit=RateLimit(600, per="minute"))
        Dub(rate_limit=RateLimit(600, per="minute", storage="redis://localhost:6379"))

    A slot is the permission to send one request at a certain time. The wait for a slot counts
    towards the time limit of the call. If no slot becomes free in time, the call immediately raises
    :class:`~dub_uplink.models.errors.RateLimitExceeded`. The request is not sent. The
    exception's ``retry_after`` is the number of seconds until the next slot.

    If an error response of the server states a limit below ``limit``, the server's limit applies
    for ten minutes. A limit above ``limit`` is ignored.

    Args:
        limit: maximum number of requests in a window.
        per: the window: ``"second"``, ``"minute"``, ``"hour"``, ``"day"``, or a number of seconds.
        storage: where requests are counted. With ``None``, this object counts the requests of all
            clients and threads that share it. With the URL of a Redis server, processes and
            machines share the count. The URL has the format of redis-py: ``redis://…``,
            ``rediss://…`` (TLS) or ``unix://…``. Requires the extra ``redis``. Redis stores a keyed
            hash of the token, not the token.
        priority: ``"bulk"`` for background work. Bulk requests leave one twentieth of the limit to
            interactive calls, and interactive calls go first. ``create_many()`` and
            ``delete_many()`` are always bulk.

    Raises:
        TypeError, ValueError: an argument has the wrong type or is out of range.
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
        self._config = LimitConfig(_check_limit(limit), _parse_window(per))
        if priority not in ("interactive", "bulk"):
            raise ValueError(f'priority must be "interactive" or "bulk", not {priority!r}')
        self.limit = limit
        self.per = per
        self.priority = priority
        self._storage = None
        if storage is not None:
            from .shared_limiter import StorageConnection  # noqa: PLC0415 - requires an extra

            self._storage = StorageConnection(storage, self._config)
        self._warned = False
        self._limiters: dict[str, Limiter] = {}
        # Caches the authorization, the server URL and the limiter of the last call, because
        # hashing an API key takes longer than the rest of a reservation.
        self._last_limiter: tuple[RedactedStr, str, Limiter] | None = None

    def _limiter_for(self, server_url: str, authorization: RedactedStr) -> Limiter:
        """Return the limiter of an API key on a server. The transport calls this method."""
        last = self._last_limiter
        if last is not None and last[0] is authorization and last[1] == server_url:
            return last[2]
        key_hash = _hash_key(server_url, authorization)
        limiter = self._limiters.get(key_hash)
        if limiter is None:
            # setdefault() is atomic, so all threads that use a new key get the same limiter.
            limiter = self._limiters.setdefault(key_hash, self._make_limiter(key_hash))
            # Remove the oldest limiters, because each renewed token adds a limiter.
            for old_hash in list(self._limiters)[:-_MAX_LIMITERS]:
                self._limiters.pop(old_hash, None)
        self._last_limiter = (authorization, server_url, limiter)
        return limiter

    def _make_limiter(self, key_hash: str) -> Limiter:
        if self._storage is None:
            return SlidingWindowLimiter(self._config)
        return self._storage.make_limiter(key_hash)

    def _warn_if_lower(self, server_limit: int) -> None:
        """Warn once if the server's limit is below ``limit``. The transport calls this method."""
        if server_limit < self.limit and not self._warned:
            self._warned = True
            logger.warning(
                "rate limit: the server allows %d requests in its window, the client is configured"
                " with %r; the lower limit applies",
                server_limit,
                self,
            )

    def close(self) -> None:
        """Close the connection to the storage. The next call opens a new connection."""
        if self._storage is not None:
            self._storage.close()

    def __repr__(self) -> str:
        shared = "" if self._storage is None else f", storage={str(self._storage)!r}"
        bulk = ', priority="bulk"' if self.priority == "bulk" else ""
        return f"RateLimit({self.limit}, per={self.per!r}{shared}{bulk})"

    def __reduce__(self) -> str | tuple[object, ...]:
        raise TypeError("a RateLimit cannot be pickled or copied; create one in each process")


def _check_limit(limit: object) -> int:
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"limit must be a whole number of requests, not {limit!r}")
    if not 0 < limit <= 1_000_000:
        raise ValueError(f"limit must be between 1 and 1,000,000 requests, not {limit!r}")
    return limit


def _parse_window(per: object) -> float:
    if isinstance(per, str):
        if per not in _PERIOD_SECONDS:
            raise ValueError(f"per must be {_PERIODS}, not {per!r}")
        return _PERIOD_SECONDS[per]
    if isinstance(per, bool) or not isinstance(per, (int, float)):
        raise TypeError(f"per must be {_PERIODS}, not {per!r}")
    if not 0.1 <= per <= _PERIOD_SECONDS["day"]:
        raise ValueError(f"per must be between 0.1 seconds and a day, not {per!r}")
    return float(per)


def _hash_key(server_url: str, authorization: RedactedStr) -> str:
    """Return a keyed hash of the API key and the server URL. The hash identifies a limiter."""
    text = f"{server_url}\n{str.__str__(authorization)}".encode()
    return hashlib.blake2b(text, key=b"dub_uplink rate limit", digest_size=16).hexdigest()
