"""Convert request and response bodies with schemas; raise for invalid response bodies."""

from __future__ import annotations

import functools
import json
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import marshmallow
import uplink
from uplink.converters import Factory

from .._transport import errors as transport_errors
from ..models.errors import ResponseValidationError, one_line
from ..models.response import Response
from .context import CallState
from .schemas import ModelSchema, RequestSchema, first_error, serialize_request

#: The maximum number of records in a list. A page of Dub has at most 100. The limit protects the
#: memory, because model objects take about twenty times the memory of their JSON.
_MAX_RECORDS = 10_000

#: The exceptions by which converters and result handlers reject a body.
_REJECTIONS = (ValueError, TypeError, LookupError, AttributeError, OverflowError)

#: The JSON type of generic types, such as ``list[NoteSchema]``, and its name in error messages.
_JSON_TYPES: Mapping[Any, tuple[type, str]] = {
    list: (list, "an array"),
    Sequence: (list, "an array"),
    dict: (dict, "an object"),
    Mapping: (dict, "an object"),
}


class SchemaConverter(Factory):  # type: ignore[misc]  # uplink has no types
    """Convert JSON with marshmallow schemas (instances or classes) and with pydantic models.

    uplink requests a converter at every call, so converters are cached.
    """

    def create_response_body_converter(self, cls: Any, request_definition: Any) -> Any:
        """Return the function that loads a body, or ``None`` for an unsupported type."""
        return get_response_converter(cls)

    def create_request_body_converter(self, cls: Any, request_definition: Any) -> Any:
        """Return the function that serialises a body, or ``None`` for an unsupported type."""
        return _get_request_converter(cls)


def is_schema(type_: Any, base: type[marshmallow.Schema] = marshmallow.Schema) -> bool:
    """Return whether ``type_`` is a marshmallow schema class, or an instance of one."""
    return isinstance(type_, base) or (isinstance(type_, type) and issubclass(type_, base))


def is_convertible(type_: Any) -> bool:
    """Return whether ``returns.json`` can convert JSON to a type.

    uplink converts lists and mappings of types. It calls any other type with the JSON.
    """
    origin = typing.get_origin(type_)
    if origin is None:
        return is_schema(type_) or (callable(type_) and type_ is not Any)
    if origin in _JSON_TYPES:
        arguments = typing.get_args(type_)
        return bool(arguments) and all(map(is_convertible, arguments))
    # uplink fails for types such as `tuple[int, ...]`, and `int | None` cannot be called.
    is_class = callable(type_) and isinstance(origin, type)
    return is_class and not issubclass(origin, (Sequence, Mapping))


@functools.lru_cache(1000)
def get_response_converter(type_: Any) -> Callable[[Any], Any] | None:
    """Return the function that loads a body, or ``None`` for an unsupported type."""
    if is_schema(type_):
        from .schema_compiler import compile_loader  # noqa: PLC0415 - loaded by the first response

        schema = type_() if isinstance(type_, type) else type_
        load = compile_loader(schema) if isinstance(schema, ModelSchema) else schema.load
    else:  # a pydantic model; uplink's own converter calls a deprecated method of pydantic
        load = getattr(type_, "model_validate", None)
    return None if load is None else functools.partial(_load_body, load)


@functools.lru_cache(1000)
def _get_request_converter(type_: Any) -> Callable[[Any], Any] | None:
    if not is_schema(type_, RequestSchema):
        return None
    schema = type_() if isinstance(type_, type) else type_
    return lambda request: serialize_request(schema, {} if request is None else request)


def check_body_is_bytes(body: Any) -> None:
    """Raise ``TypeError`` if a body is neither bytes nor text, and thus needs ``@declare.json``."""
    if body is not None and not isinstance(body, (bytes, str)):
        raise TypeError(
            f"the body must be bytes or text without @declare.json, not {type(body).__name__};"
            " write @declare.json above the decorator of the request"
        )


def _load_body(load: Callable[[Any], Any], body: Any) -> Any:
    if isinstance(body, Response):  # uplink's `returns.schema` passes the response
        body = body.json()
    if isinstance(body, list) and len(body) > _MAX_RECORDS:
        # Rejected here, because marshmallow takes seconds to list the errors of a million records.
        raise marshmallow.ValidationError(
            f"it has {len(body)} records; at most {_MAX_RECORDS} are accepted"
        )
    return load(body)


def read_body(convert: Callable[[Response], Any], response: Response, context: CallState) -> Any:
    """Return the converted response, or the result of the call's result handlers if it has any.

    Raises:
        ResponseValidationError: the conversion fails, or a handler rejects the converted body.
        TypeError: a handler returns a coroutine.
    """
    try:
        value = convert(response)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError):
        excerpt = transport_errors.make_body_excerpt(response)
        message = f"the response is not JSON; is server_url that of Dub's API? {excerpt!r}"
    except marshmallow.ValidationError as error:
        message = f"unexpected response body: {first_error(error)}"
    except _REJECTIONS as error:
        message = f"unexpected response body: {type(error).__name__}: {one_line(str(error))}"
    else:
        for handle in context.result_handlers:
            try:
                value = handle(context, value)
            except marshmallow.ValidationError as error:
                message = f"unexpected response body: {first_error(error)}"
                break
            except _REJECTIONS as error:
                reason = f"{type(error).__name__}: {one_line(str(error))}"
                message = f"{_describe_handler(handle)} rejects the response body: {reason}"
                break
            if isinstance(value, types.CoroutineType):
                value.close()
                raise TypeError(
                    f"{_describe_handler(handle)} returned a coroutine; return a function that the"
                    " caller calls and awaits"
                )
        else:
            return value
    raise ResponseValidationError(message, transport_errors.detach_call(response))


def _describe_handler(handler: Any) -> str:
    return f"the result handler {getattr(handler, '__qualname__', type(handler).__qualname__)}"


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


class ReturnsJson(uplink.returns.json):  # type: ignore[misc]
    """``uplink.returns.json`` with errors for a missing key and for a body that is no array."""

    def _make_strategy(self, converter: Any) -> Any:
        path = _key_path(self._key)
        json_type, name = _JSON_TYPES.get(typing.get_origin(self._type), (object, ""))

        def convert(response: Response) -> Any:
            body = _select_part(response.json(), path)
            if not isinstance(body, json_type):  # uplink converts an object to a list of one item
                raise marshmallow.ValidationError(f"must be {name}, not {type(body).__name__}")
            return converter(body)

        return convert


class ReturnsSchema(uplink.returns.json):  # type: ignore[misc]
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
