"""Whether a write that seems to have failed was carried out by an earlier attempt.

A create whose answer was lost is refused with 409 the next time, a delete with 404. Dub has no
idempotency keys, so the client looks whether the customer is there as it was asked for. Pure: says
what to ask and reads what comes back.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

from .._transport.errors import error_data
from ..models.response import Response

_ITEM = re.compile(r"customers/([^/?#]+)")

#: What the server keeps as it was sent. Not the avatar, which it hosts itself under another URL,
#: and the name only where one was given, since it invents one otherwise.
_KEPT = ("externalId", "email", "stripeCustomerId", "country")


@dataclass(frozen=True)
class Write:
    """A create, update or delete of a customer, as far as its recovery needs it.

    ``path`` is relative to the server's URL. ``body`` is the JSON that was sent, as bytes or as the
    mapping that an endpoint of a subclass left it to requests to write.
    """

    method: str
    path: str
    body: Any

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again although it may have been carried out."""
        return self.method != "POST" or self.path == "customers"

    def lookup(self, response: Response) -> str | None:
        """The path of the customer that tells whether the write was carried out, if one can.

        ``response`` is the refusal that followed an ambiguous attempt.
        """
        sent = self._sent()
        external_id = sent.get("externalId")
        if not isinstance(external_id, str):
            return None
        path = "customers/" + quote(f"ext_{external_id}", safe="")
        if self.method == "POST" and self.path == "customers":
            return path if response.status_code == 409 else None
        # An update that gives a customer a new external id is not found under the old one again.
        if self.method == "PATCH" and _ITEM.fullmatch(self.path) and path != self.path:
            return path if is_missing(response) else None
        return None

    def carried_out(self, customer: Mapping[str, Any]) -> bool:
        """Whether this customer is what the write would have left behind."""
        sent = self._sent()
        if sent.get("name") and customer.get("name") != sent["name"]:
            return False
        if self.method == "POST":
            # A field that a new customer was not given is null.
            return all(customer.get(key) == sent.get(key) for key in _KEPT if key in customer)
        # The server accepts a country in an update and does not write it.
        kept = [key for key in _KEPT if key in sent and key in customer and key != "country"]
        return all(customer[key] == sent[key] for key in kept)

    def already_deleted(self, response: Response) -> Response | None:
        """The success of a delete that an earlier attempt carried out, else ``None``."""
        item = _ITEM.fullmatch(self.path)
        if self.method != "DELETE" or item is None or not is_missing(response):
            return None
        body = json.dumps({"id": unquote(item[1])}).encode()
        return Response(200, {"Content-Type": "application/json"}, body)

    def _sent(self) -> Mapping[str, Any]:
        body = self.body
        if isinstance(body, (bytes, str)):
            try:
                body = json.loads(body)
            except ValueError:
                return {}
        return body if isinstance(body, Mapping) else {}


def is_missing(response: Response) -> bool:
    """Whether this is Dub's 404 of a customer: not a proxy's, nor that of a token's workspace."""
    data = error_data(response) if response.status_code == 404 else None
    return (
        data is not None
        and data.error.code == "not_found"
        and "workspace" not in data.error.message.lower()
    )
