"""The customers API, declared for the asynchronous client."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Literal, Unpack, overload

from .._declarative.decorators import like
from .._declarative.methods import explicit_signature
from ..declare import BodyOptions, CallOptions
from ..models.components import Customer, CustomerCount
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    GetCustomerRequest,
    GetCustomersRequest,
    UpdateCustomerRequestBody,
)
from .async_batches import AsyncCustomerBatches
from .async_pages import AsyncCustomerIterator, AsyncCustomerPage
from .consumer import CustomersConsumer
from .pages import traversal
from .parameters import (
    CountOptions,
    ExpandOptions,
    IterateOptions,
    ListOptions,
    UpdateOptions,
    iterate_query,
)
from .recovery import CustomerOperation


class AsyncCustomersConsumer(AsyncCustomerBatches):
    """The customers of a workspace, asynchronously.

    It is the same object as ``AsyncDub(…).customers``, and takes the arguments, raises the errors
    and keeps the promises of :class:`~dub_uplink.CustomersConsumer`; ``client`` is an
    ``aiohttp.ClientSession``.
    """

    __module__ = "dub_uplink"

    _page_type = AsyncCustomerPage
    _recovery = CustomerOperation

    @like(CustomersConsumer.list)
    async def list(
        self,
        request: GetCustomersRequest | Mapping[str, Any] | None = None,
        **options: Unpack[ListOptions],
    ) -> AsyncCustomerPage:
        """See :meth:`CustomersConsumer.list`."""
        raise NotImplementedError

    @overload
    async def count(self, *, group_by: None = None, **options: Unpack[CountOptions]) -> int: ...
    @overload
    async def count(
        self, *, group_by: Literal["country", "link_id"], **options: Unpack[CountOptions]
    ) -> builtins.list[CustomerCount]: ...
    @like(CustomersConsumer.count)
    async def count(
        self, *, group_by: str | None = None, **options: Unpack[CountOptions]
    ) -> int | builtins.list[CustomerCount]:
        """See :meth:`CustomersConsumer.count`."""
        raise NotImplementedError

    @like(CustomersConsumer.create)
    async def create(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.create`."""
        raise NotImplementedError

    @like(CustomersConsumer.get)
    async def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.get`."""
        raise NotImplementedError

    @like(CustomersConsumer.update)
    async def update(
        self,
        id: str,
        request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
        **options: Unpack[UpdateOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.update`."""
        raise NotImplementedError

    @like(CustomersConsumer.delete)
    async def delete(
        self,
        id: str,
        **options: Unpack[CallOptions],
    ) -> DeleteCustomerResponseBody:
        """See :meth:`CustomersConsumer.delete`."""
        raise NotImplementedError

    @explicit_signature
    def iterate(
        self,
        *,
        cursor: str | None = None,
        prefetch: bool = False,
        **options: Unpack[IterateOptions],
    ) -> AsyncCustomerIterator:
        """Go through every customer, each exactly once: ``async for c in s.customers.iterate()``.

        As :meth:`CustomersConsumer.iterate`, and:

        Args:
            prefetch: fetch the next page while the customers of this one are used.
        """
        query, call = iterate_query(options)

        async def fetch(query: Mapping[str, Any]) -> AsyncCustomerPage:
            return await self.list(query, **call)

        return AsyncCustomerIterator(fetch, traversal(query, cursor), query, prefetch=prefetch)
