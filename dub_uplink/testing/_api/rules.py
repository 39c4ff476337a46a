"""Check queries and bodies as Dub does.

The ``check_*`` functions return the message of a 422, or ``None`` for a valid value.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections.abc import Mapping
from typing import Any, Literal
from urllib.parse import unquote

SORT_FIELDS = ("createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt")
SORT_ORDERS = ("asc", "desc")
COUNT_GROUPS = ("country", "linkId", "partnerId")
BOOLEANS = ("true", "false")
MAX_PAGE = 1000
MAX_PAGE_SIZE = 100
MAX_TEXT_LENGTH = 191
UNKNOWN_CURSOR = "Invalid cursor: the provided ID does not exist."
MAX_SAFE_INTEGER = 2**53 - 1

_JS_WHITESPACE = " \t\n\v\f\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_DECIMAL_PATTERN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PREFIXED_NUMBER_PATTERN = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)")


def to_number(text: str) -> float | None:
    """Parse a number as JavaScript does: ``""`` is 0, ``0x10`` is 16.

    Return ``None`` if the number is not finite.
    """
    text = text.strip(_JS_WHITESPACE)
    if not text:
        return 0.0
    if _DECIMAL_PATTERN.fullmatch(text):
        number = float(text)
    elif _PREFIXED_NUMBER_PATTERN.fullmatch(text):
        try:
            number = float(int(text, 0))
        except OverflowError:
            return None
    else:
        return None
    return number if math.isfinite(number) else None


def _check_positive_integer(field: str, label: str, text: str) -> str | None:
    number = to_number(text)
    if number is None:
        return f"invalid_type: {field}: {label} must be a number."
    if not number.is_integer():
        return f"invalid_type: {field}: {label} must be an integer."
    if abs(number) > MAX_SAFE_INTEGER:
        return f"{'too_big' if number > 0 else 'too_small'}: {field}: {label} must be an integer."
    if number <= 0:
        return f"too_small: {field}: {label} must be greater than 0."
    return None


def _check_option(field: str, options: tuple[str, ...], text: str) -> str | None:
    if text in options:
        return None
    expected = "|".join(f'"{option}"' for option in options)
    return f"invalid_value: {field}: Invalid option: expected one of {expected}"


def check_query(query: Mapping[str, str]) -> str | None:
    """Return the first problem in the query of a list request, or ``None``."""
    if not query:
        return None
    problem: str | None = None
    if "page" in query:
        problem = _check_positive_integer("page", "Page", query["page"])
    if problem is None and "pageSize" in query:
        problem = _check_positive_integer("pageSize", "Page size", query["pageSize"])
        if problem is None and (to_number(query["pageSize"]) or 0) > MAX_PAGE_SIZE:
            problem = f"too_big: pageSize: Max page size is {MAX_PAGE_SIZE}."
    for field, options in (
        ("includeExpandedFields", BOOLEANS),
        ("sortBy", SORT_FIELDS),
        ("sortOrder", SORT_ORDERS),
    ):
        if problem is None and field in query:
            problem = _check_option(field, options, query[field])
    return problem


def check_paging(query: Mapping[str, str]) -> str | None:
    """Return the first problem of the paging parameters, or ``None``.

    Call :func:`check_query` first. Empty cursors are ignored.
    """
    after, before = query.get("startingAfter"), query.get("endingBefore")
    if after and before:
        return "You cannot use both startingAfter and endingBefore at the same time."
    if (after or before) and query.get("sortBy", "createdAt") != "createdAt":
        return (
            "Cursor-based pagination only supports sorting by `createdAt`. "
            "Use offset-based pagination (page/pageSize) for other sort fields."
        )
    if (after or before) and "page" in query:
        return (
            "You cannot use both page and startingAfter/endingBefore at the same time. "
            "Please use one pagination method."
        )
    if (to_number(query.get("page", "1")) or 0) > MAX_PAGE:
        return (
            f"Page is too big (cannot be more than {MAX_PAGE}), "
            "recommend using cursor-based pagination instead."
        )
    return None


def check_count(query: Mapping[str, str]) -> str | None:
    """Return the problem in the query of a count request, or ``None``."""
    return _check_option("groupBy", COUNT_GROUPS, query["groupBy"]) if "groupBy" in query else None


def check_lengths(fields: Mapping[str, str | None], operation: str) -> str | None:
    """Return the message for the first text that is too long for its database column.

    The limit is from the server's database schema. The message has not been observed in Dub.

    Args:
        fields: The name and text of each field to write.
        operation: ``create`` or ``update``.
    """
    for name, text in fields.items():
        if text is not None and len(text) > MAX_TEXT_LENGTH:
            return (
                f"\nInvalid `prisma.customer.{operation}()` invocation:\n\n\n"
                "The provided value for the column is too long for the column's type. "
                f"Column: {name}"
            )
    return None


# From the validation library of Dub's server.
_EMAIL_PATTERN = re.compile(
    r"(?!\.)(?!.*\.\.)[A-Za-z0-9_'+\-.]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9-]*\.)+[A-Za-z]{2,}"
)
_SCHEME_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_FORBIDDEN_HOST_CHARACTERS = re.compile(r"[\x00-\x20#%/:<>?@\[\\\]^|\x7f]")
_PORT_PATTERN = re.compile(r"0*[0-9]{1,5}")
_CONTROL_CHARACTERS = "".join(map(chr, range(0x21)))
_SPECIAL_SCHEMES = ("http", "https", "ws", "wss", "ftp")


def is_email(text: str) -> bool:
    """Return whether Dub accepts a text as an email address."""
    return _EMAIL_PATTERN.fullmatch(text) is not None


def is_url(text: str) -> bool:
    """Return whether Dub accepts a text as a URL: whether JavaScript's ``new URL()`` parses it."""
    text = (
        text.strip(_JS_WHITESPACE)
        .strip(_CONTROL_CHARACTERS)
        .translate({9: None, 10: None, 13: None})
    )
    scheme = _SCHEME_PATTERN.match(text)
    if scheme is None:
        return False
    rest = text[scheme.end() :]
    if scheme.group()[:-1].lower() not in _SPECIAL_SCHEMES:
        return not rest.startswith("//") or _is_valid_authority(
            re.split(r"[/?#]", rest[2:], maxsplit=1)[0], host_required=False
        )
    authority = re.split(r"[/\\?#]", rest.lstrip("/\\"), maxsplit=1)[0]
    return _is_valid_authority(authority, host_required=True)


def _is_valid_authority(authority: str, *, host_required: bool) -> bool:
    address = authority.rpartition("@")[2]
    host, colon, port = address.rpartition(":")
    if not colon or address.endswith("]"):
        host, port = address, ""
    if port and not (_PORT_PATTERN.fullmatch(port) and int(port.lstrip("0") or 0) <= 65535):
        return False
    if host.startswith("["):
        try:
            ipaddress.IPv6Address(host[1:-1])
        except ValueError:
            return False
        return host.endswith("]")
    if not host:
        return not host_required and not authority
    return _FORBIDDEN_HOST_CHARACTERS.search(unquote(host) if host_required else host) is None


_Format = Literal["text", "email", "url"]

# Name, format, and whether null is allowed. Dub checks the fields in this order, and reports only
# the first problem.
_BODY_FIELDS: tuple[tuple[str, _Format, bool], ...] = (
    ("email", "email", True),
    ("name", "text", True),
    ("avatar", "url", True),
    ("externalId", "text", False),
    ("stripeCustomerId", "text", True),
    ("country", "text", False),
)
_REQUIRED_FIELDS = ("externalId", "country")


def _type_name(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "number"
    return "array" if isinstance(value, list) else "object"


def check_body(body: Any, *, creating: bool) -> str | None:
    """Return the first problem of a create or update body, or ``None``.

    Unknown keys are ignored.
    """
    if not isinstance(body, dict):
        return f"invalid_type: : Invalid input: expected object, received {_type_name(body)}"
    for field, format_, nullable in _BODY_FIELDS:
        problem = None
        if field not in body:
            if creating and field in _REQUIRED_FIELDS:
                problem = _wrong_type_message(field, "undefined")
        elif not isinstance(body[field], str):
            if body[field] is not None or not nullable:
                problem = _wrong_type_message(field, _type_name(body[field]))
        elif format_ == "email" and not is_email(body[field]):
            problem = "invalid_format: email: Invalid email address"
        elif format_ == "url" and not is_url(body[field]):
            problem = f"invalid_format: {field}: Invalid URL"
        if problem is not None:
            return problem
    return None


def _wrong_type_message(field: str, received: str) -> str:
    if field == "externalId":
        return "invalid_type: externalId: External ID is required"
    return f"invalid_type: {field}: Invalid input: expected string, received {received}"
