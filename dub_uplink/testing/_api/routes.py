"""Execute requests to Dub's customers API. The checks are in the server's order."""

from __future__ import annotations

import dataclasses
import itertools
import logging
import re
from collections.abc import Callable
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from ..._customers.ids import RESERVED_IDS
from .._clock import FakeClock
from .._messages import FakeResponse, Request
from .limits import RateLimiter, Usage
from .parsing import (
    check_column_lengths,
    is_expanded,
    make_list_query,
    parse_body,
    parse_count,
    parse_list_parameters,
    rehosted_url,
)
from .responses import (
    CONFLICT,
    NO_BEARER,
    NO_WORKSPACE,
    NOT_FOUND,
    RATE_LIMITED,
    SERVER_ERROR,
    WRONG_PLAN,
    WRONG_ROLE,
    ApiError,
    customer_to_json,
    link_count_to_json,
    make_error_response,
    make_html_response,
    make_json_response,
)
from .rules import UNKNOWN_CURSOR
from .store import DuplicateKey, Row, Store, StoredCustomer, from_milliseconds, row_from_customer

logger = logging.getLogger("dub_uplink.testing")

ROLES = ("owner", "member", "viewer", "billing")
_WRITING_ROLES = ("owner", "member")
# Dub includes the customers API only in plans with partner programs.
_PLANS_WITHOUT_CUSTOMERS = ("free", "pro")
_MAX_LINK_GROUPS = 10_000


@dataclasses.dataclass(frozen=True)
class Workspace:
    """A workspace: its valid and expired API keys, their role, its plan and its program."""

    tokens: frozenset[str]
    expired: frozenset[str]
    role: str
    plan: str
    default_program: str | None


class CustomersApi:
    """Execute the operations of the API. The caller must hold a lock.

    ``workspace`` may be replaced between requests.

    As in Dub's server, ``HEAD`` and ``OPTIONS`` get a 405. ``get`` and ``update`` check each query
    parameter of ``list``, but not their combination. ``create`` and ``delete`` ignore the query.
    A customer key is a Dub id, or an external id with the prefix ``ext_``.
    """

    def __init__(
        self,
        store: Store,
        workspace: Workspace,
        limiter: RateLimiter,
        clock: FakeClock,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self.workspace = workspace
        self._limiter = limiter
        self._clock = clock
        self._new_id = new_id
        self._name_numbers = itertools.count()

    def handle(self, request: Request) -> FakeResponse:
        """Execute a request and return the response."""
        path = _resolve_dot_segments(request.path)
        if path != "/" and path.endswith("/"):
            query = f"?{request.query_string}" if request.query_string else ""
            return FakeResponse(308, {"Location": "/" + path.strip("/") + query}, b"")
        collection, _, segment = path[1:].partition("/")
        is_other_route = segment in RESERVED_IDS and segment not in _ROUTES
        if collection != "customers" or "/" in segment or is_other_route:
            return make_html_response(404, "This page could not be found.")
        routes = _ROUTES.get(segment, _CUSTOMER_ROUTES)
        operation = routes.get(request.method)
        if operation is None:
            return FakeResponse(405, {}, b"")
        customer_key = _percent_decode(segment)
        if customer_key is None:
            return make_html_response(400, "Bad Request")
        return self._execute(operation, customer_key, request)

    def _execute(self, operation: _Operation, customer_key: str, request: Request) -> FakeResponse:
        usage: Usage | None = None
        try:
            token = self._check_token(request.headers.get("authorization"))
            usage = self._limiter.count_request(token, self._clock.milliseconds())
            self._check_access(usage, operation, request.method)
            return operation(self, customer_key, request)
        except ApiError as error:
            code, message = error.code, error.message
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            code, message = "internal_server_error", SERVER_ERROR
        # Like Dub, send rate limit headers only with errors, and only after the rate limit check.
        return make_error_response(code, message, None if usage is None else usage.headers())

    def _check_access(self, usage: Usage, operation: _Operation, method: str) -> None:
        if not usage.allowed:
            raise ApiError("rate_limit_exceeded", RATE_LIMITED)
        if method != "GET" and self.workspace.role not in _WRITING_ROLES:
            raise ApiError("forbidden", WRONG_ROLE)
        plan = self.workspace.plan
        if plan in _PLANS_WITHOUT_CUSTOMERS and operation is not CustomersApi._count:
            raise ApiError("forbidden", WRONG_PLAN)

    def _check_token(self, authorization: str | None) -> str:
        if not authorization:
            raise ApiError("unauthorized", "Missing Authorization header.")
        if not authorization.startswith("Bearer "):
            raise ApiError("bad_request", NO_BEARER)
        token = authorization[len("Bearer ") :]
        if token in self.workspace.expired:
            raise ApiError("unauthorized", "Unauthorized: Access token expired.")
        if token in self.workspace.tokens:
            return token
        if token.startswith("dub_"):
            raise ApiError("unauthorized", "Unauthorized: Invalid API key.")
        # Dub treats any other token as a personal API key, without a workspace and a rate limit.
        raise ApiError("not_found", NO_WORKSPACE)

    def _list(self, customer_key: str, request: Request) -> FakeResponse:
        parameters = parse_list_parameters(request)
        query = make_list_query(parameters, self.workspace.default_program)
        cursor = query.starting_after or query.ending_before
        if cursor and not self._store.has(cursor):
            raise ApiError("unprocessable_entity", UNKNOWN_CURSOR)
        expanded = is_expanded(parameters)
        rows = self._store.page(query)
        return make_json_response(200, [self._serialize(row, expanded=expanded) for row in rows])

    def _count(self, customer_key: str, request: Request) -> FakeResponse:
        group, query = parse_count(request, self.workspace.default_program)
        if group == "country":
            groups = self._store.count_by_country(query)
            return make_json_response(
                200, [{"country": row[0], "_count": row[1]} for row in groups]
            )
        if group == "linkId":
            groups = self._store.count_by_link(query, _MAX_LINK_GROUPS)
            return make_json_response(200, [link_count_to_json(*row) for row in groups])
        return make_json_response(200, self._store.count(query))

    def _create(self, customer_key: str, request: Request) -> FakeResponse:
        fields = parse_body(request, creating=True)
        check_column_lengths(fields, "create")
        customer_id = self._new_customer_id()
        customer = StoredCustomer(
            id=customer_id,
            name=fields.get("name"),
            email=fields.get("email"),
            avatar=rehosted_url(fields.get("avatar"), customer_id),
            external_id=fields["external_id"] or "",
            stripe_customer_id=fields.get("stripe_customer_id"),
            country=fields["country"],
            created_at=from_milliseconds(self._clock.milliseconds()),
        )
        try:
            self._store.add(customer)
        except DuplicateKey:
            raise ApiError("conflict", CONFLICT) from None
        return make_json_response(201, self._serialize(row_from_customer(customer), expanded=False))

    def _new_customer_id(self) -> str:
        try:
            customer_id = self._new_id()
            self._store.check_id(customer_id)
        except ValueError as error:  # from the callable given as FakeDub(ids=...)
            raise ApiError(
                "unprocessable_entity",
                f"FakeDub(ids=...) returned an invalid id: {error}",
            ) from None
        return customer_id

    def _get(self, customer_key: str, request: Request) -> FakeResponse:
        expanded = is_expanded(parse_list_parameters(request))
        return make_json_response(
            200, self._serialize(self._find_row(customer_key), expanded=expanded)
        )

    def _update(self, customer_key: str, request: Request) -> FakeResponse:
        expanded = is_expanded(parse_list_parameters(request))
        fields = parse_body(request, creating=False)
        row = self._find_row(customer_key)
        customer_id: str = row[0]
        # Dub checks the country of an update, but does not store the country.
        fields.pop("country", None)
        check_column_lengths(fields, "update")
        if "avatar" in fields and fields["avatar"] != row[3]:
            fields["avatar"] = rehosted_url(fields["avatar"], customer_id)
        try:
            self._store.update(customer_id, fields)
        except DuplicateKey:
            raise ApiError("conflict", CONFLICT) from None
        return make_json_response(
            200, self._serialize(self._find_row(customer_id), expanded=expanded)
        )

    def _delete(self, customer_key: str, request: Request) -> FakeResponse:
        customer_id: str = self._find_row(customer_key)[0]
        self._store.delete(customer_id)
        return make_json_response(200, {"id": customer_id})

    def _find_row(self, customer_key: str) -> Row:
        row = self._store.get(customer_key)
        if row is None:
            raise ApiError("not_found", NOT_FOUND)
        return row

    def _serialize(self, row: Row, *, expanded: bool) -> dict[str, Any]:
        return customer_to_json(row, next(self._name_numbers), expanded=expanded)


_Operation: TypeAlias = Callable[[CustomersApi, str, Request], FakeResponse]
_COLLECTION_ROUTES: dict[str, _Operation] = {
    "GET": CustomersApi._list,
    "POST": CustomersApi._create,
}
_CUSTOMER_ROUTES: dict[str, _Operation] = {
    "GET": CustomersApi._get,
    "PATCH": CustomersApi._update,
    "DELETE": CustomersApi._delete,
}
# The routes by the path segment after /customers. A segment without a route is a customer key.
_ROUTES: dict[str, dict[str, _Operation]] = {
    "": _COLLECTION_ROUTES,
    "count": {"GET": CustomersApi._count},
}

_INVALID_ENCODING_PATTERN = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOT_SEGMENT_PATTERN = re.compile(r"/(?:\.|%2e){1,2}(?=/|$)", re.IGNORECASE)


def _resolve_dot_segments(path: str) -> str:
    """Resolve ``.`` and ``..`` segments, plain or percent-encoded, as URL parsers do."""
    if not _DOT_SEGMENT_PATTERN.search(path):
        return path
    resolved: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments, 1):
        dots = segment.lower().replace("%2e", ".")
        if dots == ".." and resolved:
            resolved.pop()
        if dots not in (".", ".."):
            resolved.append(segment)
        elif number == len(segments):
            resolved.append("")
    return "/" + "/".join(resolved)


def _percent_decode(segment: str) -> str | None:
    """Percent-decode a path segment once; return ``None`` if the result is not valid UTF-8."""
    if "%" not in segment:
        return segment
    try:
        return (
            None
            if _INVALID_ENCODING_PATTERN.search(segment)
            else unquote_to_bytes(segment).decode()
        )
    except UnicodeDecodeError:
        return None
