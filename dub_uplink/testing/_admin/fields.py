"""Checks for the fields of JSON bodies and queries."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from ..._internal.credentials import TOKEN_PATTERN
from .._fault_values import MAX_INTEGER, METHODS, is_path

#: A function that returns the checked value of a field. A wrong value raises ``ValueError``. The
#: message continues the name of the field, such as "must be a string".
Check: TypeAlias = Callable[[Any], Any]

#: The maximum depth of nested arrays and objects.
MAX_LEVELS = 100
_SECRET_FIELDS = ("tokens", "expired")
#: The character before and after each part of a message that the client sent.
_MARK = "\0"
_HEADER_NAME_PATTERN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE_PATTERN = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")


def given(text: str) -> str:
    """Mark a part of a message that the client sent. It may contain an API key."""
    return f"{_MARK}{text.replace(_MARK, '')}{_MARK}"


def redact_given(message: str, redact: Callable[[str], str]) -> str:
    """Apply ``redact`` to the marked parts of a message, and remove the marks."""
    parts = message.split(_MARK)
    parts[1::2] = map(redact, parts[1::2])
    return "".join(parts)


class AdminError(Exception):
    """The admin API rejects a request.

    Args:
        status: The status of the response.
        message: What is wrong, and what to do. Texts of the client are marked with :func:`given`.
        field: The name of the wrong field, or ``None``. The name of an unknown field is marked.
        headers: Additional headers of the response.
    """

    def __init__(
        self,
        status: int,
        message: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.headers = dict(headers or {})
        self.status = status
        self.message = message
        self.field = field


def check_fields(
    arguments: Mapping[str, Any], checks: Mapping[str, Check], required: Iterable[str] = ()
) -> dict[str, Any]:
    """Check the given fields, and return their values.

    Raises:
        AdminError: a field is unknown, missing or has a wrong value.
    """
    values: dict[str, Any] = {}
    for name, value in arguments.items():
        if name not in checks:
            known = ", ".join(checks) or "none"
            raise AdminError(
                422,
                f"'{given(name)}' is not a field of this request; allowed: {known}",
                given(name),
            )
        try:
            values[name] = checks[name](value)
            _check_encodable(value)
        except ValueError as error:
            given_value = "" if name in _SECRET_FIELDS else f"; got {given(_excerpt(value))}"
            raise AdminError(422, f"'{name}' {error}{given_value}", name) from None
    for name in required:
        if name not in values:
            raise AdminError(422, f"'{name}' is missing; add it to the body", name)
    return values


def _check_encodable(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode, without lone surrogates") from None
    except ValueError:
        # json.loads converts a number beyond 1.8e308 to infinity. JSON has no infinity.
        raise ValueError("must not contain a number above 1.8e308 or below -1.8e308") from None


def _excerpt(value: Any) -> str:
    encoded = json.dumps(value)
    return encoded if len(encoded) <= 60 else f"{encoded[:60]}..."


def anything(value: Any) -> Any:
    """Accept every value."""
    return value


def text(value: Any) -> str:
    """Accept a string."""
    if not isinstance(value, str):
        raise ValueError("must be a string")
    return value


def identifier(value: Any) -> str:
    """Accept a string that is not empty."""
    if not text(value):
        raise ValueError("must not be empty")
    return str(value)


def dub_id(value: Any) -> str:
    """Accept the Dub id of a new customer."""
    if identifier(value).startswith("ext_"):
        raise ValueError("must not begin with ext_, the prefix of external ids")
    return str(value)


def token(value: Any) -> str:
    """Accept an API key: a string of visible ASCII characters."""
    if not TOKEN_PATTERN.fullmatch(text(value)):
        raise ValueError("must consist of visible ASCII characters, without spaces")
    return str(value)


def http_method(value: Any) -> str:
    """Accept an HTTP method, in upper or lower case."""
    if text(value).upper() not in METHODS:
        raise ValueError(f"must be one of {', '.join(METHODS)}")
    return str(value)


def path_pattern(value: Any) -> str:
    """Accept a pattern that can match the path of a request."""
    if not is_path(text(value)):
        raise ValueError("must begin with / or *, and must not contain a query")
    return str(value)


def distinct_strings(check: Check, minimum: int = 0) -> Check:
    """Return a check for an array of at least ``minimum`` distinct strings."""

    def check_array(value: Any) -> list[str]:
        if not isinstance(value, list) or len(value) < minimum:
            raise ValueError(f"must be an array of {minimum} or more strings")
        try:
            checked = [check(item) for item in value]
        except ValueError as error:
            raise ValueError(f"must be an array; each item {error}") from None
        if len(set(checked)) < len(checked):
            raise ValueError("must not contain the same string twice")
        return checked

    return check_array


def boolean(value: Any) -> bool:
    """Accept ``true`` and ``false``."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def integer(minimum: int, maximum: int = MAX_INTEGER) -> Check:
    """Return a check for an integer within two bounds, inclusive."""
    bounds = f"of {minimum} or more" if maximum == MAX_INTEGER else f"from {minimum} to {maximum}"

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise ValueError(f"must be an integer {bounds}")
        if value > maximum:
            raise ValueError(f"must be an integer from {minimum} to {maximum}")
        return value

    return check


def integer_text(minimum: int, maximum: int = MAX_INTEGER) -> Check:
    """Return a check for an integer in a query, as decimal digits."""
    check = integer(minimum, maximum)

    def check_text(value: Any) -> Any:
        if not re.fullmatch(r"[0-9]+", value):
            return check(None)
        # MAX_INTEGER has 19 digits, so a longer number is out of bounds.
        return check(int(value) if len(value) <= 19 else MAX_INTEGER + 1)

    return check_text


def number(minimum: float = -math.inf, maximum: float = math.inf) -> Check:
    """Return a check for a number from ``minimum`` to ``maximum``."""
    parts = [
        f"of {minimum:g} or more" if minimum > -math.inf else "",
        f"up to {maximum:g}" if maximum < math.inf else "",
    ]
    bounds = " and ".join(filter(None, parts))

    def check(value: Any) -> float:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not minimum <= value <= maximum:
            raise ValueError(f"must be a number {bounds}".rstrip())
        # float() raises OverflowError for very large integers.
        if not -1e300 < value < 1e300:
            raise ValueError("must be a number above -1e300 and below 1e300")
        return float(value) if isinstance(value, float) else value

    return check


def choice(*options: str) -> Check:
    """Return a check for one of several strings."""

    def check(value: Any) -> str:
        if value not in options:
            raise ValueError(f"must be one of {', '.join(options)}")
        return str(value)

    return check


def nullable(check: Check) -> Check:
    """Return a check that also accepts ``null``."""

    def check_or_none(value: Any) -> Any:
        if value is None:
            return None
        try:
            return check(value)
        except ValueError as error:
            # Only messages that begin with "must be" list the accepted values.
            suffix = ", or null" if str(error).startswith("must be") else ""
            raise ValueError(f"{error}{suffix}") from None

    return check_or_none


def moment(value: Any) -> dt.datetime:
    """Accept an ISO 8601 time with its offset from UTC."""
    try:
        parsed = dt.datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", text(value)))
        if parsed.tzinfo is not None:
            return parsed.astimezone(dt.timezone.utc)
    except (ValueError, OverflowError):
        pass
    raise ValueError("must be an ISO 8601 time with Z or an offset, such as 2026-08-21T12:00:00Z")


def base64_bytes(value: Any) -> bytes:
    """Accept bytes in base64."""
    try:
        return base64.b64decode(text(value).encode(), validate=True)
    except binascii.Error:
        raise ValueError("must be base64") from None


def header_value(value: Any) -> str:
    """Accept a string that is a valid header value."""
    if not _HEADER_VALUE_PATTERN.fullmatch(text(value)):
        raise ValueError("must be a valid header value: Latin-1 without line breaks")
    return str(value)


def headers(value: Any) -> dict[str, str]:
    """Accept a JSON object of header names and values."""
    if not isinstance(value, dict):
        raise ValueError("must be an object of headers")
    for name, content in value.items():
        if not _HEADER_NAME_PATTERN.fullmatch(name):
            raise ValueError("contains a name that HTTP does not allow in a header")
        try:
            header_value(content)
        except ValueError as error:
            raise ValueError(f"is invalid: '{given(name)}' {error}") from None
    return value


def expansion(value: Any) -> dict[str, Any]:
    """Accept an expanded object: a link, a partner or a discount."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")
    for name, content in value.items():
        if name in ("id", "domain", "key", "shortLink", "url"):
            try:
                text(content)
            except ValueError as error:
                raise ValueError(f"is invalid: '{name}' {error}") from None
    return value
