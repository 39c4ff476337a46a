"""Dub's rate limit: requests a key in a sliding window, and the headers that tell of it.

Imports nothing of ours.
"""

from __future__ import annotations

import dataclasses
from collections import deque

PLAN_LIMITS = {
    "free": 60,
    "trial": 120,
    "pro": 600,
    "business": 1200,
    "advanced": 3000,
    "enterprise": 3000,
}


@dataclasses.dataclass(frozen=True, slots=True)
class Usage:
    """Where a key stands.

    ``reset`` (Unix milliseconds) is when its oldest request leaves the window.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        """Dub's headers, with both times in Unix milliseconds against the standard's seconds."""
        return {
            "Retry-After": str(self.reset),
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class RateLimiter:
    """Counts the requests of each key in the last ``window`` seconds; refused ones do not count.

    Not thread-safe.
    """

    def __init__(self, limit: int, window: float, *, enforced: bool = True) -> None:
        self._limit = limit
        self._window = round(window * 1000)
        self._enforced = enforced
        self._timestamps: dict[str, deque[int]] = {}

    def take(self, key: str, now: int) -> Usage:
        """Count a request at ``now`` (Unix milliseconds), unless it is refused."""
        timestamps = self._timestamps.setdefault(key, deque(maxlen=max(self._limit, 1)))
        while timestamps and timestamps[0] <= now - self._window:
            timestamps.popleft()
        allowed = len(timestamps) < self._limit
        if allowed or not self._enforced:
            timestamps.append(now)
        return Usage(
            allowed or not self._enforced,
            self._limit,
            max(self._limit - len(timestamps), 0),
            (timestamps[0] if timestamps else now) + self._window,
        )
