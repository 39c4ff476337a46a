"""Test the conversion of responses of current, old and future servers to models."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from collections.abc import Callable
from typing import Any

import pytest

from dub_uplink import components, errors, operations

UTC = dt.timezone.utc
TODAY: dict[str, Any] = {
    "id": "cus_1",
    "name": "Ada",
    "email": "ada@example.com",
    "avatar": "https://example.com/ada.png",
    "externalId": "user_1",
    "stripeCustomerId": "cus_stripe",
    "country": "GB",
    "sales": 3,
    "saleAmount": 4200,
    "createdAt": "2026-08-21T21:14:02.000Z",
    "firstSaleAt": "2026-08-22T00:00:00.001Z",
    "subscriptionCanceledAt": "2026-09-01T12:00:00.000Z",
}
LINK = {
    "id": "link_1",
    "domain": "dub.sh",
    "key": "ada",
    "shortLink": "https://dub.sh/ada",
    "url": "https://example.com",
    "programId": None,
}
PARTNER = {"id": "pn_1", "name": "Grace", "email": None, "image": "https://example.com/g.png"}
DISCOUNT = {
    "id": "disc_1",
    "amount": 25,
    "type": "percentage",
    "maxDuration": 12,
    "couponId": "c_1",
    "couponTestId": None,
    "description": "A quarter off",
    "partnersCount": 2,
}


@pytest.fixture
def get_customer(serving: Any, connect: Any) -> Callable[[Any], components.Customer]:
    """Return a function for the result of ``get`` with a body."""

    def get(body: Any) -> components.Customer:
        customer: components.Customer = connect(serving(200, json.dumps(body)).url).get("cus_1")
        return customer

    return get


def test_customer_fields_are_all_parsed(get_customer: Any) -> None:
    assert get_customer(TODAY) == components.Customer(
        id="cus_1",
        name="Ada",
        email="ada@example.com",
        avatar="https://example.com/ada.png",
        external_id="user_1",
        stripe_customer_id="cus_stripe",
        country="GB",
        sales=3,
        sale_amount=4200,
        created_at=dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=UTC),
        first_sale_at=dt.datetime(2026, 8, 22, 0, 0, 0, 1000, tzinfo=UTC),
        subscription_canceled_at=dt.datetime(2026, 9, 1, 12, tzinfo=UTC),
    )


def test_missing_fields_of_an_old_server_are_none(get_customer: Any) -> None:
    body = {k: TODAY[k] for k in ("id", "externalId", "name", "email", "avatar", "createdAt")}
    customer = get_customer({**body, "id": "cm0c1ckd4000108l13n2w9m5v"})
    assert customer == components.Customer(
        id="cm0c1ckd4000108l13n2w9m5v",
        external_id="user_1",
        name="Ada",
        email="ada@example.com",
        avatar="https://example.com/ada.png",
        created_at=dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=UTC),
    )
    assert (customer.country, customer.sales, customer.sale_amount) == (None, None, None)


@pytest.mark.parametrize("name", [field for field in TODAY if field != "id"])
def test_null_and_missing_fields_are_none(get_customer: Any, name: str) -> None:
    null = get_customer({**TODAY, name: None})
    absent = get_customer({key: value for key, value in TODAY.items() if key != name})
    assert null == absent != get_customer(TODAY)


def test_link_partner_and_discount_become_models(get_customer: Any) -> None:
    customer = get_customer(
        {**TODAY, "programId": "prog_1", "link": LINK, "partner": PARTNER, "discount": DISCOUNT}
    )
    assert customer.program_id == "prog_1"
    assert customer.link == components.Link(
        "link_1", "dub.sh", "ada", "https://dub.sh/ada", "https://example.com", None
    )
    assert customer.partner == components.Partner(
        "pn_1", "Grace", None, "https://example.com/g.png"
    )
    assert customer.discount == components.Discount(
        "disc_1", 25, "percentage", 12, "c_1", None, "A quarter off", 2
    )
    assert customer.extra == {}


@pytest.mark.parametrize("name", ["programId", "link", "partner", "discount"])
def test_null_expanded_field_is_none(get_customer: Any, name: str) -> None:
    assert get_customer({**TODAY, name: None}) == get_customer(TODAY)


def test_unknown_enum_value_stays_a_string(get_customer: Any) -> None:
    customer = get_customer({**TODAY, "country": "XK", "discount": {**DISCOUNT, "type": "bogo"}})
    assert customer.country == "XK"
    assert customer.discount is not None
    assert customer.discount.type == "bogo"


def test_unknown_fields_are_kept_in_extra(get_customer: Any) -> None:
    customer = get_customer(
        {
            **TODAY,
            "loyalty": {"tier": "gold", "points": [1, 2]},
            "a.dotted key": None,
            "link": {**LINK, "clicks": 7},
            "discount": {**DISCOUNT, "newFlag": True},
        }
    )
    assert customer.extra == {"loyalty": {"tier": "gold", "points": [1, 2]}, "a.dotted key": None}
    assert customer.link.extra == {"clicks": 7}
    assert customer.discount.extra == {"newFlag": True}
    assert "loyalty" not in repr(customer)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-08-21T21:14:02.000Z", dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=UTC)),
        ("2026-08-21T21:14:02Z", dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=UTC)),
        ("2026-08-21T23:14:02.5+02:00", dt.datetime(2026, 8, 21, 21, 14, 2, 500000, tzinfo=UTC)),
        ("2026-08-21T21:14:02", dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=UTC)),
    ],
)
def test_parsed_dates_are_timezone_aware(get_customer: Any, text: str, moment: dt.datetime) -> None:
    created = get_customer({**TODAY, "createdAt": text}).created_at
    assert created == moment
    assert created.utcoffset() is not None


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"id": None}, "id"),
    ({"id": 5}, "id"),
    ({"name": 5}, "name"),
    ({"email": ["a"]}, "email"),
    ({"sales": "3"}, "sales"),
    ({"sales": 3.5}, "sales"),
    ({"sales": True}, "sales"),
    ({"saleAmount": {}}, "saleAmount"),
    ({"createdAt": "yesterday"}, "createdAt"),
    ({"createdAt": 1724275000}, "createdAt"),
    ({"createdAt": ""}, "createdAt"),
    ({"link": "dub.sh/ada"}, "link"),
    ({"link": {}}, "link.id"),
    ({"link": {**LINK, "domain": 1}}, "link.domain"),
    ({"partner": []}, "partner"),
    ({"discount": {**DISCOUNT, "amount": "25"}}, "discount.amount"),
]


@pytest.mark.parametrize(("change", "field"), WRONG, ids=[f"{c}"[:30] for c, _ in WRONG])
def test_error_for_a_field_of_wrong_type_names_the_field(
    get_customer: Any, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(errors.ResponseValidationError) as caught:
        get_customer({**TODAY, **change})
    error = caught.value
    assert f"body: {field}: " in str(error)
    assert str(error).startswith("200: ")
    assert error.status_code == 200
    assert json.loads(error.body) == {**TODAY, **change}
    assert error.response.json() == {**TODAY, **change}
    assert "\n" not in str(error)


@pytest.mark.parametrize("body", [[], "x", 5, None, True])
def test_customer_body_that_is_not_an_object_raises(get_customer: Any, body: Any) -> None:
    with pytest.raises(errors.ResponseValidationError, match=r"200: .*the body: Invalid input"):
        get_customer(body)


def test_error_for_an_invalid_customer_in_a_list_names_the_index(
    serving: Any, connect: Any
) -> None:
    body = json.dumps([TODAY, {**TODAY, "sales": "many"}])
    with pytest.raises(errors.ResponseValidationError, match=r"body: 1\.sales: "):
        connect(serving(200, body).url).list()


@pytest.mark.parametrize("body", ["{}", '"x"', "null", "7", '{"data": []}'])
def test_list_body_that_is_not_an_array_raises(serving: Any, connect: Any, body: str) -> None:
    with pytest.raises(errors.ResponseValidationError):
        connect(serving(200, body).url).list()


@pytest.mark.parametrize(
    "body",
    ["", "  ", "<html>It works!</html>", "[1,", "nope", "\ufeff", b"\xff\xfe", "[" * 9000],
)
def test_success_without_json_raises_a_dub_error(serving: Any, connect: Any, body: Any) -> None:
    server = serving(200, body, {"Content-Type": "text/html"})
    with pytest.raises(errors.DubError) as caught:
        connect(server.url).get("cus_1")
    assert isinstance(caught.value, (errors.ResponseValidationError, errors.APIConnectionError))
    assert "\n" not in str(caught.value)


def test_delete_response_keeps_unknown_fields(serving: Any, connect: Any) -> None:
    server = serving(200, '{"id": "cus_1", "purged": true}')
    deleted = connect(server.url).delete("ext_user_1")
    assert deleted == operations.DeleteCustomerResponseBody("cus_1", {"purged": True})


@pytest.mark.parametrize("body", ["{}", "[]", '{"id": 1}', "null"])
def test_delete_response_without_an_id_raises(serving: Any, connect: Any, body: str) -> None:
    with pytest.raises(errors.ResponseValidationError):
        connect(serving(200, body).url).delete("cus_1")


def test_response_body_aliases_are_the_customer_class() -> None:
    for name in ("Create", "Get", "Update"):
        assert getattr(operations, f"{name}CustomerResponseBody") is components.Customer
    assert operations.ResponseBody is components.Customer


def test_models_with_equal_fields_are_equal(get_customer: Any) -> None:
    one, other = get_customer(TODAY), get_customer(TODAY)
    assert one == other
    assert dataclasses.replace(one, name="Grace") != one
    assert dataclasses.asdict(one)["external_id"] == "user_1"


@pytest.mark.parametrize("model", [components.Customer, components.Link, components.Discount])
def test_model_class_has_no_attributes_for_defaults(model: Any) -> None:
    # CPython assigns an attribute in twice the time if the class has it too.
    names = {field.name for field in dataclasses.fields(model)}
    assert not names & {*vars(model)}
    assert {getattr(model("1"), name) for name in names - {"id", "extra"}} == {None}


def test_model_subclass_has_the_defaults_of_the_model() -> None:
    @dataclasses.dataclass
    class Own(components.Customer):
        tier: str = "free"

    assert (Own("cus_1").name, Own("cus_1").tier, Own("cus_1", "Ada").name) == (None, "free", "Ada")


def test_utf_16_or_bom_body_is_decoded(serving: Any, connect: Any) -> None:
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        body = json.dumps({**TODAY, "name": "Zoë"}, ensure_ascii=False).encode(encoding)
        assert connect(serving(200, body).url).get("cus_1").name == "Zoë"


def test_unknown_json_key_like_an_attribute_name_stays_in_extra(get_customer: Any) -> None:
    customer = get_customer({**TODAY, "created_at": "yesterday", "sale_amount": "much"})
    assert customer.sale_amount == TODAY["saleAmount"]
    assert customer.created_at is not None
    assert customer.created_at.year == 2026
    assert customer.extra == {"created_at": "yesterday", "sale_amount": "much"}
