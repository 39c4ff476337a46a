"""Typed versions of uplink's decorators."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

import marshmallow
import uplink
from uplink.decorators import MethodAnnotation

from .._internal.config import validate_headers
from .._internal.naming import camel_case
from .._transport.call import OPTIONS_KEY
from ..models.response import Response
from .context import CallContext, ResultHandler, get_context
from .converters import get_response_converter, is_schema
from .methods import get_argument_annotations
from .parameters import Options, PathSegment, Query

P = ParamSpec("P")
T = TypeVar("T")

_TEMPLATE_VARIABLE = re.compile(r"\{(\w+)\}")


class Decorator(Protocol):
    """A decorator that keeps the signature of the decorated function."""

    def __call__(self, function: Callable[P, T], /) -> Callable[P, T]: ...


# Set here, because an assignment in the class body declares a member of the protocol.
Decorator.__module__ = "dub_uplink.declare"


def get(path: str, args: Mapping[str, Any] | None = None) -> Decorator:
    """Declare a ``GET`` request; see ``uplink.get``.

    Args:
        path: a URI template relative to the server's URL. An argument that has the name of a
            template variable is sent as one path segment.
        args: maps the names of arguments to annotations. An argument in the template needs no
            entry. The default annotation of ``**options`` is ``Options``.
    """
    return _declare(uplink.get, path, args)


def post(path: str, args: Mapping[str, Any] | None = None) -> Decorator:
    """Declare a ``POST`` request; see ``uplink.post`` and :func:`get`.

    After an attempt that the server may have applied, the client repeats the request only if the
    endpoint is declared :func:`idempotent`.
    """
    return _declare(uplink.post, path, args)


def patch(path: str, args: Mapping[str, Any] | None = None) -> Decorator:
    """Declare a ``PATCH`` request; see ``uplink.patch`` and :func:`get`.

    The client may repeat the request. A ``PATCH`` of Dub's API sets fields to the given values, so
    a repeated request changes nothing more.
    """
    return _declare(uplink.patch, path, args)


def put(path: str, args: Mapping[str, Any] | None = None) -> Decorator:
    """Declare a ``PUT`` request; see ``uplink.put`` and :func:`get`."""
    return _declare(uplink.put, path, args)


def delete(path: str, args: Mapping[str, Any] | None = None) -> Decorator:
    """Declare a ``DELETE`` request; see ``uplink.delete`` and :func:`get`."""
    return _declare(uplink.delete, path, args)


def _declare(uplink_decorator: Any, path: str, args: Mapping[str, Any] | None) -> Decorator:
    # If `path` starts with a slash, uplink drops the path of the server's URL.
    path = path.lstrip("/")

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        stub = _without_types(function)
        parameters = inspect.signature(stub).parameters
        annotations: dict[str, Any] = {
            name: PathSegment(name)
            for name in _TEMPLATE_VARIABLE.findall(path)
            if name in parameters
        }
        keywords = {name: Options for name, p in parameters.items() if p.kind is p.VAR_KEYWORD}
        for name, annotation in {**keywords, **(args or {})}.items():
            instance = annotation() if isinstance(annotation, type) else annotation
            if isinstance(instance, Query) and instance.name is None:
                instance.name = camel_case(name)
            if instance is not annotation and isinstance(instance, Options):
                instance.call = function.__name__
            annotations[name] = instance
        return cast("Callable[P, T]", uplink_decorator(path, args=annotations)(stub))

    return decorate


def same_request_as(method: Callable[..., Any]) -> Decorator:
    """Declare the same request, and the same result, as a method of another consumer.

    The argument names must be those of the method.
    """
    definition: Any = method.uplink_definition  # type: ignore[attr-defined]

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        extend = definition.extend(args=get_argument_annotations(definition))
        return cast("Callable[P, T]", extend(_without_types(function)))

    return decorate


def _without_types(function: Callable[..., Any]) -> Any:
    """Return a function with the same arguments, but without type hints.

    The type hints are removed, because uplink interprets them as its own annotations. The signature
    is stored, so that uplink does not inspect the function at each call.
    """

    @functools.wraps(function)
    def stub(*_: Any, **__: Any) -> None: ...

    signature = inspect.signature(function)
    untyped_parameters = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
    untyped_function: Any = stub
    untyped_function.__signature__ = _Signature(untyped_parameters)
    untyped_function.declared = function
    return untyped_function


class _Signature(inspect.Signature):
    """A signature that binds arguments faster than its base class.

    uplink binds the arguments at every call. This class binds a call whose keywords are all
    options. The base class binds the remaining calls, and raises for wrong arguments.
    """

    __slots__ = ("_options_name", "_positional_names", "_required_names")

    def __init__(self, parameters: Sequence[inspect.Parameter] = (), **options: Any) -> None:
        super().__init__(parameters, **options)
        positional = [p for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
        others = [p for p in parameters if p.kind is not p.POSITIONAL_OR_KEYWORD]
        self._positional_names = tuple(p.name for p in positional)
        self._required_names = frozenset(p.name for p in positional if p.default is p.empty)
        has_options = len(others) == 1 and others[0].kind is inspect.Parameter.VAR_KEYWORD
        #: The name of the parameter ``**options``. ``None`` if the signature lacks it or
        #: has ``*args`` or keyword-only parameters.
        self._options_name = others[0].name if has_options else None

    def bind(self, /, *args: Any, **kwargs: Any) -> inspect.BoundArguments:
        """Return a call's arguments by name. ``options`` is ``{}`` if there are no keywords."""
        bound_arguments: Any = dict(zip(self._positional_names, args, strict=False))
        if (
            self._options_name is None
            or len(args) > len(self._positional_names)
            or not self._required_names <= bound_arguments.keys()
            or not kwargs.keys().isdisjoint(self._positional_names)
        ):
            return super().bind(*args, **kwargs)
        bound_arguments[self._options_name] = kwargs
        return inspect.BoundArguments(self, bound_arguments)


def _require_above_request(name: str, uplink_decorator: Any) -> Decorator:
    """Return a decorator that must be above the request's decorator, such as ``@declare.get``.

    uplink ignores its own decorator below the request's decorator, because there the endpoint is
    still a function. The returned decorator raises ``TypeError`` for a function.

    Args:
        name: the name of the decorator in ``declare``, for the error message.
        uplink_decorator: uplink's decorator.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        if inspect.isfunction(function):
            raise TypeError(
                f"{function.__qualname__}: write @declare.{name} above the decorator of the"
                " request, such as @declare.get"
            )
        return cast("Callable[P, T]", uplink_decorator(function))

    return decorate


class _ResultHandler(MethodAnnotation):  # type: ignore[misc]  # uplink has no types
    def __init__(self, handler: ResultHandler) -> None:
        self._handler = handler

    def modify_request(self, request_builder: Any) -> None:
        get_context(request_builder).result_handlers += (self._handler,)


class _Idempotent(MethodAnnotation):  # type: ignore[misc]
    _can_be_static = True

    def modify_request(self, request_builder: Any) -> None:
        request_builder.info[OPTIONS_KEY]["idempotent"] = True


def _key_path(key: Any) -> Sequence[Any]:
    return key if isinstance(key, (tuple, list)) else (key,)


def _select_part(body: Any, path: Sequence[Any]) -> Any:
    """Return the part of a JSON body that the keys of ``returns.json`` select.

    Raises:
        marshmallow.ValidationError: the body has no such part. The message names the key.
    """
    for depth, key in enumerate(path, 1):
        try:
            body = body[key]
        except (LookupError, TypeError):
            name = ".".join(map(str, path[:depth]))
            message = f"the key of returns.json is missing in this {type(body).__name__}"
            raise marshmallow.ValidationError({name: [message]}) from None
    return body


class _ReturnsJson(uplink.returns.json):  # type: ignore[misc]
    """``uplink.returns.json`` with an error that names a missing key."""

    def _make_strategy(self, converter: Any) -> Any:
        path = _key_path(self._key)
        return lambda response: converter(_select_part(response.json(), path))


class _ReturnsSchema(uplink.returns.json):  # type: ignore[misc]
    """``uplink.returns.json`` for a schema, with a cached converter.

    uplink's own class creates a registry of all converter factories at every call.
    """

    def __init__(self, type: Any, key: str | tuple[str, ...]) -> None:
        super().__init__(type=type, key=key)
        self._schema = type
        self._path = _key_path(key)

    def modify_request(self, request_builder: Any) -> None:
        if request_builder.return_type.is_applicable(self):
            request_builder.return_type = self._convert

    def _convert(self, response: Response) -> Any:
        convert: Any = get_response_converter(self._schema)
        body = response.json()
        return convert(_select_part(body, self._path) if self._path else body)


def idempotent(function: Callable[P, T]) -> Callable[P, T]:
    """Declare that the client may repeat a ``POST`` that the server may have applied."""
    return _require_above_request("idempotent", _Idempotent)(function)


def json(function: Callable[P, T]) -> Callable[P, T]:
    """Send the ``Body`` or the ``Field`` arguments as JSON; see ``uplink.json``."""
    return _require_above_request("json", uplink.json)(function)


def headers(values: Mapping[str, str]) -> Decorator:
    """Send headers with each request; see ``uplink.headers``.

    A header of a call replaces the declared header with the same name.

    Raises:
        ValueError: a name or a value is not valid in HTTP, or only the client may set the header.
        TypeError: ``values`` is not a mapping of strings to strings.
    """
    return _require_above_request(
        "headers", uplink.headers(validate_headers(values, "declare.headers"))
    )


def params(values: Mapping[str, str]) -> Decorator:
    """Send query parameters with each request; see ``uplink.params``.

    A parameter of a call replaces the declared parameter with the same name.
    """
    return _require_above_request("params", uplink.params(values))


def timeout(seconds: float) -> Decorator:
    """Limit each attempt to ``seconds`` seconds; see ``uplink.timeout``.

    Raises:
        TypeError: ``seconds`` is not a number.
        ValueError: ``seconds`` is not above 0.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        raise TypeError(
            f"declare.timeout must be a number of seconds, not {type(seconds).__name__}"
        )
    if not seconds > 0:
        raise ValueError(f"declare.timeout must be above 0 seconds, not {seconds!r:.20}")
    return _require_above_request("timeout", uplink.timeout(seconds))


def result_handler(handler: Callable[[CallContext, Any], Any]) -> Decorator:
    """Compute the result of an endpoint from the converted response.

    ``uplink.response_handler`` is similar, but its function takes the response before the
    conversion. With several result handlers, each one takes the result of the one below it.

    Args:
        handler: takes the :class:`CallContext` of the call, and the value that ``returns`` declares
            or, without ``returns``, the response. The endpoint returns the handler's result. If
            the handler raises ``ValueError``, ``TypeError`` or ``marshmallow.ValidationError``, the
            call raises :class:`~dub_uplink.models.errors.ResponseValidationError`.

    Raises:
        TypeError: ``handler`` is not callable, or is a coroutine function.
    """
    function: Any = handler
    if not callable(function) or inspect.iscoroutinefunction(function):
        raise TypeError(
            f"declare.result_handler must be a function that is not async, not {handler!r}"
        )
    return _require_above_request("result_handler", _ResultHandler(handler))


class returns:
    """Declare what an endpoint returns instead of the response; see ``uplink.returns``."""

    __module__ = "dub_uplink.declare"

    @overload
    @staticmethod
    def json(function: Callable[P, T], /) -> Callable[P, T]: ...
    @overload
    @staticmethod
    def json(*, type: Any = None, key: str | tuple[str, ...] = ()) -> Decorator: ...
    @staticmethod
    def json(
        function: Callable[P, T] | None = None,
        /,
        *,
        type: Any = None,
        key: str | tuple[str, ...] = (),
    ) -> Any:
        """Return the JSON of the response, converted to a type; see ``uplink.returns.json``.

        Args:
            function: the endpoint, if the decorator is used without parentheses.
            type: a marshmallow schema (an instance or a class), a pydantic model, or a callable
                that takes the parsed JSON. By default, the parsed JSON is returned.
            key: a key of the JSON object, or a tuple of keys that leads to a nested value. Only
                this value is converted and returned.

        Raises:
            TypeError: ``type`` is neither a schema, nor a pydantic model, nor a callable.
        """
        if function is not None:
            return _require_above_request("returns.json", uplink.returns.json)(function)
        if type is not None and not callable(type) and not is_schema(type):
            raise TypeError(
                f"type must be a marshmallow schema, a pydantic model or a callable, not {type!r}"
            )
        decorator_type = _ReturnsSchema if is_schema(type) else _ReturnsJson
        return _require_above_request("returns.json", decorator_type(type=type, key=key))
