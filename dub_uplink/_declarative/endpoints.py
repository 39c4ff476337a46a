"""The typed endpoint decorator: what a consumer declares, and how its answers are read."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar, cast

import marshmallow
import uplink
from uplink import hooks as uplink_hooks

from .._internal.naming import camel_case
from .._transport import errors as hooks
from .._transport.call import OPTIONS
from ..models.errors import ResponseValidationError
from ..models.response import Response
from .parameters import OPTION_ARGUMENTS, PathSegment, Query
from .schema_compiler import compile_loader
from .schemas import ModelSchema, first_error

P = ParamSpec("P")
T = TypeVar("T")

_VARIABLE = re.compile(r"\{(\w+)\}")
#: A page of Dub's has 100. What is read into models takes twenty times the memory of its JSON, and
#: marshmallow seconds to say what is wrong with each of a million records.
_MAX_RECORDS = 10_000


class _Declaration(uplink_hooks.TransactionHook):  # type: ignore[misc]
    """What an endpoint tells the transport, and how its answer is read."""

    def __init__(
        self,
        route: str,
        read: Callable[[Any, Response], Any],
        idempotent: bool,
        prepare: Callable[[Any], None] | None,
    ) -> None:
        self._options = {"route": route, "idempotent": idempotent}
        self._read = read
        self._prepare = prepare

    def audit_request(self, consumer: Any, request_builder: Any) -> None:
        request_builder.info[OPTIONS].update(self._options)
        if self._prepare is not None:
            self._prepare(request_builder)

    def handle_response(self, consumer: Any, response: Response) -> Any:
        return self._read(consumer, response)


class PageOf:
    """Says of a list that its answer is a page, which knows how to go on.

    ``make`` is called with the consumer, the records and the call that they answer.
    """

    def __init__(self, schema: marshmallow.Schema, make: Callable[[Any, Any, Any], Any]) -> None:
        self._schema = schema
        self._make = make

    def reader(self) -> Callable[[Any, Response], Any]:
        """See :func:`reader`."""
        read = reader(self._schema)
        return lambda consumer, response: self._make(
            consumer, read(consumer, response), response.call
        )


def reader(returns: Any) -> Callable[[Any, Response], Any]:
    """How an answer becomes what the endpoint returns: ``(consumer, response) -> value``."""
    if returns is Response:
        return lambda consumer, response: response
    if isinstance(returns, PageOf):
        return returns.reader()
    is_schema = isinstance(returns, marshmallow.Schema)
    if is_schema:
        load = _loader(returns)
    elif returns is None:
        load = _unchanged
    elif callable(returns) and not _is_schema_class(returns):
        load = returns
    else:
        raise TypeError(f"returns must be a schema instance or a callable, not {returns!r}")

    def read(consumer: Any, response: Response) -> Any:
        if returns is None and not response.content:
            return None  # 204, say: an endpoint that promised nothing
        try:
            body = response.json()
        except (ValueError, RecursionError):
            shown = hooks.body_excerpt(response)
            raise ResponseValidationError(
                f"the answer is not JSON, is server_url that of Dub's API? {shown!r}",
                hooks.detached(response),
            ) from None
        if is_schema and isinstance(body, list) and len(body) > _MAX_RECORDS:
            raise ResponseValidationError(
                f"the answer is not what was promised: it has {len(body)} records,"
                f" of which at most {_MAX_RECORDS} are read",
                hooks.detached(response),
            )
        try:
            return load(body)
        except marshmallow.ValidationError as error:
            message = f"the answer is not what was promised: {first_error(error)}"
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
            message = f"the answer is not what was promised: {type(error).__name__}: {error}"
        raise ResponseValidationError(message, hooks.detached(response))

    return read


def _loader(schema: marshmallow.Schema) -> Callable[[Any], Any]:
    if not isinstance(schema, ModelSchema):
        return schema.load
    compiled: Callable[[Any], Any] | None = None

    def load(body: Any) -> Any:
        nonlocal compiled
        if compiled is None:  # at the first response: an import is not to wait for it
            compiled = compile_loader(schema)
        return compiled(body)

    return load


def _is_schema_class(returns: Any) -> bool:
    return isinstance(returns, type) and issubclass(returns, marshmallow.Schema)


def _unchanged(body: Any) -> Any:
    return body


class _Endpoint:
    """Declares an endpoint of a consumer, one method an HTTP method."""

    def get(
        self,
        path: str,
        *,
        returns: Any = None,
        args: Mapping[str, Any] | None = None,
        prepare: Callable[[Any], None] | None = None,
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """``GET path``. See :data:`endpoint`.

        ``prepare`` is called with uplink's request request_builder when all arguments are in it.
        """
        return self._declare("GET", path, returns, args, idempotent=True, prepare=prepare)

    def put(
        self, path: str, *, returns: Any = None, args: Mapping[str, Any] | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """``PUT path``. See :data:`endpoint`."""
        return self._declare("PUT", path, returns, args, idempotent=True)

    def patch(
        self, path: str, *, returns: Any = None, args: Mapping[str, Any] | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """``PATCH path``. Taken to be repeatable, as all of Dub's are: they set, not add."""
        return self._declare("PATCH", path, returns, args, idempotent=True)

    def delete(
        self, path: str, *, returns: Any = None, args: Mapping[str, Any] | None = None
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """``DELETE path``. See :data:`endpoint`."""
        return self._declare("DELETE", path, returns, args, idempotent=True)

    def post(
        self,
        path: str,
        *,
        returns: Any = None,
        args: Mapping[str, Any] | None = None,
        idempotent: bool = False,
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        """``POST path``. Not sent again after a failure that may have been carried out.

        ``idempotent=True`` says that sending it twice does no harm.
        """
        return self._declare("POST", path, returns, args, idempotent=idempotent)

    def _declare(
        self,
        method: str,
        path: str,
        returns: Any,
        args: Mapping[str, Any] | None,
        *,
        idempotent: bool,
        prepare: Callable[[Any], None] | None = None,
    ) -> Callable[[Callable[P, T]], Callable[P, T]]:
        path = path.lstrip("/")  # a leading slash would lose the prefix of the server's URL
        verb = getattr(uplink, method.lower())
        hook = _Declaration(path, reader(returns), idempotent, prepare)

        def decorate(function: Callable[P, T]) -> Callable[P, T]:
            stub = _stub(function)
            annotations = _annotations(stub.__signature__, path, args or {})
            declared: Any = uplink.inject(hook)(verb(path, args=annotations)(stub))
            return cast("Callable[P, T]", declared)

        return decorate


def _stub(function: Callable[..., Any]) -> Any:
    """A function of the same name and arguments for uplink to read.

    Its annotations are gone, since uplink would take them for its own, and its signature is set,
    so that ``inspect`` does not work it out again at each call.
    """

    @functools.wraps(function)
    def stub(*_: Any, **__: Any) -> None: ...

    signature = inspect.signature(function)
    bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    del stub.__wrapped__
    stub.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=bare, return_annotation=inspect.Signature.empty
    )
    return stub


def _annotations(
    signature: inspect.Signature, path: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """An annotation for every argument: as given, else by its name.

    Raises:
        TypeError: there are arguments without a name, ``*args`` or ``**kwargs``.
    """
    variables = set(_VARIABLE.findall(path))
    found: dict[str, Any] = {}
    for name, parameter in list(signature.parameters.items())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"an endpoint names its arguments: not {parameter}")
        if name in given:
            found[name] = given[name]
        elif name in variables:
            found[name] = PathSegment(name)
        elif name in OPTION_ARGUMENTS:
            found[name] = OPTION_ARGUMENTS[name]
        else:
            found[name] = Query(camel_case(name))
    return found


#: Declares an endpoint on a subclass of a consumer::
#:
#:     class MyCustomers(CustomersConsumer):
#:         @endpoint.get("customers/count", returns=int)
#:         def count(self, *, country: str | None = None) -> int:
#:             raise NotImplementedError
#:
#: The body is never run. An argument named in the path is one encoded segment of it; ``retries``,
#: ``timeout_ms`` and ``http_headers`` do what they do everywhere; any other is a query parameter,
#: in camelCase, left out while it is ``None``. ``args=`` gives an annotation of uplink's instead.
#: ``returns`` is a marshmallow schema (an instance), or a callable that takes the parsed JSON;
#: without it the parsed JSON is returned, with ``Response`` the answer itself.
endpoint = _Endpoint()
