"""What travels between a transport and the fake: requests, answers and outcomes.

Imports nothing of ours.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_plus


def parse_query(query_string: str) -> dict[str, str]:
    """Decode a query string as a browser's ``URLSearchParams`` does.

    Of a repeated name the last value counts.

    A broken percent-encoding stays as it was sent, bytes that are no UTF-8 become U+FFFD.
    """
    query: dict[str, str] = {}
    for pair in query_string.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            query[unquote_plus(name)] = unquote_plus(value)
    return query


@dataclasses.dataclass(slots=True)
class Request:
    """A request as it reached the fake.

    ``path`` and ``query_string`` are as sent, percent-encoded; ``headers`` has lower-case names.
    ``status`` is the status of the answer, ``None`` where the connection was closed without one.
    """

    method: str
    path: str
    query_string: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str], repr=False)
    body: bytes = dataclasses.field(default=b"", repr=False)
    status: int | None = None

    @property
    def query(self) -> dict[str, str]:
        """The decoded query."""
        return parse_query(self.query_string)

    @property
    def json(self) -> Any:
        """The body as JSON; ``ValueError`` where it is none."""
        return json.loads(self.body)

    def copy(self) -> Request:
        return dataclasses.replace(self, headers=dict(self.headers))


@dataclasses.dataclass(slots=True)
class FakeResponse:
    """An answer: a status, header lines without ``Content-Length``, and a body."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass(slots=True)
class Delivery:
    """What a transport does with a request that was dealt with.

    It waits ``delay`` seconds; closes the connection at once where ``response`` is ``None``; else
    sends the answer, at ``bytes_per_second`` where given, and closes after ``cut`` bytes of the
    body where given.
    """

    response: FakeResponse | None
    delay: float = 0.0
    cut: int | None = None
    bytes_per_second: float | None = None
