"""uplink's decorators and annotations with types, to declare endpoints on a consumer.

The names and their meaning are uplink's. The decorators keep the signature of the method for type
checkers; the annotations check arguments and write them as Dub reads them.
"""

from __future__ import annotations

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
    "returns",
    "timeout",
]
