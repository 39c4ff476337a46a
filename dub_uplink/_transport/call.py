"""Store the request and the state of one call of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .recovery import NoRecovery, WriteRecovery
from .retry_state import Outcome, RetryState

#: The key of an endpoint's transport options in the request arguments (extras) of uplink.
OPTIONS_KEY = "dub_uplink"
#: With these request headers, a read is not served from a cache of the caller's session.
NO_CACHE_HEADERS = {"Cache-Control": "no-cache, no-store"}


class Call:
    """One call of an endpoint: its request, its options and its retry state.

    Attributes:
        extras: the request arguments other than method and URL. The keys are those of ``uplink``,
            such as ``headers`` and ``params``.
        options: the options that the endpoint passes to the transport.
        recovery: the rules that decide whether a failed write was applied.
        timeout: time limit of one attempt in seconds.
        outcome: the outcome of the latest attempt; ``None`` before the first retry.
        wait_seconds: seconds to wait before the next attempt; ``None`` before the first retry.
        is_lookup: whether the request only checks if a write was applied.
    """

    __slots__ = (
        "extras",
        "is_lookup",
        "method",
        "options",
        "outcome",
        "recovery",
        "retry_state",
        "timeout",
        "url",
        "wait_seconds",
    )

    def __init__(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        options: Mapping[str, Any],
        recovery: WriteRecovery,
        timeout: float,
        retry_state: RetryState,
    ) -> None:
        self.method = method
        self.url = url
        self.extras = extras
        self.options = options
        self.recovery = recovery
        self.timeout = timeout
        self.retry_state = retry_state
        self.outcome: Outcome | None = None
        self.wait_seconds: float | None = None
        self.is_lookup = False

    def attempt_timeout(self) -> float:
        """Return the time limit in seconds of an attempt that starts now."""
        return min(self.timeout, max(self.retry_state.remaining(), 0.001))

    def make_lookup(self, url: str) -> Call:
        """Create a call that gets ``url``, with the deadline and the retry state of this call."""
        headers = {k: v for k, v in self.extras["headers"].items() if k != "Content-Type"}
        # The lookup needs the current state of the resource, not a cached state.
        headers |= NO_CACHE_HEADERS
        extras = {"headers": headers, "params": self.extras.get("params")}
        options = {"route": self.recovery.lookup_route}
        self.retry_state.repeatable = True
        recovery = NoRecovery("GET", url, None)
        lookup = Call("GET", url, extras, options, recovery, self.timeout, self.retry_state)
        lookup.is_lookup = True
        return lookup

    def require_outcome(self) -> Outcome:
        """Return the outcome of the latest attempt. It must not be ``None``."""
        assert self.outcome is not None
        return self.outcome
