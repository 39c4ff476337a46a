"""What a black-box suite of Dub's own server checks, against a workspace that is in use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dub_uplink.testing import FakeDub

KEYS = [
    "id",
    "name",
    "email",
    "avatar",
    "externalId",
    "stripeCustomerId",
    "country",
    "sales",
    "saleAmount",
    "createdAt",
    "firstSaleAt",
    "subscriptionCanceledAt",
]
OG_AVATAR = "https://api.dub.co/og/avatar/1234567890"


@pytest.fixture
def api(reach: Callable[[FakeDub], Any]) -> Iterator[Any]:
    """A workspace with 25 customers, a third of them with a link and sales."""
    with FakeDub(default_program="prog_1") as fake:
        for number in range(25):
            link = {"id": f"link_{number % 2}"} if number % 3 == 0 else None
            fake.add(
                external_id=f"user_{number}",
                email=f"user_{number}@example.com",
                country=("US", "GB")[number % 2],
                sale_amount=number * 7 % 25,
                link=link,
                program_id="prog_1" if link else None,
            )
        yield reach(fake)


def listed(api: Any, **query: Any) -> list[dict[str, Any]]:
    response = api("GET", "/customers", query)
    assert response.status_code == 200, response.text
    rows: list[dict[str, Any]] = response.json()
    return rows


def rejected(api: Any, **query: Any) -> dict[str, Any]:
    response = api("GET", "/customers", query)
    assert response.status_code == 422
    error: dict[str, Any] = response.json()["error"]
    assert error["code"] == "unprocessable_entity"
    return error


def test_list_returns_every_customer_with_every_field(api: Any) -> None:
    rows = listed(api)
    assert len(rows) == 25
    assert all(list(row) == KEYS for row in rows)


def test_list_with_expanded_fields_returns_links_and_programs(api: Any) -> None:
    expanded = [row for row in listed(api, includeExpandedFields="true") if "link" in row]
    assert len(expanded) == 9
    assert all(row["programId"] == "prog_1" for row in expanded)


def test_list_with_page_numbers_has_every_customer_once(api: Any) -> None:
    pages = [listed(api, page=page, pageSize=10) for page in (1, 2, 3, 4)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert [row for page in pages for row in page] == listed(api)


def test_list_with_customer_ids_returns_only_these_customers(api: Any) -> None:
    ids = [row["id"] for row in listed(api)[3:6]]
    assert [row["id"] for row in listed(api, customerIds=",".join(ids))] == ids


def test_list_sorts_by_sale_amount_in_both_orders(api: Any) -> None:
    for order, reverse in (("asc", False), ("desc", True)):
        amounts = [row["saleAmount"] for row in listed(api, sortBy="saleAmount", sortOrder=order)]
        assert amounts == sorted(amounts, reverse=reverse)


def test_list_with_starting_after_begins_after_the_customer(api: Any) -> None:
    rows = listed(api)
    assert listed(api, startingAfter=rows[9]["id"], pageSize=5) == rows[10:15]


def test_list_with_ending_before_ends_before_the_customer(api: Any) -> None:
    rows = listed(api)
    assert listed(api, endingBefore=rows[9]["id"], pageSize=5) == rows[4:9]
    assert listed(api, endingBefore=rows[0]["id"]) == []


def test_list_with_both_cursors_is_rejected(api: Any) -> None:
    first, *_, last = listed(api)
    message = rejected(api, startingAfter=first["id"], endingBefore=last["id"])["message"]
    assert message == "You cannot use both startingAfter and endingBefore at the same time."


def test_list_with_a_cursor_and_a_page_is_rejected(api: Any) -> None:
    message = rejected(api, startingAfter=listed(api)[0]["id"], page=2)["message"]
    assert message.startswith("You cannot use both page and startingAfter/endingBefore")


@pytest.mark.parametrize("field", ["saleAmount", "firstSaleAt", "subscriptionCanceledAt"])
def test_list_with_cursor_not_sorted_by_created_at_is_rejected(api: Any, field: str) -> None:
    message = rejected(api, endingBefore=listed(api)[0]["id"], sortBy=field)["message"]
    assert message == (
        "Cursor-based pagination only supports sorting by `createdAt`. "
        "Use offset-based pagination (page/pageSize) for other sort fields."
    )


def test_list_with_an_unknown_cursor_is_rejected(api: Any) -> None:
    message = rejected(api, startingAfter="cus_unknown")["message"]
    assert message == "Invalid cursor: the provided ID does not exist."


def test_get_accepts_a_dub_id_or_an_external_id(api: Any) -> None:
    row = listed(api)[0]
    for key in (row["id"], f"ext_{row['externalId']}"):
        assert api("GET", f"/customers/{key}").json() == row


def test_update_stores_an_avatar_url_of_dub_unchanged(api: Any) -> None:
    row = listed(api)[0]
    change = {"name": "Ada", "email": "ada@example.com", "avatar": OG_AVATAR}
    updated = api("PATCH", f"/customers/{row['id']}", json=change)
    assert (updated.status_code, updated.json()) == (200, {**row, **change})
    assert api("GET", f"/customers/{row['id']}").json() == updated.json()


def test_deleted_customer_is_no_longer_returned(api: Any) -> None:
    customer_id = listed(api)[0]["id"]
    assert api("DELETE", f"/customers/{customer_id}").json() == {"id": customer_id}
    for method in ("GET", "DELETE"):
        assert api(method, f"/customers/{customer_id}").json()["error"]["code"] == "not_found"
    assert len(listed(api)) == 24


def test_count_equals_the_length_of_the_list(api: Any) -> None:
    def counted(**query: Any) -> Any:
        return api("GET", "/customers/count", query).json()

    assert counted() == 25
    assert counted(country="GB") == len(listed(api, country="GB")) == 12
    by_country = counted(groupBy="country")
    assert by_country == [{"country": "US", "_count": 13}, {"country": "GB", "_count": 12}]
    by_link = {group["linkId"]: group["_count"] for group in counted(groupBy="linkId")}
    assert by_link == {link: len(listed(api, linkId=link)) for link in ("link_0", "link_1")}
    assert sum(by_link.values()) == counted(programId="any")
