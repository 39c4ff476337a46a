"""Requests to a fake, responses of a fake, and how a transport delivers a response.

There are three transports: the adapter of a session, the server, and the WSGI application.
"""

# This module does not import `annotations` from `__future__`: `get_type_hints()` looks string
# annotations up in the module that `__module__` names. That module has both names that are strings
# here.
import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from . import faults


def parse_query(query_string: str) -> dict[str, str]:
    """Decode a query string as JavaScript's ``URLSearchParams`` does.

    If a name is repeated, the last value is used. Invalid percent-encoding stays unchanged.
    Bytes that are not UTF-8 become U+FFFD.
    """
    query: dict[str, str] = {}
    for pair in query_string.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            query[unquote_plus(name)] = unquote_plus(value)
    return query


@dataclasses.dataclass(slots=True)
class Request:
    """A request that the fake received.

    Attributes:
        method: The HTTP method.
        path: The path as sent, percent-encoded and without the query.
        query_string: The query as sent, percent-encoded.
        headers: The headers, with lower-case names.
        body: The body.
        status: The status of the response. ``None`` during the execution, or if the connection was
            closed without a response.
        fault: The fault that was applied, or ``None``.
        ms: The milliseconds from the request to the end of the response, including delays.
            ``None`` until the response is sent.
        number: The position of the request among all requests to the fake, counted from 1.
    """

    __module__ = "dub_uplink.testing"

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    body: bytes = dataclasses.field(default=b"", repr=False)
    status: int | None = None
    fault: "faults.Fault | None" = None
    ms: float | None = None
    number: int = 0

    @property
    def query(self) -> dict[str, str]:
        """Return the decoded query."""
        return parse_query(self.query_string)

    @property
    def json(self) -> Any:
        """Return the parsed JSON body; raise ``ValueError`` if the body is not JSON."""
        return json.loads(self.body)

    def copy(self) -> "Request":
        """Return a copy of the request and of its headers."""
        return dataclasses.replace(self, headers=dict(self.headers))


class FakeClosed(RuntimeError):
    """A request reached a closed fake. Clients do not retry after this error.

    Attributes:
        http_message: The message for a client over HTTP, which cannot call methods of the fake.
    """

    http_message = "the fake is closed; start it again, for example with dub-uplink serve"


@dataclasses.dataclass(slots=True)
class FakeResponse:
    """A response: status, headers without ``Content-Length``, and body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(slots=True)
class Delivery:
    """How a transport sends a response.

    Attributes:
        response: The response; ``None`` to close the connection without a response.
        delay: The seconds to wait before the response.
        truncate_after: The number of bytes of the body to send before the connection is closed;
            ``None`` to send the complete body.
        bytes_per_second: The speed at which to send the body; ``None`` for no limit.
    """

    response: FakeResponse | None
    delay: float = 0.0
    truncate_after: int | None = None
    bytes_per_second: float | None = None

    @property
    def total_delay(self) -> float:
        """Return the seconds until the complete body is sent."""
        if self.response is None or self.bytes_per_second is None:
            return self.delay
        return self.delay + len(self.response.body) / self.bytes_per_second
