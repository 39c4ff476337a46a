"""Use the asynchronous client in typical user code, for strict type checkers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any, Unpack, assert_type

from dub_uplink import (
    AsyncCustomerIterator,
    AsyncCustomerPage,
    AsyncCustomersConsumer,
    AsyncDub,
    Customer,
    RateLimit,
    RawResponse,
    amap_unordered,
    declare,
    errors,
    operations,
)
from dub_uplink.declare import CallOptions
from dub_uplink.models import components
from dub_uplink.types import ExpandOptions


class MyCustomers(AsyncCustomersConsumer):
    """A subclass with another endpoint and an overridden method."""

    @declare.returns.json
    @declare.get(
        "customers/{id}/notes",
        args={"page_size": declare.Query, "options": declare.Options},
    )
    async def notes(
        self, id: str, *, page_size: int | None = None, **options: Unpack[CallOptions]
    ) -> dict[str, Any]:
        """Return the notes; uplink replaces this body."""
        raise NotImplementedError

    async def get(
        self,
        request: str | operations.GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> Customer:
        options.setdefault("include_expanded_fields", True)
        return await super().get(request, **options)


async def every_operation(url: str) -> None:
    limit = RateLimit(50, per=0.5, priority="bulk")
    async with AsyncDub("dub_test", server_url=url, timeout_ms=5_000, rate_limit=limit) as s:
        customers = assert_type(s.customers, AsyncCustomersConsumer)
        made = await customers.create({"external_id": "1", "country": "GB"})
        assert_type(made, Customer)
        assert_type(await customers.get("ext_1", retries=None), Customer)
        assert_type(await customers.update(made.id, {"name": None}), Customer)
        assert_type(await customers.update(made.id, extra_body={"tier": 1}), Customer)
        raw = customers.with_raw_response
        assert_type(await raw.get("ext_1"), RawResponse[Customer])
        assert_type((await raw.list(page_size=1)).parse(), AsyncCustomerPage)
        assert_type(await raw.count(), RawResponse[int])
        assert_type(await raw.upsert({"external_id": "1"}), RawResponse[Customer])
        assert_type((await raw.count(group_by="country")).parse(), list[components.CustomerCount])
        deleted = await customers.delete(id=made.id)
        assert_type(deleted, operations.DeleteCustomerResponseBody)
        assert_type(await customers.count(country="GB"), int)
        groups = await customers.count(group_by="link_id")
        assert_type(groups, list[components.CustomerCount])
        assert_type(s.with_options(timeout_ms=1_000), AsyncDub)
        page = await customers.list(country="GB", page_size=50)
        assert_type(page, AsyncCustomerPage)
        assert_type(await page.next(), AsyncCustomerPage | None)
        for listed in page:
            assert_type(listed, Customer)
        iterator = customers.iterate(prefetch=True)
        assert_type(iterator, AsyncCustomerIterator)
        async for customer in iterator:
            assert_type(customer, Customer)
        assert_type(iterator.cursor, str)
        assert_type(await customers.ensure({"external_id": "1", "country": "GB"}), Customer)
        async with contextlib.aclosing(
            customers.create_many([{"external_id": "1"}], workers=4)
        ) as results:
            async for result in results:
                assert_type(result, Customer | errors.DubError | ValueError | TypeError)
        assert_type(await customers.upsert({"external_id": "1", "country": "GB"}), Customer)
        async with contextlib.aclosing(customers.update_many([("ext_1", {})])) as changed:
            async for result in changed:
                assert_type(result, Customer | errors.DubError | ValueError | TypeError)
        async with contextlib.aclosing(customers.upsert_many([{"external_id": "1"}])) as upserted:
            async for result in upserted:
                assert_type(result, Customer | errors.DubError | ValueError | TypeError)
        ids = (customer.id async for customer in customers.iterate(country="US"))
        async with contextlib.aclosing(customers.delete_many(ids)) as ends:
            async for end in ends:
                assert_type(
                    end,
                    operations.DeleteCustomerResponseBody
                    | errors.DubError
                    | ValueError
                    | TypeError,
                )
        async for given, answered in amap_unordered(customers.get, ["ext_1"], workers=2):
            assert_type(given, str)
            assert_type(answered, Customer | errors.DubError | ValueError | TypeError)


class Shop(AsyncDub):
    """A subclass with another method."""

    def country(self) -> str:
        return "GB"


async def fetch_token() -> str:
    return "dub_test"


async def a_subclass(url: str) -> None:
    async with Shop("dub_test", server_url=url) as shop:
        assert_type(shop.country(), str)
    async with MyCustomers(fetch_token, server_url=url) as mine:
        assert_type(mine, MyCustomers)
        assert_type(await mine.get("ext_1"), Customer)
        try:
            assert_type(await mine.notes("ext_1", page_size=1, retries=None), dict[str, Any])
        except errors.SDKError as error:
            assert_type(error.status_code, int)  # the fake does not have this route
