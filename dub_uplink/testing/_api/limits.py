"""Dub's rate limit: a sliding window for each API key, and the headers of responses."""

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
    """How much of the rate limit an API key has used after a request.

    ``reset_ms`` is the Unix time, in milliseconds, at which the oldest request leaves the window.
    """

    allowed: bool
    limit: int
    remaining: int
    reset_ms: int

    def headers(self) -> dict[str, str]:
        """Return Dub's rate limit headers.

        Dub sends ``Retry-After`` in Unix milliseconds, unlike the HTTP standard.
        """
        return {
            "Retry-After": str(self.reset_ms),
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset_ms),
        }


class RateLimiter:
    """Count the requests of each API key in the last ``window`` seconds. Not thread-safe.

    Rejected requests do not count.
    """

    def __init__(self, limit: int, window: float, *, enforced: bool = True) -> None:
        self._timestamps: dict[str, deque[int]] = {}
        self.configure(limit, window, enforced=enforced)

    def configure(self, limit: int, window: float, *, enforced: bool) -> None:
        """Change the limit. Keep the counted requests, up to the new limit."""
        self._limit = limit
        self._window_ms = round(window * 1000)
        self._enforced = enforced
        for key, timestamps in self._timestamps.items():
            self._timestamps[key] = deque(timestamps, maxlen=max(limit, 1))

    def reset(self) -> None:
        """Remove all counted requests."""
        self._timestamps.clear()

    def max_requests_of_a_key(self, now_ms: int) -> int:
        """Return the number of requests of the busiest API key in the window before ``now_ms``."""
        for timestamps in self._timestamps.values():
            self._prune(timestamps, now_ms)
        return max(map(len, self._timestamps.values()), default=0)

    def _prune(self, timestamps: deque[int], now_ms: int) -> None:
        while timestamps and timestamps[0] <= now_ms - self._window_ms:
            timestamps.popleft()
        while timestamps and timestamps[-1] > now_ms:  # the clock was set back
            timestamps.pop()

    def count_request(self, key: str, now_ms: int) -> Usage:
        """Count a request if the limit allows it. Return the usage at ``now_ms``."""
        timestamps = self._timestamps.setdefault(key, deque(maxlen=max(self._limit, 1)))
        self._prune(timestamps, now_ms)
        allowed = len(timestamps) < self._limit
        if allowed or not self._enforced:
            timestamps.append(now_ms)
        return Usage(
            allowed or not self._enforced,
            self._limit,
            max(self._limit - len(timestamps), 0),
            (timestamps[0] if timestamps else now_ms) + self._window_ms,
        )
