"""Test ``count()``: numbers, groups, and servers without the route."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink import errors
from dub_uplink.models.components import CustomerCount
from dub_uplink.testing import FakeDub, faults

COUNT = "/customers/count"


@pytest.fixture
def fake() -> FakeDub:
    fake = FakeDub(default_program="prog_1")
    fake.add(external_id="a", country="US", email="ada@example.com")
    fake.add(external_id="b", country="US", link={"id": "link_1", "url": "https://a.com"})
    fake.add(external_id="c", program_id="prog_1")
    return fake


@pytest.mark.parametrize(
    ("filters", "number"),
    [
        ({}, 3),
        ({"country": "US"}, 2),
        ({"country": None, "email": "ada@example.com"}, 1),
        ({"external_id": "nobody"}, 0),
        ({"link_id": "link_1"}, 1),
        ({"program_id": "prog_1"}, 1),
        ({"search": "ada"}, 1),
    ],
)
def test_count_accepts_the_filters_of_list(
    customers: Any, filters: dict[str, Any], number: int
) -> None:
    assert customers.count(**filters) == number


def test_count_by_country_returns_the_largest_first(customers: Any) -> None:
    assert customers.count(group_by="country") == [
        CustomerCount(2, country="US"),
        CustomerCount(1, country=None),
    ]


def test_count_by_link_keeps_unknown_fields(fake: FakeDub, customers: Any) -> None:
    (group,) = customers.count(group_by="link_id", program_id=None)
    assert (group.count, group.link_id, group.country) == (1, "link_1", None)
    assert group.extra["url"] == "https://a.com"
    assert fake.requests[-1].query == {"groupBy": "linkId"}


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"group_by": "partner_id"}, 'group_by: Must be "country" or "link_id"'),
        ({"group_by": "linkId"}, "group_by"),
        ({"group_by": "country", "country": "US"}, "country: Dub ignores this filter"),
        ({"group_by": "link_id", "link_id": "x"}, "link_id: Dub ignores this filter"),
        ({"email": ""}, "email: Must not be empty"),
    ],
)
def test_count_with_a_filter_that_dub_ignores_raises(
    fake: FakeDub, customers: Any, filters: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        customers.count(**filters)
    assert not fake.requests


def test_count_with_a_paging_argument_raises_type_error(fake: FakeDub, customers: Any) -> None:
    with pytest.raises(TypeError, match="page_size"):
        customers.count(page_size=10)
    assert not fake.requests


@pytest.mark.parametrize("body", [b"<html>Not here</html>", b"", None])
def test_count_on_a_server_without_count_route_raises_not_found(
    fake: FakeDub, customers: Any, body: bytes | None
) -> None:
    fake.faults.add(faults.Status(404, body=body), path=COUNT)
    with pytest.raises(errors.NotFound) as caught:
        customers.count()
    if body is not None:
        assert "the server has no GET /customers/count" in str(caught.value)
    assert caught.value.status_code == 404


def test_html_404_of_get_raises_sdk_error(fake: FakeDub, customers: Any) -> None:
    fake.faults.add(faults.Status(404, body=b"<html>"))
    with pytest.raises(errors.SDKError):
        customers.get("cus_1")


@pytest.mark.parametrize(
    ("body", "filters"),
    [
        (b"true", {}),
        (b"[]", {}),
        (b'{"count": 1}', {}),
        (b'"3"', {}),
        (b"3.5", {}),
        (b"null", {}),
        (b"7", {"group_by": "country"}),
        (b'[{"country": "US"}]', {"group_by": "country"}),
        (b"<html>", {}),
    ],
)
def test_count_with_invalid_response_body_raises(
    fake: FakeDub, customers: Any, body: bytes, filters: dict[str, Any]
) -> None:
    fake.faults.add(faults.Garbage(body, "application/json"))
    with pytest.raises(errors.ResponseValidationError):
        customers.count(**filters)


def test_count_is_retried_after_a_503(fake: FakeDub, customers: Any) -> None:
    fake.faults.add(faults.Status(503))
    assert customers.count() == 3


def test_customer_id_count_raises_value_error(fake: FakeDub, customers: Any) -> None:
    with pytest.raises(ValueError, match="count"):
        customers.get("count")
    assert not fake.requests
