"""Plain methods in the place of uplink's descriptors.

``inspect``, ``help``, ``super()`` and test doubles with ``autospec`` need functions, and the
endpoints of an uplink consumer are other objects. So a class keeps each definition under a hidden
name, and has a function under the name of the endpoint that calls it.
"""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any, ParamSpec, TypeVar

import uplink
from uplink.decorators import MethodAnnotation
from uplink.helpers import get_api_definitions
from uplink.interfaces import RequestDefinitionBuilder

from .._internal.config import merge_headers
from .._transport.call import OPTIONS
from ..models.errors import DubError
from ..models.unset import UNSET, Unset
from .context import context_of
from .converters import is_schema
from .extra import add_extra_body, add_extra_query
from .parameters import (
    AnyPathSegment,
    BodyOptions,
    Header,
    HeaderMap,
    Options,
    PathSegment,
    QueryMap,
    RelativeUrl,
    check_template,
    check_url,
)
from .raw import reader_of
from .schemas import RequestSchema, field_names

P = ParamSpec("P")
T = TypeVar("T")

_REFUSED: Mapping[str, str] = {"extra_body": "it sends no body"}


def define_methods(
    cls: type[Any], *, asynchronous: bool, is_reserved: Callable[[str], bool]
) -> None:
    """Replace the uplink definitions of a class by plain methods.

    They are its own, and those that it inherits from mixins and from another ``uplink.Consumer``.

    Args:
        cls: the class.
        asynchronous: whether the methods are coroutine functions.
        is_reserved: whether a name is an attribute that every consumer has.

    Raises:
        TypeError: a declaration is wrong; the message names the endpoint.
    """
    for name, declared in get_api_definitions(cls):
        # By a class that is no consumer, and whose own definition stays as it is.
        is_mixed_in = isinstance(inspect.getattr_static(cls, name), RequestDefinitionBuilder)
        definition = _built(declared.copy()) if is_mixed_in else declared
        if name in vars(cls) or is_mixed_in or not _has_policy(definition):
            _check_definition(name, definition, asynchronous, is_reserved)
            _complete(definition)
            hidden = f"_{name}_definition"
            while hasattr(cls, hidden):  # one that a base class has declared, for its own method
                hidden += "_"
            setattr(cls, hidden, definition)
            setattr(cls, name, _method(hidden, definition, asynchronous))


class _CallPolicy(MethodAnnotation):  # type: ignore[misc]  # uplink has no types
    """The last decorator of every endpoint: its route for the log, and the errors of bodies.

    ``is_checked`` says that its arguments check themselves that they are segments of the path.

    It writes the parameters and headers of the arguments, over those of the other decorators.
    """

    def __init__(self, definition: Any, *, is_checked: bool) -> None:
        self._route: str | None = definition.uri.template
        self._is_checked = is_checked
        arguments = arguments_of(definition).values()
        self._known_query = {name for argument in arguments for name in _query_names(argument)}
        annotations = definition.method_handler_builder.build().annotations
        is_json = any(isinstance(annotation, uplink.json) for annotation in annotations)
        names = {name for argument in arguments for name in _body_names(argument)}
        self._known_body = names if is_json else None

    def modify_request(self, request_builder: Any) -> None:
        if not self._is_checked:
            check_url(request_builder.relative_url)
        options = request_builder.info[OPTIONS]
        if self._route is not None:  # as it is for an endpoint with an `uplink.Url`
            options["route"] = self._route
        context = context_of(request_builder)
        if context.params:
            request_builder.info["params"].update(context.params)
        if context.headers or "http_headers" in options:
            headers = request_builder.info["headers"]
            headers = merge_headers(options.get("http_headers", {}), headers)
            request_builder.info["headers"] = merge_headers(headers, context.headers)
        if context.extra_query is not None:
            add_extra_query(request_builder.info, context.extra_query, self._known_query)
        if context.extra_body is not None:
            add_extra_body(request_builder.info, context.extra_body, self._known_body)
        convert = request_builder.return_type
        read = reader_of(context, convert if callable(convert) else None)
        if read is not None:
            options["convert"] = read
            request_builder.return_type = None  # the transport's strategy calls it


def _query_names(annotation: Any) -> Collection[Any]:
    """Return the query parameters that an argument of an endpoint may send."""
    if isinstance(annotation, uplink.Query):
        return [annotation.name]
    return annotation.known if isinstance(annotation, QueryMap) else []


def _body_names(annotation: Any) -> Collection[Any]:
    """Return the fields of the body that an argument of an endpoint may send."""
    if isinstance(annotation, uplink.Field):
        return [annotation.name]
    if isinstance(annotation, uplink.Body) and is_schema(annotation.type, RequestSchema):
        schema: Any = annotation.type
        return field_names(schema)
    return []


def _built(definition: Any) -> Any:
    """Do with a definition what uplink does with those of a consumer class."""
    definition.update_wrapper(definition)
    definition.build()
    return definition


def _check_definition(
    name: str, definition: Any, asynchronous: bool, is_reserved: Callable[[str], bool]
) -> None:
    function = _function_of(definition)
    method = function.__qualname__
    if is_reserved(name):
        raise TypeError(f"{method}: every consumer has an attribute {name!r}; choose another name")
    if inspect.iscoroutinefunction(function) is not asynchronous:
        raise TypeError(
            f"{method}: the class is asynchronous; declare the endpoint with async def"
            if asynchronous
            else f"{method}: the class is not asynchronous; declare the endpoint with def,"
            " or derive from AsyncDubConsumer or AsyncCustomersConsumer"
        )
    check_template(definition.uri.template, method)
    typed = _typed_keywords(inspect.signature(function), function)
    if typed is None or not any(type(a) is Options for a in arguments_of(definition).values()):
        return
    unknown = [key for key in _keyword_types(typed) if key not in BodyOptions.__optional_keys__]
    if unknown:
        raise TypeError(
            f"{method}: declare.Options takes the call options alone, and {typed.__name__} has"
            f" {unknown[0]!r}, too; annotate the argument with declare.QueryMap, which sends it as"
            " a query parameter"
        )


def _complete(definition: Any) -> None:
    """Give a definition the policy of this package; make its ids segments of the path."""
    _forget_plain_type(definition)
    if not _has_policy(definition):
        is_checked = not any(_is_foreign(a) for a in arguments_of(definition).values())
        _CallPolicy(definition, is_checked=is_checked)(definition)
    for name, annotation in arguments_of(definition).items():
        replacement: Any = None
        if type(annotation) is uplink.Path:
            replacement = AnyPathSegment(annotation.name, type=annotation.type)
        elif type(annotation) is uplink.Url:
            replacement = RelativeUrl()
        elif type(annotation) is uplink.Header:
            replacement = Header(annotation.name)
        elif type(annotation) is uplink.HeaderMap:
            replacement = HeaderMap()
        if replacement is not None:
            definition.argument_handler_builder.set_annotations({name: replacement})


def _is_foreign(annotation: Any) -> bool:
    """Return whether an annotation sets the URL and is neither this package's nor uplink's."""
    own = (PathSegment, RelativeUrl)
    return (
        isinstance(annotation, (uplink.Path, uplink.Url))
        and not isinstance(annotation, own)
        and type(annotation) not in (uplink.Path, uplink.Url)
    )


def _forget_plain_type(definition: Any) -> None:
    """Let ``Any`` or ``dict[str, Any]`` as the annotation of a result convert nothing.

    uplink would call it with the JSON, and the error would blame the server.
    """
    returned = definition.return_type
    hint = inspect.signature(definition.__wrapped__).return_annotation
    if returned is not None and returned.type is hint and not _converts(hint):
        definition.return_type = type(returned)(returned._decorator, None)


def _converts(hint: Any) -> bool:
    """Return whether uplink can convert JSON to the type of an annotation."""
    if isinstance(hint, str) or hint is Any:  # text: no type that is known here
        return False
    if typing.get_origin(hint) is not None:
        return any(_is_model(argument) for argument in typing.get_args(hint))
    return True


def _is_model(type_: Any) -> bool:
    return is_schema(type_) or hasattr(type_, "model_validate")


def _function_of(definition: Any) -> Any:
    """Return the function that was declared."""
    return getattr(definition.__wrapped__, "declared", definition.__wrapped__)


def _has_policy(definition: Any) -> bool:
    annotations = definition.method_handler_builder.build().annotations
    return any(isinstance(annotation, _CallPolicy) for annotation in annotations)


def arguments_of(definition: Any) -> Mapping[str, Any]:
    """Return the uplink annotation of each argument of a definition."""
    handler = definition.argument_handler_builder.build()
    return dict(
        handler.get_relevant_arguments(inspect.signature(definition.__wrapped__).parameters)
    )


def _method(hidden: str, definition: Any, asynchronous: bool) -> Callable[..., Any]:
    signature, check = _explicit(_function_of(definition))

    def find_mistake(arguments: Any, keywords: Mapping[str, Any]) -> TypeError | None:
        """Return the error of arguments that do not fit, with the name of the method."""
        try:
            signature.bind(None, *arguments, **keywords)
        except TypeError as error:
            return TypeError(f"{method.__name__}() {error}")
        return None

    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            check(kwargs)
        try:
            return getattr(self, hidden)(*args, **kwargs)
        except DubError as error:
            # The traceback begins here: frames of uplink and of this package do not help a caller.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error
        except TypeError:
            mistake = find_mistake(args, kwargs)
            if mistake is None:
                raise
            raise mistake from None

    async def call_async(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            check(kwargs)
        try:
            return await getattr(self, hidden)(*args, **kwargs)
        except DubError as error:
            raise error.with_traceback(None)  # noqa: B904
        except TypeError:
            mistake = find_mistake(args, kwargs)
            if mistake is None:
                raise
            raise mistake from None

    method: Any = call_async if asynchronous else call
    definition.update_wrapper(method)
    method.uplink_definition = definition
    method.__signature__ = signature
    return method  # type: ignore[no-any-return]


def explicit_signature(
    function: Callable[P, T], refused: Mapping[str, str] = _REFUSED
) -> Callable[P, T]:
    """Give a method that takes ``**options: Unpack[SomeTypedDict]`` their explicit signature.

    Python itself would accept any keyword: the method raises ``TypeError`` for an unknown one.

    Args:
        function: the method.
        refused: keywords of other methods, and why this one does not take them.
    """
    signature, check = _explicit(function, refused)
    plain: Any = function

    def checked(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        check(kwargs)
        return plain(self, *args, **kwargs)

    async def checked_async(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        check(kwargs)
        return await plain(self, *args, **kwargs)

    is_async = inspect.iscoroutinefunction(function)
    method: Any = functools.wraps(function)(checked_async if is_async else checked)
    method.__signature__ = signature
    return method  # type: ignore[no-any-return]


def _explicit(
    function: Callable[..., Any], refused: Mapping[str, str] = _REFUSED
) -> tuple[inspect.Signature, Callable[[Any], None]]:
    """Return a function's signature with its typed keywords, and a check of given keywords."""
    signature = inspect.signature(function)
    typed = _typed_keywords(signature, function)
    if typed is None:
        return signature, _accept
    parameters = list(signature.parameters.values())[:-1]
    parameters += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)
        for name, (hint, default) in _keyword_types(typed).items()
    ]
    known = frozenset(parameter.name for parameter in parameters)

    def check(keywords: Mapping[str, Any]) -> None:
        if not known.issuperset(keywords):
            name = next(name for name in keywords if name not in known)
            if name in refused:
                raise TypeError(f"{function.__name__}() takes no {name}: {refused[name]}")
            raise TypeError(f"{function.__name__}() got an unexpected keyword argument {name!r}")

    return signature.replace(parameters=parameters), check


def _accept(_: Any) -> None:
    """Accept any keywords: uplink checks them."""


def _typed_keywords(signature: inspect.Signature, function: Any) -> Any:
    """Return the ``TypedDict`` of a function's keyword arguments, or ``None``."""
    annotation = [None, *(parameter.annotation for parameter in signature.parameters.values())][-1]
    if isinstance(annotation, str) and "Unpack[" in annotation:
        try:
            annotation = eval(annotation, inspect.unwrap(function).__globals__)
        except NameError:  # imported for type checkers only, or local to a function
            return None
    return (
        typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Unpack else None
    )


@functools.cache
def _keyword_types(typed: Any) -> Mapping[str, tuple[Any, Any]]:
    """Return the type and the default of each key: ``UNSET`` if its type allows it, or ``None``."""
    return {
        name: (hint, UNSET if Unset in typing.get_args(hint) else None)
        for name, hint in typing.get_type_hints(typed).items()
    }
