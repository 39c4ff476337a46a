"""Validate and apply ``extra_query`` and ``extra_body``, and check call options early."""

from __future__ import annotations

import datetime as dt
import decimal
import enum
from collections.abc import Collection, Mapping
from typing import Any

from .._internal.config import timeout_seconds, validate_headers
from .._transport.client import serialize_json
from ..models.unset import UNSET
from .parameters import check_retries
from .schemas import format_query_value

_QUERY_VALUE_TYPES = (str, int, float, decimal.Decimal, enum.Enum, dt.date)


def check_extra(name: str, value: Any, declared_names: Collection[str]) -> dict[str, Any]:
    """Check the keys of ``extra_query`` or ``extra_body``. Return a copy without ``UNSET`` values.

    Args:
        name: the name of the argument, for error messages.
        value: the argument's value.
        declared_names: the names that the endpoint sends itself.

    Raises:
        TypeError: ``value`` is not a mapping with string keys.
        ValueError: a key is in ``declared_names``.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping from strings, not {type(value).__name__}")
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"{name}: keys must be strings, not {type(key).__name__}")
        if key in declared_names:
            raise ValueError(f"{name}: the call sets {key!r} itself; leave it out")
    return {key: each for key, each in value.items() if each is not UNSET}


def check_call_options(
    options: Mapping[str, Any], query_names: Collection[str] = (), body_names: Collection[str] = ()
) -> None:
    """Check call options before the first of several calls.

    Args:
        options: the call options. Each call checks its options again.
        query_names: the query parameters that the calls send themselves.
        body_names: the body fields that the calls send themselves.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an option is out of range, or contains a name that the calls send themselves.
    """
    given = {name: each for name, each in options.items() if each is not None and each is not UNSET}
    check_retries(given.get("retries"))
    timeout_seconds(given.get("timeout_ms"), 1.0)
    validate_headers(given.get("http_headers", {}))
    convert_extra_query(given.get("extra_query", {}), query_names)
    extra_body = check_extra("extra_body", given.get("extra_body", {}), body_names)
    try:
        serialize_json(extra_body)
    except (TypeError, ValueError) as error:
        raise type(error)(f"extra_body: {error}") from None


def convert_extra_query(extra: Any, declared_names: Collection[str]) -> dict[str, str]:
    """Return ``extra_query`` with its values converted to strings.

    Raises:
        TypeError: ``extra`` is not a mapping with string keys.
        ValueError: a key is in ``declared_names``, or a key or a value is not valid in a query.
    """
    params: dict[str, str] = {}
    for name, value in check_extra("extra_query", extra, declared_names).items():
        if value is None or not name:
            raise ValueError(f"extra_query: {name!r} is empty, or its value is None; leave it out")
        if not isinstance(value, _QUERY_VALUE_TYPES):
            raise ValueError(
                f"extra_query: {name!r} must be a string, a number, a boolean or a datetime, not"
                f" {value!r:.40}"
            )
        key = format_query_value("extra_query: a key", name)
        params[key] = format_query_value(f"extra_query: {name}", value)
    return params


def add_extra_query(info: Any, extra: Any, declared_names: Collection[str]) -> None:
    """Add ``extra_query`` to uplink's request.

    Raises:
        TypeError: ``extra`` is not a mapping with string keys.
        ValueError: the endpoint sends a key itself, or a value is not valid in a query.
    """
    params = info["params"]
    params.update(convert_extra_query(extra, {*declared_names, *params}))


def add_extra_body(info: Any, extra: Any, declared_names: Collection[str] | None) -> None:
    """Add ``extra_body`` to the JSON object of uplink's request.

    Args:
        info: uplink's dictionary of request arguments.
        extra: the fields to add.
        declared_names: the fields that the endpoint sends itself. ``None`` if the body is not JSON.

    Raises:
        TypeError: ``extra`` is not a mapping with string keys.
        ValueError: the endpoint sends a field itself, or sends no JSON object.
    """
    body = info.get("data", {})  # `uplink.json` serialises the body later
    if declared_names is None or not isinstance(body, Mapping):
        raise ValueError("extra_body: this call sends no JSON object; leave extra_body out")
    info["data"] = {**body, **check_extra("extra_body", extra, {*declared_names, *body})}
