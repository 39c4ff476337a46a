"""Define the state of one call, stored in the dictionary ``context`` of uplink's request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .._transport.call import OPTIONS_KEY

_CONTEXT_KEY = "dub_uplink"


class CallContext:
    """The call of an endpoint, as :func:`result_handler` passes it to your function.

    Attributes:
        consumer: the consumer whose endpoint is called.
        query: the query parameters from the arguments of the call, with the server's names, without
            ``extra_query``, which is in ``options``. The values are strings.
        options: the call options given to the call, such as ``timeout_ms`` in milliseconds. To send
            a further request with these options, pass them as keywords.
    """

    __module__ = "dub_uplink.declare"
    __slots__ = ("consumer", "options", "query")

    # For type checkers only: `get_type_hints(CallContext)` would look `Mapping` up in
    # `dub_uplink.declare`, which does not have it.
    if TYPE_CHECKING:
        consumer: Any
        query: Mapping[str, Any]
        options: dict[str, Any]


ResultHandler = Callable[[CallContext, Any], Any]


class CallState(CallContext):
    """The context of a call, with the state that this package needs.

    Attributes:
        request: the request object of ``list`` or ``get``, or the argument ``group_by`` of
            ``count``. The annotation of ``**options``, such as ``ListQuery``, reads it.
        params: query parameters from arguments. They replace query parameters of the same name that
            a decorator declares. ``query`` is this dictionary, unless ``ListQuery`` replaces it by
            the validated values.
        headers: headers from arguments. They replace headers of the same name that a decorator
            declares.
        extra_query: additional query parameters of the caller.
        extra_body: additional body fields of the caller.
        result_handlers: the functions that compute the result of the call from the converted
            response, in the order of their calls.
    """

    __slots__ = ("extra_body", "extra_query", "headers", "params", "request", "result_handlers")

    def __init__(self, consumer: Any) -> None:
        self.consumer = consumer
        self.options = {}
        self.request: Any = None
        self.params: dict[str, str] = {}
        self.query = self.params
        self.headers: Mapping[str, str] = {}
        self.extra_query: Mapping[str, Any] | None = None
        self.extra_body: Mapping[str, Any] | None = None
        self.result_handlers: tuple[ResultHandler, ...] = ()


def begin_call(consumer: Any, request_builder: Any) -> None:
    """Add a new ``CallState`` and the default options to uplink's request.

    uplink then reads the arguments of the call and the decorators of the endpoint. Options among
    them replace the default options.
    """
    request_builder.context[_CONTEXT_KEY] = CallState(consumer)
    defaults = consumer._default_options
    if defaults:
        request_builder.info[OPTIONS_KEY].update(defaults)
        if "timeout" in defaults:  # `@declare.timeout` replaces this value
            request_builder.info["timeout"] = defaults["timeout"]


def get_context(request_builder: Any) -> CallState:
    """Return the ``CallState`` of uplink's request."""
    context: CallState = request_builder.context[_CONTEXT_KEY]
    return context
