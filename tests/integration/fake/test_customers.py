"""What is stored, how it is addressed and what is shown of it."""

from __future__ import annotations

import datetime as dt
import itertools
import re
from typing import Any
from urllib.parse import quote

import pytest

from dub_uplink.testing import FakeDub

CONFLICT = "409 A customer with this external ID already exists."
UTC = dt.timezone.utc


@pytest.mark.parametrize(
    "external_id", ["ext_1", "a/b", "?#%", "%2F", "..", "ü \N{SNOWMAN}", "a\nb", "\x00", "+", ""]
)
def test_external_id_in_a_path_is_decoded_once(fake: FakeDub, api: Any, external_id: str) -> None:
    created = api.create(external_id)
    assert created["externalId"] == external_id
    path = "/customers/" + quote(f"ext_{external_id}", safe="")
    assert api("GET", path).json()["id"] == created["id"]
    assert api("PATCH", path, json={"name": "x"}).json()["name"] == "x"
    assert api("DELETE", path).json() == {"id": created["id"]}
    assert fake.customers == []


def test_ext_prefix_is_not_part_of_the_external_id(api: Any) -> None:
    api.create("1")
    assert api("GET", "/customers/ext_ext_1").status_code == 404
    assert api("GET", "/customers/1").status_code == 404


def test_duplicate_external_or_stripe_id_returns_409(api: Any) -> None:
    api.create("a", stripeCustomerId="stripe_a")
    api.create("b", name="B")
    for body in (
        {"externalId": "a", "country": "GB"},
        {"externalId": "c", "country": "GB", "stripeCustomerId": "stripe_a"},
    ):
        assert api.message("POST", "/customers", json=body) == CONFLICT
    for change in ({"name": "x", "externalId": "a"}, {"name": "x", "stripeCustomerId": "stripe_a"}):
        assert api.message("PATCH", "/customers/ext_b", json=change) == CONFLICT
    assert api("GET", "/customers/ext_b").json()["name"] == "B"
    assert api.listed("sortOrder=asc") == ["a", "b"]


def test_update_to_own_or_missing_external_id_succeeds(api: Any) -> None:
    api.create("a", stripeCustomerId="stripe_a")
    api.create("b", stripeCustomerId=None)
    api.create("c")
    same = {"externalId": "a", "stripeCustomerId": "stripe_a"}
    assert api("PATCH", "/customers/ext_a", json=same).status_code == 200


def test_external_id_can_be_reused_after_change_or_deletion(api: Any) -> None:
    api.create("a", stripeCustomerId="s")
    api("PATCH", "/customers/ext_a", json={"externalId": "b", "stripeCustomerId": None})
    api.create("a", stripeCustomerId="s")
    api("DELETE", "/customers/ext_a")
    api.create("a", stripeCustomerId="s")


def test_update_keeps_absent_fields_and_clears_null_ones(api: Any) -> None:
    fields = {"email": "a@example.com", "name": "A", "stripeCustomerId": "s"}
    before = api.create("a", avatar="https://dubassets.com/x", **fields)
    assert api("PATCH", "/customers/ext_a", json={}).json() == before
    cleared = dict.fromkeys(("email", "avatar", "stripeCustomerId"))
    after = api("PATCH", "/customers/ext_a", json=cleared).json()
    assert after == {**before, **cleared}


def test_update_checks_a_country_and_does_not_write_it(fake: FakeDub, api: Any) -> None:
    api.create("a")
    assert api("PATCH", "/customers/ext_a", json={"country": "FR"}).json()["country"] == "GB"
    assert fake.customers[0].country == "GB"


@pytest.mark.parametrize("name", [None, ""])
def test_missing_name_is_returned_as_the_email(fake: FakeDub, api: Any, name: str | None) -> None:
    created = api.create("a", name=name, email="a@example.com")
    assert created["name"] == "a@example.com"
    assert fake.customers[0].name == name


def test_customer_without_name_gets_a_random_name_per_read(api: Any) -> None:
    created = api.create("a")
    names = [created["name"], *(api("GET", "/customers/ext_a").json()["name"] for _ in range(5))]
    names += [api("GET", "/customers").json()[0]["name"] for _ in range(5)]
    assert all(names)
    assert all(one != another for one, another in itertools.pairwise(names))


@pytest.mark.parametrize("count", [11, 13, 26, 99, 100])
def test_customers_without_names_get_random_names_per_list(
    fake: FakeDub, api: Any, count: int
) -> None:
    for _ in range(count):
        fake.add()
    first, second = ([one["name"] for one in api("GET", "/customers").json()] for _ in range(2))
    assert not any(one == another for one, another in zip(first, second, strict=True))


def test_generated_ids_have_dubs_format_and_sort_by_time(fake: FakeDub, api: Any) -> None:
    ids = [api.create(str(number))["id"] for number in range(50)]
    fake.clock.advance(5)
    ids.append(api.create("later")["id"])
    assert ids == sorted(ids)
    assert all(re.fullmatch(r"cus_[0-9A-Z]{25}", one) for one in ids)


def test_generated_ids_sort_by_creation_if_the_clock_is_set_back(mount: Any) -> None:
    moments = iter([2000.0, 1000.0, 1000.0, 3000.0] * 2)
    with FakeDub(now=lambda: next(moments)) as fake:
        ids = [fake.add().id for _ in range(3)]
    assert ids == sorted(ids)


def test_now_and_ids_arguments_set_times_and_ids(mount: Any) -> None:
    moment = dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=UTC)
    ids = iter(["cus_1", "cus_2"])
    with FakeDub(now=lambda: moment, ids=lambda: next(ids)) as fake:
        api = mount(fake)
        created = api.create("a")
        assert (created["id"], created["createdAt"]) == ("cus_1", "2026-08-21T21:14:02.000Z")
        fake.clock.advance(0.5)
        created = api.create("b")
        assert (created["id"], created["createdAt"]) == ("cus_2", "2026-08-21T21:14:02.500Z")


def test_customer_id_with_ext_prefix_is_rejected(fake: FakeDub) -> None:
    with pytest.raises(ValueError, match=r"id must not be empty or begin with ext_.*'ext_9'"):
        fake.add(id="ext_9")
    assert fake.customer_count == 0


@pytest.mark.parametrize(
    ("id", "message"),
    [
        ("cus_1", "another customer has the same id"),
        ("ext_1", "begin with ext_, the prefix of external ids, not 'ext_1'"),
        ("", "id must not be empty"),
    ],
)
def test_create_with_invalid_id_of_ids_function_names_the_id(
    mount: Any, id: str, message: str
) -> None:
    given = iter(["cus_1", id, id, id])
    with FakeDub(ids=given.__next__) as fake:
        api = mount(fake)
        api.create("a")
        response = api("POST", "/customers", json={"externalId": "b", "country": "GB"})
        assert response.status_code == 422
        assert message in response.json()["error"]["message"]
        with pytest.raises(ValueError, match=message):
            fake.add()
        assert api.listed() == ["a"]


def test_invalid_id_of_ids_function_adds_no_customers() -> None:
    given = iter(["cus_1", "ext_1"])
    with FakeDub(ids=given.__next__) as fake:
        with pytest.raises(ValueError, match=r"begin with ext_.*'ext_1'"):
            fake.add_many(2)
        assert fake.customer_count == 0


def test_expanded_objects_are_returned_only_if_requested(fake: FakeDub, api: Any) -> None:
    fake.add(
        external_id="a",
        program_id="prog_1",
        link={"id": "link_9", "domain": "acme.link", "key": "ada", "program_id": "prog_1"},
        partner={"name": "Grace"},
        discount={"amount": 20, "type": "flat", "max_duration": 3},
    )
    fake.add(external_id="b")
    plain = api("GET", "/customers/ext_a").json()
    assert len(plain) == 12
    expanded = api("GET", "/customers/ext_a", "includeExpandedFields=true").json()
    assert {key: expanded[key] for key in plain if key != "name"} == {
        key: plain[key] for key in plain if key != "name"
    }
    assert expanded["programId"] == "prog_1"
    assert expanded["link"] == {
        "id": "link_9",
        "domain": "acme.link",
        "key": "ada",
        "shortLink": "https://acme.link/ada",
        "url": "https://example.com",
        "programId": "prog_1",
    }
    assert expanded["partner"] == {"id": "pn_1", "name": "Grace", "email": None, "image": None}
    assert (expanded["discount"]["amount"], expanded["discount"]["maxDuration"]) == (20, 3)
    listed = api("GET", "/customers", "includeExpandedFields=true&sortOrder=asc").json()
    assert [len(customer) for customer in listed] == [16, 12]
    updated = api("PATCH", "/customers/ext_a", "includeExpandedFields=true", json={}).json()
    assert updated["link"] == expanded["link"]
    created = api(
        "POST",
        "/customers",
        "includeExpandedFields=true",
        json={"externalId": "c", "country": "GB"},
    )
    assert len(created.json()) == 12


def test_add_stores_the_given_fields(fake: FakeDub, api: Any) -> None:
    moment = dt.datetime(2024, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
    fields = {
        "external_id": "a",
        "name": "A",
        "email": "a@example.com",
        "avatar": "https://example.com/a.png",
        "stripe_customer_id": "s",
        "country": "DE",
        "created_at": moment,
        "sales": 3,
        "sale_amount": 4500,
        "first_sale_at": moment,
        "subscription_canceled_at": moment,
    }
    added = fake.add(**fields)
    assert {name: getattr(added, name) for name in fields} == fields
    assert fake.customers == [added]
    shown = api("GET", "/customers/ext_a").json()
    assert (shown["sales"], shown["saleAmount"]) == (3, 4500)
    assert shown["createdAt"] == shown["firstSaleAt"] == "2024-01-02T03:04:05.678Z"


def test_add_rejects_duplicate_unique_fields_and_naive_dates(fake: FakeDub) -> None:
    fake.add(id="cus_1", external_id="a", stripe_customer_id="s")
    for fields in ({"id": "cus_1"}, {"external_id": "a"}, {"stripe_customer_id": "s"}):
        with pytest.raises(ValueError, match="same"):
            fake.add(**fields)
    with pytest.raises(ValueError, match="created_at has no time zone"):
        fake.add(created_at=dt.datetime(2024, 1, 1))
    with pytest.raises(TypeError):
        fake.add(nickname="x")  # type: ignore[call-arg]


def test_add_many_adds_missing_customers_in_order(fake: FakeDub, api: Any) -> None:
    fake.add(external_id="user_2", name="Mine")
    assert fake.add_many(250) == 249
    assert fake.add_many(250) == 0
    assert fake.add_many(251) == 1
    assert len(fake.customers) == 251
    newest = api("GET", "/customers", "pageSize=2").json()
    assert newest[0]["externalId"] == "user_251"


def test_customers_and_requests_properties_return_copies(fake: FakeDub, api: Any) -> None:
    api.create("a", name="A")
    fake.customers.clear()
    fake.requests.clear()
    assert len(fake.customers) == 1
    asked = fake.requests[0]
    assert (asked.method, asked.path, asked.status) == ("POST", "/customers", 201)
    assert asked.json == {"externalId": "a", "country": "GB", "name": "A"}
    assert asked.headers["authorization"] == "Bearer dub_test"
    asked.status = 0
    assert fake.requests[0].status == 201
    api("GET", "/customers/ext_a%2Fb", {"email": "a b", "page": "1"})
    asked = fake.requests[-1]
    assert (asked.path, asked.query) == ("/customers/ext_a%2Fb", {"email": "a b", "page": "1"})
    assert asked.status == 404
    assert "dub_test" not in repr(asked)


def test_clear_removes_customers_and_requests(fake: FakeDub, api: Any) -> None:
    api.create("a")
    fake.clear()
    assert (fake.customers, fake.requests) == ([], [])
    api.create("a")


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "king"},
        {"plan": "gold"},
        {"rate_limit": -1},
        {"window": 0},
        {"latency": -1},
        {"token": ()},
        {"token": ""},
        {"base_url": "api.dub.co"},
    ],
)
def test_fake_with_an_invalid_constructor_argument_raises(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FakeDub(**wrong)
