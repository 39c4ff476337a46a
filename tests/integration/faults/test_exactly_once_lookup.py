"""The comparison of a request with the customer that a lookup returns."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink.models import errors
from dub_uplink.testing import faults

BODY = {"external_id": "user_1", "email": "ada@example.com", "country": "GB"}
AVATAR = "https://dubassets.com/ada.png"
OTHER_AVATAR = "https://dubassets.com/other.png"
CONFLICT = {"error": {"code": "conflict", "message": "exists"}}
MISSING = {"error": {"code": "not_found", "message": "Customer not found."}}


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ({"avatar": "https://example.com/ada.png"}, {}),
        ({"avatar": AVATAR}, {}),
        ({"avatar": AVATAR}, {"avatar": OTHER_AVATAR}),
        ({"avatar": "https://api.dub.co/og/avatar/1"}, {"avatar": AVATAR}),
        ({}, {"avatar": OTHER_AVATAR}),
        ({"avatar": None}, {"avatar": OTHER_AVATAR}),
        ({}, {"name": "Grace"}),
        ({"name": None}, {"name": "Grace"}),
    ],
    ids=str,
)
def test_create_retry_with_another_customer_raises_conflict(
    fake: Any, on_fake: Any, sent: dict[str, Any], shown: dict[str, Any]
) -> None:
    fake.add(**BODY, **shown)
    fake.faults.add(faults.DropBefore())
    with pytest.raises(errors.Conflict):
        on_fake().create({**BODY, **sent})
    assert [request.method for request in fake.requests] == ["POST", "POST", "GET"]


@pytest.mark.parametrize("avatar", [AVATAR, "https://example.com/ada.png", None], ids=str)
@pytest.mark.parametrize("name", ["Ada", "", None])
@pytest.mark.parametrize("email", ["ada@example.com", None])
def test_create_with_a_lost_response_accepts_its_own_customer(
    fake: Any, on_fake: Any, avatar: str | None, name: str | None, email: str | None
) -> None:
    fake.faults.add(faults.DropAfter())
    created = on_fake().create({**BODY, "avatar": avatar, "name": name, "email": email})
    assert created.id == fake.customers[0].id


@pytest.mark.parametrize(
    ("sent", "shown", "is_own"),
    [
        ({"loyaltyTier": "gold"}, {"loyaltyTier": "silver"}, False),
        ({"loyaltyTier": "gold"}, {"loyaltyTier": None}, False),
        ({"loyaltyTier": "gold"}, {"loyaltyTier": "gold"}, True),
        ({"loyaltyTier": "gold"}, {}, True),  # a server that ignores the field
        ({}, {"loyaltyTier": "silver"}, True),  # the default of a server
        ({"saleAmount": 5}, {"saleAmount": 0}, True),  # no request sets this field
    ],
    ids=str,
)
def test_lookup_compares_the_fields_of_extra_body(
    wire: Any,
    step: Any,
    http_response: Any,
    connect: Any,
    sent: dict[str, Any],
    shown: dict[str, Any],
    is_own: bool,
) -> None:
    customer = {"id": "cus_1", "externalId": "user_1", "email": BODY["email"], **shown}
    server = wire(step(b"", "close"), http_response(409, CONFLICT), http_response(200, customer))
    client = connect(server.url)
    if is_own:
        assert client.create(BODY, extra_body=sent).id == "cus_1"
    else:
        with pytest.raises(errors.Conflict):
            client.create(BODY, extra_body=sent)


@pytest.mark.parametrize(
    ("sent", "shown", "is_own"),
    [
        ({"avatar": AVATAR}, {"avatar": None}, False),
        ({"avatar": None}, {"avatar": AVATAR}, False),
        ({"avatar": "https://example.com/ada.png"}, {"avatar": AVATAR}, True),
        ({"name": None}, {"name": "Grace"}, False),
        ({"name": None}, {"name": "ada@example.com"}, True),
        ({}, {"avatar": AVATAR, "name": "Ada"}, True),  # the update keeps both
        ({"country": "FR"}, {"country": "GB"}, True),  # the server does not store it
    ],
    ids=str,
)
def test_lookup_compares_an_external_id_update(
    wire: Any,
    step: Any,
    http_response: Any,
    connect: Any,
    sent: dict[str, Any],
    shown: dict[str, Any],
    is_own: bool,
) -> None:
    customer = {"id": "cus_1", "externalId": "user_2", "email": "ada@example.com", **shown}
    server = wire(step(b"", "close"), http_response(404, MISSING), http_response(200, customer))
    client = connect(server.url)
    body = {"external_id": "user_2", **sent}
    if is_own:
        assert client.update("ext_user_1", body).id == "cus_1"
    else:
        with pytest.raises(errors.NotFound):
            client.update("ext_user_1", body)
