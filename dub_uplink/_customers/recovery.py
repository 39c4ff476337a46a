"""Decide whether the server applied a write whose response was lost.

The server may reject the repetition of a write that it has applied. It rejects a create with 409.
It rejects a delete, or an update of the external id, with 404. Dub has no idempotency keys. After a
create or an update, the client therefore looks the customer up, and compares the customer with the
request. This module sends nothing. It returns the path of the lookup, and interprets the responses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote, unquote

from .._transport.errors import json_or_none, parse_error_data
from ..models.response import Response

_CUSTOMER_PATH = re.compile(r"customers/([^/?#]+)")

#: The fields that a create sets. A field that the request does not contain is null.
_CREATE_FIELDS = frozenset({"externalId", "email", "name", "avatar", "stripeCustomerId", "country"})
#: The fields that are not compared: the server sets them, or returns them in another format.
_NOT_COMPARED = frozenset(
    {"id", "sales", "saleAmount", "createdAt", "firstSaleAt", "subscriptionCanceledAt"}
)
#: The server stores an avatar with one of these prefixes unchanged.
_UNCHANGED_AVATARS = ("https://dubassets.com", "https://api.dub.co/og/avatar/")

#: The external id of the customer that ``upsert`` creates in this thread or task.
_upserted_id: ContextVar[str | None] = ContextVar("upserted_id", default=None)


@contextmanager
def without_lookup(external_id: str) -> Iterator[None]:
    """Disable the look-up after a 409 of this customer's create.

    ``upsert`` then updates the customer. A lookup cannot replace the update: it may return the
    customer of another client, which lacks the fields of this client.
    """
    token = _upserted_id.set(external_id)
    try:
        yield
    finally:
        _upserted_id.reset(token)


class CustomerOperation:
    """The parts of a request to the customers API that the recovery needs.

    Args:
        method: the HTTP method.
        path: the path, relative to the server's URL.
        body: the JSON of the request as bytes or text, or a mapping that ``requests`` serialises.
    """

    __slots__ = ("body", "method", "path")

    lookup_route = "customers/{id}"

    def __init__(self, method: str, path: str, body: Any) -> None:
        self.method = method
        self.path = path
        self.body = body

    @property
    def repeatable(self) -> bool:
        """Whether the request may be repeated even if the server may have applied it."""
        return self.method != "POST" or self.path == "customers"

    def resolve_rejection(self, error_response: Response) -> Response | None:
        """Return a success response if the error shows that a delete was applied, else ``None``."""
        path_match = _CUSTOMER_PATH.fullmatch(self.path)
        if self.method != "DELETE" or path_match is None:
            return None
        if not is_customer_not_found(error_response):
            return None
        body = json.dumps({"id": unquote(path_match[1])}).encode()
        return Response(200, {"Content-Type": "application/json"}, body)

    def lookup_path(self, error_response: Response) -> str | None:
        """Return the path of the lookup after an error, or ``None`` if a lookup cannot help."""
        external_id = self._sent_fields().get("externalId")
        if not isinstance(external_id, str):
            return None
        path = "customers/" + quote(f"ext_{external_id}", safe="")
        if self.method == "POST" and self.path == "customers":
            is_upserted = external_id == _upserted_id.get()
            return path if error_response.status_code == 409 and not is_upserted else None
        # After an update of the external id, the customer is no longer at its old path.
        if self.method == "PATCH" and _CUSTOMER_PATH.fullmatch(self.path) and path != self.path:
            return path if is_customer_not_found(error_response) else None
        return None

    def resolve_after_lookup(
        self, error_response: Response, lookup_response: Response
    ) -> Response | None:
        """Return the response of a write after its customer was looked up.

        Returns:
            A success response if the customer shows that the write was applied. ``error_response``
            if the customer does not exist, or shows that the write was not applied. ``None`` if the
            lookup failed.
        """
        if is_customer_not_found(lookup_response):
            return error_response
        customer = json_or_none(lookup_response) if lookup_response.ok else None
        if not isinstance(customer, Mapping):
            return None
        if not self._was_applied(customer):
            return error_response
        status = 201 if self.method == "POST" else 200
        return Response(status, lookup_response.headers, lookup_response.content)

    def _was_applied(self, customer: Mapping[str, Any]) -> bool:
        sent_fields = self._sent_fields()
        # The server accepts a country in an update, but does not store it.
        names = (
            sent_fields.keys() | _CREATE_FIELDS
            if self.method == "POST"
            else sent_fields.keys() - {"country"}
        )
        return all(
            _matches_sent_value(name, sent_fields.get(name), customer)
            for name in (names & customer.keys()) - _NOT_COMPARED
        )

    def _sent_fields(self) -> Mapping[str, Any]:
        body = self.body
        if isinstance(body, (bytes, str)):
            try:
                body = json.loads(body)
            except ValueError:
                return {}
        return body if isinstance(body, Mapping) else {}


def _matches_sent_value(name: str, sent: Any, customer: Mapping[str, Any]) -> bool:
    """Return whether a customer may show the value that a write sent for one field."""
    stored = customer[name]
    if name == "name" and not sent:
        # The server shows the email instead of a missing name. Without an email, it invents a name.
        return not customer.get("email") or stored in (None, customer["email"])
    if name == "avatar" and sent and not str(sent).startswith(_UNCHANGED_AVATARS):
        # The server stores a copy under another URL.
        return stored is not None
    return bool(stored == sent)


def is_customer_not_found(response: Response) -> bool:
    """Return whether a response is Dub's 404 for a missing customer.

    The 404 of a proxy and Dub's 404 for a missing workspace do not count.
    """
    data = parse_error_data(response) if response.status_code == 404 else None
    return (
        data is not None
        and data.error.code == "not_found"
        and "workspace" not in data.error.message.lower()
    )
