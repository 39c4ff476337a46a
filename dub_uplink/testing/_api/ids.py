"""Generate customer ids in Dub's format: ``cus_`` and 25 characters that sort by time."""

from __future__ import annotations

import random
import threading

# Crockford's base 32. The digits are in ASCII order, so ids sort by time in every collation.
_DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_RANDOM_BITS = 80


def _encode_number(number: int) -> str:
    """Encode a number below 2**125 in 25 characters: a ULID without its first digit."""
    pairs: list[str] = []
    for _ in range(12):
        pairs.append(_PAIRS[number & 1023])
        number >>= 10
    return _DIGITS[number & 31] + "".join(reversed(pairs))


def make_id(milliseconds: int, rng: random.Random) -> str:
    """Return a random id for a time in Unix milliseconds."""
    return "cus_" + _encode_number(milliseconds << _RANDOM_BITS | rng.getrandbits(_RANDOM_BITS))


class CustomerIdGenerator:
    """Generate ascending ids, even if the clock is frozen or set back."""

    def __init__(self) -> None:
        self._rng = random.Random()
        self._last_number = 0
        self._lock = threading.Lock()

    def __call__(self, milliseconds: int) -> str:
        with self._lock:
            if milliseconds > self._last_number >> _RANDOM_BITS:
                # The top random bit is 0. Therefore increments do not change the time.
                self._last_number = milliseconds << _RANDOM_BITS | self._rng.getrandbits(
                    _RANDOM_BITS - 1
                )
            else:
                self._last_number += 1
            return "cus_" + _encode_number(self._last_number)
