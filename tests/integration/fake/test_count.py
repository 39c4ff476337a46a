"""GET /customers/count: filters, groups, and what it does not check."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dub_uplink.testing import FakeDub, faults

COUNT = "/customers/count"
GROUP_BY = (
    '422 invalid_value: groupBy: Invalid option: expected one of "country"|"linkId"|"partnerId"'
)


def link(id: str) -> dict[str, Any]:
    return {"id": id, "domain": "acme.link", "key": id, "url": f"https://acme.com/{id}"}


@pytest.fixture
def fake() -> Iterator[FakeDub]:
    """Five customers in two countries and without one, three of them with a link."""
    with FakeDub(default_program="prog_1") as fake:
        fake.add(external_id="a", country="US", name="Ada", email="ada@example.com")
        fake.add(external_id="b", country="US", link=link("b"), program_id="prog_1")
        fake.add(external_id="c", country="DE", link=link("c"), partner={"id": "pn_1"})
        fake.add(
            external_id="d",
            country="US",
            link=link("c"),
            partner={"id": "pn_1"},
            program_id="prog_1",
        )
        fake.add(external_id="e")
        yield fake


def counted(api: Any, query: str = "") -> Any:
    response = api("GET", COUNT, query)
    assert response.status_code == 200, response.text
    return response.json()


def test_count_without_filters_counts_all_customers(
    fake: FakeDub, reach: Callable[[FakeDub], Any]
) -> None:
    response = reach(fake)("GET", COUNT)
    assert (response.status_code, response.text) == (200, "5")
    assert response.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("email=ada@example.com", 1),
        ("externalId=b", 1),
        ("search=ada@example.com", 1),
        ("search=ADA", 1),
        ("country=US", 3),
        ("country=US&linkId=c", 1),
        ("linkId=c", 2),
        ("email=&country=", 5),
        ("email=ada@example.com&externalId=b&search=x", 1),
        ("externalId=nobody&search=ada", 0),
        ("country=FR&country=DE", 1),
    ],
)
def test_count_accepts_the_filters_of_the_list(api: Any, query: str, count: int) -> None:
    assert counted(api, query) == count


def test_count_with_a_program_filter_uses_the_default_program(api: Any) -> None:
    assert counted(api, "programId=prog_2") == 2
    assert counted(api, "partnerId=pn_1") == 1


def test_count_with_partner_filter_without_program_returns_404(mount: Any) -> None:
    with FakeDub() as fake:
        assert mount(fake).message("GET", COUNT, "partnerId=pn_1") == "404 Program not found"


@pytest.mark.parametrize(
    "query",
    [
        "page=x&pageSize=1&sortBy=x&sortOrder=x&includeExpandedFields=x",
        "startingAfter=a&endingBefore=b",
        "customerIds=cus_1",
        "unknown=1",
    ],
)
def test_count_ignores_parameters_of_the_list(api: Any, query: str) -> None:
    assert counted(api, query) == 5


def test_count_by_country_returns_the_largest_count_first(api: Any) -> None:
    assert counted(api, "groupBy=country") == [
        {"country": "US", "_count": 3},
        {"country": None, "_count": 1},
        {"country": "DE", "_count": 1},
    ]
    assert list(counted(api, "groupBy=country")[0]) == ["country", "_count"]


def test_count_by_country_ignores_the_country_filter(api: Any) -> None:
    groups = counted(api, "groupBy=country&country=US&linkId=c")
    assert groups == [{"country": "DE", "_count": 1}, {"country": "US", "_count": 1}]


def test_count_by_link_omits_customers_without_a_link(api: Any) -> None:
    assert counted(api, "groupBy=linkId") == [
        {
            "linkId": "c",
            "_count": 2,
            "shortLink": "https://acme.link/c",
            "url": "https://acme.com/c",
        },
        {
            "linkId": "b",
            "_count": 1,
            "shortLink": "https://acme.link/b",
            "url": "https://acme.com/b",
        },
    ]


def test_count_by_link_ignores_the_link_filter(api: Any) -> None:
    groups = counted(api, "groupBy=linkId&linkId=b&country=DE")
    assert [(group["linkId"], group["_count"]) for group in groups] == [("c", 1)]


def test_count_by_link_returns_at_most_10000_rows(mount: Any) -> None:
    with FakeDub() as fake:
        for number in range(10_001):
            fake.add(link={"id": f"link_{number}"})
        assert len(counted(mount(fake), "groupBy=linkId")) == 10_000


def test_count_grouped_by_partner_returns_a_number(api: Any) -> None:
    assert counted(api, "groupBy=partnerId") == 5
    assert counted(api, "groupBy=partnerId&country=DE") == 1


@pytest.mark.parametrize("group", ["", "programId", "Country"])
def test_count_by_an_unknown_group_returns_422(api: Any, group: str) -> None:
    assert api.message("GET", COUNT, f"groupBy={group}&partnerId=x") == GROUP_BY


@pytest.mark.parametrize("role", ["owner", "member", "viewer", "billing"])
@pytest.mark.parametrize("plan", ["free", "pro", "business"])
def test_count_is_allowed_for_any_role_and_plan(mount: Any, role: str, plan: str) -> None:
    with FakeDub(role=role, plan=plan) as fake:
        assert counted(mount(fake)) == 0


def test_count_checks_the_api_key_and_the_rate_limit(mount: Any) -> None:
    with FakeDub(rate_limit=1) as fake:
        api = mount(fake)
        assert api("GET", COUNT, headers={}).status_code == 401
        assert api("GET", COUNT).status_code == 200
        assert api("GET", COUNT).status_code == 429


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE", "HEAD"])
def test_count_with_another_method_returns_405(api: Any, method: str) -> None:
    response = api(method, COUNT)
    assert (response.status_code, response.content) == (405, b"")


def test_count_request_gets_an_injected_fault(fake: FakeDub, api: Any) -> None:
    fake.faults.add(faults.Status(404), path=COUNT)
    assert api("GET", COUNT).status_code == 404
