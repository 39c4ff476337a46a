"""One call of an endpoint: its request, its options, and the outcome of its attempts so far."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .recovery import NoRecovery, WriteRecovery
from .retry_state import Outcome, RetryState

#: The key under which an endpoint leaves what is meant for the transport in uplink's request.
OPTIONS = "dub_uplink"
#: The headers of a read that no cache of the caller's session is to serve.
UNCACHED = {"Cache-Control": "no-cache, no-store"}


class Call:
    """One call of an endpoint: its request, its options and its attempts so far.

    ``last`` is the outcome of the latest attempt, ``wait`` the seconds until the next one.
    ``is_lookup`` marks the request that decides whether a write was applied.
    """

    __slots__ = (
        "extras",
        "is_lookup",
        "last",
        "method",
        "operation",
        "options",
        "retry_state",
        "timeout",
        "url",
        "wait",
    )

    def __init__(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        options: Mapping[str, Any],
        operation: WriteRecovery,
        timeout: float,
        retry_state: RetryState,
    ) -> None:
        self.method = method
        self.url = url
        self.extras = extras
        self.options = options
        self.operation = operation
        self.timeout = timeout
        self.retry_state = retry_state
        self.last: Outcome | None = None
        self.wait: float | None = None
        self.is_lookup = False

    def attempt_timeout(self) -> float:
        """Return the seconds that an attempt may take which begins now."""
        return min(self.timeout, max(self.retry_state.remaining(), 0.001))

    def lookup(self, url: str) -> Call:
        """Return the call that reads ``url`` on behalf of this one, within its time."""
        headers = {k: v for k, v in self.extras["headers"].items() if k != "Content-Type"}
        # It decides whether a write was applied: a cache of the caller's session must not serve it.
        headers |= UNCACHED
        extras = {"headers": headers, "params": self.extras.get("params")}
        options = {"route": self.operation.lookup_route}
        self.retry_state.repeatable = True
        operation = NoRecovery("GET", url, None)
        lookup = Call("GET", url, extras, options, operation, self.timeout, self.retry_state)
        lookup.is_lookup = True
        return lookup

    def last_outcome(self) -> Outcome:
        """Return the outcome of the latest attempt, of which there was at least one."""
        assert self.last is not None
        return self.last
