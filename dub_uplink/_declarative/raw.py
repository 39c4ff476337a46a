"""Convert the responses of endpoints to results or to raw responses.

A raw response is a :class:`RawResponse`, whose ``parse()`` returns the result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import uplink

from ..models.response import RawResponse, Response
from .context import CallState
from .converters import read_body

_Convert = Callable[[Response], Any]


def make_reader(context: CallState, convert: _Convert | None) -> _Convert | None:
    """Return the function that converts the response of a call to its result.

    Args:
        context: the state of the call.
        convert: the declared conversion; ``None`` if the endpoint returns the response itself.

    Returns:
        The function, or ``None`` if the call returns the response itself.
    """
    if convert is None and context.result_handlers:
        convert = _return_unchanged
    read_result = (
        None if convert is None else functools.partial(read_body, convert, context=context)
    )
    if context.consumer._raw_view_of is None:
        return read_result
    # `context.consumer` is a copy whose endpoints return raw responses. Restore the original,
    # because a page requests the next page from `context.consumer`.
    context.consumer = context.consumer._raw_view_of
    return functools.partial(_make_raw_response, read_result or _return_unchanged)


def _make_raw_response(read_result: _Convert, response: Response) -> RawResponse[Any]:
    response.call = None
    return RawResponse(response, read_result)


def _return_unchanged(response: Response) -> Response:
    return response


def make_raw_endpoint(consumer: Any, name: str) -> Any:
    """Return a function that calls an endpoint and returns a :class:`RawResponse`.

    An override of the endpoint is not called, because the override expects ``super()`` to return
    a result, not a raw response.

    Raises:
        AttributeError: the class declares no endpoint of this name.
        TypeError: the endpoint has an uplink response handler, which replaces the response.
    """
    for cls in type(consumer).__mro__:
        declared: Any = vars(cls).get(name)
        if hasattr(declared, "uplink_definition"):
            break
    else:
        raise AttributeError(f"{type(consumer).__name__} declares no endpoint {name!r}")
    annotations = declared.uplink_definition.method_handler_builder.build().annotations
    if any(isinstance(annotation, uplink.response_handler) for annotation in annotations):
        raise TypeError(
            f"{name}() has no raw response: it is declared with uplink.response_handler, which"
            " replaces the response; declare the result with declare.returns.json"
        )
    view = consumer._make_view(consumer._default_options or {})
    view._raw_view_of = consumer
    return functools.partial(declared, view)
