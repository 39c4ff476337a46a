"""Typed versions of uplink's decorators and annotations, to declare endpoints on a consumer.

A consumer is a class whose methods are endpoints of an API.
The names mean the same as in uplink. The decorators keep the method's signature for type checkers.
The annotations check arguments and serialise them in Dub's format.
"""

from __future__ import annotations

from ._declarative.context import CallContext
from ._declarative.decorators import (
    Decorator,
    delete,
    get,
    headers,
    idempotent,
    json,
    params,
    patch,
    post,
    put,
    result_handler,
    returns,
    timeout,
)
from ._declarative.parameters import (
    Body,
    BodyOptions,
    CallOptions,
    Field,
    Header,
    HeaderMap,
    Options,
    Query,
    QueryMap,
)
from ._declarative.parameters import PathSegment as Path

__all__ = [
    "Body",
    "BodyOptions",
    "CallContext",
    "CallOptions",
    "Decorator",
    "Field",
    "Header",
    "HeaderMap",
    "Options",
    "Path",
    "Query",
    "QueryMap",
    "delete",
    "get",
    "headers",
    "idempotent",
    "json",
    "params",
    "patch",
    "post",
    "put",
    "result_handler",
    "returns",
    "timeout",
]
