"""The declarations, field by field: what is read, what is sent, and what is refused."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any

import marshmallow
import pytest

from dub_uplink._customers import schemas
from dub_uplink._declarative.schemas import (
    first_error,
    format_datetime,
    normalize_utc,
    serialize_request,
)
from dub_uplink._internal.naming import camel_case
from dub_uplink.models.unset import UNSET

TEXTS = ["name", "email", "avatar", "externalId", "stripeCustomerId", "country", "programId"]
NUMBERS = ["sales", "saleAmount"]
MOMENTS = ["createdAt", "firstSaleAt", "subscriptionCanceledAt"]
UTC = dt.timezone.utc
WHEN = dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=UTC)


def read(**fields: Any) -> Any:
    return schemas.CustomerSchema().load({"id": "cus_1", **fields})


def value_of(customer: Any, key: str) -> Any:
    name = "".join("_" + char.lower() if char.isupper() else char for char in key)
    return getattr(customer, name)


@pytest.mark.parametrize("key", TEXTS)
def test_text_field_accepts_a_string_or_null(key: str) -> None:
    assert value_of(read(**{key: "ü"}), key) == "ü"
    assert value_of(read(**{key: None}), key) is None
    with pytest.raises(marshmallow.ValidationError):
        read(**{key: 1})


@pytest.mark.parametrize("key", NUMBERS)
def test_number_field_accepts_an_integer_or_null(key: str) -> None:
    assert value_of(read(**{key: 4900}), key) == 4900
    assert value_of(read(**{key: None}), key) is None
    for odd in (1.5, "x", True):
        with pytest.raises(marshmallow.ValidationError):
            read(**{key: odd})


@pytest.mark.parametrize("key", MOMENTS)
def test_date_field_accepts_an_aware_date_or_null(key: str) -> None:
    assert value_of(read(**{key: "2026-08-21T21:14:02.000Z"}), key) == WHEN
    naive = value_of(read(**{key: "2026-08-21T21:14:02"}), key)
    assert (naive, naive.tzinfo) == (WHEN, UTC)
    later = value_of(read(**{key: "2026-08-21T23:14:02+02:00"}), key)
    assert later == WHEN
    assert later.utcoffset() == dt.timedelta(hours=2)
    west = value_of(read(**{key: "2026-08-21T16:14:02-05:00"}), key)
    assert (west, west.utcoffset()) == (WHEN, dt.timedelta(hours=-5))
    assert value_of(read(**{key: None}), key) is None
    with pytest.raises(marshmallow.ValidationError):
        read(**{key: "Fri, 21 Aug 2026 21:14:02 GMT"})


@pytest.mark.parametrize(
    ("key", "record", "fields"),
    [
        ("link", "LinkSchema", ["domain", "key", "shortLink", "url", "programId"]),
        ("partner", "PartnerSchema", ["name", "email", "image"]),
        (
            "discount",
            "DiscountSchema",
            ["type", "couponId", "couponTestId", "description"],
        ),
    ],
)
def test_nested_object_requires_only_an_id(key: str, record: str, fields: list[str]) -> None:
    assert getattr(read(**{key: None}), key) is None
    full = getattr(read(**{key: {"id": "x", **dict.fromkeys(fields, "y"), "z": 1}}), key)
    assert type(full) is getattr(schemas, record).model
    assert [value_of(full, name) for name in fields] == ["y"] * len(fields)
    assert full.extra == {"z": 1}
    empty = getattr(read(**{key: {"id": "x", **dict.fromkeys(fields)}}), key)
    assert [value_of(empty, name) for name in fields] == [None] * len(fields)
    for odd in ({}, {"id": None}, {"id": 1}, []):
        with pytest.raises(marshmallow.ValidationError):
            read(**{key: odd})


def test_discount_numbers_may_be_null() -> None:
    numbers = {"amount": 1, "maxDuration": 2, "partnersCount": 3}
    for values in (numbers, dict.fromkeys(numbers)):
        discount = read(discount={"id": "x", **values}).discount
        found = (discount.amount, discount.max_duration, discount.partners_count)
        assert found == tuple(values.values())


def test_date_in_utc_gets_datetime_timezone_utc() -> None:
    class OtherUTC(dt.tzinfo):
        def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
            return dt.timedelta(0)

    assert normalize_utc(WHEN.replace(tzinfo=OtherUTC())).tzinfo is UTC
    assert normalize_utc("text") == "text"


@pytest.mark.parametrize("record", ["CustomerSchema", "DeletedSchema"])
def test_customer_without_an_id_is_rejected(record: str) -> None:
    assert getattr(schemas, record)().load({"id": "cus_1"}).id == "cus_1"
    for odd in ({}, {"id": None}, {"id": 1}):
        with pytest.raises(marshmallow.ValidationError):
            getattr(schemas, record)().load(odd)


def test_sort_by_string_built_at_run_time_is_accepted() -> None:
    made = "".join(["created", "At"])
    sent = {"sortBy": "createdAt", "startingAfter": "c"}
    assert (
        serialize_request(schemas.ListSchema(), {"sort_by": made, "starting_after": "c"}, "f()")
        == sent
    )


def test_undeclared_fields_are_kept_as_extra() -> None:
    customer = read(name="Ada", created_at="odd", new={"a": 1})
    assert customer.extra == {"created_at": "odd", "new": {"a": 1}}
    assert (customer.name, customer.created_at) == ("Ada", None)
    assert read().extra == {}


@pytest.mark.parametrize(
    ("name", "wire"),
    [("id", "id"), ("external_id", "externalId"), ("first_sale_at", "firstSaleAt")],
)
def test_camel_case_converts_field_names_to_those_of_the_api(name: str, wire: str) -> None:
    assert camel_case(name) == wire


def test_date_is_serialized_like_a_date_of_the_server() -> None:
    text = "2026-08-21T21:14:02.000Z"
    assert format_datetime(WHEN) == text
    east = WHEN.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=45)))
    assert format_datetime(east) == text
    assert format_datetime(WHEN.replace(microsecond=123_999)) == "2026-08-21T21:14:02.123Z"


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ({"email": ["Not a valid string."]}, "email: Not a valid string."),
        ({3: {"link": {"id": ["Missing."]}}}, "3.link.id: Missing."),
        ({"_schema": ["Invalid input type."]}, "the body: Invalid input type."),
        ({0: {"_schema": ["Invalid input type."]}}, "0: Invalid input type."),
        (["Odd."], "the body: "),
    ],
)
def test_first_error_is_one_line_with_the_path_of_the_field(messages: Any, said: str) -> None:
    assert first_error(marshmallow.ValidationError(messages)).startswith(said)


class Country(enum.Enum):
    GB = "GB"


@pytest.mark.parametrize(
    ("kind", "given", "sent"),
    [
        ("CreateSchema", {"external_id": "u", "email": None}, {"externalId": "u", "email": None}),
        ("CreateSchema", {"external_id": "u", "email": UNSET}, {"externalId": "u"}),
        (
            "CreateSchema",
            {"externalId": "u", "country": Country.GB},
            {"externalId": "u", "country": "GB"},
        ),
        ("UpdateSchema", {"name": "Ada"}, {"name": "Ada"}),
        ("UpdateSchema", {"subscription_canceled_at": None}, {"subscriptionCanceledAt": None}),
        (
            "UpdateSchema",
            {"subscription_canceled_at": WHEN},
            {"subscriptionCanceledAt": "2026-08-21T21:14:02.000Z"},
        ),
        (
            "UpdateSchema",
            {"subscription_canceled_at": "2026-08-21T23:14:02+02:00"},
            {"subscriptionCanceledAt": "2026-08-21T21:14:02.000Z"},
        ),
        ("ListSchema", {"email": None, "page": None}, {}),
        ("ListSchema", {"page": 1000, "page_size": 100}, {"page": 1000, "pageSize": 100}),
        ("ListSchema", {"page": 1, "page_size": 1}, {"page": 1, "pageSize": 1}),
        ("ListSchema", {"email": "a"}, {"email": "a"}),
        (
            "ListSchema",
            {"sort_by": "createdAt", "starting_after": "c"},
            {"sortBy": "createdAt", "startingAfter": "c"},
        ),
        ("ListSchema", {"sort_order": "asc"}, {"sortOrder": "asc"}),
        ("ListSchema", {"include_expanded_fields": True}, {"includeExpandedFields": True}),
    ],
)
def test_serialized_request_uses_the_field_names_of_the_api(
    kind: str, given: Any, sent: Any
) -> None:
    assert serialize_request(getattr(schemas, kind)(), given, "f()") == sent


@pytest.mark.parametrize(
    ("kind", "given", "name"),
    [
        ("CreateSchema", {}, "external_id"),
        ("CreateSchema", {"external_id": None}, "external_id"),
        ("CreateSchema", {"external_id": b"u"}, "external_id"),
        ("CreateSchema", {"external_id": "u", "country": None}, "country"),
        ("CreateSchema", {"external_id": "u", "name": 1}, "name"),
        ("CreateSchema", {"external_id": "\ud800"}, "external_id"),
        ("CreateSchema", {"external_id": "u", "externalId": "u"}, "'externalId' is given twice"),
        ("CreateSchema", {"external_id": "u", 7: 1}, "unknown field 7"),
        ("CreateSchema", {"external_id": "u", "contry": 1}, "unknown field 'contry'"),
        ("UpdateSchema", {"external_id": None}, "external_id"),
        ("UpdateSchema", {"subscription_canceled_at": "soon"}, "subscription_canceled_at"),
        (
            "UpdateSchema",
            {"subscription_canceled_at": WHEN.replace(tzinfo=None)},
            "subscription_canceled_at",
        ),
        (
            "UpdateSchema",
            {"subscription_canceled_at": "2026-08-21T21:14:02"},
            "subscription_canceled_at",
        ),
        (
            "UpdateSchema",
            {
                "subscription_canceled_at": dt.datetime.min.replace(
                    tzinfo=dt.timezone(dt.timedelta(hours=1))
                )
            },
            "subscription_canceled_at",
        ),
        ("GetSchema", {}, "id"),
        ("GetSchema", {"id": "x", "include_expanded_fields": 1}, "include_expanded_fields"),
        ("ListSchema", {"email": ""}, "email"),
        ("ListSchema", {"page": 0}, "page"),
        ("ListSchema", {"page": 1001}, "page"),
        ("ListSchema", {"page": 1.5}, "page"),
        ("ListSchema", {"page_size": 0}, "page_size"),
        ("ListSchema", {"page_size": 101}, "page_size"),
        ("ListSchema", {"page_size": 1.5}, "page_size"),
        ("ListSchema", {"sort_by": "name"}, "sort_by"),
        ("ListSchema", {"sort_order": "up"}, "sort_order"),
        (
            "ListSchema",
            {"starting_after": "a", "ending_before": "b"},
            "Give starting_after or ending_before",
        ),
        ("ListSchema", {"starting_after": "a", "sort_by": "saleAmount"}, "sort_by: "),
        ("ListSchema", {"ending_before": "a", "page": 1}, "page: "),
    ],
)
def test_invalid_request_error_names_the_field(kind: str, given: Any, name: str) -> None:
    with pytest.raises(ValueError, match=r"^f\(\): ") as caught:
        serialize_request(getattr(schemas, kind)(), given, "f()")
    assert str(caught.value).removeprefix("f(): ").startswith(name)


@pytest.mark.parametrize(
    ("kind", "article"),
    [
        ("CreateSchema", "a CreateCustomerRequestBody"),
        ("UpdateSchema", "an UpdateCustomerRequestBody"),
    ],
)
def test_request_of_another_type_raises_type_error(kind: str, article: str) -> None:
    with pytest.raises(TypeError) as caught:
        serialize_request(getattr(schemas, kind)(), [1], "f()")
    assert str(caught.value).startswith(f"f() takes {article} or a mapping, not list")
