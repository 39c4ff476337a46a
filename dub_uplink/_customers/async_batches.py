"""The asynchronous operations that are made of several calls."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from .._concurrency.tasks import map_ordered
from .._declarative.async_consumer import AsyncDubConsumer
from .._declarative.methods import explicit_signature
from .._declarative.schemas import serialize_request
from .._transport.call import UNCACHED
from ..declare import BodyOptions, CallOptions
from ..models.components import Customer
from ..models.errors import Conflict, DubError, NotFound
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    UpdateCustomerRequestBody,
)
from .batches import update_arguments, upsert_requests, without_extra_body
from .parameters import ExpandOptions, UpdateOptions
from .schemas import CreateSchema

_CREATE = CreateSchema()


class AsyncCustomerBatches(AsyncDubConsumer):
    """The operations that call the endpoints of :class:`~dub_uplink.AsyncCustomersConsumer`."""

    if TYPE_CHECKING:

        async def create(
            self,
            request: CreateCustomerRequestBody | Mapping[str, Any],
            **options: Unpack[BodyOptions],
        ) -> Customer: ...

        async def get(self, request: str, **options: Unpack[ExpandOptions]) -> Customer: ...

        async def update(
            self,
            id: str,
            request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
            **options: Unpack[UpdateOptions],
        ) -> Customer: ...

        async def delete(
            self, id: str, **options: Unpack[CallOptions]
        ) -> DeleteCustomerResponseBody: ...

    @explicit_signature
    async def ensure(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.ensure`."""
        body = serialize_request(_CREATE, request, "ensure()")
        get_options = without_extra_body(options)
        try:
            return await self.get(f"ext_{body['externalId']}", **get_options)
        except NotFound:
            pass
        try:
            return await self.create(body, **options)
        except Conflict as error:
            conflict = error
        # A cache of the caller's session may hold the 404 of the first read.
        get_options["http_headers"] = {**(options.get("http_headers") or {}), **UNCACHED}
        try:
            return await self.get(f"ext_{body['externalId']}", **get_options)
        except NotFound:
            raise conflict from None

    @explicit_signature
    async def upsert(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.upsert`."""
        body, customer_id, change = upsert_requests(request)
        try:
            return await self.update(customer_id, change, **options)
        except NotFound:
            pass
        try:
            return await self.create(body, **options)
        except Conflict as error:  # another worker has created it since, or the Stripe id is taken
            conflict = error
        try:
            return await self.update(customer_id, change, **options)
        except NotFound:
            raise conflict from None

    @explicit_signature
    def create_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]]
        | AsyncIterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[BodyOptions],
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

    @explicit_signature
    def update_many(
        self,
        changes: Iterable[tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]]]
        | AsyncIterable[tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]]],
        *,
        workers: int = 8,
        **options: Unpack[UpdateOptions],
    ) -> AsyncGenerator[Customer | DubError | ValueError | TypeError, None]:
        """Change customers in tasks, as :meth:`CustomersConsumer.update_many`.

        ``changes`` may also be an asynchronous iterable.
        """

        async def update(
            change: tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]],
        ) -> Customer:
            return await self.update(*update_arguments(change), **options)

        return map_ordered(update, changes, workers)

    @explicit_signature
    def upsert_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]]
        | AsyncIterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[BodyOptions],
    ) -> AsyncGenerator[Customer | DubError | ValueError | TypeError, None]:
        """Update or create customers in tasks, as :meth:`CustomersConsumer.upsert_many`.

        ``requests`` may also be an asynchronous iterable.
        """

        async def upsert(request: CreateCustomerRequestBody | Mapping[str, Any]) -> Customer:
            return await self.upsert(request, **options)

        return map_ordered(upsert, requests, workers)
