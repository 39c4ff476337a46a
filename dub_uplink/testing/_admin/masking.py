"""Redact API keys in the texts and JSON values that the fake shows or logs."""

from __future__ import annotations

import base64
import functools
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from .._messages import Request
from .fields import MAX_LEVELS

#: The minimum length of a secret's Base64 form. Shorter forms occur in ordinary words.
_MIN_BASE64_LENGTH = 4
#: How often escapes in a text are decoded. A decoded escape can be the start of another escape.
_MAX_DECODINGS = 4
_ESCAPE_PATTERN = re.compile(r'%(?:25)*([0-9a-f]{2})|\\u([0-9a-f]{4})|\\(["\\/])')
_NUMBER_PATTERN = re.compile(r"[-+.e0-9]+", re.IGNORECASE)


class _Form(NamedTuple):
    """A secret, or a Base64 form of a secret.

    Attributes:
        text: The text to replace.
        needle: A lower-case text that every text with this form contains, if it has no escapes.
        escaped_needle: The same for a text whose escapes are decoded.
    """

    text: str
    needle: str
    escaped_needle: str


class Redactor:
    """Replace secrets with ``[token]``.

    Percent-encoded, JSON-escaped and Base64-encoded secrets are replaced too. Letter case is
    ignored.

    Args:
        forms: The secrets and their Base64 forms.
    """

    def __init__(self, forms: Iterable[_Form]) -> None:
        self.forms = tuple(forms)

    def text(self, text: str) -> str:
        """Replace the secrets in a text."""
        forms = _find_forms(text, self.forms)
        return _make_pattern(forms).sub("[token]", text) if forms else text

    def bytes(self, data: bytes) -> bytes:
        """Replace the secrets in bytes."""
        text = data.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def json(self, value: Any, levels: int = MAX_LEVELS) -> Any:
        """Replace the secrets in a JSON value. A value of any other type becomes text.

        A number that contains a secret becomes text too.

        Raises:
            ValueError: the value has more than ``levels`` nested levels.
        """
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
            if not self.forms:
                return value
            number = json.dumps(value)
            redacted_number = self.text(number)
            return value if redacted_number == number else redacted_number
        if not isinstance(value, (list, tuple, Mapping)):
            return self.text(str(value))
        if levels == 0:
            raise ValueError(f"the value has more than {MAX_LEVELS} nested levels")
        if not isinstance(value, Mapping):
            return [self.json(item, levels - 1) for item in value]
        return {self.text(str(name)): self.json(item, levels - 1) for name, item in value.items()}


def make_request_redactor(
    request: Request, secrets: frozenset[str], text: str | None = None
) -> Redactor:
    """Return a redactor for ``secrets`` and for the token that the request itself contains.

    Args:
        request: The request.
        secrets: The texts to replace.
        text: A text with everything that the redactor will redact. A redactor for only the secrets
            in this text is faster.
    """
    # Split at commas too, because the server joins repeated headers with commas.
    parts = re.split(r"[,\s]+", request.headers.get("authorization", ""))
    tokens = {part for part in parts if part.lower() not in ("bearer", "basic")} - secrets
    forms = make_redactor(secrets).forms
    forms += tuple(form for token in tokens for form in _forms(token))
    if text is None:
        return Redactor(forms)
    present = _find_forms(text, forms)
    # A number may be shown with other digits than it was sent, such as 1e3 and 1000.0.
    numbers = [form for form in forms if _NUMBER_PATTERN.fullmatch(form.text)]
    return Redactor(dict.fromkeys((*present, *numbers)))


@functools.lru_cache(maxsize=128)
def make_redactor(secrets: frozenset[str]) -> Redactor:
    """Return a cached redactor."""
    return Redactor(form for secret in secrets for form in _forms(secret))


def _find_forms(text: str, forms: tuple[_Form, ...]) -> tuple[_Form, ...]:
    """Return the forms that a text may contain. This is faster than a search with patterns."""
    if not forms:
        return ()
    text = text.lower()
    has_escapes = False
    for _ in range(_MAX_DECODINGS):
        text = text.replace("\0", "")
        decoded = _ESCAPE_PATTERN.sub(_decode_escape, text)
        if decoded == text:
            break
        text = decoded
        has_escapes = True
    else:
        return forms
    if has_escapes:
        return tuple(form for form in forms if form.escaped_needle in text)
    return tuple(form for form in forms if form.needle in text)


def _decode_escape(match: re.Match[str]) -> str:
    return match[3] or chr(int(match[1] or match[2], 16)).lower()


@functools.lru_cache(maxsize=4096)
def _forms(secret: str) -> tuple[_Form, ...]:
    texts = filter(None, (secret, *_base64_forms(secret.encode("utf-8", "replace"))))
    return tuple(map(_make_form, texts))


def _make_form(text: str) -> _Form:
    if not text.isascii() or "%" in text or "\\" in text:
        return _Form(text, "", "")
    needle = text.lower()
    # An escape may seem to contain the first characters of the secret: %2541 or \u0041.
    return _Form(text, needle, needle.lstrip("u0123456789abcdef"))


def _base64_forms(secret: bytes) -> Iterator[str]:
    """Yield each form of a secret in the Base64 encoding of a longer text.

    The form depends on the number of bytes before the secret. A first or last character that also
    contains bits of a byte beside the secret is not part of the form.
    """
    for offset in range(3):
        end = offset + len(secret)
        encoded = base64.b64encode(b"\0" * offset + secret).decode()
        form = encoded[-(-offset * 8 // 6) : end * 8 // 6]
        if len(form) < _MIN_BASE64_LENGTH:
            continue
        yield from {form, form.replace("+", "-").replace("/", "_")}


@functools.lru_cache(maxsize=4096)
def _make_pattern(forms: tuple[_Form, ...]) -> re.Pattern[str]:
    longest_first = sorted((form.text for form in forms), key=len, reverse=True)
    return re.compile("|".join(map(_text_pattern, longest_first)), re.IGNORECASE)


def _text_pattern(text: str) -> str:
    # Allow null bytes between the characters: UTF-16 and UTF-32 put null bytes there.
    return r"\0*".join(map(_character_pattern, text))


def _character_pattern(character: str) -> str:
    encoded = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode("utf-8", "replace"))
    alternatives = [re.escape(character), encoded]
    if character in '"\\/':
        alternatives.insert(0, rf"\\{re.escape(character)}")
    if ord(character) < 0x10000:
        alternatives.append(rf"\\u{ord(character):04x}")
    return f"(?:{'|'.join(alternatives)})"
