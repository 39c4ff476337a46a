"""One call of an endpoint: what it asks, how it may be tried, what came of it so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .._customers.recovery import Write
from .._internal.config import Secret
from .retry_state import Attempts, Outcome

#: The key under which an endpoint leaves what is meant for the transport in uplink's request.
OPTIONS = "dub_uplink"


class Attempt(NamedTuple):
    """What one attempt sends, the last of it the seconds it may take, and when it began."""

    request: tuple[str, str, Mapping[str, Any], Secret, float]
    started: float


class Call:
    """One call of an endpoint: its request, its options and its attempts so far.

    ``last`` is what came of the latest attempt, ``wait`` the seconds until the next one.
    ``follows`` says that it is part of another, which it may not leave undecided.
    """

    __slots__ = (
        "attempts",
        "follows",
        "info",
        "last",
        "method",
        "options",
        "timeout",
        "url",
        "wait",
        "write",
    )

    def __init__(
        self,
        method: str,
        url: str,
        info: Mapping[str, Any],
        options: Mapping[str, Any],
        write: Write,
        timeout: float,
        attempts: Attempts,
    ) -> None:
        self.method = method
        self.url = url
        self.info = info
        self.options = options
        self.write = write
        self.timeout = timeout
        self.attempts = attempts
        self.last: Outcome | None = None
        self.wait: float | None = None
        self.follows = False

    def lookup(self, url: str) -> Call:
        """The reading of a customer on behalf of this call, within its time."""
        headers = {k: v for k, v in self.info["headers"].items() if k != "Content-Type"}
        info = {"headers": headers, "params": self.info.get("params")}
        options = {"route": "customers/{id}"}
        self.attempts.repeatable = True
        write = Write("GET", "", None)
        lookup = Call("GET", url, info, options, write, self.timeout, self.attempts)
        lookup.follows = True
        return lookup


def last_of(call: Call) -> Outcome:
    assert call.last is not None
    return call.last
