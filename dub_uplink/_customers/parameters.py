"""uplink annotations for the arguments of the customers API."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import uplink

from .._declarative.parameters import PathSegment, Query, query_text
from .._declarative.schemas import serialize_request
from .._internal.naming import camel_case
from .._transport.call import OPTIONS
from ..models.operations import GetCustomersRequest
from .ids import RESERVED_IDS
from .schemas import GetSchema, ListSchema


class CustomerId(PathSegment):
    """Dub's id of a customer, or ``ext_`` and the caller's own."""

    def check(self, value: Any) -> str:
        if isinstance(value, str) and value in RESERVED_IDS:
            raise ValueError(
                f"{self.name} must not be {value!r}, which is another route;"
                f" for an id of your own write 'ext_{value}'"
            )
        return super().check(value)


class CustomerRequest(CustomerId):
    """An id, a ``GetCustomerRequest`` or a mapping like it."""

    _schema = GetSchema()

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if isinstance(value, (Mapping, self._schema.model)):
            given = serialize_request(self._schema, value, "get()")
            value = given["id"]
            Query("includeExpandedFields").modify_request(
                request_builder, given.get("includeExpandedFields")
            )
        super().modify_request(request_builder, value)


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
    query = {} if request is None else serialize_request(_LIST, request, "list()")
    twice = [name for name in filters if camel_case(name) in query]
    if twice:
        raise ValueError(
            f"list(): {twice[0]} is given twice, in the request and by keyword; leave one out"
        )
    if filters:
        # Once more together: a cursor of the one may not go with a page of the other.
        query = serialize_request(_LIST, {**query, **filters}, "list()")
    request_builder.info[OPTIONS]["query"] = query
    request_builder.info["params"].update(
        {name: query_text(name, value) for name, value in query.items()}
    )


def iteration_query(**filters: Any) -> dict[str, Any]:
    """The query of an iteration, as :func:`list_query` makes that of a list.

    Raises:
        ValueError: a filter that the server would refuse or ignore; the message names it.
    """
    return serialize_request(_LIST, GetCustomersRequest(**filters), "iterate()")
