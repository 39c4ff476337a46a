"""marshmallow schemas between JSON and the models; the one place that knows camelCase."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
from collections.abc import Mapping
from typing import Any

import marshmallow
from marshmallow import fields, validate

from ..models import components, operations
from ..models.unset import UNSET


def camel(name: str) -> str:
    """The server's spelling of a field: ``external_id`` is ``externalId``."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


class ModelSchema(marshmallow.Schema):
    """A record of the server's, read into the dataclass ``Meta.model`` names.

    Fields are declared under the dataclass's names. What is not declared goes to ``extra``, so
    that a field the server adds tomorrow is kept and breaks nothing.
    """

    #: The dataclass that :meth:`load` makes.
    model: type[Any]

    class Meta:
        # And put into `extra` from the original: included, a key `created_at` beside `createdAt`
        # would take the place of the value that was checked.
        unknown = marshmallow.EXCLUDE

    def on_bind_field(self, field_name: str, field_obj: Any) -> None:
        if field_obj.data_key is None:
            field_obj.data_key = camel(field_name)

    @marshmallow.post_load(pass_original=True)
    def make(self, data: dict[str, Any], original: Mapping[str, Any], **_: Any) -> Any:
        keys = {field.data_key for field in self.fields.values()}
        known = {name: utc(value) for name, value in data.items() if name in self.fields}
        return self.model(**known, extra={k: v for k, v in original.items() if k not in keys})


def utc(value: Any) -> Any:
    """A date of UTC as Python's own: some releases of marshmallow have a class for it."""
    if isinstance(value, dt.datetime) and value.utcoffset() == dt.timedelta(0):
        return value.replace(tzinfo=dt.timezone.utc)
    return value


def problem(error: marshmallow.ValidationError) -> str:
    """Where a body of the server's is not what was promised, in one line."""
    path: list[str] = []
    found: Any = error.messages
    while isinstance(found, Mapping) and found:
        key, found = next(iter(found.items()))
        path.append(str(key))
    text = found[0] if isinstance(found, list) and found else str(found)
    return f"{'.'.join(part for part in path if part != '_schema') or 'the body'}: {text}"


def _text() -> fields.String:
    return fields.String(allow_none=True)


def _integer() -> fields.Integer:
    return fields.Integer(strict=True, allow_none=True)


def _moment() -> fields.AwareDateTime:
    return fields.AwareDateTime(format="iso", default_timezone=dt.timezone.utc, allow_none=True)


class LinkSchema(ModelSchema):
    model = components.Link

    id = fields.String(required=True)
    domain = _text()
    key = _text()
    short_link = _text()
    url = _text()
    program_id = _text()


class PartnerSchema(ModelSchema):
    model = components.Partner

    id = fields.String(required=True)
    name = _text()
    email = _text()
    image = _text()


class DiscountSchema(ModelSchema):
    model = components.Discount

    id = fields.String(required=True)
    amount = _integer()
    type = _text()
    max_duration = _integer()
    coupon_id = _text()
    coupon_test_id = _text()
    description = _text()
    partners_count = _integer()


class CustomerSchema(ModelSchema):
    model = components.Customer

    id = fields.String(required=True)
    name = _text()
    email = _text()
    avatar = _text()
    external_id = _text()
    stripe_customer_id = _text()
    country = _text()
    sales = _integer()
    sale_amount = _integer()
    created_at = _moment()
    first_sale_at = _moment()
    subscription_canceled_at = _moment()
    program_id = _text()
    link = fields.Nested(LinkSchema, allow_none=True)
    partner = fields.Nested(PartnerSchema, allow_none=True)
    discount = fields.Nested(DiscountSchema, allow_none=True)


class DeletedSchema(ModelSchema):
    model = operations.DeleteCustomerResponseBody

    id = fields.String(required=True)


class _SentText(fields.String):
    """Text to send: no bytes, and no half of a surrogate pair, which no query can carry."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        try:
            value.encode()
        except UnicodeEncodeError:
            raise marshmallow.ValidationError("Holds half of a surrogate pair.") from None
        return super()._deserialize(value, attr, data, **kwargs)


class _Moment(fields.AwareDateTime):
    """A date to send: an aware datetime, or the ISO text of one."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        moment = value
        if not isinstance(value, dt.datetime):
            moment = super()._deserialize(value, attr, data, **kwargs)
        if moment.tzinfo is None:
            raise self.make_error("invalid_awareness", awareness="aware", obj_type="datetime")
        try:
            return moment.astimezone(dt.timezone.utc)
        except OverflowError:  # in UTC it is before year 1 or after 9999
            raise self.make_error("invalid", input=value, obj_type="datetime") from None

    def _serialize(self, value: Any, attr: Any, obj: Any, **kwargs: Any) -> Any:
        # Milliseconds and a Z, as the server itself writes dates.
        return None if value is None else moment_text(value)


def moment_text(moment: dt.datetime) -> str:
    """An aware datetime as the server writes one."""
    text = moment.astimezone(dt.timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class _Flag(fields.Boolean):
    """True or False and nothing that only looks like it."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


def _nullable() -> _SentText:
    return _SentText(allow_none=True)


def _filter() -> _SentText:
    # The server takes an empty filter for none at all and would list every customer.
    return _SentText(validate=validate.Length(min=1, error="Must not be empty."))


class RequestSchema(marshmallow.Schema):
    """What a caller sends, checked by ``load`` and written by ``dump``."""

    #: The dataclass that is taken as well as a mapping.
    model: type[Any]
    #: Whether ``None`` is sent, as ``null``, or not at all.
    nulls = True

    class Meta:
        unknown = marshmallow.RAISE

    def on_bind_field(self, field_name: str, field_obj: Any) -> None:
        field_obj.data_key = camel(field_name)


class CreateSchema(RequestSchema):
    model = operations.CreateCustomerRequestBody

    external_id = _SentText(required=True)
    email = _nullable()
    name = _nullable()
    avatar = _nullable()
    stripe_customer_id = _nullable()
    country = _SentText()


class UpdateSchema(RequestSchema):
    model = operations.UpdateCustomerRequestBody

    email = _nullable()
    name = _nullable()
    avatar = _nullable()
    external_id = _SentText()
    stripe_customer_id = _nullable()
    country = _SentText()
    subscription_canceled_at = _Moment(format="iso", default_timezone=None, allow_none=True)


class GetSchema(RequestSchema):
    model = operations.GetCustomerRequest
    nulls = False

    id = fields.Raw(required=True)
    include_expanded_fields = _Flag()


class ListSchema(RequestSchema):
    model = operations.GetCustomersRequest
    nulls = False

    email = _filter()
    external_id = _filter()
    search = _filter()
    country = _filter()
    link_id = _filter()
    program_id = _filter()
    partner_id = _filter()
    include_expanded_fields = _Flag()
    sort_by = _SentText(
        validate=validate.OneOf(
            ["createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt"]
        )
    )
    sort_order = _SentText(validate=validate.OneOf(["asc", "desc"]))
    page = fields.Integer(strict=True, validate=validate.Range(1, 1000))
    page_size = fields.Integer(strict=True, validate=validate.Range(1, 100))
    starting_after = _filter()
    ending_before = _filter()

    @marshmallow.validates_schema
    def one_way_to_page(self, data: Mapping[str, Any], **_: Any) -> None:
        """Refuse what the server would, in its order."""
        cursors = [name for name in ("starting_after", "ending_before") if name in data]
        if len(cursors) == 2:
            raise marshmallow.ValidationError("Give starting_after or ending_before, not both.")
        if cursors and data.get("sort_by", "createdAt") != "createdAt":
            raise marshmallow.ValidationError(
                "Cursors go by createdAt only: leave out the cursor or this.", "sort_by"
            )
        if cursors and "page" in data:
            raise marshmallow.ValidationError("Give a page or a cursor, not both.", "page")


def wire(schema: RequestSchema, request: Any, where: str) -> dict[str, Any]:
    """A request of the caller's as the JSON object that is sent.

    ``request`` is the schema's dataclass, or a mapping with snake_case or camelCase keys.
    ``where`` names the call in error messages.

    Raises:
        TypeError: it is neither.
        ValueError: a field is unknown, missing, given twice or of the wrong type; the message
            names it.
    """
    if isinstance(request, schema.model):
        names = (field.name for field in dataclasses.fields(schema.model))
        given = {camel(name): getattr(request, name) for name in names}
    elif isinstance(request, Mapping):
        given = _by_wire_name(schema, request, where)
    else:
        name = schema.model.__name__
        article = "an" if name[0] in "AEIOU" else "a"
        raise TypeError(
            f"{where} takes {article} {name} or a mapping, not {type(request).__name__}"
        )
    left_out = (UNSET,) if schema.nulls else (UNSET, None)
    given = {
        name: _plain(value)
        for name, value in given.items()
        if not any(value is absent for absent in left_out)
    }
    try:
        loaded: Any = schema.load(given)
        # What `dump` does, but for the fields that were given: it asks for every one, twice.
        return {
            str(field.data_key): field.serialize(name, loaded)
            for name, field in schema.fields.items()
            if name in loaded
        }
    except marshmallow.ValidationError as error:
        raise ValueError(f"{where}: {_explain(schema, error)}") from None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, enum.Enum) else value


def _by_wire_name(schema: RequestSchema, request: Mapping[Any, Any], where: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for key, value in request.items():
        name = camel(key) if isinstance(key, str) and key in schema.fields else key
        if name in given:
            raise ValueError(
                f"{where}: {key!r} is given twice, in snake_case and in camelCase; leave one out"
            )
        if not isinstance(key, str) or not any(name == f.data_key for f in schema.fields.values()):
            import difflib  # noqa: PLC0415 - for mistakes only

            near = difflib.get_close_matches(str(key), schema.fields, 1)
            hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(schema.fields)
            raise ValueError(f"{where}: unknown field {key!r}; {hint}")
        given[name] = value
    return given


def _explain(schema: RequestSchema, error: marshmallow.ValidationError) -> str:
    """The first problem in one line, under the name the caller knows."""
    names = {field.data_key: name for name, field in schema.fields.items()}
    messages: Any = error.messages
    key, found = next(iter(messages.items()))
    text = found[0] if isinstance(found, list) else str(found)
    name = names.get(key, key)
    return text if name == "_schema" else f"{name}: {text}"
