"""What the declarations of one call share: a value in the context of uplink's request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._transport.call import OPTIONS

_KEY = "dub_uplink"


class CallContext:
    """One call of an endpoint.

    ``request`` is a request object that other arguments complete. ``query`` is the checked query
    of a list or a count. ``options`` are the call options that were given. ``params`` and
    ``headers`` are those of the arguments: they replace what decorators declare.
    """

    __slots__ = ("consumer", "headers", "options", "params", "query", "request", "result_handler")

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.options: dict[str, Any] = {}
        self.request: Any = None
        self.query: Mapping[str, Any] = {}
        self.params: dict[str, str] = {}
        self.headers: Mapping[str, str] = {}
        self.result_handler: Callable[[CallContext, Any], Any] | None = None


def begin_call(consumer: Any, request_builder: Any) -> None:
    """Put a new context into uplink's request; uplink calls this before it reads the arguments."""
    request_builder.context[_KEY] = CallContext(consumer)
    if consumer._defaults:
        request_builder.info[OPTIONS].update(consumer._defaults)


def context_of(request_builder: Any) -> CallContext:
    """Return the context of a call."""
    context: CallContext = request_builder.context[_KEY]
    return context
