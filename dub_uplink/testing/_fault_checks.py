"""Check parameters of faults."""

from __future__ import annotations

import math
from collections.abc import Iterable

_MAX_RETRY_AFTER = 1e9  # seconds; later HTTP dates may not exist
_CONNECTION_HEADERS = ("connection", "content-length", "transfer-encoding")


def is_number(value: object) -> bool:
    """Return whether a value is a number and no boolean."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def check_number(name: str, value: float) -> None:
    """Raise for a value that is no finite number of 0 or more."""
    if not is_number(value):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be 0 or more and finite, not {value!r}")


def check_retry_after(seconds: float) -> None:
    """Raise ``ValueError`` for seconds that no ``form`` can send."""
    if not -_MAX_RETRY_AFTER <= seconds <= _MAX_RETRY_AFTER:
        raise ValueError(
            f"retry_after must be from -1e9 to 1e9 seconds where form is given, not {seconds!r}"
        )


def check_headers(names: Iterable[str]) -> None:
    """Raise ``ValueError`` for a header that the server sets itself."""
    for name in names:
        if name.lower() in _CONNECTION_HEADERS:
            raise ValueError(f"headers must not have {name}, which the server sets")
