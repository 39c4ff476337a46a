"""Test customers as plain data: ``to_dict()`` and ``from_dict()``."""

from __future__ import annotations

import copy
import datetime as dt
import json
import subprocess
import sys
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dub_uplink.models.components import Customer, Discount, Link, Partner

UTC = dt.timezone.utc
PAYLOAD: dict[str, Any] = {
    "id": "cus_1",
    "name": "Ada",
    "email": None,
    "avatar": None,
    "externalId": "user_1",
    "stripeCustomerId": None,
    "country": "GB",
    "sales": 0,
    "saleAmount": 4_200,
    "createdAt": "2026-08-21T21:14:02.000Z",
    "firstSaleAt": None,
    "subscriptionCanceledAt": None,
}
LINK = {
    "id": "link_1",
    "domain": "dub.sh",
    "key": "ada",
    "shortLink": "https://dub.sh/ada",
    "url": "https://example.com",
    "programId": None,
}
WEBHOOK = {"id": "evt_1", "event": "lead.created", "createdAt": "…", "data": {"customer": PAYLOAD}}

TEXT = st.none() | st.text(max_size=8)
MOMENTS = st.none() | st.datetimes(timezones=st.just(UTC))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
EXTRA = st.dictionaries(st.sampled_from(["newField", "created_at", "metadata", "x"]), JSON)


def records(model: type[Any], **fields: Any) -> Any:
    """Return a strategy for records in which every field except the id may be ``None``."""
    return st.builds(model, id=st.text(max_size=8), extra=EXTRA, **fields)


LINKS = records(Link, domain=TEXT, key=TEXT, short_link=TEXT, url=TEXT, program_id=TEXT)
PARTNERS = records(Partner, name=TEXT, email=TEXT, image=TEXT)
NUMBERS = st.none() | st.integers()
DISCOUNTS = records(
    Discount,
    amount=NUMBERS,
    type=TEXT,
    max_duration=NUMBERS,
    coupon_id=TEXT,
    coupon_test_id=TEXT,
    description=TEXT,
    partners_count=NUMBERS,
)
CUSTOMERS = records(
    Customer,
    name=TEXT,
    email=TEXT,
    avatar=TEXT,
    external_id=TEXT,
    stripe_customer_id=TEXT,
    country=TEXT,
    sales=NUMBERS,
    sale_amount=NUMBERS,
    created_at=MOMENTS,
    first_sale_at=MOMENTS,
    subscription_canceled_at=MOMENTS,
    program_id=TEXT,
    link=st.none() | LINKS,
    partner=st.none() | PARTNERS,
    discount=st.none() | DISCOUNTS,
)


@given(CUSTOMERS)
def test_to_dict_then_from_dict_returns_the_same_customer(customer: Customer) -> None:
    assert Customer.from_dict(json.loads(json.dumps(customer.to_dict()))) == customer


@given(CUSTOMERS)
def test_from_dict_then_to_dict_returns_the_same_dict(customer: Customer) -> None:
    sent = customer.to_dict()
    assert Customer.from_dict(sent).to_dict() == sent


def test_to_dict_has_the_names_and_dates_of_the_server() -> None:
    extra = {"newField": {"a": [1]}}
    sent = {**PAYLOAD, "link": {**LINK, "clicks": 5}, "programId": "prog_1", **extra}
    customer = Customer.from_dict(sent)
    assert customer.created_at == dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=UTC)
    assert (customer.extra, customer.link and customer.link.extra) == (extra, {"clicks": 5})
    assert customer.to_dict() == sent
    assert list(Customer.from_dict(PAYLOAD).to_dict()) == list(PAYLOAD)


def test_to_dict_converts_dates_to_utc() -> None:
    east = dt.timezone(dt.timedelta(hours=2))
    moment = dt.datetime(2026, 8, 21, 23, 14, 2, 5, tzinfo=east)
    found = Customer("cus_1", created_at=moment).to_dict()["createdAt"]
    assert found == "2026-08-21T21:14:02.000005Z"
    with pytest.raises(ValueError, match="time zone"):
        Customer("cus_1", created_at=moment.replace(tzinfo=None)).to_dict()


@pytest.mark.parametrize(
    "text", ["0001-01-01T00:00:00.000+14:00", "9999-12-31T23:59:59.999001-12:00"]
)
def test_date_beyond_the_years_of_utc_keeps_its_time_zone(text: str) -> None:
    customer = Customer.from_dict({**PAYLOAD, "createdAt": text})
    assert customer.to_dict()["createdAt"] == text
    assert Customer.from_dict(customer.to_dict()) == customer


def test_from_dict_accepts_the_customer_of_a_webhook() -> None:
    data: Any = WEBHOOK["data"]
    assert Customer.from_dict(MappingProxyType(data["customer"])).external_id == "user_1"


@pytest.mark.parametrize(
    "data",
    [
        {},
        LINK,
        WEBHOOK,
        {"id": "pn_1", "name": "Grace", "email": None, "image": None},
        {"id": "disc_1", "amount": 20, "type": "flat"},
        {"id": "cus_1"},
        {"error": {"code": "not_found", "message": "x"}},
        {"id": "cus_1", "external_id": "user_1", "name": None, "email": None, "created_at": None},
        {**PAYLOAD, "id": None},
        {**PAYLOAD, "id": 5},
        {**PAYLOAD, "createdAt": "yesterday"},
        {**PAYLOAD, "sales": "3"},
        {**PAYLOAD, "link": {"domain": "dub.sh"}},
    ],
)
def test_from_dict_rejects_data_that_is_not_a_valid_customer(data: Any) -> None:
    with pytest.raises(ValueError, match=r"^the data is not a customer: "):
        Customer.from_dict(data)


@pytest.mark.parametrize("data", [None, "{}", [PAYLOAD], 5, Customer("cus_1")])
def test_from_dict_of_a_non_mapping_raises_type_error(data: Any) -> None:
    with pytest.raises(TypeError, match=r"from_dict\(\) takes a mapping"):
        Customer.from_dict(data)


def change_each(value: Any) -> None:
    """Change every list and every mapping in a value."""
    for inner in list(value.values() if isinstance(value, dict) else value):
        if isinstance(inner, (dict, list)):
            change_each(inner)
    if isinstance(value, dict):
        value["changed"] = True
    else:
        value.append("changed")


def nested() -> dict[str, Any]:
    unknown = {"tags": [{"name": "a", "of": [[1], {"b": {}}]}]}
    partner = {"id": "pn_1", "name": None, "email": None, "image": None, "new": unknown}
    discount = {"id": "disc_1", "new": unknown}
    records = {"link": {**LINK, "new": unknown}, "partner": partner, "discount": discount}
    return copy.deepcopy({**PAYLOAD, **records, "new": unknown})


def test_from_dict_shares_nothing_with_the_input() -> None:
    data = nested()
    customer = Customer.from_dict(data)
    change_each(data)
    assert customer == Customer.from_dict(nested())


def test_changing_a_from_dict_customer_keeps_the_input() -> None:
    data = nested()
    customer = Customer.from_dict(data)
    for record in (customer, customer.link, customer.partner, customer.discount):
        assert record is not None
        change_each(record.extra)
    assert data == nested()


def test_to_dict_shares_nothing_with_the_customer() -> None:
    customer = Customer.from_dict(nested())
    change_each(customer.to_dict())
    assert customer == Customer.from_dict(nested())


def test_from_dict_of_read_only_mappings_creates_dicts() -> None:
    inner = MappingProxyType({"a": (MappingProxyType({"b": 1}),)})
    customer = Customer.from_dict({**PAYLOAD, "new": inner})
    assert json.loads(json.dumps(customer.to_dict()))["new"] == {"a": [{"b": 1}]}


def test_from_dict_rejects_too_deeply_nested_data() -> None:
    data: Any = []
    for _ in range(100_000):
        data = [data]
    with pytest.raises(ValueError, match=r"^the data is not a customer: .* nested"):
        Customer.from_dict({**PAYLOAD, "new": data})


def test_from_dict_works_without_importing_the_client() -> None:
    code = f"from dub_uplink.models.components import Customer; Customer.from_dict({PAYLOAD!r})"
    subprocess.run([sys.executable, "-c", code], check=True)
