"""Replace uplink's descriptors by plain methods.

``inspect``, ``help``, ``super()`` and ``autospec`` need functions, but the endpoints of an uplink
consumer are descriptors. This module calls such a descriptor the definition of the endpoint. Each
class stores the definition under a private name. The public name of the endpoint is a function
that calls the definition.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Collection, Mapping
from typing import Any

import uplink
from uplink.builder import ConsumerMethod
from uplink.decorators import MethodAnnotation
from uplink.helpers import get_api_definitions
from uplink.interfaces import RequestDefinitionBuilder

from .._internal.config import merge_headers
from .._transport.call import OPTIONS_KEY
from ..models.errors import DubError
from .context import get_context
from .converters import check_body_is_bytes, is_schema
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
from .raw import make_reader
from .schemas import RequestSchema, field_names
from .signatures import (
    get_keyword_types,
    get_options_type,
    get_signature,
    make_signature_and_check,
)

_BODY_FORMAT_DECORATORS = (uplink.json, uplink.form_url_encoded, uplink.multipart)
_BODY_FIELDS = (uplink.Field, uplink.FieldMap)


def define_methods(
    cls: type[Any], *, asynchronous: bool, is_reserved: Callable[[str], bool]
) -> None:
    """Replace the uplink definitions of a class by plain methods.

    Definitions that the class inherits from a mixin or from another ``uplink.Consumer`` are
    replaced too.

    Args:
        cls: the class to change.
        asynchronous: whether the methods are coroutine functions.
        is_reserved: returns whether every consumer has an attribute of the given name.

    Raises:
        TypeError: a declaration is wrong. The message names the endpoint.
    """
    _reject_foreign_decorators(cls)
    for name, declared in get_api_definitions(cls):
        # The definition of a mixin is copied, because other classes use the mixin too.
        is_from_mixin = isinstance(inspect.getattr_static(cls, name), RequestDefinitionBuilder)
        definition = _prepare(declared.copy()) if is_from_mixin else declared
        if name in vars(cls) or is_from_mixin or not _has_policy(definition):
            _check_definition(name, definition, asynchronous, is_reserved)
            _apply_policy(definition)
            definition_name = f"_{name}_definition"
            while hasattr(cls, definition_name):  # a base class uses this name for its definition
                definition_name += "_"
            setattr(cls, definition_name, definition)
            setattr(cls, name, _make_method(definition_name, definition, asynchronous))


def _reject_foreign_decorators(cls: type[Any]) -> None:
    """Raise ``TypeError`` if an endpoint has a decorator such as ``functools.cache``.

    uplink does not find the definition in the object that such a decorator returns. A call of this
    object would send nothing.
    """
    attributes = {name: each for base in cls.__mro__[::-1] for name, each in vars(base).items()}
    for attribute in attributes.values():
        definition = _find_wrapped_definition(attribute)
        if definition is not None:
            raise TypeError(
                f"{get_qualified_name(definition)}: an endpoint accepts only the decorators of"
                " uplink and dub_uplink.declare; write a method that calls the endpoint, and"
                " decorate this method"
            )


def _find_wrapped_definition(value: Any) -> Any:
    """Return the uplink definition that the result of a decorator contains, or ``None``."""
    for _ in range(10):  # decorators above each other
        if isinstance(value, (type, ConsumerMethod)):  # a `ConsumerMethod` is no decorator
            return None
        # Functions and most decorators have `__wrapped__`, and `property` has `fget`. Others, such
        # as `functools.cached_property`, have `func`.
        wrapped = [_get_static(value, name) for name in ("__wrapped__", "fget", "func")]
        attributes = (
            None if isinstance(value, types.FunctionType) else _get_static(value, "__dict__")
        )
        values = attributes.values() if isinstance(attributes, dict) else ()
        for each in (*wrapped, *values):
            # `isinstance` reads `__class__`, which loads the data of some objects.
            if issubclass(type(each), RequestDefinitionBuilder):
                return each
        value = next((each for each in wrapped if each is not None), None)
    return None


def _get_static(value: Any, name: str) -> Any:
    """Return an attribute without running Python code, because some objects load data then."""
    attribute = inspect.getattr_static(value, name, None)
    if isinstance(attribute, (types.MemberDescriptorType, types.GetSetDescriptorType)):
        return attribute.__get__(value, type(value))
    return attribute


class _CallPolicy(MethodAnnotation):  # type: ignore[misc]  # uplink has no types
    """Add call options, the route for log messages and the response converter to each request.

    uplink runs this decorator last, so parameters and headers from arguments replace those from
    other decorators.

    Args:
        definition: the definition of the endpoint.
        validates_path: whether the arguments of the endpoint validate their path segments.
    """

    def __init__(self, definition: Any, *, validates_path: bool) -> None:
        self._route: str | None = definition.uri.template
        self._validates_path = validates_path
        arguments = get_argument_annotations(definition).values()
        self._declared_query_names = {
            name for argument in arguments for name in _get_query_names(argument)
        }
        decorators = _get_decorators(definition)
        is_json = any(isinstance(each, uplink.json) for each in decorators)
        body_fields = {name for argument in arguments for name in _get_body_names(argument)}
        #: The fields that the endpoint sends itself. ``None`` if the body is not JSON.
        self._declared_body_fields = body_fields if is_json else None
        # uplink sends a body without a declared format as a form. Endpoints with uplink's own
        # decorators may rely on this, so only endpoints with `declare` decorators are checked.
        self._needs_bytes = hasattr(definition.__wrapped__, "declared") and not any(
            isinstance(each, _BODY_FORMAT_DECORATORS) for each in decorators
        )

    def modify_request(self, request_builder: Any) -> None:
        if not self._validates_path:
            check_url(request_builder.relative_url)
        if self._needs_bytes and "data" in request_builder.info:
            check_body_is_bytes(request_builder.info["data"])
        options = request_builder.info[OPTIONS_KEY]
        if self._route is not None:  # an endpoint with an `uplink.Url` has no route
            options["route"] = self._route
        context = get_context(request_builder)
        if context.params:
            request_builder.info["params"].update(context.params)
        if context.headers or "http_headers" in options:
            headers = request_builder.info["headers"]
            headers = merge_headers(options.get("http_headers", {}), headers)
            request_builder.info["headers"] = merge_headers(headers, context.headers)
        if context.extra_query is not None:
            add_extra_query(request_builder.info, context.extra_query, self._declared_query_names)
        if context.extra_body is not None:
            add_extra_body(request_builder.info, context.extra_body, self._declared_body_fields)
        convert = request_builder.return_type
        read_result = make_reader(context, convert if callable(convert) else None)
        if read_result is not None:
            options["convert"] = read_result
            request_builder.return_type = None  # so that uplink does not convert the response again


def _get_query_names(annotation: Any) -> Collection[Any]:
    """Return the query parameters that an argument of an endpoint may send."""
    if isinstance(annotation, uplink.Query):
        return [annotation.name]
    return annotation.known if isinstance(annotation, QueryMap) else []


def _get_body_names(annotation: Any) -> Collection[Any]:
    """Return the fields of the body that an argument of an endpoint may send."""
    if isinstance(annotation, uplink.Field):
        return [annotation.name]
    if isinstance(annotation, uplink.Body) and is_schema(annotation.type, RequestSchema):
        schema: Any = annotation.type
        return field_names(schema)
    return []


def _prepare(definition: Any) -> Any:
    """Prepare a definition as uplink prepares the definitions of a consumer class."""
    definition.update_wrapper(definition)
    definition.build()
    return definition


def _check_definition(
    name: str, definition: Any, asynchronous: bool, is_reserved: Callable[[str], bool]
) -> None:
    function = _get_function(definition)
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
    _check_sent_once(definition, method)
    options_type = get_options_type(get_signature(function), function)
    if options_type is None or not any(
        type(a) is Options for a in get_argument_annotations(definition).values()
    ):
        return
    unknown = [
        key for key in get_keyword_types(options_type) if key not in BodyOptions.__optional_keys__
    ]
    if unknown:
        raise TypeError(
            f"{method}: declare.Options accepts only call options, but {options_type.__name__}"
            f" also has {unknown[0]!r}; annotate the argument with declare.QueryMap, which sends"
            " it as a query parameter"
        )


def _check_sent_once(definition: Any, method: str) -> None:
    """Raise ``TypeError`` if two arguments are sent as one part of the request."""
    argument_by_part: dict[str, str] = {}
    annotations = get_argument_annotations(definition)
    for argument, annotation in annotations.items():
        match annotation:
            case uplink.Body():
                part = "the body"
            case uplink.Query():
                part = f"the query parameter {annotation.name!r}"
            case uplink.Field():
                part = f"the field {annotation.name!r}"
            case uplink.Header():
                part = f"the header {str(annotation.name).lower()!r}"
            case _:
                continue
        if part in argument_by_part:
            raise TypeError(
                f"{method}: the arguments {argument_by_part[part]!r} and {argument!r} are both"
                f" sent as {part}; remove one, or give it another name"
            )
        argument_by_part[part] = argument
    fields = [a for a, each in annotations.items() if isinstance(each, _BODY_FIELDS)]
    if fields and "the body" in argument_by_part:
        raise TypeError(
            f"{method}: the argument {argument_by_part['the body']!r} is the body, so the argument"
            f" {fields[0]!r} cannot be a field of it; declare only fields, or only a Body"
        )


def _apply_policy(definition: Any) -> None:
    """Add the call policy to a definition, and replace uplink's annotations by this package's."""
    _drop_unconvertible_type(definition)
    if not _has_policy(definition):
        validates_path = not any(
            _is_third_party_url(a) for a in get_argument_annotations(definition).values()
        )
        _CallPolicy(definition, validates_path=validates_path)(definition)
    for name, annotation in get_argument_annotations(definition).items():
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


def _is_third_party_url(annotation: Any) -> bool:
    """Return whether a third party's annotation class sets the URL."""
    return (
        isinstance(annotation, (uplink.Path, uplink.Url))
        and not isinstance(annotation, (PathSegment, RelativeUrl))
        and type(annotation) not in (uplink.Path, uplink.Url)
    )


def _drop_unconvertible_type(definition: Any) -> None:
    """Remove a return annotation that cannot convert JSON, such as ``dict[str, Any]``.

    uplink calls the annotated type with the JSON. If this call fails, the error message calls a
    valid response invalid.
    """
    return_type = definition.return_type
    hint = inspect.signature(definition.__wrapped__).return_annotation
    if return_type is not None and return_type.type is hint and not _is_convertible(hint):
        definition.return_type = type(return_type)(return_type._decorator, None)


def _is_convertible(hint: Any) -> bool:
    """Return whether uplink can convert JSON to the annotated type."""
    if isinstance(hint, str) or hint is Any:  # a string is an unresolved annotation
        return False
    if typing.get_origin(hint) is not None:
        return any(_is_model(argument) for argument in typing.get_args(hint))
    return True


def _is_model(type_: Any) -> bool:
    return is_schema(type_) or hasattr(type_, "model_validate")


def _get_function(definition: Any) -> Any:
    """Return the decorated function of a definition."""
    return getattr(definition.__wrapped__, "declared", definition.__wrapped__)


def get_qualified_name(definition: Any) -> str:
    """Return the name of an endpoint, with the name of its class."""
    definition.update_wrapper(definition)  # uplink sets `__wrapped__` when it creates the class
    return str(_get_function(definition).__qualname__)


def _has_policy(definition: Any) -> bool:
    return any(isinstance(annotation, _CallPolicy) for annotation in _get_decorators(definition))


def _get_decorators(definition: Any) -> Collection[Any]:
    """Return the uplink decorators of a definition, except the decorator of the request."""
    return list(definition.method_handler_builder.build().annotations)


def get_argument_annotations(definition: Any) -> Mapping[str, Any]:
    """Return the uplink annotation of each argument of a definition."""
    handler = definition.argument_handler_builder.build()
    return dict(
        handler.get_relevant_arguments(inspect.signature(definition.__wrapped__).parameters)
    )


def _make_method(definition_name: str, definition: Any, asynchronous: bool) -> Callable[..., Any]:
    signature, check_keywords = make_signature_and_check(_get_function(definition))

    def find_binding_error(arguments: Any, keywords: Mapping[str, Any]) -> TypeError | None:
        """Return the error for arguments that do not match the signature, or ``None``."""
        try:
            signature.bind(None, *arguments, **keywords)
        except TypeError as error:
            return TypeError(f"{method.__name__}() {error}")
        return None

    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            check_keywords(kwargs)
        try:
            return getattr(self, definition_name)(*args, **kwargs)
        except DubError as error:
            # The frames of uplink and of this package do not help a caller, so the traceback is
            # removed.
            raise error.with_traceback(None)  # noqa: B904 - the same error, not a new one
        except TypeError:
            binding_error = find_binding_error(args, kwargs)
            if binding_error is None:
                raise
            raise binding_error from None

    async def call_async(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if kwargs:
            check_keywords(kwargs)
        try:
            return await getattr(self, definition_name)(*args, **kwargs)
        except DubError as error:
            raise error.with_traceback(None)  # noqa: B904
        except TypeError:
            binding_error = find_binding_error(args, kwargs)
            if binding_error is None:
                raise
            raise binding_error from None

    method: Any = call_async if asynchronous else call
    definition.update_wrapper(method)
    method.uplink_definition = definition
    method.__signature__ = signature
    return method  # type: ignore[no-any-return]
