"""Mask API keys in what is shown or logged of a request."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from .._messages import Request
from .fields import MAX_LEVELS


class Mask:
    """Replace secrets by ``[token]``, also percent-encoded and JSON-escaped ones.

    Args:
        secrets: The secrets. Letters of either case match.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted(filter(None, secrets), key=len, reverse=True)
        # Without secrets the pattern matches nothing.
        patterns = [_pattern(secret) for secret in longest_first] or ["(?!)"]
        self._pattern = re.compile("|".join(patterns), re.IGNORECASE)

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        return self._pattern.sub("[token]", text)

    def bytes(self, data: bytes) -> bytes:
        """Return bytes without the secrets."""
        text = data.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def json(self, value: Any, levels: int = MAX_LEVELS) -> Any:
        """Return a JSON value without the secrets. Values that JSON does not have become text.

        Raises:
            ValueError: the value has more than ``levels`` nested levels.
        """
        if value is None or isinstance(value, (bool, int)):
            return value
        if isinstance(value, float) and math.isfinite(value):
            return value
        if not isinstance(value, (list, tuple, Mapping)):
            return self.text(str(value))
        if levels == 0:
            raise ValueError("the value has too many nested levels")
        if not isinstance(value, Mapping):
            return [self.json(one, levels - 1) for one in value]
        return {self.text(str(name)): self.json(one, levels - 1) for name, one in value.items()}


def mask_of(request: Request, secrets: frozenset[str]) -> Mask:
    """Return the mask of a request: of the secrets, and of the token that the request has."""
    # A repeated header is joined by commas.
    parts = re.split(r"[,\s]+", request.headers.get("authorization", ""))
    tokens = {part for part in parts if part.lower() not in ("bearer", "basic")}
    return mask_for(secrets | tokens)


@functools.lru_cache(maxsize=128)
def mask_for(secrets: frozenset[str]) -> Mask:
    """Return the mask of secrets."""
    return Mask(secrets)


def _pattern(secret: str) -> str:
    # In UTF-16 and UTF-32 null bytes separate ASCII characters.
    return r"\0*".join(map(_character_pattern, secret))


def _character_pattern(character: str) -> str:
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode("utf-8", "replace"))
    options = [re.escape(character), encoded]
    if character in '"\\/':
        options.insert(0, rf"\\{re.escape(character)}")
    if ord(character) < 0x10000:
        options.append(rf"\\u{ord(character):04x}")
    return f"(?:{'|'.join(options)})"
