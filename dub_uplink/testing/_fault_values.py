"""Check and format the values of faults."""

from __future__ import annotations

import datetime as dt
import fnmatch
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from email.utils import formatdate
from typing import Any

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
#: The largest integer that SQLite can store.
MAX_INTEGER = 2**63 - 1
MIN_INTEGER = -MAX_INTEGER
#: The lowest speed of ``Drip``, in bytes per second. At this speed, the wait for a byte is 1e9
#: seconds. A longer wait may overflow a timer.
MIN_SPEED = 1e-9
#: The largest offset of a ``Retry-After`` from now, in seconds. A date with a larger offset may be
#: out of the range of datetime.
_MAX_RETRY_AFTER = 1e9
_CONNECTION_HEADERS = ("connection", "content-length", "transfer-encoding")


def is_path(pattern: str) -> bool:
    """Return whether a pattern can match a path, which begins with / and has no query."""
    return pattern.startswith(("/", "*")) and "?" not in pattern


def check_target(method: str | None, path: str | None) -> tuple[str | None, str | None]:
    """Return the method in upper case, and the path.

    Raises:
        ValueError: no request can have the method or the path.
    """
    method = None if method is None else method.upper()
    if method is not None and method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}, not {method!r}")
    if path is not None and not is_path(path):
        raise ValueError(f"path must begin with / or *, and must not contain a query; not {path!r}")
    return method, path


def is_number(value: object) -> bool:
    """Return whether a value is a number, but not a boolean."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def matches_path(pattern: str, path: str) -> bool:
    """Return whether a path matches a pattern. Only ``*`` is a wildcard."""
    return pattern == path or fnmatch.fnmatchcase(path, pattern.replace("[", "[[]"))


def check_integer(name: str, value: int, low: int = MIN_INTEGER, high: int = MAX_INTEGER) -> None:
    """Check that a value is an integer within two bounds, inclusive.

    Raises:
        TypeError: The value is not an integer, or is a boolean.
        ValueError: The value is out of bounds.
    """
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be an integer, not {type(value).__name__}")
    if not low <= value <= high:
        raise ValueError(f"{name} must be from {low} to {high}, not {value}")


def check_number(name: str, value: float) -> None:
    """Check that a value is a finite number of 0 or more.

    Raises:
        TypeError: The value is not a number.
        ValueError: The value is negative or not finite.
    """
    if not is_number(value):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be 0 or more and finite, not {value!r}")


def check_retry_after(seconds: float, form: str) -> None:
    """Raise ``ValueError`` if ``seconds`` is below -1e9 or above 1e9."""
    if not -_MAX_RETRY_AFTER <= seconds <= _MAX_RETRY_AFTER:
        raise ValueError(
            f"with form={form!r}, retry_after must be from -1e9 to 1e9 seconds, not {seconds!r}"
        )


def check_headers(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for a header that the server sets itself."""
    for name in names:
        if name.lower() in _CONNECTION_HEADERS:
            raise ValueError(
                f"headers must not contain {name}, because the server sets this header"
            )


def merge_headers(defaults: Mapping[str, str], overrides: Mapping[str, str]) -> dict[str, str]:
    """Merge headers; ``overrides`` replace ``defaults``. Names are case-insensitive."""
    overridden_names = {name.lower() for name in overrides}
    return {
        name: value for name, value in defaults.items() if name.lower() not in overridden_names
    } | {name: str(value) for name, value in overrides.items()}


def encode_body(body: str | bytes | Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Return a body as bytes: text in UTF-8, other values as JSON."""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body).encode()


def format_retry_after(value: float | str | dt.datetime, form: str | None, now: float) -> str:
    """Return the value of a ``Retry-After`` header.

    Args:
        value: With a form, a number of seconds after ``now``. Without a form, the header's value
            or a ``datetime``. A ``datetime`` becomes an HTTP date.
        form: ``seconds``, ``http_date``, ``unix``, ``unix_ms``, or ``None`` for no form.
        now: The current Unix time in seconds.
    """
    if isinstance(value, dt.datetime):
        return formatdate(value.timestamp(), usegmt=True)
    if form is None or not isinstance(value, (int, float)):
        return str(value)
    if form == "seconds":
        return f"{Decimal(str(value)):f}".removesuffix(".0")
    if form == "http_date":
        # An HTTP date has whole seconds. Round up, so that the client does not retry too early.
        return formatdate(math.ceil(now + value), usegmt=True)
    return str(math.ceil((now + value) * (1 if form == "unix" else 1000)))
