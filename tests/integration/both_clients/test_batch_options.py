"""Test that wrong options of iterations and batches raise before the first result."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink import UNSET, RetryConfig, amap_unordered, map_unordered
from dub_uplink.testing import FakeDub

BODY = {"external_id": "1", "country": "GB"}
CALLS: dict[str, Any] = {
    "iterate": lambda c, **options: c.iterate(**options),
    "create_many": lambda c, **options: c.create_many([BODY], **options),
    "delete_many": lambda c, **options: c.delete_many(["ext_1"], **options),
    "update_many": lambda c, **options: c.update_many([("ext_1", {})], **options),
    "upsert_many": lambda c, **options: c.upsert_many([BODY], **options),
}
WITH_BODY = ["create_many", "update_many", "upsert_many"]
WRONG: list[tuple[type[Exception], dict[str, Any]]] = [
    (TypeError, {"retries": "x"}),
    (TypeError, {"retires": None}),
    (TypeError, {"timeout_ms": "5"}),
    (ValueError, {"timeout_ms": -1}),
    (TypeError, {"http_headers": "X-Team: a"}),
    (ValueError, {"http_headers": {"Authorization": "Bearer a"}}),
    (TypeError, {"extra_query": "a=b"}),
    (ValueError, {"extra_query": {"a": None}}),
]
each_call = pytest.mark.parametrize("name", CALLS)


@pytest.fixture
def consumer(customers: Any) -> Any:
    """Return the consumer of either client; the tests take no results."""
    return getattr(customers, "consumer", customers)


@each_call
@pytest.mark.parametrize(("error", "options"), WRONG, ids=str)
def test_batch_with_invalid_option_raises_when_called(
    fake: FakeDub, consumer: Any, name: str, error: type[Exception], options: dict[str, Any]
) -> None:
    with pytest.raises(error, match=next(iter(options))):
        CALLS[name](consumer, **options)
    assert not fake.requests


@pytest.mark.parametrize("name", ["upsert", "ensure"])
@pytest.mark.parametrize(("error", "options"), WRONG, ids=str)
def test_upsert_with_invalid_option_raises_before_sending(
    fake: FakeDub, customers: Any, name: str, error: type[Exception], options: dict[str, Any]
) -> None:
    with pytest.raises(error, match=next(iter(options))):
        getattr(customers, name)(BODY, **options)
    assert not fake.requests


@each_call
def test_batch_options_accept_none_and_unset(consumer: Any, name: str) -> None:
    CALLS[name](consumer, retries=None, timeout_ms=None, http_headers=None, extra_query=None)
    CALLS[name](consumer, retries=UNSET, timeout_ms=UNSET)
    CALLS[name](consumer, retries=RetryConfig(), timeout_ms=1, extra_query={"a": 1, "b": UNSET})


@pytest.mark.parametrize("name", WITH_BODY)
@pytest.mark.parametrize(
    ("error", "body"),
    [(TypeError, [1]), (ValueError, {"externalId": "2"}), (TypeError, {"a": object()})],
)
def test_batch_with_invalid_extra_body_raises_when_called(
    consumer: Any, name: str, error: type[Exception], body: Any
) -> None:
    with pytest.raises(error, match=r"extra_body"):
        CALLS[name](consumer, extra_body=body)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("iterate", "pageSize"),
        ("update_many", "includeExpandedFields"),
        ("upsert_many", "includeExpandedFields"),
    ],
)
def test_batch_with_known_parameter_in_extra_query_raises(
    consumer: Any, name: str, key: str
) -> None:
    with pytest.raises(ValueError, match=key):
        CALLS[name](consumer, extra_query={key: "1"})


@pytest.mark.parametrize("name", ["iterate", "update_many"])
def test_batch_with_non_boolean_flag_raises_when_called(consumer: Any, name: str) -> None:
    with pytest.raises(ValueError, match="include_expanded_fields"):
        CALLS[name](consumer, include_expanded_fields="yes")


@pytest.mark.parametrize("batch", [map_unordered, amap_unordered])
@pytest.mark.parametrize("call", [None, "delete", 5])
def test_map_unordered_without_callable_raises_when_called(batch: Any, call: Any) -> None:
    with pytest.raises(TypeError, match="callable"):
        batch(call, ["ext_1"])


@pytest.mark.parametrize("batch", [map_unordered, amap_unordered])
@pytest.mark.parametrize(("error", "workers"), [(ValueError, 0), (ValueError, "8")])
def test_map_unordered_with_invalid_workers_raises_when_called(
    batch: Any, error: type[Exception], workers: Any
) -> None:
    with pytest.raises(error, match="workers"):
        batch(print, ["ext_1"], workers)


EXPANDED: dict[str, Any] = {
    "keyword": lambda call, body: call(body, include_expanded_fields=True),
    "extra_query": lambda call, body: call(body, extra_query={"includeExpandedFields": "true"}),
}


@pytest.mark.parametrize("way", EXPANDED)
@pytest.mark.parametrize("name", ["upsert", "upsert_many", "ensure"])
def test_upsert_with_include_expanded_fields_is_rejected(
    fake: FakeDub, customers: Any, way: str, name: str
) -> None:
    body: Any = [BODY] if name == "upsert_many" else BODY
    text = rf"^{name}\(\) takes no include.?expanded.?fields: Dub does not expand"
    with pytest.raises((TypeError, ValueError), match=rf"(?i){text}") as caught:
        EXPANDED[way](getattr(customers, name), body)
    assert "get()" in str(caught.value)
    assert not fake.requests


@pytest.mark.parametrize("key", ["include_expanded_fields", "includeExpandedFields"])
@pytest.mark.parametrize("name", ["upsert", "ensure"])
def test_create_with_include_expanded_fields_is_rejected(
    fake: FakeDub, customers: Any, key: str, name: str
) -> None:
    with pytest.raises(ValueError, match=rf"^{name}\(\) takes no {key}: Dub does not expand"):
        getattr(customers, name)({**BODY, key: True})
    assert not fake.requests


@pytest.mark.parametrize("key", ["subscription_canceled_at", "subscriptionCanceledAt"])
@pytest.mark.parametrize("name", ["upsert", "upsert_many", "ensure"])
def test_upsert_with_subscription_canceled_at_is_rejected(
    fake: FakeDub, customers: Any, key: str, name: str
) -> None:
    body: Any = [BODY] if name == "upsert_many" else BODY
    with pytest.raises(ValueError, match=rf"^{name}\(\) takes no {key}: .*; call update\(\)"):
        getattr(customers, name)(body, extra_body={key: None})
    assert not fake.requests
