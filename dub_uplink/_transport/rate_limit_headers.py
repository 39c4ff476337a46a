"""Parse the ``X-RateLimit-*`` headers of a response."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timezone

from ..retries import RateLimitStatus
from .retry_after import parse_retry_after

_COUNT_PATTERN = re.compile(r"\d{1,9}", re.ASCII)


def parse_rate_limit_status(headers: Mapping[str, str], now: float) -> RateLimitStatus | None:
    """Parse the ``X-RateLimit-*`` headers.

    Return ``None`` if the limit is zero, or if the limit or the number of remaining requests is
    missing or invalid. Dub's server sends zeros if the storage of its own rate limiter is slow.

    Args:
        headers: the headers of a response.
        now: the current Unix time in seconds.
    """
    limit = headers.get("X-RateLimit-Limit", "")
    remaining = headers.get("X-RateLimit-Remaining", "")
    if not all(map(_COUNT_PATTERN.fullmatch, (limit, remaining))) or int(limit) == 0:
        return None
    wait = parse_retry_after(headers.get("X-RateLimit-Reset", ""), now)
    try:
        reset = None if wait is None else datetime.fromtimestamp(now + wait, timezone.utc)
    except (ValueError, OverflowError, OSError):
        reset = None
    return RateLimitStatus(int(limit), int(remaining), reset)
