"""Parse the query of a list or count request, and the body of a create or update."""

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
_EQUALITY_COLUMNS = {
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
_ASSETS_URL = "https://dubassets.com"
_DUB_AVATAR_PREFIXES = (_ASSETS_URL, "https://api.dub.co/og/avatar/")


def parse_list_parameters(request: Request) -> dict[str, str]:
    """Parse and check the query of a list request.

    Raises:
        ApiError: A parameter is invalid.
    """
    parameters = parse_query(request.query_string) if request.query_string else {}
    _raise_if_problem(check_query(parameters))
    return parameters


def _raise_if_problem(problem: str | None) -> None:
    if problem is not None:
        raise ApiError("unprocessable_entity", problem)


def is_expanded(parameters: Mapping[str, str]) -> bool:
    """Return whether a checked query requests the program, link, partner and discount."""
    return parameters.get("includeExpandedFields") == "true"


def make_list_query(parameters: Mapping[str, str], default_program: str | None) -> ListQuery:
    """Convert checked query parameters to a ``ListQuery``. An empty filter or cursor is ignored."""
    _raise_if_problem(check_paging(parameters))
    equal_values = {
        column: parameters[name]
        for name, column in _EQUALITY_COLUMNS.items()
        if parameters.get(name)
    }
    if "program_id" in equal_values or "partner_id" in equal_values:
        # Dub ignores the requested program, and uses the program of the workspace.
        if default_program is None:
            raise ApiError("not_found", PROGRAM_NOT_FOUND)
        equal_values["program_id"] = default_program
    search = None
    if parameters.get("email"):
        equal_values["email"] = parameters["email"]
    elif parameters.get("externalId"):
        equal_values["external_id"] = parameters["externalId"]
    elif "@" in parameters.get("search", ""):
        equal_values["email"] = parameters["search"]
    else:
        search = parameters.get("search") or None
    ids = parameters.get("customerIds")
    return ListQuery(
        equal_values=equal_values,
        search=search,
        ids=ids.split(",") if ids else None,
        sort_by=_SORT_COLUMNS[parameters.get("sortBy", "createdAt")],
        ascending=parameters.get("sortOrder") == "asc",
        page=int(to_number(parameters.get("page", "1")) or 1),
        page_size=int(to_number(parameters.get("pageSize", str(MAX_PAGE_SIZE))) or MAX_PAGE_SIZE),
        starting_after=parameters.get("startingAfter") or None,
        ending_before=parameters.get("endingBefore") or None,
    )


def parse_count(request: Request, default_program: str | None) -> tuple[str | None, ListQuery]:
    """Parse a count request. Return the field to group by, or ``None``, and the filters."""
    parameters = parse_query(request.query_string)
    _raise_if_problem(check_count(parameters))
    group = parameters.get("groupBy")
    ignored_filter = group if group in ("country", "linkId") else None
    filters = {
        name: value
        for name, value in parameters.items()
        if name in _COUNT_FILTERS and name != ignored_filter
    }
    return group, make_list_query(filters, default_program)


def _reject_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def parse_body(request: Request, *, creating: bool) -> dict[str, str | None]:
    """Parse and check a body, and return the new value of each column.

    Raises:
        ApiError: The body is not JSON, or a field is invalid.
    """
    try:
        # Like JavaScript's Request.json(), ignore the Content-Type, and remove a BOM.
        text = request.body.decode("utf-8-sig", "replace")
        body = json.loads(text, parse_constant=_reject_constant, parse_int=float)
    except (ValueError, RecursionError):
        raise ApiError("bad_request", BAD_JSON) from None
    _raise_if_problem(check_body(body, creating=creating))
    return {
        column: _replace_surrogates(body[name])
        for name, column in _WRITABLE_COLUMNS.items()
        if name in body
    }


def check_column_lengths(columns: Mapping[str, str | None], operation: str) -> None:
    """Reject texts that are too long for their columns. An avatar may have any length."""
    texts = {
        name: columns.get(column) for name, column in _WRITABLE_COLUMNS.items() if name != "avatar"
    }
    _raise_if_problem(check_lengths(texts, operation))


def _replace_surrogates(text: str | None) -> str | None:
    """Replace lone surrogates. JSON can contain them, but UTF-8 cannot encode them."""
    if text is None or text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def rehosted_url(avatar: str | None, id: str) -> str | None:
    """Return the URL that Dub stores for an avatar. Dub copies images to its own image host."""
    if avatar is None or avatar.startswith(_DUB_AVATAR_PREFIXES):
        return avatar
    digest = hashlib.sha256(avatar.encode()).hexdigest()
    return f"{_ASSETS_URL}/customers/{id}/avatar_{digest[:7]}"
