"""Check the parameters of faults."""

from __future__ import annotations

import math
from collections.abc import Iterable

_MAX_RETRY_AFTER = 1e9  # seconds; later HTTP dates may not exist
_CONNECTION_HEADERS = ("connection", "content-length", "transfer-encoding")


def is_number(value: object) -> bool:
    """Return whether a value is a number, but not a boolean."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


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


def check_retry_after(seconds: float) -> None:
    """Raise ``ValueError`` for seconds that cannot be sent as a date."""
    if not -_MAX_RETRY_AFTER <= seconds <= _MAX_RETRY_AFTER:
        raise ValueError(
            f"with a form, retry_after must be from -1e9 to 1e9 seconds, not {seconds!r}"
        )


def check_headers(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for a header that the server sets itself."""
    for name in names:
        if name.lower() in _CONNECTION_HEADERS:
            raise ValueError(
                f"headers must not contain {name}, because the server sets this header"
            )
