"""Define the state of one call, stored in the dictionary ``context`` of uplink's request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .._transport.call import OPTIONS_KEY

_CONTEXT_KEY = "dub_uplink"


class CallContext:
    """The state of one call of an endpoint.

    Attributes:
        consumer: the consumer whose endpoint is called.
        options: the call options.
        request: the request object of ``list`` or ``get``, or the argument ``group_by`` of
            ``count``. The annotation of ``**options``, such as ``ListQuery``, reads it.
        query: the validated query parameters of ``list`` or ``count``.
        params: query parameters from arguments. They replace query parameters of the same name that
            a decorator declares.
        headers: headers from arguments. They replace headers of the same name that a decorator
            declares.
        extra_query: additional query parameters of the caller.
        extra_body: additional body fields of the caller.
        result_handler: a function that computes the result of the call from the converted response.
            ``None`` if the converted response is the result.
    """

    __slots__ = (
        "consumer",
        "extra_body",
        "extra_query",
        "headers",
        "options",
        "params",
        "query",
        "request",
        "result_handler",
    )

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.options: dict[str, Any] = {}
        self.request: Any = None
        self.query: Mapping[str, Any] = {}
        self.params: dict[str, str] = {}
        self.headers: Mapping[str, str] = {}
        self.extra_query: Mapping[str, Any] | None = None
        self.extra_body: Mapping[str, Any] | None = None
        self.result_handler: Callable[[CallContext, Any], Any] | None = None


def begin_call(consumer: Any, request_builder: Any) -> None:
    """Add a new ``CallContext`` and the default options to uplink's request.

    uplink then reads the arguments of the call. Options among them replace the default options.
    """
    request_builder.context[_CONTEXT_KEY] = CallContext(consumer)
    if consumer._default_options:
        request_builder.info[OPTIONS_KEY].update(consumer._default_options)


def get_context(request_builder: Any) -> CallContext:
    """Return the ``CallContext`` of uplink's request."""
    context: CallContext = request_builder.context[_CONTEXT_KEY]
    return context
