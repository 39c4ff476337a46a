"""Define argument types and uplink annotations for the customers API."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypedDict, TypeVar

import uplink

from .._declarative.context import get_context
from .._declarative.extra import check_call_options
from .._declarative.parameters import (
    BodyOptions,
    CallOptions,
    PathSegment,
    QueryMap,
    take_options,
)
from .._declarative.schemas import field_names, format_query_value, serialize_request
from .._declarative.signatures import explicit_signature
from .._internal.naming import camel_case
from .._transport.call import OPTIONS_KEY
from ..models.operations import GetCustomersRequest
from ..models.unset import UNSET
from .ids import RESERVED_IDS
from .schemas import CountQuerySchema, GetSchema, ListSchema
from .traversal import PageQuery

_GET_SCHEMA = GetSchema()
_LIST_SCHEMA = ListSchema()
_COUNT_SCHEMA = CountQuerySchema()
_EXPAND_OPTION = "include_expanded_fields"
_NEVER_EXPANDED_REASON = (
    "Dub does not expand a customer that it creates; call get() with include_expanded_fields=True"
)
_UPDATE_ONLY_REASON = "Dub does not write it when it creates a customer; call update() with it"
_UNSUPPORTED_BY_CREATE = {
    _EXPAND_OPTION: _NEVER_EXPANDED_REASON,
    camel_case(_EXPAND_OPTION): _NEVER_EXPANDED_REASON,
    "subscription_canceled_at": _UPDATE_ONLY_REASON,
    "subscriptionCanceledAt": _UPDATE_ONLY_REASON,
}

P = ParamSpec("P")
T = TypeVar("T")


class _Filters(TypedDict, total=False):
    email: str | None
    external_id: str | None
    search: str | None
    country: str | None
    link_id: str | None
    program_id: str | None
    partner_id: str | None


class _Order(TypedDict, total=False):
    include_expanded_fields: bool | None
    sort_by: str | None
    sort_order: str | None
    page_size: int | None


class _Position(TypedDict, total=False):
    page: int | None
    starting_after: str | None
    ending_before: str | None


class _Expand(TypedDict, total=False):
    include_expanded_fields: bool | None


class ListOptions(_Filters, _Order, _Position, CallOptions, total=False):
    """The keyword arguments of ``list``; ``timeout_ms`` is in milliseconds."""


class IterateOptions(_Filters, _Order, CallOptions, total=False):
    """The keyword arguments of ``iterate``; ``timeout_ms`` is in milliseconds."""


class CountOptions(_Filters, CallOptions, total=False):
    """The keyword arguments of ``count``; ``timeout_ms`` is in milliseconds."""


class ExpandOptions(_Expand, CallOptions, total=False):
    """The keyword arguments of ``get``; ``timeout_ms`` is in milliseconds."""


class UpdateOptions(_Expand, BodyOptions, total=False):
    """The keyword arguments of ``update``; ``timeout_ms`` is in milliseconds."""


# The body of a TypedDict cannot set `__module__`.
for _public_type in (ListOptions, IterateOptions, CountOptions, ExpandOptions, UpdateOptions):
    _public_type.__module__ = "dub_uplink.types"


def refuse_expanded_fields(function: Callable[P, T]) -> Callable[P, T]:
    """Apply ``explicit_signature``, and raise ``TypeError`` for ``include_expanded_fields``."""
    return explicit_signature(function, {_EXPAND_OPTION: _NEVER_EXPANDED_REASON})


def refuse_unsupported(call: str, *arguments: Any) -> None:
    """Reject arguments that a create does not support, such as ``include_expanded_fields``.

    Args:
        call: the name of the call, for error messages.
        arguments: the request, ``extra_query`` and ``extra_body``; only mappings are checked.

    Raises:
        ValueError: a mapping contains a name that a create does not support.
    """
    for argument in arguments:
        for name in argument if isinstance(argument, Mapping) else ():
            if name in _UNSUPPORTED_BY_CREATE:
                raise ValueError(f"{call} takes no {name}: {_UNSUPPORTED_BY_CREATE[name]}")


class CustomerId(PathSegment):
    """The path segment of a customer: a Dub id, or ``ext_`` followed by an external id."""

    def check(self, value: Any) -> str:
        if isinstance(value, str) and value in RESERVED_IDS:
            raise ValueError(
                f"{self.name} must not be {value!r}, which is reserved by Dub;"
                f" to address an external id, write 'ext_{value}'"
            )
        return super().check(value)


class CustomerRequest(CustomerId):
    """The id of a customer, or a request (an object or a mapping) that contains the id."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        if isinstance(value, (Mapping, _GET_SCHEMA.model)):
            request = serialize_request(_GET_SCHEMA, value)
            get_context(request_builder).request = request
            value = request["id"]
        super().modify_request(request_builder, value)


class ExpandQuery(QueryMap):
    """An argument ``**options`` that accepts :class:`ExpandOptions`.

    The request object of ``get()`` may also contain ``include_expanded_fields``.
    """

    known = frozenset({_EXPAND_OPTION, camel_case(_EXPAND_OPTION)})

    def modify_request(self, request_builder: Any, value: Mapping[str, Any]) -> None:
        request = get_context(request_builder).request
        if not value and request is None:
            return
        value_by_keyword = take_options(request_builder, value).get(_EXPAND_OPTION)
        value_in_request = (request or {}).get(camel_case(_EXPAND_OPTION))
        check_expand_option(value_by_keyword)
        if value_by_keyword is not None and value_in_request not in (None, value_by_keyword):
            raise ValueError(
                f"{_EXPAND_OPTION} is given twice, in the request and by keyword; leave one out"
            )
        expanded = value_in_request if value_by_keyword is None else value_by_keyword
        self.set_params(request_builder, {_EXPAND_OPTION: expanded})


def check_expand_option(value: Any) -> None:
    """Check the argument ``include_expanded_fields``.

    Raises:
        ValueError: the value is neither a boolean, nor ``None``, nor ``UNSET``.
    """
    if value is not None and value is not UNSET and not isinstance(value, bool):
        raise ValueError(f"{_EXPAND_OPTION} must be True or False, not {value!r:.40}")


class ListRequest(uplink.Context):  # type: ignore[misc]  # uplink has no types
    """The request object of ``list()``; :class:`ListQuery` validates and sends it."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        get_context(request_builder).request = value


class ListQuery(QueryMap):
    """Validate :class:`ListOptions` together with the request object, and send both."""

    known = field_names(_LIST_SCHEMA)

    def modify_request(self, request_builder: Any, value: Mapping[str, Any]) -> None:
        context = get_context(request_builder)
        filters = take_options(request_builder, value)
        context.query = validate_list_query(context.request, filters)
        params = {name: format_query_value(name, value) for name, value in context.query.items()}
        context.params.update(params)


class CountGroup(uplink.Context):  # type: ignore[misc]
    """The argument ``group_by`` of ``count()``; :class:`CountQuery` validates and sends it."""

    def modify_request(self, request_builder: Any, value: Any) -> None:
        get_context(request_builder).request = value


class CountQuery(QueryMap):
    """Validate :class:`CountOptions` together with ``group_by``, and send both."""

    known = field_names(_COUNT_SCHEMA)

    def modify_request(self, request_builder: Any, value: Mapping[str, Any]) -> None:
        context = get_context(request_builder)
        filters = take_options(request_builder, value)
        query = serialize_request(_COUNT_SCHEMA, {**filters, "group_by": context.request})
        if "groupBy" in query:
            query["groupBy"] = camel_case(query["groupBy"])
        context.params.update(query)
        # If the server does not have the route, the transport raises NotFound, not SDKError.
        request_builder.info[OPTIONS_KEY]["unpublished"] = True


def validate_list_query(request: Any, filters: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the query parameters of a list, with the server's names.

    Raises:
        TypeError: ``request`` is neither a ``GetCustomersRequest`` nor a mapping.
        ValueError: an argument is empty or not valid, or is given twice. The message names the
            argument.
    """
    if isinstance(request, PageQuery) and not filters and all(request.values()):
        return request
    query = {} if request is None else serialize_request(_LIST_SCHEMA, request)
    filters = {name: value for name, value in filters.items() if value is not None}
    for name in filters:
        if camel_case(name) in query:
            raise ValueError(
                f"list(): {name} is given twice, in the request and by keyword; leave one out"
            )
    # Validated together, because a cursor in the request excludes the keyword `page`.
    return serialize_request(_LIST_SCHEMA, {**query, **filters}) if filters else query


def split_iterate_options(options: IterateOptions) -> tuple[Mapping[str, Any], CallOptions]:
    """Return the query parameters of an iteration, and the call options of its requests.

    Raises:
        TypeError: an option is of the wrong type.
        ValueError: an argument is empty or not valid. The message names the argument.
    """
    filters: dict[str, Any] = {**options}
    names = CallOptions.__optional_keys__ & options.keys()
    call_options: Any = {name: filters.pop(name) for name in names}
    check_call_options(call_options, ListQuery.known)
    query = serialize_request(_LIST_SCHEMA, GetCustomersRequest(**filters), "iterate()")
    return query, call_options
