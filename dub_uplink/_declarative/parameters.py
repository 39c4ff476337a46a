"""How an endpoint's arguments become a request: uplink's annotations, which check as well."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
from collections.abc import Collection, Mapping
from typing import Any

import uplink

from .._internal.config import timeout_seconds, validate_headers
from .._transport.call import OPTIONS
from ..models.operations import GetCustomersRequest
from ..models.unset import UNSET
from ..retries import RetryConfig
from .schemas import GetSchema, ListSchema, RequestSchema, camel, moment_text, wire

#: Routes of the server's own beside `customers/{id}`.
_RESERVED = frozenset({"count", "export", "search-stripe"})


class Segment(uplink.Path):  # type: ignore[misc]  # uplink has no types
    """A string that becomes exactly one segment of the path, whatever it holds."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        request_builder.set_url_variable({self.name: self._checked(value)})

    def _checked(self, value: Any) -> str:
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


class CustomerId(Segment):
    """Dub's id of a customer, or ``ext_`` and the caller's own."""

    def _checked(self, value: Any) -> str:
        if isinstance(value, str) and value in _RESERVED:
            raise ValueError(
                f"{self.name} must not be {value!r}, which is another route;"
                f" for an id of your own write 'ext_{value}'"
            )
        return super()._checked(value)


class CustomerRequest(CustomerId):
    """An id, a ``GetCustomerRequest`` or a mapping like it."""

    _schema = GetSchema()

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if isinstance(value, (Mapping, self._schema.model)):
            given = wire(self._schema, value, "get()")
            value = given["id"]
            Query("includeExpandedFields").modify_request(
                request_builder, given.get("includeExpandedFields")
            )
        super().modify_request(request_builder, value)


class Query(uplink.Query):  # type: ignore[misc]
    """A query parameter in the server's spelling; ``None`` is not sent."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is not None:
            request_builder.info["params"][self.name] = _query_text(self.name, value)


class Expanded(Query):
    """``include_expanded_fields``, which the request of a call may hold as well."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is None:
            return
        if not isinstance(value, bool):
            raise ValueError(f"include_expanded_fields must be True or False, not {value!r:.40}")
        in_request = request_builder.info["params"].get(self.name)
        super().modify_request(request_builder, value)
        if in_request not in (None, request_builder.info["params"][self.name]):
            raise ValueError(
                "include_expanded_fields is given twice, in the request and by keyword;"
                " leave one out"
            )


#: An argument of a get and of an update.
EXPANDED: Mapping[str, Any] = {"include_expanded_fields": Expanded("includeExpandedFields")}


def _query_text(name: Any, value: Any) -> str:
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
        body = wire(self._schema, {} if value is None else value, self._where)
        request_builder.info["data"] = json.dumps(body, separators=(",", ":")).encode()
        request_builder.info["headers"]["Content-Type"] = "application/json"


class Filter(uplink.Query):  # type: ignore[misc]
    """One of several arguments that :func:`list_query` checks together."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if value is not None:
            request_builder.info[OPTIONS].setdefault("filters", {})[self.name] = value


_LIST = ListSchema()

#: The arguments of a list that :func:`list_query` checks.
LIST_FILTERS: Mapping[str, Any] = {
    name: Filter(name)
    for name in ("request", *(field.name for field in dataclasses.fields(GetCustomersRequest)))
}


def list_query(request_builder: Any) -> None:
    """Make the query of a list from its filters, or refuse it as the server would.

    Raises:
        TypeError: the request is neither a ``GetCustomersRequest`` nor a mapping.
        ValueError: a filter that the server would refuse, or ignore; the message names it.
    """
    filters = request_builder.info[OPTIONS].pop("filters", {})
    request = filters.pop("request", None)
    query = {} if request is None else wire(_LIST, request, "list()")
    twice = [name for name in filters if camel(name) in query]
    if twice:
        raise ValueError(
            f"list(): {twice[0]} is given twice, in the request and by keyword; leave one out"
        )
    if filters:
        # Once more together: a cursor of the one may not go with a page of the other.
        query = wire(_LIST, {**query, **filters}, "list()")
    request_builder.info[OPTIONS]["query"] = query
    request_builder.info["params"].update(
        {name: _query_text(name, value) for name, value in query.items()}
    )


def iteration_query(**filters: Any) -> dict[str, Any]:
    """The query of an iteration, as :func:`list_query` makes that of a list.

    Raises:
        ValueError: a filter that the server would refuse or ignore; the message names it.
    """
    return wire(_LIST, GetCustomersRequest(**filters), "iterate()")


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
