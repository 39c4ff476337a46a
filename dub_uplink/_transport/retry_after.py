"""Parse ``Retry-After`` and ``Date``, whichever of their forms a server sends."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

from ..models.response import Response

#: The statuses on which `Retry-After` has a meaning; Dub's server sends it on a 404 as well.
_TIMED_STATUSES = frozenset({429, 503})
_NUMBER_PATTERN = re.compile(r"\d{1,24}(?:\.\d{0,24})?", re.ASCII)
# Unix time in seconds has been above this since 2001, as a count of seconds it is 31 years.
_MIN_UNIX_SECONDS = 1e9
# Unix time in milliseconds has been above this since 1973, in seconds it is the year 5138.
_MIN_UNIX_MILLISECONDS = 1e11


def parse_retry_after(text: str, now: float) -> float | None:
    """Return the seconds to wait for a ``Retry-After`` or ``X-RateLimit-Reset``, or ``None``.

    Seconds and HTTP dates are the standard forms (RFC 9110, 10.2.3). Dub's server sends Unix time
    in milliseconds, other servers in seconds; the size of the number tells them apart.

    Args:
        text: the value of the header.
        now: Unix time in seconds.

    Returns:
        ``None`` for zero, a time in the past and a value that cannot be parsed.
    """
    text = text.strip()
    if _NUMBER_PATTERN.fullmatch(text):
        value = float(text)
        if value >= _MIN_UNIX_MILLISECONDS:
            value = (value - now * 1000) / 1000
        elif value >= _MIN_UNIX_SECONDS:
            value -= now
    elif "," in text.partition(" ")[2]:
        return None  # a repeated header: the parser would take the first of its dates
    else:
        try:
            value = _unix_time(text) - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return value if value > 0 else None


def _unix_time(date: str) -> float:
    moment = parsedate_to_datetime(date)
    if moment.tzinfo is None:  # "-0000": UTC, its origin unknown (RFC 5322, 3.3)
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()


def requested_delay(response: Response, now: float) -> float | None:
    """Return the seconds that a 429 or 503 asks the client to wait, else ``None``."""
    if response.status_code not in _TIMED_STATUSES:
        return None
    header = response.headers.get("Retry-After")
    if header is None:
        header = response.headers.get("X-RateLimit-Reset", "")
    return parse_retry_after(header, server_time(response.headers, now))


# Seconds: `Date` has a resolution of one, and the response takes time to arrive.
_MAX_CLOCK_SKEW = 2.0


def server_time(headers: Mapping[str, str], now: float) -> float:
    """Return Unix time in seconds by the server's clock if its ``Date`` disagrees with ``now``.

    The server states every time by its own clock.
    """
    try:
        date = _unix_time(headers["Date"])
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return now
    return date if abs(date - now) > _MAX_CLOCK_SKEW else now
