"""Parameters and fields that an endpoint does not know, and the checks of call options."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
import math
from collections.abc import Collection, Mapping
from typing import Any

from .._internal.config import timeout_seconds, validate_headers
from .._transport.client import serialize_json
from ..models.unset import UNSET
from .parameters import check_retries, query_text

_QUERY_VALUES = (str, int, float, decimal.Decimal, enum.Enum, dt.date)


def check_extra(name: str, value: Any, known: Collection[str]) -> dict[str, Any]:
    """Return the parameters or fields that are sent in addition to those an endpoint knows.

    Args:
        name: the argument, for error messages.
        value: the argument's value.
        known: names that the endpoint sends itself.

    Raises:
        TypeError: it is not a mapping from strings.
        ValueError: a name is known.
    """
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise TypeError(f"{name} must be a mapping from strings, not {type(value).__name__}")
    for key in value:
        if key in known:
            raise ValueError(f"{name}: the call sets {key!r} itself; leave it out")
    return dict(value)


def check_call_options(
    options: Mapping[str, Any], query: Collection[str] = (), body: Collection[str] = ()
) -> None:
    """Check the options of calls that are made later, so that a mistake is reported now.

    Args:
        options: the call options, which each call checks again.
        query: the query parameters that the calls send themselves.
        body: the fields of the body that the calls send themselves.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range, or the calls know a parameter or a field.
    """
    given = {name: each for name, each in options.items() if each is not None and each is not UNSET}
    check_retries(given.get("retries"))
    timeout_seconds(given.get("timeout_ms"), 1.0)
    validate_headers(given.get("http_headers", {}))
    extra_params(given.get("extra_query", {}), query)
    extra_body = check_extra("extra_body", given.get("extra_body", {}), body)
    try:
        serialize_json(extra_body)
    except (TypeError, ValueError) as error:
        raise type(error)(f"extra_body: {error}") from None


def extra_params(extra: Any, known: Collection[str]) -> dict[str, str]:
    """Return query parameters as they are sent.

    Raises:
        TypeError: they are no mapping from strings.
        ValueError: ``known`` has one of them, or a value cannot be written in one way.
    """
    params: dict[str, str] = {}
    for name, value in check_extra("extra_query", extra, known).items():
        if value is UNSET:
            continue
        if value is None or not name:
            raise ValueError(f"extra_query: {name!r} has no name or no value; leave it out")
        is_nan = isinstance(value, float) and not math.isfinite(value)
        if is_nan or not isinstance(value, _QUERY_VALUES):
            raise ValueError(
                f"extra_query: {name!r} must be a string, a number, a boolean or a datetime, not"
                f" {value!r:.40}"
            )
        params[name] = query_text(f"extra_query: {name}", value)
    return params


def add_extra_query(info: Any, extra: Any, known: Collection[str]) -> None:
    """Add query parameters to uplink's request.

    Raises:
        TypeError: they are no mapping from strings.
        ValueError: the endpoint knows one of them, or a value cannot be written in one way.
    """
    params = info["params"]
    params.update(extra_params(extra, {*known, *params}))


def add_extra_body(info: Any, extra: Any, known: Collection[str] | None) -> None:
    """Add fields to the JSON object of uplink's request.

    Args:
        info: what uplink has gathered of the request.
        extra: the fields.
        known: the fields that the endpoint sends itself; ``None`` if it sends no JSON.

    Raises:
        TypeError: they are no mapping from strings.
        ValueError: the endpoint knows one of them, or sends no JSON object.
    """
    body = info.get("data", {})  # `uplink.json` serialises it after this
    if known is None or not isinstance(body, Mapping):
        raise ValueError("extra_body: the call sends no JSON object that could have more fields")
    info["data"] = {**body, **check_extra("extra_body", extra, {*known, *body})}
