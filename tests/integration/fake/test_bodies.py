"""Dub's answers to each bad body, and what a good one writes."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink.testing import FakeDub

BAD_JSON = (
    "Invalid JSON format in request body. Please ensure the request body is a valid JSON object."
)
GOOD = {"externalId": "a", "country": "GB"}
NO_EXTERNAL_ID = "invalid_type: externalId: External ID is required"


def wrong_type(field: str, received: str) -> str:
    return f"invalid_type: {field}: Invalid input: expected string, received {received}"


BOTH = [
    ([], "invalid_type: : Invalid input: expected object, received array"),
    ("x", "invalid_type: : Invalid input: expected object, received string"),
    (None, "invalid_type: : Invalid input: expected object, received null"),
    (1.5, "invalid_type: : Invalid input: expected object, received number"),
    (True, "invalid_type: : Invalid input: expected object, received boolean"),
    ({"email": 5}, wrong_type("email", "number")),
    ({"email": ""}, "invalid_format: email: Invalid email address"),
    ({"email": "a@b"}, "invalid_format: email: Invalid email address"),
    ({"email": "a@b.c"}, "invalid_format: email: Invalid email address"),
    ({"email": "a..b@example.com"}, "invalid_format: email: Invalid email address"),
    ({"email": ".a@example.com"}, "invalid_format: email: Invalid email address"),
    ({"email": "a@example.com\n"}, "invalid_format: email: Invalid email address"),
    ({"email": "ü@example.com"}, "invalid_format: email: Invalid email address"),
    ({"name": 5}, wrong_type("name", "number")),
    ({"name": True}, wrong_type("name", "boolean")),
    ({"name": []}, wrong_type("name", "array")),
    ({"name": {}}, wrong_type("name", "object")),
    ({"avatar": 5}, wrong_type("avatar", "number")),
    ({"avatar": ""}, "invalid_format: avatar: Invalid URL"),
    ({"avatar": "nope"}, "invalid_format: avatar: Invalid URL"),
    ({"avatar": "//example.com/a.png"}, "invalid_format: avatar: Invalid URL"),
    ({"avatar": "http://"}, "invalid_format: avatar: Invalid URL"),
    ({"avatar": "https://exa mple.com"}, "invalid_format: avatar: Invalid URL"),
    ({"avatar": "https://example.com:99999/"}, "invalid_format: avatar: Invalid URL"),
    ({"avatar": "https://[::g]/"}, "invalid_format: avatar: Invalid URL"),
    ({"externalId": None}, NO_EXTERNAL_ID),
    ({"externalId": 7}, NO_EXTERNAL_ID),
    ({"stripeCustomerId": 7}, wrong_type("stripeCustomerId", "number")),
    ({"country": 7}, wrong_type("country", "number")),
    ({"country": None}, wrong_type("country", "null")),
    # Only the first problem is reported, in the order of the schema and not of the body.
    ({"name": 5, "email": "x"}, "invalid_format: email: Invalid email address"),
    ({"avatar": "x", "name": 5}, wrong_type("name", "number")),
    ({"externalId": 7, "avatar": "x"}, "invalid_format: avatar: Invalid URL"),
    ({"stripeCustomerId": 7, "externalId": 7}, NO_EXTERNAL_ID),
    ({"country": 7, "stripeCustomerId": 7}, wrong_type("stripeCustomerId", "number")),
]


@pytest.mark.parametrize(("body", "message"), BOTH)
def test_create_and_update_report_the_first_problem_of_a_body(
    api: Any, body: Any, message: str
) -> None:
    api.create("taken")
    creating = {**GOOD, **body} if isinstance(body, dict) else body
    raw = {"body": "null"} if body is None else {"json": creating}
    assert api.message("POST", "/customers", **raw) == f"422 {message}"
    raw = {"body": "null"} if body is None else {"json": body}
    assert api.message("PATCH", "/customers/ext_taken", **raw) == f"422 {message}"
    assert api.listed() == ["taken"]


def test_create_requires_an_external_id_and_then_a_country(api: Any) -> None:
    assert api.message("POST", "/customers", json={}) == f"422 {NO_EXTERNAL_ID}"
    missing = f"422 {wrong_type('country', 'undefined')}"
    assert api.message("POST", "/customers", json={"externalId": "a"}) == missing


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b"{'a': 1}",
        b'{"externalId": "a", "country": "GB",}',
        b'{"externalId": NaN}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 200_000,
        bytes(range(256)),
    ],
)
def test_body_that_is_not_json_returns_400(api: Any, body: bytes) -> None:
    api.create("a")
    assert api.message("POST", "/customers", body=body) == f"400 {BAD_JSON}"
    assert api.message("PATCH", "/customers/ext_a", body=body) == f"400 {BAD_JSON}"


def test_update_checks_the_body_before_the_customer_id(api: Any) -> None:
    assert api.message("PATCH", "/customers/cus_unknown", body="{") == f"400 {BAD_JSON}"


def test_content_type_of_a_request_is_ignored(api: Any) -> None:
    headers = {"Authorization": "Bearer dub_test", "Content-Type": "text/plain; charset=utf-16"}
    body = '{"externalId": "a", "country": "GB", "name": "Åda"}'.encode()
    answer = api("POST", "/customers", body=b"\xef\xbb\xbf" + body, headers=headers)
    assert (answer.status_code, answer.json()["name"]) == (201, "Åda")


def test_number_of_10000_digits_in_a_body_is_accepted(api: Any) -> None:
    body = '{"externalId": "a", "country": "GB", "x": ' + "9" * 10_000 + "}"
    assert api("POST", "/customers", body=body).status_code == 201


def test_lone_surrogates_in_a_body_are_replaced(api: Any) -> None:
    body = '{"externalId": "a", "country": "GB", "name": "x\\ud800y"}'
    assert api("POST", "/customers", body=body).json()["name"] == "x\N{REPLACEMENT CHARACTER}y"


@pytest.mark.parametrize(
    "avatar",
    [
        "https://example.com/a.png",
        "HTTP:example.com",
        "https://user:secret@example.com:8443/?q#f",
        "https://[::1]/",
        "data:image/png;base64,AAAA",
        "  https://example.com/  ",
    ],
)
def test_avatar_url_becomes_a_url_of_dubs_image_host(api: Any, avatar: str) -> None:
    created = api.create("a", avatar=avatar)
    assert created["avatar"].startswith(f"https://dubassets.com/customers/{created['id']}/avatar_")


@pytest.mark.parametrize(
    "avatar",
    [
        "https://dubassets.com/customers/cus_1/avatar_1",
        "https://dubassets.com",
        "https://api.dub.co/og/avatar/1234567890",
    ],
)
def test_avatar_url_of_dub_is_stored_unchanged(api: Any, avatar: str) -> None:
    assert api.create("a", avatar=avatar)["avatar"] == avatar
    api.create("b")
    assert api("PATCH", "/customers/ext_b", json={"avatar": avatar}).json()["avatar"] == avatar


@pytest.mark.parametrize(
    "avatar",
    [
        "http://dubassets.com/a",
        "https://assets.dub.co/a",
        "https://api.dub.co/og/avatar",
        "https://API.dub.co/og/avatar/1",
    ],
)
def test_avatar_url_of_a_host_like_dubs_is_replaced(api: Any, avatar: str) -> None:
    assert api.create("a", avatar=avatar)["avatar"].startswith("https://dubassets.com/customers/")


def test_update_with_the_stored_avatar_url_keeps_the_url(fake: FakeDub, api: Any) -> None:
    avatar = "https://example.com/a.png"
    fake.add(external_id="a", avatar=avatar)
    assert api("PATCH", "/customers/ext_a", json={"avatar": avatar}).json()["avatar"] == avatar
    other = api("PATCH", "/customers/ext_a", json={"avatar": f"{avatar}?2"}).json()["avatar"]
    assert other.startswith("https://dubassets.com/customers/")


def test_avatar_is_changed_and_cleared_by_an_update(api: Any) -> None:
    avatar = "https://dubassets.com/customers/cus_1/avatar_1"
    api.create("a", avatar=avatar)
    changed = api("PATCH", "/customers/ext_a", json={"avatar": "https://example.com/b.png"}).json()
    assert changed["avatar"] not in (avatar, "https://example.com/b.png")
    cleared = api("PATCH", "/customers/ext_a", json={"avatar": None}).json()
    assert cleared["avatar"] is None


def too_long(operation: str, column: str) -> str:
    return (
        f"422 \nInvalid `prisma.customer.{operation}()` invocation:\n\n\n"
        f"The provided value for the column is too long for the column's type. Column: {column}"
    )


# An email of 191 characters, and every other text column.
LONG = {
    "name": "n" * 191,
    "email": f"{'e' * 179}@example.com",
    "externalId": "\N{SNOWMAN}" * 190 + "\N{PARTY POPPER}",
    "stripeCustomerId": "s" * 191,
    "country": "c" * 191,
}


def test_texts_of_191_characters_are_stored(api: Any) -> None:
    created = api("POST", "/customers", json=LONG)
    assert created.status_code == 201
    assert {name: created.json()[name] for name in LONG} == LONG
    api.create("b")
    changed = {name: f"x{text[1:]}" for name, text in LONG.items()}
    updated = api("PATCH", "/customers/ext_b", json=changed).json()
    assert {name: updated[name] for name in LONG} == {**changed, "country": "GB"}


@pytest.mark.parametrize("column", LONG)
def test_create_with_text_of_192_characters_returns_422(
    fake: FakeDub, api: Any, column: str
) -> None:
    body = {**GOOD, column: f"x{LONG[column]}"}
    assert api.message("POST", "/customers", json=body) == too_long("create", column)
    response = api("POST", "/customers", json=body)
    assert response.json()["error"]["code"] == "unprocessable_entity"
    assert fake.customers == []


@pytest.mark.parametrize("column", [column for column in LONG if column != "country"])
def test_update_with_text_of_192_characters_returns_422(
    fake: FakeDub, api: Any, column: str
) -> None:
    api.create("a", name="Ada")
    before = fake.customers
    change = {column: f"x{LONG[column]}"}
    assert api.message("PATCH", "/customers/ext_a", json=change) == too_long("update", column)
    assert api("PATCH", "/customers/ext_nobody", json=change).status_code == 404
    assert fake.customers == before


def test_update_ignores_a_country_of_192_characters(api: Any) -> None:
    api.create("a")
    changed = api("PATCH", "/customers/ext_a", json={"country": f"x{LONG['country']}"})
    assert (changed.status_code, changed.json()["country"]) == (200, "GB")


def test_avatar_of_192_characters_is_stored(api: Any) -> None:
    avatar = f"https://dubassets.com/{'a' * 200}"
    assert api.create("a", avatar=avatar)["avatar"] == avatar


def test_too_long_text_is_reported_before_duplicate_external_id(api: Any) -> None:
    api.create("a")
    body = {**GOOD, "name": "n" * 192}
    assert api.message("POST", "/customers", json=body) == too_long("create", "name")
