"""Test that arguments are sent unchanged, and that wrong arguments are rejected before sending."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import types
from collections.abc import Callable
from typing import Any

import pytest

from dub_uplink import UNSET, CustomersConsumer, components, operations
from dub_uplink.testing import FakeDub

Call = Callable[[CustomersConsumer], Any]


class Country(str, enum.Enum):
    UK = "GB"


@pytest.fixture
def sent(serving: Any, connect: Any) -> Callable[[Call], Any]:
    """Return a function for the request that a call sends."""

    def send(call: Call) -> Any:
        server = serving(500, "")
        with pytest.raises(Exception, match="500: the response has no body"):
            call(connect(server.url))
        assert len(server.received) == 1
        return server.received[0]

    return send


@pytest.fixture
def rejected(serving: Any, connect: Any) -> Callable[[Call], str]:
    """Return a function for the message of a rejected call; it checks that nothing was sent."""

    def reject(call: Call) -> str:
        server = serving(500, "")
        with pytest.raises((ValueError, TypeError)) as caught:
            call(connect(server.url))
        assert server.received == []
        assert server.connections == 0
        assert "\n" not in str(caught.value)
        return f"{type(caught.value).__name__}: {caught.value}"

    return reject


WHOLE = {
    "externalId": "user_1",
    "email": "ada@example.com",
    "name": "Ada",
    "avatar": None,
    "stripeCustomerId": "cus_s",
    "country": "GB",
}
FORMS: dict[str, Any] = {
    "dataclass": operations.CreateCustomerRequestBody(
        external_id="user_1",
        email="ada@example.com",
        name="Ada",
        avatar=None,
        stripe_customer_id="cus_s",
        country="GB",
    ),
    "camelCase": WHOLE,
    "snake_case": {
        "external_id": "user_1",
        "email": "ada@example.com",
        "name": "Ada",
        "avatar": None,
        "stripe_customer_id": "cus_s",
        "country": "GB",
    },
    "any mapping": types.MappingProxyType(WHOLE),
    "an enum's value": {**WHOLE, "country": Country.UK},
}


@pytest.mark.parametrize("request_", FORMS.values(), ids=FORMS)
def test_create_sends_one_body_for_every_form_of_request(sent: Any, request_: Any) -> None:
    request = sent(lambda c: c.create(request=request_))
    assert request.method == "POST"
    assert request.target == "/customers"
    assert request.headers["content-type"] == "application/json"
    assert request.json == WHOLE


@pytest.mark.parametrize(
    ("request_", "body"),
    [
        ({"external_id": "user_1"}, {"externalId": "user_1"}),
        ({"external_id": "user_1", "email": UNSET}, {"externalId": "user_1"}),
        ({"external_id": "user_1", "email": None}, {"externalId": "user_1", "email": None}),
        (operations.CreateCustomerRequestBody("user_1"), {"externalId": "user_1"}),
        (
            operations.CreateCustomerRequestBody("user_1", name=None, email=UNSET),
            {"externalId": "user_1", "name": None},
        ),
    ],
)
def test_unset_is_not_sent_and_none_is_sent_as_null(sent: Any, request_: Any, body: Any) -> None:
    assert sent(lambda c: c.create(request_)).json == body


@pytest.mark.parametrize("name", ["email", "name", "avatar", "stripe_customer_id"])
def test_nullable_field_set_to_none_is_sent_as_null(sent: Any, name: str) -> None:
    request = sent(lambda c: c.update("cus_1", {name: None}))
    assert list(request.json.values()) == [None]
    assert (
        request.json
        == sent(
            lambda c: c.update("cus_1", operations.UpdateCustomerRequestBody(**{name: None}))
        ).json
    )


@pytest.mark.parametrize("body", [None, {}, operations.UpdateCustomerRequestBody()])
def test_update_without_fields_sends_an_empty_object(sent: Any, body: Any) -> None:
    request = sent(lambda c: c.update("cus_1", body))
    assert (request.method, request.target, request.json) == ("PATCH", "/customers/cus_1", {})
    assert sent(lambda c: c.update(id="cus_1")).json == {}


def test_date_is_sent_in_utc_with_milliseconds(sent: Any) -> None:
    moment = dt.datetime(2026, 8, 21, 23, 14, 2, 5999, dt.timezone(dt.timedelta(hours=2)))
    for value in (moment, moment.isoformat(), "2026-08-21T21:14:02.005Z"):
        request = sent(lambda c, v=value: c.update("cus_1", {"subscription_canceled_at": v}))
        assert request.json == {"subscriptionCanceledAt": "2026-08-21T21:14:02.005Z"}
    request = sent(lambda c: c.update("cus_1", {"subscriptionCanceledAt": None}))
    assert request.json == {"subscriptionCanceledAt": None}


def test_text_outside_ascii_is_sent_unchanged(fake: FakeDub, customers: Any) -> None:
    created = customers.create({"external_id": "ü/1", "name": "Zoë 🦊", "country": "GB"})
    assert (created.name, created.external_id) == ("Zoë 🦊", "ü/1")
    assert fake.requests[0].json["name"] == "Zoë 🦊"


CREATE: dict[str, tuple[Any, str]] = {
    "no request": (None, "ValueError: create(): external_id: "),
    "nothing in it": ({}, "ValueError: create(): external_id: "),
    "no external id": ({"email": "a@b.c"}, "ValueError: create(): external_id: "),
    "external id null": ({"external_id": None}, "ValueError: create(): external_id: "),
    "external id unset": ({"external_id": UNSET}, "ValueError: create(): external_id: "),
    "external id a number": ({"external_id": 7}, "ValueError: create(): external_id: "),
    "external id bytes": ({"external_id": b"user_1"}, "ValueError: create(): external_id: "),
    "half a surrogate pair": (
        {"external_id": "\ud83e"},
        "ValueError: create(): external_id: Contains an unpaired surrogate; remove it.",
    ),
    "country null": ({"external_id": "u", "country": None}, "ValueError: create(): country: "),
    "email a list": ({"external_id": "u", "email": []}, "ValueError: create(): email: "),
    "stripe id a number": (
        {"external_id": "u", "stripeCustomerId": 5},
        "ValueError: create(): stripe_customer_id: ",
    ),
    "unknown": (
        {"external_id": "u", "nickname": "x"},
        "ValueError: create(): unknown field 'nickname'; ",
    ),
    "a slip": (
        {"externl_id": "u"},
        "ValueError: create(): unknown field 'externl_id'; did you mean 'external_id'?",
    ),
    "a slip in camelCase": (
        {"externalID": "u"},
        "ValueError: create(): unknown field 'externalID'; did you mean 'external_id'?",
    ),
    "a field of update only": (
        {"external_id": "u", "subscription_canceled_at": None},
        "ValueError: create(): unknown field 'subscription_canceled_at'; ",
    ),
    "both spellings": (
        {"external_id": "u", "externalId": "u"},
        "ValueError: create(): 'externalId' is given twice, in snake_case and in camelCase",
    ),
    "a key that is no text": ({5: "u"}, "ValueError: create(): unknown field 5; "),
    "another request": (
        operations.UpdateCustomerRequestBody(),
        "TypeError: create() takes a CreateCustomerRequestBody or a mapping, not Update",
    ),
    "a list": ([("external_id", "u")], "TypeError: create() takes a CreateCustomerRequestBody"),
    "text": ("user_1", "TypeError: create() takes a CreateCustomerRequestBody or a mapping"),
    "a customer": (components.Customer("cus_1"), "TypeError: create() takes a Create"),
}


@pytest.mark.parametrize(("request_", "message"), CREATE.values(), ids=CREATE)
def test_create_with_an_invalid_field_names_the_field(
    rejected: Any, request_: Any, message: str
) -> None:
    assert rejected(lambda c: c.create(request_)).startswith(message)


def test_create_without_a_request_raises_with_the_argument_name(rejected: Any) -> None:
    assert rejected(lambda c: c.create()) == (
        "TypeError: create() missing a required argument: 'request'"
    )


LATEST = dt.datetime.max.replace(tzinfo=dt.timezone(dt.timedelta(hours=-5)))
UPDATE: dict[str, tuple[Any, str]] = {
    "external id null": ({"external_id": None}, "ValueError: update(): external_id: "),
    "name a number": ({"name": 5}, "ValueError: update(): name: "),
    "name false": ({"name": False}, "ValueError: update(): name: "),
    "unknown": ({"metadata": {}}, "ValueError: update(): unknown field 'metadata'; "),
    "a naive date": (
        {"subscription_canceled_at": dt.datetime(2026, 1, 1)},
        "ValueError: update(): subscription_canceled_at: ",
    ),
    "a naive date in text": (
        {"subscription_canceled_at": "2026-01-01T00:00:00"},
        "ValueError: update(): subscription_canceled_at: ",
    ),
    "not a date": (
        {"subscription_canceled_at": "soon"},
        "ValueError: update(): subscription_canceled_at: ",
    ),
    "a date beyond all in UTC": (
        {"subscription_canceled_at": LATEST},
        "ValueError: update(): subscription_canceled_at: ",
    ),
    "another request": (
        operations.CreateCustomerRequestBody("u"),
        "TypeError: update() takes an UpdateCustomerRequestBody or a mapping, not Create",
    ),
}


@pytest.mark.parametrize(("body", "message"), UPDATE.values(), ids=UPDATE)
def test_update_with_an_invalid_field_names_the_field(
    rejected: Any, body: Any, message: str
) -> None:
    assert rejected(lambda c: c.update("cus_1", body)).startswith(message)


def test_request_is_unchanged_after_it_was_sent(customers: Any) -> None:
    request = {"external_id": "user_1", "country": "GB", "name": UNSET}
    before = dict(request)
    customers.create(request)
    assert request == before


def test_requests_are_frozen_and_default_to_unset() -> None:
    body = operations.UpdateCustomerRequestBody()
    assert all(getattr(body, field.name) is UNSET for field in dataclasses.fields(body))
    with pytest.raises(dataclasses.FrozenInstanceError):
        body.name = "Ada"  # type: ignore[misc]


def test_unset_is_a_false_singleton_with_a_readable_repr() -> None:
    assert not UNSET
    assert repr(UNSET) == str(UNSET) == "UNSET"
