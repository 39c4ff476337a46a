"""Typed versions of uplink's decorators."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, Protocol, TypeVar, cast, overload

import uplink
from uplink.decorators import MethodAnnotation
from uplink.interfaces import Annotation, RequestDefinitionBuilder

from .._internal.config import validate_headers
from .._internal.credentials import is_coroutine_function
from .._internal.naming import camel_case
from .._transport.call import OPTIONS_KEY
from .context import CallContext, ResultHandler, get_context
from .converters import ReturnsJson, ReturnsSchema, is_convertible, is_schema
from .methods import get_argument_annotations, get_qualified_name
from .parameters import Options, PathSegment, Query
from .signatures import get_signature

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
    verb = uplink_decorator.__name__
    if not isinstance(path, str):
        raise TypeError(
            f'write @declare.{verb}("path"), with the path in parentheses, not {path!r:.100}'
        )
    # If `path` starts with a slash, uplink drops the path of the server's URL.
    path = path.lstrip("/")

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        if isinstance(function, RequestDefinitionBuilder):
            raise TypeError(
                f"{get_qualified_name(function)}: an endpoint has one request; remove"
                f" @declare.{verb} or the decorator below it"
            )
        _check_args(function, args)
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


def _check_args(function: Callable[..., Any], args: Any) -> None:
    """Check the annotations of an endpoint's arguments.

    Raises:
        TypeError: an annotation is not one of uplink's, or is in the signature of the endpoint.
    """
    if args is not None and not isinstance(args, Mapping):
        raise TypeError(
            f'{function.__qualname__}: args must be a mapping, such as {{"q": declare.Query}}, not'
            f" {args!r:.100}"
        )
    for name, annotation in (args or {}).items():
        if not _is_annotation(annotation):
            raise TypeError(
                f"{function.__qualname__}: the annotation of the argument {name!r} must be an"
                f" annotation such as declare.Query, not {annotation!r:.100}"
            )
    for name, parameter in get_signature(function).parameters.items():
        hint = parameter.annotation
        if isinstance(hint, str):
            try:
                hint = eval(hint, inspect.unwrap(function).__globals__)
            except Exception:  # noqa: BLE001 - a name that only type checkers know
                continue
        if _is_annotation(hint):
            raise TypeError(
                f"{function.__qualname__}: write the annotation of the argument {name!r} in args of"
                f' the request, as in args={{"{name}": …}}; in the signature, write its type'
            )


def _is_annotation(value: Any) -> bool:
    return isinstance(value, Annotation) or (
        isinstance(value, type) and issubclass(value, Annotation)
    )


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

    signature = get_signature(function)
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

    def __call__(self, endpoint: Any, **options: Any) -> Any:
        if isinstance(endpoint, type):  # uplink would also add it to the inherited endpoints
            raise TypeError("write @declare.result_handler above an endpoint, not above a class")
        return super().__call__(endpoint, **options)

    def modify_request(self, request_builder: Any) -> None:
        get_context(request_builder).result_handlers += (self._handler,)


class _Idempotent(MethodAnnotation):  # type: ignore[misc]
    _can_be_static = True

    def modify_request(self, request_builder: Any) -> None:
        request_builder.info[OPTIONS_KEY]["idempotent"] = True


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

    Raises:
        TypeError: ``values`` is not a mapping.
    """
    if not isinstance(values, Mapping):
        raise TypeError(f"declare.params must be a mapping, not {type(values).__name__}")
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
            the handler raises ``ValueError``, ``TypeError``, ``LookupError``, ``AttributeError``,
            ``OverflowError`` or ``marshmallow.ValidationError``, the call raises
            :class:`~dub_uplink.models.errors.ResponseValidationError`. If the handler returns a
            coroutine, the call raises ``TypeError``.

    Raises:
        TypeError: ``handler`` does not accept two arguments, or is a coroutine function.
    """
    function: Any = handler
    if isinstance(function, RequestDefinitionBuilder):
        raise TypeError("write @declare.result_handler(function), with the function in parentheses")
    if not callable(function) or is_coroutine_function(function):
        raise TypeError(
            f"declare.result_handler must be a function that is not async, not {handler!r}"
        )
    if not _accepts_two_arguments(function):
        raise TypeError(
            "declare.result_handler must be a function of two arguments, the CallContext and the"
            f" value, not {handler!r}"
        )
    return _require_above_request("result_handler", _ResultHandler(handler))


def _accepts_two_arguments(function: Callable[..., Any]) -> bool:
    try:
        get_signature(function).bind(None, None)
    except TypeError:
        return False
    except ValueError:  # some built-in functions, such as `max`, have no signature
        pass
    return True


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
            type: a marshmallow schema (an instance or a class), a pydantic model, a callable that
                takes the parsed JSON, or a list or a mapping of these, such as
                ``list[PetSchema]``. By default, the parsed JSON is returned.
            key: a key of the JSON object, or a tuple of keys that leads to a nested value. Only
                this value is converted and returned.

        Raises:
            TypeError: ``type`` is none of these, or is a coroutine function.
        """
        if function is not None:
            return _require_above_request("returns.json", uplink.returns.json)(function)
        if type is not None and not is_convertible(type):
            raise TypeError(
                "type must be a marshmallow schema, a pydantic model, a callable, or a list or a"
                f" mapping of these, not {type!r}"
            )
        if is_coroutine_function(type):
            raise TypeError(f"type must be a function that is not async, not {type!r}")
        decorator_type = ReturnsSchema if is_schema(type) else ReturnsJson
        return _require_above_request("returns.json", decorator_type(type=type, key=key))
