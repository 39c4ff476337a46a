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
    SentFlag,
    SentMoment,
    SentText,
    first_error,
    integer,
    moment,
    text,
)
from ..models import components, operations


class LinkSchema(ModelSchema):
    model = components.Link

    id = fields.String(required=True)
    domain = text()
    key = text()
    short_link = text()
    url = text()
    program_id = text()


class PartnerSchema(ModelSchema):
    model = components.Partner

    id = fields.String(required=True)
    name = text()
    email = text()
    image = text()


class DiscountSchema(ModelSchema):
    model = components.Discount

    id = fields.String(required=True)
    amount = integer()
    type = text()
    max_duration = integer()
    coupon_id = text()
    coupon_test_id = text()
    description = text()
    partners_count = integer()


class CustomerSchema(ModelSchema):
    model = components.Customer
    left_out = components._OMITTED_IF_NONE

    id = fields.String(required=True)
    name = text()
    email = text()
    avatar = text()
    external_id = text()
    stripe_customer_id = text()
    country = text()
    sales = integer()
    sale_amount = integer()
    created_at = moment()
    first_sale_at = moment()
    subscription_canceled_at = moment()
    program_id = text()
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
    country = text()
    link_id = text()


class DeletedSchema(ModelSchema):
    model = operations.DeleteCustomerResponseBody

    id = fields.String(required=True)


def _nullable() -> SentText:
    return SentText(allow_none=True)


def _filter() -> SentText:
    # The server ignores an empty filter, so the list would contain every customer.
    return SentText(validate=validate.Length(min=1, error="Must not be empty."))


class CreateSchema(RequestSchema):
    model = operations.CreateCustomerRequestBody
    call = "create()"

    external_id = SentText(required=True)
    email = _nullable()
    name = _nullable()
    avatar = _nullable()
    stripe_customer_id = _nullable()
    country = SentText()


class UpdateSchema(RequestSchema):
    model = operations.UpdateCustomerRequestBody
    call = "update()"

    email = _nullable()
    name = _nullable()
    avatar = _nullable()
    external_id = SentText()
    stripe_customer_id = _nullable()
    country = SentText()
    subscription_canceled_at = SentMoment(format="iso", default_timezone=None, allow_none=True)


class GetSchema(RequestSchema):
    model = operations.GetCustomerRequest
    call = "get()"
    nulls = False

    id = fields.Raw(required=True)
    include_expanded_fields = SentFlag()


class _FilterSchema(RequestSchema):
    nulls = False

    email = _filter()
    external_id = _filter()
    search = _filter()
    country = _filter()
    link_id = _filter()
    program_id = _filter()
    partner_id = _filter()


class ListSchema(_FilterSchema):
    model = operations.GetCustomersRequest
    call = "list()"

    include_expanded_fields = SentFlag()
    sort_by = SentText(
        validate=validate.OneOf(
            ["createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt"]
        )
    )
    sort_order = SentText(validate=validate.OneOf(["asc", "desc"]))
    page = fields.Integer(strict=True, validate=validate.Range(1, 1000))
    page_size = fields.Integer(strict=True, validate=validate.Range(1, 100))
    starting_after = _filter()
    ending_before = _filter()

    @marshmallow.validates_schema
    def one_way_to_page(self, data: Mapping[str, Any], **_: Any) -> None:
        """Reject what the server rejects: two cursors, a cursor with an order or with a page."""
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
    def no_filter_of_the_group(self, data: Mapping[str, Any], **_: Any) -> None:
        """Reject a filter that the server would ignore."""
        group = str(data.get("group_by"))
        if group in data:
            raise marshmallow.ValidationError(
                f"Dub ignores this filter together with group_by={group!r}: leave one out.", group
            )
