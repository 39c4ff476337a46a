"""Test ``extra_query`` and ``extra_body``: parameters and fields without a keyword argument."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import pytest

from dub_uplink import UNSET, RetryConfig, declare, errors
from dub_uplink.testing import FakeDub, faults

EAST = dt.timezone(dt.timedelta(hours=14))
BODY = {"external_id": "1", "country": "GB"}
CALLS: dict[str, Any] = {
    "list": lambda c, **o: c.list(**o),
    "count": lambda c, **o: c.count(**o),
    "create": lambda c, **o: c.create(BODY, **o),
    "get": lambda c, **o: c.get("ext_0", **o),
    "update": lambda c, **o: c.update("ext_0", **o),
    "delete": lambda c, **o: c.delete("ext_0", **o),
    "iterate": lambda c, **o: list(c.iterate(**o)),
    "ensure": lambda c, **o: c.ensure(BODY, **o),
    "upsert": lambda c, **o: c.upsert(BODY, **o),
    "create_many": lambda c, **o: list(c.create_many([BODY], **o)),
    "delete_many": lambda c, **o: list(c.delete_many(["ext_0"], **o)),
    "update_many": lambda c, **o: list(c.update_many([("ext_0", {})], **o)),
    "upsert_many": lambda c, **o: list(c.upsert_many([BODY], **o)),
}
WITH_BODY = {"create", "update", "ensure", "upsert", "create_many", "update_many", "upsert_many"}
each_call = pytest.mark.parametrize("name", CALLS)
each_with_body = pytest.mark.parametrize("name", sorted(WITH_BODY))
each_without_body = pytest.mark.parametrize("name", sorted(CALLS.keys() - WITH_BODY))


@pytest.fixture
def fake() -> FakeDub:
    fake = FakeDub()
    fake.add(external_id="0", country="GB")
    return fake


def bodies(fake: FakeDub) -> list[Any]:
    sent = [request.body for request in fake.requests if request.method in ("POST", "PATCH")]
    return [json.loads(body) for body in sent]


@each_call
def test_extra_query_is_sent_with_every_request(fake: FakeDub, customers: Any, name: str) -> None:
    extra = {"new_filter": "a b", "newFlag": True, "n": 5}
    CALLS[name](customers, extra_query=extra)
    assert fake.requests
    for request in fake.requests:
        sent = {key: request.query[key] for key in extra}
        assert sent == {"new_filter": "a b", "newFlag": "true", "n": "5"}


@each_with_body
def test_extra_body_is_sent_with_every_write(fake: FakeDub, customers: Any, name: str) -> None:
    extra = {"new_field": {"a": [1, None]}, "newFlag": True}
    CALLS[name](customers, extra_body=extra)
    assert bodies(fake)
    for body in bodies(fake):
        assert {key: body[key] for key in extra} == extra
    assert extra == {"new_field": {"a": [1, None]}, "newFlag": True}


@each_without_body
def test_extra_body_for_an_operation_without_body_is_rejected(
    fake: FakeDub, customers: Any, name: str
) -> None:
    with pytest.raises(TypeError, match=rf"{name}\(\) takes no extra_body: it sends no body"):
        CALLS[name](customers, extra_body={"a": 1})
    assert not fake.requests


@pytest.mark.parametrize("option", ["extra_query", "extra_body"])
@pytest.mark.parametrize("value", ["a=b", [("a", "b")], 5])
@pytest.mark.parametrize("name", ["create", "update", "ensure", "upsert"])
def test_extra_query_or_body_that_is_not_a_mapping_is_rejected(
    fake: FakeDub, customers: Any, option: str, value: Any, name: str
) -> None:
    with pytest.raises(TypeError, match=f"{option} must be a mapping from strings"):
        CALLS[name](customers, **{option: value})
    assert not fake.requests


@pytest.mark.parametrize("option", ["extra_query", "extra_body"])
@pytest.mark.parametrize("name", ["create", "update", "ensure", "upsert"])
def test_extra_query_or_body_with_non_string_key_is_rejected(
    fake: FakeDub, customers: Any, option: str, name: str
) -> None:
    with pytest.raises(TypeError, match=f"{option}: keys must be strings, not int"):
        CALLS[name](customers, **{option: {"a": "b", 1: "a"}})
    assert not fake.requests


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("list", "pageSize"),
        ("list", "page_size"),
        ("list", "country"),
        ("iterate", "startingAfter"),
        ("count", "groupBy"),
        ("count", "externalId"),
        ("get", "includeExpandedFields"),
        ("update", "include_expanded_fields"),
    ],
)
def test_extra_query_with_a_known_parameter_is_rejected(
    fake: FakeDub, customers: Any, name: str, key: str
) -> None:
    with pytest.raises(ValueError, match=f"extra_query: the call sets '{key}'"):
        CALLS[name](customers, extra_query={key: "1"})
    assert not fake.requests


@pytest.mark.parametrize("name", ["create", "update", "ensure", "upsert"])
@pytest.mark.parametrize("key", ["externalId", "stripe_customer_id", "country"])
def test_extra_body_with_a_known_field_is_rejected(
    fake: FakeDub, customers: Any, name: str, key: str
) -> None:
    with pytest.raises(ValueError, match=f"extra_body: the call sets '{key}'"):
        CALLS[name](customers, extra_body={key: "1"})
    assert not fake.requests


@pytest.mark.parametrize("value", [None, ["a"], {"a": 1}, b"a", "\ud800"])
def test_extra_query_with_an_ambiguous_value_is_rejected(
    fake: FakeDub, customers: Any, value: Any
) -> None:
    with pytest.raises(ValueError, match=r"extra_query: '?new"):
        customers.list(extra_query={"new": value})
    assert not fake.requests


def test_extra_body_that_is_not_json_is_rejected(fake: FakeDub, customers: Any) -> None:
    with pytest.raises(TypeError, match="JSON"):
        customers.create(BODY, extra_body={"new": object()})
    assert not fake.requests


def test_extra_query_with_a_server_filter_filters_the_list(fake: FakeDub, customers: Any) -> None:
    ids = [fake.add(external_id=f"x{number}").id for number in range(5)]
    wanted = {"customerIds": ",".join(ids[:3])}
    page = customers.list(page_size=2, extra_query=wanted)
    rest = page.next()
    assert {customer.id for customer in [*page, *rest]} == set(ids[:3])
    found = [customer.id for customer in customers.iterate(page_size=2, extra_query=wanted)]
    assert sorted(found) == sorted(ids[:3])


def test_create_with_extra_body_and_lost_response_creates_once(
    fake: FakeDub, customers: Any
) -> None:
    fake.faults.add(faults.DropAfter(), method="POST")
    created = customers.create({**BODY, "name": "Ada"}, extra_body={"newField": 1})
    assert [customer.id for customer in fake.customers if customer.external_id == "1"] == [
        created.id
    ]
    fake.faults.add(faults.DropAfter(), method="POST")
    with pytest.raises(errors.Conflict):
        customers.create({**BODY, "name": "Bo"}, extra_body={"newField": 1})


def test_extra_query_is_sent_by_a_subclass_endpoint(fake: FakeDub, make: Any) -> None:
    @declare.json
    @declare.patch(
        "customers/{id}", args={"name": declare.Field("name"), "options": declare.Options}
    )
    @make.stub
    def rename(self: Any, id: str, name: str, **options: Any) -> Any:
        raise NotImplementedError

    @declare.params({"static": "1"})
    @declare.get("customers", args={"country": declare.Query, "options": declare.Options})
    @make.stub
    def search(self: Any, country: str | None = None, **options: Any) -> Any:
        raise NotImplementedError

    client = make({"rename": rename, "search": search}, retry_config=RetryConfig())
    client.rename("ext_0", "Ada", extra_body={"a": 1}, extra_query={"b": "2"})
    assert bodies(fake) == [{"name": "Ada", "a": 1}]
    assert fake.requests[-1].query == {"b": "2"}
    client.search(extra_query={"b": "2"})
    assert fake.requests[-1].query == {"b": "2", "static": "1"}
    sent = len(fake.requests)
    for call in (
        lambda: client.rename("ext_0", "Ada", extra_body={"name": "Bo"}),
        lambda: client.search(extra_query={"country": "GB"}),
        lambda: client.search(extra_query={"static": "2"}),
        lambda: client.search(extra_body={"a": 1}),
    ):
        with pytest.raises(ValueError, match=r"^extra_"):
            call()
    assert len(fake.requests) == sent


@pytest.mark.parametrize("value", [object(), lambda: 1])
def test_extra_query_value_of_unsupported_type_is_rejected(
    fake: FakeDub, customers: Any, value: object
) -> None:
    with pytest.raises(ValueError, match="extra_query: 'a' must be a string, a number"):
        customers.list(extra_query={"a": value})
    assert fake.requests == []


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        *((float(text), "be a finite number") for text in ("nan", "inf")),
        *((Decimal(text), "be a finite number") for text in ("NaN", "sNaN", "-Infinity")),
        (dt.datetime.min.replace(tzinfo=EAST), "be from year 1 to 9999 in UTC"),
    ],
    ids=str,
)
def test_extra_query_value_without_a_standard_form_is_rejected(
    fake: FakeDub, make: Any, value: object, problem: str
) -> None:
    @declare.get("customers", args={"by": declare.Query, "params": declare.QueryMap})
    @make.stub
    def things(self: Any, by: Any = None, **params: Any) -> Any: ...

    mine = make({"things": things})
    with pytest.raises(ValueError, match=f"^extra_query: a must {problem}"):
        mine.list(extra_query={"a": value})
    with pytest.raises(ValueError, match=f"^by must {problem}"):
        mine.things(value)
    with pytest.raises(ValueError, match=f"^a must {problem}"):
        mine.things(a=value)
    with pytest.raises(ValueError, match=r"^a query parameter contains an unpaired surrogate"):
        mine.things(**{"\ud800": 1})
    assert fake.requests == []


def test_extra_query_that_is_unset_is_not_sent(fake: FakeDub, customers: Any) -> None:
    customers.list(extra_query={"a": UNSET, "b": 1})
    assert fake.requests[-1].query == {"b": "1"}


def test_extra_body_that_is_unset_is_not_sent(fake: FakeDub, customers: Any) -> None:
    fake.add(external_id="a")
    extra = {"a": UNSET, "b": 1}
    customers.update("ext_a", {"name": "Ada"}, extra_body=extra)
    list(customers.update_many([("ext_a", {"name": "Ada"})], extra_body=extra))
    customers.upsert({"external_id": "a", "name": "Ada"}, extra_body=extra)
    assert [json.loads(request.body) for request in fake.requests] == [{"name": "Ada", "b": 1}] * 3


def test_extra_query_key_with_surrogate_is_rejected(fake: FakeDub, customers: Any) -> None:
    with pytest.raises(ValueError, match=r"^extra_query: a key contains an unpaired surrogate"):
        customers.list(extra_query={"a\ud800": "1"})
    with pytest.raises(ValueError, match=r"^extra_query: a key contains an unpaired surrogate"):
        customers.iterate(extra_query={"a\ud800": "1"})
    assert not fake.requests


def test_extra_query_with_a_large_decimal_is_sent(fake: FakeDub, customers: Any) -> None:
    customers.list(extra_query={"a": Decimal("1E+999")})
    assert fake.requests[0].query_string == "a=1E%2B999"
