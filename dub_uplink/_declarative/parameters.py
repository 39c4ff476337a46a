"""uplink annotations that check the arguments of endpoints and write them into requests."""

from __future__ import annotations

import datetime as dt
import enum
import json
from collections.abc import Collection, Mapping
from typing import Any

import uplink

from .._internal.config import timeout_seconds, validate_headers
from .._transport.call import OPTIONS
from ..models.unset import UNSET
from ..retries import RetryConfig
from .schemas import RequestSchema, moment_text, serialize_request


class PathSegment(uplink.Path):  # type: ignore[misc]  # uplink has no types
    """A string that becomes exactly one segment of the path, whatever it holds."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        request_builder.set_url_variable({self.name: self.check(value)})

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"{self.name} must be a string, not {type(value).__name__}")
        if value in ("", ".", ".."):
            # An empty id would be the list, dots other routes altogether.
            raise ValueError(f"{self.name} must not be {value!r}, which would be another route")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError(
                f"{self.name} holds half of a surrogate pair, which UTF-8 cannot write: {value!r}"
            ) from None
        return value


class Query(uplink.Query):  # type: ignore[misc]
    """A query parameter in the server's spelling; ``None`` is not sent."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is not None:
            request_builder.info["params"][self.name] = query_text(self.name, value)


def query_text(name: Any, value: Any) -> str:
    """A query value as the server reads it.

    Raises:
        ValueError: there is no one way to write it; the message names the parameter.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise ValueError(
                f"{name} must be a datetime with a time zone, such as datetime.now(timezone.utc)"
            )
        return moment_text(value)
    if isinstance(value, Collection) and not isinstance(value, str):
        raise ValueError(f"{name} must be a single value, not {type(value).__name__}")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{name} holds half of a surrogate pair, which UTF-8 cannot write"
        ) from None
    return text


class JsonBody(uplink.Body):  # type: ignore[misc]
    """A body that is checked by a schema and sent as JSON."""

    def __init__(self, schema: RequestSchema, where: str) -> None:
        super().__init__()
        self._schema = schema
        self._where = where

    def modify_request(self, request_builder: Any, value: Any) -> None:
        body = serialize_request(self._schema, {} if value is None else value, self._where)
        request_builder.info["data"] = json.dumps(body, separators=(",", ":")).encode()
        request_builder.info["headers"]["Content-Type"] = "application/json"


class _Option(uplink.Query):  # type: ignore[misc]
    """An argument that is for the transport and not for the server."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is not UNSET:
            self._check(value)
            request_builder.info[OPTIONS][self.name] = value

    def _check(self, value: Any) -> None:
        raise NotImplementedError


class _Retries(_Option):
    def _check(self, value: Any) -> None:
        if value is not None and not isinstance(value, RetryConfig):
            raise TypeError(f"retries must be a RetryConfig or None, not {type(value).__name__}")


class _TimeoutMs(_Option):
    def _check(self, value: Any) -> None:
        timeout_seconds(value, 1.0)


class _HttpHeaders(uplink.HeaderMap):  # type: ignore[misc]
    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is not None:
            request_builder.info[OPTIONS]["http_headers"] = value
            request_builder.info["headers"].update(validate_headers(value))


#: What every endpoint takes by keyword, without saying so in its declaration.
OPTION_ARGUMENTS: Mapping[str, Any] = {
    "retries": _Retries("retries"),
    "timeout_ms": _TimeoutMs("timeout_ms"),
    "http_headers": _HttpHeaders(),
}
