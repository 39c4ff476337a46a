"""Decide whether a write of a customer that seems to have failed was applied.

A create whose response was lost is rejected with 409 the next time, a delete with 404. Dub has no
idempotency keys, so the client looks the customer up and compares it with the request. No I/O: the
functions say what to look up and read the responses.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from .._transport.errors import error_data, json_or_none
from ..models.response import Response

_ITEM = re.compile(r"customers/([^/?#]+)")

#: The fields that the server keeps as they were sent. The avatar is missing, which the server
#: hosts under another URL, and so is the name: the server invents one where none was given.
_KEPT_FIELDS = ("externalId", "email", "stripeCustomerId", "country")


class CustomerOperation:
    """A request to the customers API, as far as its recovery needs it.

    ``path`` is relative to the server's URL. ``body`` is the JSON that was sent, as bytes or as the
    mapping that an endpoint of a subclass leaves to requests to serialise.
    """

    __slots__ = ("body", "method", "path")

    lookup_route = "customers/{id}"

    def __init__(self, method: str, path: str, body: Any) -> None:
        self.method = method
        self.path = path
        self.body = body

    @property
    def repeatable(self) -> bool:
        """Whether the request may be sent again although it may have been applied."""
        return self.method != "POST" or self.path == "customers"

    def resolve_rejection(self, rejected: Response) -> Response | None:
        """Return the success of a delete that an earlier attempt applied, else ``None``."""
        item = _ITEM.fullmatch(self.path)
        if self.method != "DELETE" or item is None or not is_customer_not_found(rejected):
            return None
        body = json.dumps({"id": unquote(item[1])}).encode()
        return Response(200, {"Content-Type": "application/json"}, body)

    def lookup_path(self, rejected: Response) -> str | None:
        """Return the path of the customer that shows whether the write was applied, if one does."""
        external_id = self._sent().get("externalId")
        if not isinstance(external_id, str):
            return None
        path = "customers/" + quote(f"ext_{external_id}", safe="")
        if self.method == "POST" and self.path == "customers":
            return path if rejected.status_code == 409 else None
        # An update that changes the external id makes the customer unreachable under the old one.
        if self.method == "PATCH" and _ITEM.fullmatch(self.path) and path != self.path:
            return path if is_customer_not_found(rejected) else None
        return None

    def resolve_after_lookup(self, rejected: Response, looked_up: Response) -> Response | None:
        """Return the write's success if ``looked_up`` shows it, ``rejected`` if it shows another.

        ``None`` if it shows neither: a ``Conflict`` would then claim what nobody knows.
        """
        if is_customer_not_found(looked_up):
            return rejected
        customer = json_or_none(looked_up) if looked_up.ok else None
        if not isinstance(customer, Mapping):
            return None
        if not self._was_applied(customer):
            return rejected
        status = 201 if self.method == "POST" else 200
        return Response(status, looked_up.headers, looked_up.content)

    def _was_applied(self, customer: Mapping[str, Any]) -> bool:
        sent = self._sent()
        if sent.get("name") and customer.get("name") != sent["name"]:
            return False
        if self.method == "POST":
            # A field that a new customer was not given is null.
            kept = [key for key in _KEPT_FIELDS if key in customer]
            return all(customer[key] == sent.get(key) for key in kept)
        # The server accepts a country in an update and does not write it.
        kept = [key for key in _KEPT_FIELDS if key in sent and key in customer and key != "country"]
        return all(customer[key] == sent[key] for key in kept)

    def _sent(self) -> Mapping[str, Any]:
        body = self.body
        if isinstance(body, (bytes, str)):
            try:
                body = json.loads(body)
            except ValueError:
                return {}
        return body if isinstance(body, Mapping) else {}


def is_customer_not_found(response: Response) -> bool:
    """Return whether this is Dub's 404 of a customer: not a proxy's, nor that of a workspace."""
    data = error_data(response) if response.status_code == 404 else None
    return (
        data is not None
        and data.error.code == "not_found"
        and "workspace" not in data.error.message.lower()
    )
