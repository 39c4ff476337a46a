"""Who is let in, and which of several refusals a request gets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dub_uplink.testing import FakeDub

MISSING = "401 Missing Authorization header."
NO_BEARER = (
    "400 Misconfigured authorization header. Did you forget to add 'Bearer '? "
    "Learn more: https://d.to/auth"
)
INVALID = "401 Unauthorized: Invalid API key."
EXPIRED = "401 Unauthorized: Access token expired."
NO_WORKSPACE = (
    "404 Workspace ID not found. Did you forget to include a `workspaceId` query parameter? It "
    "looks like you might be using personal API keys, we also recommend refactoring to workspace "
    "API keys: https://d.to/keys"
)
ROLE = (
    "403 You don't have the required role to access this endpoint. Required role(s): owner, member."
)
PLAN = "403 Unauthorized: Need higher plan."
RATE = "429 Too many requests."
WRITES = [("POST", "/customers"), ("PATCH", "/customers/ext_a"), ("DELETE", "/customers/ext_a")]
READS = [("GET", "/customers"), ("GET", "/customers/ext_a")]


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        (None, MISSING),
        ("", MISSING),
        ("dub_test", NO_BEARER),
        ("bearer dub_test", NO_BEARER),
        ("BEARER dub_test", NO_BEARER),
        ("Basic ZHViOnRlc3Q=", NO_BEARER),
        ("Bearer", NO_BEARER),
        ("Bearer dub_wrong", INVALID),
        ("Bearer dub_test2", INVALID),
        ("Bearer dub_TEST", INVALID),
        ("Bearer dub_expired", EXPIRED),
        ("Bearer secret", NO_WORKSPACE),
    ],
)
def test_each_invalid_api_key_returns_the_error_of_dub(
    fake: FakeDub, reach: Callable[[FakeDub], Any], authorization: str | None, expected: str
) -> None:
    api = reach(fake)
    headers = {} if authorization is None else {"Authorization": authorization}
    for method, path in READS + WRITES:
        assert api.message(method, path, headers=headers) == expected
        answer = api(method, path, headers=headers)
        assert not [name for name in answer.headers if name.lower().startswith("x-ratelimit")]
        assert "Retry-After" not in answer.headers


def test_several_valid_and_expired_api_keys_are_supported(mount: Any) -> None:
    with FakeDub(["dub_1", "dub_2"], expired=["dub_old"]) as fake:
        api = mount(fake)
        answers = [
            api("GET", "/customers", headers={"Authorization": f"Bearer {key}"}).status_code
            for key in ("dub_1", "dub_2", "dub_old", "dub_test")
        ]
    assert answers == [200, 200, 401, 401]
    with FakeDub(expired="dub_old") as fake:
        headers = {"Authorization": "Bearer dub_old"}
        assert mount(fake).message("GET", "/customers", headers=headers) == EXPIRED


def test_api_key_in_expired_setting_is_rejected(fake: FakeDub, api: Any) -> None:
    fake.configure(expired=[fake.token])
    assert api.message("GET", "/customers") == EXPIRED


@pytest.mark.parametrize("role", ["viewer", "billing"])
def test_viewer_and_billing_roles_can_read_but_not_write(mount: Any, role: str) -> None:
    with FakeDub(role=role) as fake:
        fake.add(external_id="a")
        api = mount(fake)
        assert [api(*request).status_code for request in READS] == [200, 200]
        for method, path in WRITES:
            assert api.message(method, path, "page=abc", body="{") == ROLE
        assert len(fake.customers) == 1


@pytest.mark.parametrize("plan", ["free", "pro"])
def test_plans_below_business_cannot_use_the_customers_api(mount: Any, plan: str) -> None:
    with FakeDub(plan=plan) as fake:
        api = mount(fake)
        for method, path in READS + WRITES:
            assert api.message(method, path, "page=abc", body="{") == PLAN


@pytest.mark.parametrize("plan", ["trial", "business", "advanced", "enterprise"])
def test_plans_from_business_have_the_customers_api(mount: Any, plan: str) -> None:
    with FakeDub(plan=plan) as fake:
        assert mount(fake)("GET", "/customers").status_code == 200


def test_first_error_follows_the_order_of_checks_in_dub(mount: Any) -> None:
    with FakeDub(role="viewer", plan="free", rate_limit=2) as fake:
        api = mount(fake)
        assert api.message("PATCH", "/customers/x", headers={}) == MISSING
        assert api.message("PATCH", "/customers/x", "page=x", body="{") == ROLE
        assert api.message("GET", "/customers/x", "page=x") == PLAN
        assert api.message("PATCH", "/customers/x", "page=x", body="{") == RATE
        assert api.message("GET", "/customers/x", headers={"Authorization": "x"}) == NO_BEARER
    with FakeDub() as fake:
        api = mount(fake)
        wrong = {"json": {"email": "x"}}
        assert api.message("PATCH", "/customers/x", "page=0", body="{").startswith("422 too_small")
        assert api.message("PATCH", "/customers/x", body="{").startswith("400 Invalid JSON")
        assert api.message("PATCH", "/customers/x", **wrong).startswith("422 invalid_format")
        assert api.message("PATCH", "/customers/x", json={}).startswith("404 Customer not found")


@pytest.mark.parametrize(
    ("fake", "request_"),
    [
        (FakeDub(role="viewer"), ("POST", "/customers")),
        (FakeDub(), ("GET", "/customers/x")),
        (FakeDub(), ("GET", "/customers", "page=x")),
        (FakeDub(), ("GET", "/customers", "startingAfter=x")),
        (FakeDub(), ("POST", "/customers")),
    ],
)
def test_error_object_has_the_doc_url_of_the_error_code(
    mount: Any, fake: FakeDub, request_: tuple[str, ...]
) -> None:
    answer = mount(fake)(*request_)
    error = answer.json()["error"]
    assert list(answer.json()) == ["error"]
    assert list(error) == ["code", "message", "doc_url"]
    code = error["code"].replace("_", "-", 1)
    assert error["doc_url"] == f"https://dub.co/docs/api-reference/errors#{code}"
    assert answer.headers["Content-Type"] == "application/json"
