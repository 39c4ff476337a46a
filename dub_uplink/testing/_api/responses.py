"""Build the responses of Dub's server: JSON, error messages, HTML pages and customers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from .._messages import FakeResponse
from .store import Row

STATUS_BY_CODE = {
    "bad_request": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "conflict": 409,
    "invite_expired": 410,
    "unprocessable_entity": 422,
    "rate_limit_exceeded": 429,
    "internal_server_error": 500,
}
NOT_FOUND = (
    "Customer not found. Make sure you're using the correct customer ID (e.g. "
    "`cus_3TagGjzRzmsFJdH8od2BNCsc`) or external ID (has to be prefixed with `ext_`)."
)
PROGRAM_NOT_FOUND = "Program not found"
CONFLICT = "A customer with this external ID already exists."
BAD_JSON = (
    "Invalid JSON format in request body. Please ensure the request body is a valid JSON object."
)
NO_WORKSPACE = (
    "Workspace ID not found. Did you forget to include a `workspaceId` query parameter? It looks "
    "like you might be using personal API keys, we also recommend refactoring to workspace API "
    "keys: https://d.to/keys"
)
NO_BEARER = (
    "Misconfigured authorization header. Did you forget to add 'Bearer '? "
    "Learn more: https://d.to/auth"
)
WRONG_ROLE = (
    "You don't have the required role to access this endpoint. Required role(s): owner, member."
)
WRONG_PLAN = "Unauthorized: Need higher plan."
RATE_LIMITED = "Too many requests."
SERVER_ERROR = (
    "An internal server error occurred. Please contact our support if the problem persists."
)


class ApiError(Exception):
    """The server rejects a request."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


JSON_HEADERS = {"Content-Type": "application/json"}
HTML_HEADERS = {"Content-Type": "text/html; charset=utf-8"}


_encode_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def make_json_response(
    status: int, value: Any, headers: Mapping[str, str] | None = None
) -> FakeResponse:
    """Return a response with compact JSON in UTF-8."""
    body = _encode_json(value).encode()
    return FakeResponse(status, {**JSON_HEADERS, **(headers or {})}, body)


def make_error_response(
    code: str, message: str, headers: Mapping[str, str] | None = None
) -> FakeResponse:
    """Return a response with Dub's error object.

    As in Dub's server, ``doc_url`` contains the code with ``-`` for its first ``_`` only.
    """
    anchor = code.replace("_", "-", 1)
    error = {
        "code": code,
        "message": message,
        "doc_url": f"https://dub.co/docs/api-reference/errors#{anchor}",
    }
    return make_json_response(STATUS_BY_CODE[code], {"error": error}, headers)


def make_html_response(status: int, text: str) -> FakeResponse:
    """Return an HTML page like those of the web framework in front of Dub's API."""
    title = f"{status}: {text}"
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charSet="utf-8"/>'
        f"<title>{title}</title></head><body><h1>{status}</h1><h2>{text}</h2></body></html>"
    )
    return FakeResponse(status, dict(HTML_HEADERS), page.encode())


def customer_to_json(row: Row, name_number: int, *, expanded: bool) -> dict[str, Any]:
    """Return a customer as JSON.

    If the customer has no name and no email, ``name_number`` selects a random name.
    """
    customer = {
        "id": row[0],
        # Dub treats an empty name as missing.
        "name": row[1] or row[2] or make_name(name_number),
        "email": row[2],
        "avatar": row[3],
        "externalId": row[4],
        "stripeCustomerId": row[5],
        "country": row[6],
        "sales": row[7],
        "saleAmount": row[8],
        "createdAt": _format_time(row[9]),
        "firstSaleAt": None if row[10] is None else _format_time(row[10]),
        "subscriptionCanceledAt": None if row[11] is None else _format_time(row[11]),
    }
    if expanded:
        if row[12] is not None:
            customer["programId"] = row[12]
        for name, column in (("link", 13), ("partner", 14), ("discount", 15)):
            if row[column] is not None:
                customer[name] = json.loads(row[column])
    return customer


def link_count_to_json(link_id: str, count: int, link: str) -> dict[str, Any]:
    """Return a link's number of customers as JSON. ``link`` is the link as encoded JSON."""
    fields = json.loads(link)
    link_fields = {"shortLink": fields["shortLink"], "url": fields["url"]}
    return {"linkId": link_id, "_count": count, **link_fields}


_EPOCH = dt.datetime(1970, 1, 1)  # naive, so that isoformat() writes no offset


def _format_time(milliseconds: int) -> str:
    moment = _EPOCH + dt.timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds") + "Z"


_ADJECTIVES = (
    "Amber Brave Calm Clever Curious Eager Gentle Happy Quiet Silver Witty".split()  # noqa: SIM905
)
_ANIMALS = (
    "Badger Falcon Gazelle Heron Ibex Lynx Marten Otter Puffin Quokka Raven Seal Tapir".split()  # noqa: SIM905
)


def make_name(number: int) -> str:
    """Return a name for a customer that has neither a name nor an email.

    Names repeat only after 143 numbers. A page uses at most 100 numbers, one for each customer.
    Therefore, two consecutive reads of a customer return different names.
    """
    return f"{_ADJECTIVES[number % len(_ADJECTIVES)]} {_ANIMALS[number % len(_ANIMALS)]}"
