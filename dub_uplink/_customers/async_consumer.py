"""The customers API, declared for the asynchronous client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from typing import Any, Unpack

from .._concurrency.tasks import map_ordered
from .._declarative.async_consumer import AsyncDubConsumer
from .._declarative.decorators import like
from .._declarative.methods import explicit_signature
from .._declarative.schemas import serialize_request
from ..declare import CallOptions
from ..models.components import Customer
from ..models.errors import Conflict, DubError, NotFound
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    GetCustomerRequest,
    GetCustomersRequest,
    UpdateCustomerRequestBody,
)
from .async_pages import AsyncCustomerIterator, AsyncCustomerPage
from .consumer import CustomersConsumer
from .pages import traversal
from .parameters import ExpandOptions, IterateOptions, ListOptions, iterate_query
from .recovery import CustomerOperation
from .schemas import CreateSchema

_CREATE = CreateSchema()


class AsyncCustomersConsumer(AsyncDubConsumer):
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

    @like(CustomersConsumer.create)
    async def create(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[CallOptions],
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
        **options: Unpack[ExpandOptions],
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

    @explicit_signature
    async def ensure(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[CallOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.ensure`."""
        body = serialize_request(_CREATE, request, "ensure()")
        try:
            return await self.get(f"ext_{body['externalId']}", **options)
        except NotFound:
            pass
        try:
            return await self.create(body, **options)
        except Conflict as error:
            conflict = error
        try:
            return await self.get(f"ext_{body['externalId']}", **options)
        except NotFound:
            raise conflict from None

    @explicit_signature
    def create_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]]
        | AsyncIterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[Customer | DubError | ValueError | TypeError, None]:
        """Create customers in tasks, each exactly once, as :meth:`CustomersConsumer.create_many`.

        ``requests`` may also be an asynchronous iterable. ``aclose()`` cancels the calls in flight.
        """

        async def create(request: CreateCustomerRequestBody | Mapping[str, Any]) -> Customer:
            return await self.create(request, **options)

        return map_ordered(create, requests, workers)

    @explicit_signature
    def delete_many(
        self,
        ids: Iterable[str] | AsyncIterable[str],
        *,
        workers: int = 8,
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[DeleteCustomerResponseBody | DubError | ValueError | TypeError, None]:
        """Delete customers in tasks, as :meth:`CustomersConsumer.delete_many`.

        ``ids`` may also be an asynchronous iterable, such as
        ``(customer.id async for customer in s.customers.iterate())``.
        """

        async def delete(id: str) -> DeleteCustomerResponseBody:
            return await self.delete(id, **options)

        return map_ordered(delete, ids, workers)
