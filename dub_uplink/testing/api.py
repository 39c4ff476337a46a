"""Dub's customers API: a request in, an answer out, every check in the server's order.

Imports the store, the rules and the limits; knows nothing of sockets, sessions or faults.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import json
import logging
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote_to_bytes

from .._customers.ids import RESERVED_IDS
from .answers import (
    BAD_JSON,
    CONFLICT,
    NO_BEARER,
    NO_WORKSPACE,
    NOT_FOUND,
    RATE_LIMITED,
    SERVER_ERROR,
    WRONG_PLAN,
    WRONG_ROLE,
    customer_json,
    error_answer,
    html_answer,
    json_answer,
)
from .clock import FakeClock
from .limits import RateLimiter, Usage
from .messages import Answer, Request, parse_query
from .rules import MAX_PAGE_SIZE, UNKNOWN_CURSOR, check_body, check_paging, check_query, to_number
from .store import Listing, Row, Store, StoredCustomer, Taken, from_milliseconds

logger = logging.getLogger("dub_uplink.testing")

ROLES = ("owner", "member", "viewer", "billing")
_WRITING_ROLES = ("owner", "member")
# The customers API belongs to partner programs, which begin with the business plan.
_PLANS_WITHOUT_CUSTOMERS = ("free", "pro")
_ASSETS = ("https://dubassets.com/", "https://assets.dub.co/")


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclasses.dataclass(frozen=True)
class Access:
    """Who may ask: the workspace's keys, the expired ones, and the role and plan behind them."""

    tokens: frozenset[str]
    expired: frozenset[str]
    role: str
    plan: str


class CustomersApi:
    """The routes. Not thread-safe: the caller holds a lock.

    Only the methods of the five operations are known, so ``HEAD`` and ``OPTIONS`` are a 405 too.
    ``get`` and ``update`` run the schema of the list query, not the checks of its paging;
    ``create`` and ``delete`` look at no query.
    """

    def __init__(
        self,
        store: Store,
        access: Access,
        limiter: RateLimiter,
        clock: FakeClock,
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._access = access
        self._limiter = limiter
        self._clock = clock
        self._new_id = new_id
        self._invented = itertools.count()

    def answer(self, request: Request) -> Answer:
        """Carry a request out and answer it."""
        path = _normalize(request.path)
        if path != "/" and path.endswith("/"):
            query = f"?{request.query_string}" if request.query_string else ""
            return Answer(308, {"Location": "/" + path.strip("/") + query}, b"")
        root, _, segment = path[1:].partition("/")
        if root != "customers" or "/" in segment or segment in RESERVED_IDS:
            return html_answer(404, "This page could not be found.")
        operation = (_ONE if segment else _MANY).get(request.method)
        if operation is None:
            return Answer(405, {}, b"")
        key = _decoded(segment)
        if key is None:
            return html_answer(400, "Bad Request")
        return self._authorized(operation, key, request)

    def _authorized(self, operation: _Operation, key: str, request: Request) -> Answer:
        usage: Usage | None = None
        try:
            token = self._token(request.headers.get("authorization"))
            usage = self._limiter.take(token, self._clock.milliseconds())
            self._check_access(usage, request.method)
            return operation(self, key, request)
        except Refused as refused:
            code, message = refused.code, refused.message
        except Exception:
            logger.exception("%s %s", request.method, request.path)
            code, message = "internal_server_error", SERVER_ERROR
        # Headers of the limit are on every error that is raised after it was looked at.
        return error_answer(code, message, None if usage is None else usage.headers())

    def _check_access(self, usage: Usage, method: str) -> None:
        if not usage.allowed:
            raise Refused("rate_limit_exceeded", RATE_LIMITED)
        if method != "GET" and self._access.role not in _WRITING_ROLES:
            raise Refused("forbidden", WRONG_ROLE)
        if self._access.plan in _PLANS_WITHOUT_CUSTOMERS:
            raise Refused("forbidden", WRONG_PLAN)

    def _token(self, authorization: str | None) -> str:
        if not authorization:
            raise Refused("unauthorized", "Missing Authorization header.")
        if not authorization.startswith("Bearer "):
            raise Refused("bad_request", NO_BEARER)
        token = authorization[len("Bearer ") :]
        if token in self._access.tokens:
            return token
        if token in self._access.expired:
            raise Refused("unauthorized", "Unauthorized: Access token expired.")
        if token.startswith("dub_"):
            raise Refused("unauthorized", "Unauthorized: Invalid API key.")
        # A personal key names no workspace, and no limit is kept for one.
        raise Refused("not_found", NO_WORKSPACE)

    def _list(self, key: str, request: Request) -> Answer:
        query = _checked_query(request)
        problem = check_paging(query)
        listing = _listing(query)
        cursor = listing.starting_after or listing.ending_before
        if problem is None and cursor and not self._store.has(cursor):
            problem = UNKNOWN_CURSOR
        if problem is not None:
            raise Refused("unprocessable_entity", problem)
        expanded = _is_expanded(query)
        rows = self._store.page(listing)
        return json_answer(200, [self._written(row, expanded=expanded) for row in rows])

    def _create(self, key: str, request: Request) -> Answer:
        fields = _checked_body(request, creating=True)
        customer_id = self._new_id()
        customer = StoredCustomer(
            id=customer_id,
            name=fields.get("name"),
            email=fields.get("email"),
            avatar=_hosted(fields.get("avatar"), customer_id),
            external_id=fields["external_id"] or "",
            stripe_customer_id=fields.get("stripe_customer_id"),
            country=fields["country"],
            created_at=from_milliseconds(self._clock.milliseconds()),
        )
        try:
            self._store.add(customer)
        except Taken:
            raise Refused("conflict", CONFLICT) from None
        return json_answer(201, self._written(customer.to_row(), expanded=False))

    def _get(self, key: str, request: Request) -> Answer:
        expanded = _is_expanded(_checked_query(request))
        return json_answer(200, self._written(self._row(key), expanded=expanded))

    def _update(self, key: str, request: Request) -> Answer:
        expanded = _is_expanded(_checked_query(request))
        fields = _checked_body(request, creating=False)
        customer_id: str = self._row(key)[0]
        # Dub checks a country here and does not write it.
        fields.pop("country", None)
        if "avatar" in fields:
            fields["avatar"] = _hosted(fields["avatar"], customer_id)
        try:
            self._store.update(customer_id, fields)
        except Taken:
            raise Refused("conflict", CONFLICT) from None
        return json_answer(200, self._written(self._row(customer_id), expanded=expanded))

    def _delete(self, key: str, request: Request) -> Answer:
        customer_id: str = self._row(key)[0]
        self._store.delete(customer_id)
        return json_answer(200, {"id": customer_id})

    def _row(self, key: str) -> Row:
        row = self._store.get(key)
        if row is None:
            raise Refused("not_found", NOT_FOUND)
        return row

    def _written(self, row: Row, *, expanded: bool) -> dict[str, Any]:
        return customer_json(row, next(self._invented), expanded=expanded)


_Operation: TypeAlias = Callable[[CustomersApi, str, Request], Answer]
_MANY: dict[str, _Operation] = {"GET": CustomersApi._list, "POST": CustomersApi._create}
_ONE: dict[str, _Operation] = {
    "GET": CustomersApi._get,
    "PATCH": CustomersApi._update,
    "DELETE": CustomersApi._delete,
}

_BROKEN_ENCODING = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DOT_SEGMENT = re.compile(r"/(?:\.|%2e){1,2}(?=/|$)", re.IGNORECASE)


def _normalize(path: str) -> str:
    """Resolve ``.`` and ``..``, encoded or not, as URL parsers do before routes are looked at."""
    if not _DOT_SEGMENT.search(path):
        return path
    kept: list[str] = []
    segments = path.split("/")[1:]
    for number, segment in enumerate(segments, 1):
        dots = segment.lower().replace("%2e", ".")
        if dots == ".." and kept:
            kept.pop()
        if dots not in (".", ".."):
            kept.append(segment)
        elif number == len(segments):
            kept.append("")
    return "/" + "/".join(kept)


def _decoded(segment: str) -> str | None:
    """A segment of the path, percent-decoded once; ``None`` where it is no UTF-8 or broken off."""
    if "%" not in segment:
        return segment
    try:
        return None if _BROKEN_ENCODING.search(segment) else unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        return None


def _checked_query(request: Request) -> dict[str, str]:
    query = parse_query(request.query_string) if request.query_string else {}
    problem = check_query(query)
    if problem is not None:
        raise Refused("unprocessable_entity", problem)
    return query


def _is_expanded(query: Mapping[str, str]) -> bool:
    return query.get("includeExpandedFields") == "true"


_EQUAL = {
    "country": "country",
    "linkId": "link_id",
    "programId": "program_id",
    "partnerId": "partner_id",
}


def _listing(query: Mapping[str, str]) -> Listing:
    """What a checked query asks for. An empty filter counts as absent, an empty cursor too."""
    equal = {column: query[name] for name, column in _EQUAL.items() if query.get(name)}
    search = None
    if query.get("email"):
        equal["email"] = query["email"]
    elif query.get("externalId"):
        equal["external_id"] = query["externalId"]
    elif "@" in query.get("search", ""):
        equal["email"] = query["search"]
    else:
        search = query.get("search") or None
    return Listing(
        equal=equal,
        search=search,
        sort_by=_SORT_COLUMNS[query.get("sortBy", "createdAt")],
        ascending=query.get("sortOrder") == "asc",
        page=int(to_number(query.get("page", "1")) or 1),
        page_size=int(to_number(query.get("pageSize", str(MAX_PAGE_SIZE))) or MAX_PAGE_SIZE),
        starting_after=query.get("startingAfter") or None,
        ending_before=query.get("endingBefore") or None,
    )


_SORT_COLUMNS = {
    "createdAt": "created_at",
    "saleAmount": "sale_amount",
    "firstSaleAt": "first_sale_at",
    "subscriptionCanceledAt": "subscription_canceled_at",
}
_WRITABLE_COLUMNS = {
    "email": "email",
    "name": "name",
    "avatar": "avatar",
    "externalId": "external_id",
    "stripeCustomerId": "stripe_customer_id",
    "country": "country",
}


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _checked_body(request: Request, *, creating: bool) -> dict[str, str | None]:
    """The columns that a body writes."""
    try:
        # As `fetch` reads a body: UTF-8 whatever the Content-Type says, without a byte order mark.
        text = request.body.decode("utf-8-sig", "replace")
        body = json.loads(text, parse_constant=_not_json, parse_int=float)
    except (ValueError, RecursionError):
        raise Refused("bad_request", BAD_JSON) from None
    problem = check_body(body, creating=creating)
    if problem is not None:
        raise Refused("unprocessable_entity", problem)
    return {
        column: _storable(body[name]) for name, column in _WRITABLE_COLUMNS.items() if name in body
    }


def _storable(text: str | None) -> str | None:
    """A text without lone surrogates, which JSON can carry and UTF-8 cannot."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _hosted(avatar: str | None, id: str) -> str | None:
    """Where an avatar is after Dub has fetched it: its own store, whatever the URL was."""
    if avatar is None or avatar.startswith(_ASSETS):
        return avatar
    digest = hashlib.sha256(avatar.encode()).hexdigest()
    return f"{_ASSETS[0]}customers/{id}/avatar_{digest[:7]}"
