"""Redact API keys in the texts and JSON values that the fake shows or logs."""

from __future__ import annotations

import base64
import functools
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .._messages import Request
from .fields import MAX_LEVELS

#: The minimum length of a secret's Base64 form. Shorter forms occur in ordinary words.
_MIN_BASE64_LENGTH = 4


class Redactor:
    """Replace secrets with ``[token]``.

    Percent-encoded, JSON-escaped and Base64-encoded secrets are replaced too. Letter case is
    ignored.

    Args:
        secrets: The texts to replace.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        longest_first = sorted(filter(None, secrets), key=len, reverse=True)
        # If there are no secrets, use a pattern that never matches.
        patterns = [pattern for secret in longest_first for pattern in _patterns(secret)]
        patterns = patterns or ["(?!)"]
        self._pattern = re.compile("|".join(patterns), re.IGNORECASE)

    def text(self, text: str) -> str:
        """Replace the secrets in a text."""
        return self._pattern.sub("[token]", text)

    def bytes(self, data: bytes) -> bytes:
        """Replace the secrets in bytes."""
        text = data.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def json(self, value: Any, levels: int = MAX_LEVELS) -> Any:
        """Replace the secrets in a JSON value. A value of any other type becomes text.

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
            raise ValueError(f"the value has more than {MAX_LEVELS} nested levels")
        if not isinstance(value, Mapping):
            return [self.json(item, levels - 1) for item in value]
        return {self.text(str(name)): self.json(item, levels - 1) for name, item in value.items()}


def make_request_redactor(request: Request, secrets: frozenset[str]) -> Redactor:
    """Return a redactor for ``secrets`` and for the token that the request itself contains."""
    # Split at commas too, because the server joins repeated headers with commas.
    parts = re.split(r"[,\s]+", request.headers.get("authorization", ""))
    tokens = {part for part in parts if part.lower() not in ("bearer", "basic")}
    return make_redactor(secrets | tokens)


@functools.lru_cache(maxsize=128)
def make_redactor(secrets: frozenset[str]) -> Redactor:
    """Return a cached redactor."""
    return Redactor(secrets)


def _patterns(secret: str) -> list[str]:
    return [_secret_pattern(secret), *_base64_patterns(secret.encode("utf-8", "replace"))]


def _base64_patterns(secret: bytes) -> Iterator[str]:
    """Yield a pattern for each form of a secret in the Base64 encoding of a longer text.

    The form depends on the number of bytes before the secret. A first or last character that also
    contains bits of a byte beside the secret is not part of the form.
    """
    for offset in range(3):
        end = offset + len(secret)
        encoded = base64.b64encode(b"\0" * offset + secret).decode()
        form = encoded[-(-offset * 8 // 6) : end * 8 // 6]
        if len(form) < _MIN_BASE64_LENGTH:
            continue
        yield from map(_secret_pattern, {form, form.replace("+", "-").replace("/", "_")})


def _secret_pattern(secret: str) -> str:
    # Allow null bytes between the characters: UTF-16 and UTF-32 put null bytes there.
    return r"\0*".join(map(_character_pattern, secret))


def _character_pattern(character: str) -> str:
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode("utf-8", "replace"))
    alternatives = [re.escape(character), encoded]
    if character in '"\\/':
        alternatives.insert(0, rf"\\{re.escape(character)}")
    if ord(character) < 0x10000:
        alternatives.append(rf"\\u{ord(character):04x}")
    return f"(?:{'|'.join(alternatives)})"
