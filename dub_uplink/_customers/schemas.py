"""The marshmallow schemas of the customers API."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import marshmallow
from marshmallow import fields, validate

from .._declarative.schemas import (
    ModelSchema,
    RequestSchema,
    SentBoolean,
    SentDatetime,
    SentText,
    datetime_field,
    first_error,
    integer_field,
    text_field,
)
from ..models import components, operations


class LinkSchema(ModelSchema):
    model = components.Link

    id = fields.String(required=True)
    domain = text_field()
    key = text_field()
    short_link = text_field()
    url = text_field()
    program_id = text_field()


class PartnerSchema(ModelSchema):
    model = components.Partner

    id = fields.String(required=True)
    name = text_field()
    email = text_field()
    image = text_field()


class DiscountSchema(ModelSchema):
    model = components.Discount

    id = fields.String(required=True)
    amount = integer_field()
    type = text_field()
    max_duration = integer_field()
    coupon_id = text_field()
    coupon_test_id = text_field()
    description = text_field()
    partners_count = integer_field()


class CustomerSchema(ModelSchema):
    model = components.Customer
    omitted_together = components._OMITTED_IF_NONE

    id = fields.String(required=True)
    name = text_field()
    email = text_field()
    avatar = text_field()
    external_id = text_field()
    stripe_customer_id = text_field()
    country = text_field()
    sales = integer_field()
    sale_amount = integer_field()
    created_at = datetime_field()
    first_sale_at = datetime_field()
    subscription_canceled_at = datetime_field()
    program_id = text_field()
    link = fields.Nested(LinkSchema, allow_none=True)
    partner = fields.Nested(PartnerSchema, allow_none=True)
    discount = fields.Nested(DiscountSchema, allow_none=True)


@functools.cache
def _customer_loader() -> Any:
    from .._declarative.schema_compiler import compile_loader  # noqa: PLC0415 - at first use

    return compile_loader(CustomerSchema())


def read_customer(data: Mapping[str, Any]) -> components.Customer:
    """Return the customer of a JSON object, with the same checks as for a response.

    Raises:
        ValueError: a field is missing or of the wrong type. The message names the field.
    """
    try:
        customer: components.Customer = _customer_loader()(data)
    except marshmallow.ValidationError as error:
        raise ValueError(f"the data is not a customer: {first_error(error)}") from None
    return customer


class CountSchema(ModelSchema):
    model = components.CustomerCount

    count = fields.Integer(strict=True, required=True, data_key="_count")
    country = text_field()
    link_id = text_field()


_NUMBER = fields.Integer(strict=True)
_GROUPS = CountSchema(many=True)


def read_number(body: Any) -> int:
    """Return the number of a count without groups.

    Raises:
        marshmallow.ValidationError: the body is not a whole number.
    """
    number: Any = _NUMBER.deserialize(body)
    return int(number)


def read_groups(body: Any) -> list[components.CustomerCount]:
    """Return the groups of a count, with the same checks as for any response.

    Raises:
        marshmallow.ValidationError: the body is not a list of groups, or the list is too long.
    """
    from .._declarative.converters import get_response_converter  # noqa: PLC0415 - at first use

    convert: Any = get_response_converter(_GROUPS)
    groups: list[components.CustomerCount] = convert(body)
    return groups


class DeletedSchema(ModelSchema):
    model = operations.DeleteCustomerResponseBody

    id = fields.String(required=True)


def _nullable_text_field() -> SentText:
    return SentText(allow_none=True)


def _filter_field() -> SentText:
    # The server ignores an empty filter, and returns every customer.
    return SentText(validate=validate.Length(min=1, error="Must not be empty."))


class CreateSchema(RequestSchema):
    model = operations.CreateCustomerRequestBody
    call = "create()"

    external_id = SentText(required=True)
    email = _nullable_text_field()
    name = _nullable_text_field()
    avatar = _nullable_text_field()
    stripe_customer_id = _nullable_text_field()
    country = SentText()


class UpdateSchema(RequestSchema):
    model = operations.UpdateCustomerRequestBody
    call = "update()"

    email = _nullable_text_field()
    name = _nullable_text_field()
    avatar = _nullable_text_field()
    external_id = SentText()
    stripe_customer_id = _nullable_text_field()
    country = SentText()
    subscription_canceled_at = SentDatetime(format="iso", default_timezone=None, allow_none=True)


class GetSchema(RequestSchema):
    model = operations.GetCustomerRequest
    call = "get()"
    sends_nulls = False

    id = fields.Raw(required=True)
    include_expanded_fields = SentBoolean()


class _FilterSchema(RequestSchema):
    sends_nulls = False

    email = _filter_field()
    external_id = _filter_field()
    search = _filter_field()
    country = _filter_field()
    link_id = _filter_field()
    program_id = _filter_field()
    partner_id = _filter_field()


class ListSchema(_FilterSchema):
    model = operations.GetCustomersRequest
    call = "list()"

    include_expanded_fields = SentBoolean()
    sort_by = SentText(
        validate=validate.OneOf(
            ["createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt"]
        )
    )
    sort_order = SentText(validate=validate.OneOf(["asc", "desc"]))
    page = fields.Integer(strict=True, validate=validate.Range(1, 1000))
    page_size = fields.Integer(strict=True, validate=validate.Range(1, 100))
    starting_after = _filter_field()
    ending_before = _filter_field()

    @marshmallow.validates_schema
    def check_paging(self, data: Mapping[str, Any], **_: Any) -> None:
        """Reject two cursors, or a cursor with ``page`` or a ``sort_by`` other than ``createdAt``.

        The server rejects these queries too.
        """
        cursors = [name for name in ("starting_after", "ending_before") if name in data]
        if len(cursors) == 2:
            raise marshmallow.ValidationError("Give starting_after or ending_before, not both.")
        if cursors and data.get("sort_by", "createdAt") != "createdAt":
            raise marshmallow.ValidationError(
                "Cursors support only the order createdAt; leave out the cursor or sort_by.",
                "sort_by",
            )
        if cursors and "page" in data:
            raise marshmallow.ValidationError("Give a page or a cursor, not both.", "page")


class CountQuerySchema(_FilterSchema):
    model = type(None)  # count() accepts keywords, but no request object
    call = "count()"

    group_by = SentText(
        validate=validate.OneOf(["country", "link_id"], error='Must be "country" or "link_id".')
    )

    @marshmallow.validates_schema
    def check_group_filter(self, data: Mapping[str, Any], **_: Any) -> None:
        """Reject a filter by the field of ``group_by``, because the server ignores this filter."""
        group = str(data.get("group_by"))
        if group in data:
            raise marshmallow.ValidationError(
                f"Dub ignores this filter together with group_by={group!r}; leave one out.", group
            )
