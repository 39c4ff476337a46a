"""Define marshmallow base classes and fields that convert between JSON and dataclasses.

The module also formats the values of query parameters and headers.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import math
from collections.abc import Collection, Mapping
from typing import Any

import marshmallow
from marshmallow import fields

from .._internal.naming import camel_case
from ..models.unset import UNSET

#: Stored at import, because freezegun may have replaced ``datetime`` when a schema is compiled.
parse_datetime = dt.datetime.fromisoformat


class ModelSchema(marshmallow.Schema):
    """The schema of a record that is loaded into a dataclass.

    The schema has the field names of the dataclass. Undeclared fields are stored in ``extra``, so
    that a new field of the server causes no error.
    """

    #: The dataclass that :meth:`load` creates.
    model: type[Any]
    #: The Python names of fields that the server omits together: nearly every record has all of
    #: these fields, or none of them. The compiled loader is fast for such records.
    omitted_together: frozenset[str] = frozenset()

    class Meta:
        # `make_model` copies unknown keys to `extra`. With INCLUDE, an unknown key
        # `created_at` replaces the checked value of `createdAt`.
        unknown = marshmallow.EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: Any) -> None:
        if field_obj.data_key is None:
            field_obj.data_key = camel_case(field_name)

    @marshmallow.post_load(pass_original=True)
    def make_model(self, data: dict[str, Any], original: Mapping[str, Any], **_: Any) -> Any:
        data_keys = {field.data_key for field in self.fields.values()}
        values = {name: normalize_utc(data[name]) for name in data if name in self.fields}
        return self.model(**values, extra={k: v for k, v in original.items() if k not in data_keys})


def normalize_utc(value: Any) -> Any:
    """Replace the time zone of a UTC date by ``dt.UTC``; return any other value unchanged.

    Some marshmallow releases return UTC dates with a time-zone class of their own.
    """
    if isinstance(value, dt.datetime) and value.utcoffset() == dt.timedelta(0):
        return value.replace(tzinfo=dt.UTC)
    return value


def first_error(error: marshmallow.ValidationError) -> str:
    """Return the first error of a body as one line: the path of the field, and the message."""
    path: list[str] = []
    messages: Any = error.messages
    while isinstance(messages, Mapping) and messages:
        key, messages = next(iter(messages.items()))
        path.append(str(key))
    message = messages[0] if isinstance(messages, list) and messages else str(messages)
    return f"{'.'.join(part for part in path if part != '_schema') or 'the body'}: {message}"


def text_field() -> fields.String:
    return fields.String(allow_none=True)


def integer_field() -> fields.Integer:
    return fields.Integer(strict=True, allow_none=True)


def datetime_field() -> fields.AwareDateTime:
    return fields.AwareDateTime(format="iso", default_timezone=dt.UTC, allow_none=True)


class SentText(fields.String):
    """A string to send. Bytes and unpaired surrogates are rejected."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise marshmallow.ValidationError(
                "Contains an unpaired surrogate; remove it."
            ) from None
        return super()._deserialize(value, attr, data, **kwargs)


class SentDatetime(fields.AwareDateTime):
    """A date to send, given as an aware datetime or as ISO 8601 text."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        moment = value
        if not isinstance(value, dt.datetime):
            moment = super()._deserialize(value, attr, data, **kwargs)
        if moment.tzinfo is None:
            raise self.make_error("invalid_awareness", awareness="aware", obj_type="datetime")
        try:
            return moment.astimezone(dt.UTC)
        except OverflowError:  # in UTC, the year is below 1 or above 9999
            raise self.make_error("invalid", input=value, obj_type="datetime") from None

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        # The server's format has milliseconds and a Z.
        return None if value is None else format_datetime(value)


def format_datetime(moment: dt.datetime) -> str:
    """Format an aware datetime as the server does, in UTC with milliseconds."""
    iso_text = moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")
    return iso_text.replace("+00:00", "Z")


def format_query_value(name: str, value: Any) -> str:
    """Return the text of a query value in Dub's format.

    Raises:
        ValueError: the value is a collection, NaN, infinite, a date without a time zone, a date
            that UTC cannot represent, or text that UTF-8 cannot encode. The message names the
            field.
    """
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dt.datetime):
        if value.tzinfo is None:
            raise ValueError(
                f"{name} must be a datetime with a time zone, such as timezone.utc, not {value!r}"
            )
        try:
            return format_datetime(value)
        except OverflowError:
            raise ValueError(
                f"{name} must be from year 1 to 9999 in UTC, not {value.isoformat()}"
            ) from None
    if isinstance(value, Collection) and not isinstance(value, str):
        raise ValueError(f"{name} must be a single value, not {type(value).__name__}")
    if isinstance(value, decimal.Decimal):
        is_finite = value.is_finite()  # `math.isfinite` rejects a signaling NaN and 1E+999
    else:
        is_finite = not isinstance(value, float) or math.isfinite(value)
    if not is_finite:
        raise ValueError(f"{name} must be a finite number, not {value!r}")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"{name} contains an unpaired surrogate, which UTF-8 cannot encode: {text!r:.40};"
            " remove it"
        ) from None
    return text


class SentBoolean(fields.Boolean):
    """A boolean to send. Values such as ``"yes"`` or 1 are rejected."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class RequestSchema(marshmallow.Schema):
    """The schema that validates and serialises a caller's request."""

    #: The dataclass of the request; callers may also pass a mapping.
    model: type[Any]
    #: The method that accepts the request, such as ``create()``, for error messages.
    call: str
    #: Whether ``None`` is sent as ``null``. If ``False``, a field with ``None`` is not sent.
    sends_nulls = True

    class Meta:
        unknown = marshmallow.RAISE

    def on_bind_field(self, field_name: str, field_obj: Any) -> None:
        field_obj.data_key = camel_case(field_name)


def field_names(schema: RequestSchema | type[RequestSchema]) -> frozenset[str]:
    """Return the field names of a schema, in snake_case and in the server's camelCase."""
    schema_fields = (schema() if isinstance(schema, type) else schema).fields
    return frozenset(schema_fields) | {str(field.data_key) for field in schema_fields.values()}


def serialize_request(
    schema: RequestSchema, request: Any, call: str | None = None
) -> dict[str, Any]:
    """Return a caller's request as a JSON object to send.

    Args:
        schema: the schema of the request.
        request: an instance of the schema's dataclass, or a mapping with snake_case or camelCase
            keys.
        call: the method to name in error messages; the default is ``call`` of the schema.

    Raises:
        TypeError: ``request`` is neither an instance of the dataclass nor a mapping.
        ValueError: a field is unknown, missing, given twice or of the wrong type. The message names
            the field.
    """
    call = call or schema.call
    if isinstance(request, schema.model):
        names = (field.name for field in dataclasses.fields(schema.model))
        given = {camel_case(name): getattr(request, name) for name in names}
    elif isinstance(request, Mapping):
        given = _rename_to_data_keys(schema, request, call)
    else:
        model_name = schema.model.__name__
        article = "an" if model_name[0] in "AEIOU" else "a"
        raise TypeError(
            f"{call} takes {article} {model_name} or a mapping, not {type(request).__name__}"
        )
    omitted_values = (UNSET,) if schema.sends_nulls else (UNSET, None)
    given = {
        name: _unwrap_enum(value)
        for name, value in given.items()
        if not any(value is omitted for omitted in omitted_values)
    }
    try:
        loaded: Any = schema.load(given)
        # `dump` is slow, because it looks up every field of the schema twice.
        return {
            str(field.data_key): field.serialize(name, loaded)
            for name, field in schema.fields.items()
            if name in loaded
        }
    except marshmallow.ValidationError as error:
        raise ValueError(f"{call}: {_format_first_error(schema, error)}") from None


def _unwrap_enum(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _rename_to_data_keys(
    schema: RequestSchema, request: Mapping[Any, Any], call: str
) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for key, value in request.items():
        name = camel_case(key) if isinstance(key, str) and key in schema.fields else key
        if name in given:
            raise ValueError(
                f"{call}: {key!r} is given twice, in snake_case and in camelCase; leave one out"
            )
        if not isinstance(key, str) or not any(name == f.data_key for f in schema.fields.values()):
            import difflib  # noqa: PLC0415 - only needed for an error

            similar = difflib.get_close_matches(str(key), schema.fields, 1)
            hint = (
                f"did you mean {similar[0]!r}?" if similar else "known: " + ", ".join(schema.fields)
            )
            raise ValueError(f"{call}: unknown field {key!r}; {hint}")
        given[name] = value
    return given


def _format_first_error(schema: RequestSchema, error: marshmallow.ValidationError) -> str:
    """Return the first error in one line, with the field's name in snake_case."""
    names = {field.data_key: name for name, field in schema.fields.items()}
    messages: Any = error.messages
    key, key_messages = next(iter(messages.items()))
    message = key_messages[0] if isinstance(key_messages, list) else str(key_messages)
    name = names.get(key, key)
    return message if name == "_schema" else f"{name}: {message}"
