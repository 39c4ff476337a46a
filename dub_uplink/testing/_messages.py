"""Messages between a transport and the fake: requests, responses and their delivery."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

if TYPE_CHECKING:
    from .faults import Fault


def parse_query(query_string: str) -> dict[str, str]:
    """Decode a query string as a browser's ``URLSearchParams`` does.

    The last value of a repeated name wins. An invalid percent-encoding stays as sent; bytes that
    are not UTF-8 become U+FFFD.
    """
    query: dict[str, str] = {}
    for pair in query_string.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            query[unquote_plus(name)] = unquote_plus(value)
    return query


@dataclasses.dataclass(slots=True)
class Request:
    """A request as the fake received it.

    ``path`` and ``query_string`` are percent-encoded as sent; ``headers`` has lower-case names.
    ``status`` is the status of the response, ``None`` if the connection was closed without one.
    ``fault`` is the fault that was applied. ``ms`` is the milliseconds that the response takes,
    delays included, ``None`` while the request is executed. ``number`` counts the requests of a
    fake from 1.
    """

    __module__ = "dub_uplink.testing"

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    body: bytes = dataclasses.field(default=b"", repr=False)
    status: int | None = None
    fault: Fault | None = None
    ms: float | None = None
    number: int = 0

    @property
    def query(self) -> dict[str, str]:
        """Return the decoded query."""
        return parse_query(self.query_string)

    @property
    def json(self) -> Any:
        """Return the parsed JSON body; raise ``ValueError`` if it is not JSON."""
        return json.loads(self.body)

    def copy(self) -> Request:
        """Return a copy with headers of its own."""
        return dataclasses.replace(self, headers=dict(self.headers))


@dataclasses.dataclass(slots=True)
class FakeResponse:
    """A response: status, headers without ``Content-Length``, and body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(slots=True)
class Delivery:
    """How a transport sends a response.

    It waits ``delay`` seconds, then sends the response, or closes the connection if ``response`` is
    ``None``. The body is sent at ``bytes_per_second`` if given. After ``cut`` bytes of the body, if
    given, the connection is closed.
    """

    response: FakeResponse | None
    delay: float = 0.0
    cut: int | None = None
    bytes_per_second: float | None = None

    @property
    def seconds(self) -> float:
        """Return how long the fake delays the response and its body."""
        if self.response is None or self.bytes_per_second is None:
            return self.delay
        return self.delay + len(self.response.body) / self.bytes_per_second
