"""Test views of a client with other defaults."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uplink
from requests.structures import CaseInsensitiveDict

from dub_uplink import (
    UNSET,
    AsyncDub,
    BackoffStrategy,
    CustomersConsumer,
    Dub,
    DubConsumer,
    RateLimit,
    RetryBudget,
    RetryConfig,
    declare,
    errors,
)
from dub_uplink.testing import FakeDub, faults

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 2, 1.5, 60_000), True)


def wrap(customers: Any, **options: Any) -> Any:
    """Return a view of either client, with synchronous methods."""
    if isinstance(customers, CustomersConsumer):
        return customers.with_options(**options)
    return type(customers)(customers.loop, customers.consumer.with_options(**options))


def headers(fake: FakeDub, name: str) -> list[str | None]:
    return [CaseInsensitiveDict(request.headers).get(name) for request in fake.requests]


def test_with_options_without_retries_sends_one_request(fake: FakeDub, customers: Any) -> None:
    fake.faults.add(faults.Status(503), times=3)
    with pytest.raises(errors.SDKError):
        wrap(customers, retries=None).count()
    assert len(fake.requests) == 1
    assert customers.count() == 0  # the client retries as before


def test_call_retries_override_with_options_retries(fake: FakeDub, make: Any) -> None:
    view = wrap(make(retry_config=None), retries=SHORT_RETRIES)
    fake.faults.add(faults.Status(503), times=3)
    with pytest.raises(errors.SDKError):
        view.count(retries=None)
    assert view.count(retries=UNSET) == 0
    assert len(fake.requests) == 4


@pytest.mark.parametrize("name", ["upsert", "ensure", "upsert_many"])
@pytest.mark.parametrize("raw", [False, True])
def test_unset_retries_of_several_calls_keep_the_view(
    fake: FakeDub, customers: Any, skips: Any, name: str, raw: bool
) -> None:
    """Other clients create and delete the customer, so that each create is a conflict."""
    body = {"external_id": "a", "country": "GB"}
    fake.faults.add(faults.Status(409), method="POST", times=None)
    view = wrap(customers, retries=None)
    if raw:
        if name == "upsert_many":
            pytest.skip("a batch has no raw response")
        raw_view = view.with_raw_response
        is_sync = isinstance(customers, CustomersConsumer)
        view = raw_view if is_sync else type(customers)(customers.loop, raw_view)
    if name == "upsert_many":
        [result] = view.upsert_many([body], retries=UNSET)
        assert isinstance(result, errors.Conflict)
    else:
        with pytest.raises(errors.Conflict):
            getattr(view, name)(body, retries=UNSET)
    assert len(fake.requests) == 3
    assert skips.slept == []


def test_unset_option_of_a_call_counts_as_not_given(fake: FakeDub, customers: Any) -> None:
    fake.add(external_id="a", email="a@example.com", link={"key": "sale"})
    omitted: Any = dict.fromkeys(("timeout_ms", "http_headers", "retries"), UNSET)
    view = wrap(wrap(customers, http_headers={"X-Team": "growth"}), **omitted)
    options: Any = {**omitted, "extra_query": UNSET, "include_expanded_fields": UNSET}
    [listed] = view.list({"email": "a@example.com"}, email=UNSET, page=UNSET, **options)
    [iterated] = view.iterate(page_size=UNSET, **options)
    read = view.get({"id": "ext_a", "include_expanded_fields": True}, **options)
    updated = view.update("ext_a", {}, extra_body=UNSET, **options)
    [changed] = view.update_many([("ext_a", {})], extra_body=UNSET, **options)
    assert listed == iterated == updated == changed
    assert read.link is not None
    assert set(headers(fake, "X-Team")) == {"growth"}


def test_with_options_timeout_limits_every_call(fake: FakeDub, make: Any) -> None:
    fake.faults.add(faults.Delay(0.5), times=None)
    view = wrap(make(retry_config=None), timeout_ms=50)
    with pytest.raises(errors.APITimeoutError):
        view.count()
    with pytest.raises(errors.APITimeoutError):
        view.count(timeout_ms=None)  # the default, which is that of the view
    assert view.count(timeout_ms=20_000) == 0


def test_call_headers_override_with_options_headers(fake: FakeDub, customers: Any) -> None:
    view = wrap(customers, http_headers={"X-Team": "growth", "X-Run": "1"})
    view.count()
    view.count(http_headers={"x-team": "sales"})
    customers.count()
    assert headers(fake, "X-Team") == ["growth", "sales", None]
    assert headers(fake, "X-Run") == ["1", "1", None]


def test_second_with_options_keeps_the_options_of_the_first(fake: FakeDub, customers: Any) -> None:
    first = wrap(customers, retries=None, http_headers={"X-Team": "growth", "X-Run": "1"})
    second = wrap(first, http_headers={"x-team": "sales"})
    fake.faults.add(faults.Status(503))
    with pytest.raises(errors.SDKError):
        second.count()
    first.count()
    assert headers(fake, "X-Team") == ["sales", "growth"]
    assert headers(fake, "X-Run") == ["1", "1"]


def test_with_options_apply_to_pages_and_batches(fake: FakeDub, customers: Any) -> None:
    fake.add_many(3)
    view = wrap(customers, http_headers={"X-Team": "growth"})
    assert len(view.list(page_size=2).next()) == 1
    assert len(list(view.iterate(page_size=2))) == 3
    view.upsert({"external_id": "new", "country": "GB"})
    list(view.delete_many(["ext_new"]))
    assert set(headers(fake, "X-Team")) == {"growth"}


def test_with_options_apply_to_subclass_endpoints(fake: FakeDub, make: Any) -> None:
    @declare.returns.json(type=dict)
    @declare.headers({"X-Run": "declared"})
    @declare.get("customers/{id}")
    @make.stub
    def raw(self: Any, id: str) -> dict[str, Any]:
        raise NotImplementedError

    fake.add(external_id="1")
    fake.faults.add(faults.Status(503))
    view = wrap(make({"raw": raw}), retries=None, http_headers={"X-Team": "growth", "x-run": "1"})
    with pytest.raises(errors.SDKError):
        view.raw("ext_1")
    assert headers(fake, "X-Team") == ["growth"]
    assert headers(fake, "X-Run") == ["declared"]


@pytest.mark.parametrize("decorator", [declare.timeout, uplink.timeout])
def test_declared_timeout_overrides_with_options_timeout(
    fake: FakeDub, make: Any, decorator: Any
) -> None:
    def declared(seconds: float) -> Any:
        @decorator(seconds)
        @declare.get("customers", args={"options": declare.Options})
        @make.stub
        def endpoint(self: Any, **options: Any) -> Any: ...

        return endpoint

    fake.faults.add(faults.Delay(0.5), times=None)
    client = make({"short": declared(0.05), "long": declared(20)}, retry_config=None)
    view = wrap(client, timeout_ms=20_000)
    with pytest.raises(errors.APITimeoutError):
        view.short()
    assert view.short(timeout_ms=20_000).ok
    view = wrap(client, timeout_ms=50)
    assert view.long().ok
    with pytest.raises(errors.APITimeoutError):
        view.long(timeout_ms=50)
    with pytest.raises(errors.APITimeoutError):
        view.list()


def test_with_options_shares_the_retry_budget(fake: FakeDub, make: Any) -> None:
    budget = RetryBudget(1)
    view = wrap(make(retry_budget=budget), http_headers={"X-Team": "growth"})
    budget.take()
    fake.faults.add(faults.Status(503))
    with pytest.raises(errors.SDKError):
        view.count()
    assert len(fake.requests) == 1


def test_with_options_shares_the_rate_limit_and_the_status(fake: FakeDub, make: Any) -> None:
    customers = make(rate_limit=RateLimit(1, per=3_600))
    view = wrap(customers, http_headers={"X-Team": "growth"})
    fake.faults.add(faults.RateLimited())
    with pytest.raises(errors.RateLimitExceeded):
        view.count(retries=None)
    assert customers.rate_limit_status is view.rate_limit_status
    assert customers.rate_limit_status.limit == 60
    with pytest.raises(errors.RateLimitExceeded, match="not sent"):
        customers.count(timeout_ms=100, retries=None)


def test_closing_a_with_options_client_leaves_the_original_open(
    fake: FakeDub, customers: Any
) -> None:
    view = wrap(customers, retries=None)
    close = "close" if isinstance(customers, CustomersConsumer) else "aclose"
    getattr(view, close)()
    assert customers.count() == view.count() == 0
    getattr(customers, close)()
    with pytest.raises(RuntimeError, match="closed"):
        view.count()
    assert len(fake.requests) == 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"retries": 3}, TypeError),
        ({"timeout_ms": 0}, ValueError),
        ({"timeout_ms": "1"}, TypeError),
        ({"http_headers": {"X-A": "1", "x-a": "2"}}, ValueError),
        ({"http_headers": {"Authorization": "Bearer x"}}, ValueError),
        ({"http_headers": "x"}, TypeError),
        ({"token": "dub_other"}, TypeError),
    ],
)
def test_with_options_rejects_invalid_options(
    customers: Any, options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        wrap(customers, **options)


def test_with_options_of_dub_applies_to_customers(fake: FakeDub) -> None:
    class Links(DubConsumer):
        @declare.get("customers/count")
        def counted(self) -> Any:
            raise NotImplementedError

    class Shop(Dub):
        def __init__(self, url: str) -> None:
            super().__init__("dub_test", server_url=url)
            self.links = Links("dub_test", server_url=url)
            self.country = "GB"

    with fake.serve() as url, Shop(url) as shop:
        with shop.with_options(http_headers={"X-Team": "growth"}) as view:
            assert type(view) is Shop
            assert (view.country, view.customers.count()) == ("GB", 0)
            view.links.counted()
        assert shop.customers.count() == 0
        assert view.rate_limit_status is shop.rate_limit_status
        shop.links.close()
    assert headers(fake, "X-Team") == ["growth", "growth", None]


def test_with_options_of_async_dub_applies_to_customers(fake: FakeDub) -> None:
    async def main(url: str) -> None:
        async with AsyncDub("dub_test", server_url=url) as dub:
            async with dub.with_options(http_headers={"X-Team": "growth"}) as view:
                assert await view.customers.count() == 0
            assert await dub.customers.count() == 0
        with pytest.raises(RuntimeError, match="closed"):
            await view.customers.count()

    with fake.serve() as url:
        asyncio.run(main(url))
    assert headers(fake, "X-Team") == ["growth", None]
