"""Parse the headers ``Retry-After`` and ``Date`` in all formats that servers send."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime

from ..models.response import Response

#: ``Retry-After`` is read only for these statuses. Dub's server also sends the header with a 404.
_RETRY_AFTER_STATUSES = frozenset({429, 503})
_NUMBER_PATTERN = re.compile(r"\d{1,24}(?:\.\d{0,24})?", re.ASCII)
#: The smallest number that is read as a Unix time in seconds. As a wait, it would last 31 years.
_MIN_UNIX_SECONDS = 1e9
#: The smallest number that is read as a Unix time in milliseconds. As a Unix time in seconds, it
#: would be in the year 5138.
_MIN_UNIX_MILLISECONDS = 1e11


def parse_retry_after(text: str, now: float) -> float | None:
    """Parse ``Retry-After`` or ``X-RateLimit-Reset`` and return the wait in seconds.

    The standard formats are seconds and HTTP dates (RFC 9110, 10.2.3). Dub's server sends a Unix
    time in milliseconds. Some other servers send a Unix time in seconds. The size of a number shows
    whether it is a wait, a Unix time in seconds or a Unix time in milliseconds.

    Args:
        text: the value of the header.
        now: the current Unix time in seconds.

    Returns:
        The wait, or ``None`` if the value is zero, in the past or invalid.
    """
    text = text.strip()
    if _NUMBER_PATTERN.fullmatch(text):
        wait = float(text)
        if wait >= _MIN_UNIX_MILLISECONDS:
            wait = (wait - now * 1000) / 1000
        elif wait >= _MIN_UNIX_SECONDS:
            wait -= now
    elif "," in text.partition(" ")[2]:
        return None  # the header was sent twice; the date parser would return one date
    else:
        try:
            wait = _parse_http_date(text) - now
        except (ValueError, TypeError, IndexError, OverflowError):
            return None
    return wait if wait > 0 else None


def _parse_http_date(date: str) -> float:
    parsed_date = parsedate_to_datetime(date)
    if parsed_date.tzinfo is None:  # the zone "-0000" means UTC too (RFC 5322, 3.3)
        parsed_date = parsed_date.replace(tzinfo=timezone.utc)
    return parsed_date.timestamp()


def requested_delay(response: Response, now: float) -> float | None:
    """Return the wait in seconds that a 429 or 503 response requests.

    If the response has another status or requests no wait, return ``None``. ``now`` is the current
    Unix time in seconds.
    """
    if response.status_code not in _RETRY_AFTER_STATUSES:
        return None
    header = response.headers.get("Retry-After")
    if header is None:
        header = response.headers.get("X-RateLimit-Reset", "")
    return parse_retry_after(header, server_time(response.headers, now))


#: The server's clock and the local clock count as equal up to this difference in seconds. ``Date``
#: has a resolution of one second, and a response takes time to arrive.
_CLOCK_TOLERANCE = 2.0


def server_time(headers: Mapping[str, str], now: float) -> float:
    """Return the current Unix time in seconds, to compare with the times in a response.

    The times in a response are times of the server's clock. If the header ``Date`` differs from
    ``now`` by more than the tolerance, return ``Date``. Otherwise return ``now``.
    """
    try:
        response_time = _parse_http_date(headers["Date"])
    except (KeyError, ValueError, TypeError, IndexError, OverflowError):
        return now
    return response_time if abs(response_time - now) > _CLOCK_TOLERANCE else now
