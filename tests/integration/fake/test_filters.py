"""Filters of a list that Dub's reference does not describe: customerIds and the default program."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink.testing import FakeDub


def test_customer_ids_filter_returns_only_these_customers(api: Any) -> None:
    a, b, c = (api.create(name)["id"] for name in "abc")
    assert api.listed({"customerIds": f"{a},{c}", "sortOrder": "asc"}) == ["a", "c"]
    assert api.listed({"customerIds": b}) == ["b"]
    assert api.listed({"customerIds": "cus_unknown"}) == []


def test_customer_ids_filter_rejects_external_ids(api: Any) -> None:
    api.create("a")
    assert api.listed({"customerIds": "ext_a,a"}) == []


def test_empty_customer_ids_filter_is_ignored(api: Any) -> None:
    api.create("a")
    assert api.listed({"customerIds": ""}) == ["a"]


def test_customer_ids_filter_is_combined_with_other_filters(api: Any) -> None:
    a, b = (api.create(name, country=country)["id"] for name, country in ("aU", "bD"))
    both = f"{a},{b}"
    assert api.listed({"customerIds": both, "country": "D"}) == ["b"]
    assert api.listed({"customerIds": both, "email": "x@example.com"}) == []
    assert api.listed({"customerIds": both, "startingAfter": b}) == ["a"]


def test_customer_ids_filter_accepts_many_ids(fake: FakeDub, api: Any) -> None:
    fake.add_many(1500)
    ids = ",".join(customer.id for customer in fake.customers)
    assert len(api.listed({"customerIds": ids, "page": "15"})) == 100


@pytest.fixture
def program() -> FakeDub:
    fake = FakeDub(default_program="prog_1")
    fake.add(external_id="a", program_id="prog_1")
    fake.add(external_id="b", program_id="prog_1", partner={"id": "pn_1"})
    fake.add(external_id="c", program_id="prog_2", partner={"id": "pn_1"})
    fake.add(external_id="d")
    return fake


@pytest.mark.parametrize("sent", ["prog_1", "prog_2", "anything"])
def test_program_filter_is_replaced_by_the_default_program(
    program: FakeDub, mount: Any, sent: str
) -> None:
    assert mount(program).listed({"programId": sent}) == ["b", "a"]


def test_partner_filter_uses_the_default_program(program: FakeDub, mount: Any) -> None:
    api = mount(program)
    assert api.listed({"partnerId": "pn_1"}) == ["b"]
    assert api.listed({"partnerId": "pn_2"}) == []
    assert api.listed({"partnerId": "pn_1", "programId": "prog_2"}) == ["b"]


@pytest.mark.parametrize("name", ["programId", "partnerId"])
def test_program_filter_without_a_program_returns_404(api: Any, name: str) -> None:
    response = api("GET", "/customers", {name: "x"})
    assert response.status_code == 404
    assert response.json()["error"] == {
        "code": "not_found",
        "message": "Program not found",
        "doc_url": "https://dub.co/docs/api-reference/errors#not-found",
    }


def test_empty_program_filter_is_ignored(api: Any) -> None:
    api.create("a")
    assert api.listed("programId=&partnerId=") == ["a"]


def test_invalid_query_is_reported_before_a_missing_program(api: Any) -> None:
    query = "partnerId=x&startingAfter=a&endingBefore=b"
    assert api("GET", "/customers", query).status_code == 422


def test_get_and_update_ignore_the_program_filter(api: Any) -> None:
    api.create("a")
    for method, body in (("GET", None), ("PATCH", {})):
        assert api(method, "/customers/ext_a", "programId=x", json=body).status_code == 200


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("country=US&country=DE", ["b"]),
        ("externalId=a&externalId=b", ["b"]),
        ("externalId=a&externalId=", ["b", "a"]),
        ("sortOrder=desc&sortOrder=asc", ["a", "b"]),
        ("pageSize=abc&pageSize=1", ["b"]),
        ("email=x@example.com&email=", ["b", "a"]),
    ],
)
def test_repeated_query_parameter_uses_the_last_value(
    api: Any, query: str, expected: list[str]
) -> None:
    api.create("a", country="US")
    api.create("b", country="DE")
    assert api.listed(query) == expected
