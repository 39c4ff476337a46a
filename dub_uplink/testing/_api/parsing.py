"""Read what a request asks for: the query of a list or a count, the columns that a body writes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from .._messages import Request, parse_query
from .responses import BAD_JSON, PROGRAM_NOT_FOUND, ApiError
from .rules import (
    MAX_PAGE_SIZE,
    check_body,
    check_count,
    check_lengths,
    check_paging,
    check_query,
    to_number,
)
from .store import ListQuery

_COUNT_FILTERS = ("email", "externalId", "search", "country", "linkId", "programId", "partnerId")
_EQUAL = {
    "country": "country",
    "linkId": "link_id",
    "programId": "program_id",
    "partnerId": "partner_id",
}
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
_ASSETS = "https://dubassets.com"
_KEPT_AVATARS = (_ASSETS, "https://api.dub.co/og/avatar/")


def checked_parameters(request: Request) -> dict[str, str]:
    """Return the parameters of a query that passes the checks of the list query."""
    parameters = parse_query(request.query_string) if request.query_string else {}
    _reject(check_query(parameters))
    return parameters


def _reject(problem: str | None) -> None:
    if problem is not None:
        raise ApiError("unprocessable_entity", problem)


def is_expanded(parameters: Mapping[str, str]) -> bool:
    """Return whether checked parameters ask for the expanded fields."""
    return parameters.get("includeExpandedFields") == "true"


def list_query(parameters: Mapping[str, str], default_program: str | None) -> ListQuery:
    """Return the query of checked parameters. An empty filter or cursor counts as absent."""
    _reject(check_paging(parameters))
    equal = {column: parameters[name] for name, column in _EQUAL.items() if parameters.get(name)}
    if "program_id" in equal or "partner_id" in equal:
        # Dub replaces any program by the workspace's own.
        if default_program is None:
            raise ApiError("not_found", PROGRAM_NOT_FOUND)
        equal["program_id"] = default_program
    search = None
    if parameters.get("email"):
        equal["email"] = parameters["email"]
    elif parameters.get("externalId"):
        equal["external_id"] = parameters["externalId"]
    elif "@" in parameters.get("search", ""):
        equal["email"] = parameters["search"]
    else:
        search = parameters.get("search") or None
    ids = parameters.get("customerIds")
    return ListQuery(
        equal=equal,
        search=search,
        ids=ids.split(",") if ids else None,
        sort_by=_SORT_COLUMNS[parameters.get("sortBy", "createdAt")],
        ascending=parameters.get("sortOrder") == "asc",
        page=int(to_number(parameters.get("page", "1")) or 1),
        page_size=int(to_number(parameters.get("pageSize", str(MAX_PAGE_SIZE))) or MAX_PAGE_SIZE),
        starting_after=parameters.get("startingAfter") or None,
        ending_before=parameters.get("endingBefore") or None,
    )


def count_query(request: Request, default_program: str | None) -> tuple[str | None, ListQuery]:
    """Return the field that a count groups by, and the filters that apply to it."""
    parameters = parse_query(request.query_string)
    _reject(check_count(parameters))
    group = parameters.get("groupBy")
    ignored = group if group in ("country", "linkId") else None
    filters = {
        name: value
        for name, value in parameters.items()
        if name in _COUNT_FILTERS and name != ignored
    }
    return group, list_query(filters, default_program)


def _not_json(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def body_columns(request: Request, *, creating: bool) -> dict[str, str | None]:
    """Return the columns that a body writes."""
    try:
        # As `fetch` reads a body: UTF-8 whatever the Content-Type says, without a byte order mark.
        text = request.body.decode("utf-8-sig", "replace")
        body = json.loads(text, parse_constant=_not_json, parse_int=float)
    except (ValueError, RecursionError):
        raise ApiError("bad_request", BAD_JSON) from None
    _reject(check_body(body, creating=creating))
    return {
        column: _replace_surrogates(body[name])
        for name, column in _WRITABLE_COLUMNS.items()
        if name in body
    }


def check_column_lengths(columns: Mapping[str, str | None], operation: str) -> None:
    """Reject a text that is longer than its column; an avatar's column is longer than others."""
    texts = {
        name: columns.get(column) for name, column in _WRITABLE_COLUMNS.items() if name != "avatar"
    }
    _reject(check_lengths(texts, operation))


def _replace_surrogates(text: str | None) -> str | None:
    """A text without lone surrogates, which JSON can carry and UTF-8 cannot."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def rehost(avatar: str | None, id: str) -> str | None:
    """Return the URL of an avatar that Dub has copied, or its own where it is Dub's already."""
    if avatar is None or avatar.startswith(_KEPT_AVATARS):
        return avatar
    digest = hashlib.sha256(avatar.encode()).hexdigest()
    return f"{_ASSETS}/customers/{id}/avatar_{digest[:7]}"
