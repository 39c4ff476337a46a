"""The asynchronous client: the endpoints of ``customers``, over a transport that is awaited.

The five endpoints are declared once, in ``customers``; here are only their awaited types. aiohttp
is loaded by the first client that is made.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._concurrency.tasks import map_ordered
from .._declarative.async_consumer import AsyncDubConsumer
from .._declarative.schemas import serialize_request
from ..models.components import Customer
from ..models.errors import Conflict, DubError, NotFound
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    GetCustomerRequest,
    GetCustomersRequest,
    UpdateCustomerRequestBody,
)
from ..models.unset import UNSET, Unset
from ..retries import RetryConfig
from .async_pages import AsyncCustomerIterator, AsyncCustomerPage
from .consumer import CustomersConsumer
from .pages import traversal
from .parameters import iteration_query
from .recovery import CustomerOperation
from .schemas import CreateSchema

_CREATE = CreateSchema()


class AsyncCustomersConsumer(AsyncDubConsumer):
    """The customers of a workspace, asynchronously.

    It is the same object as ``AsyncDub(…).customers``, and takes the arguments, raises the errors
    and keeps the promises of :class:`~dub_uplink.CustomersConsumer`; ``client`` is an
    ``aiohttp.ClientSession``.
    """

    _page_type = AsyncCustomerPage
    _recovery = CustomerOperation

    if TYPE_CHECKING:
        # Held against the declarations by a test: names, defaults, annotations.

        async def list(
            self,
            request: GetCustomersRequest | Mapping[str, Any] | None = None,
            *,
            email: str | None = None,
            external_id: str | None = None,
            search: str | None = None,
            country: str | None = None,
            link_id: str | None = None,
            program_id: str | None = None,
            partner_id: str | None = None,
            include_expanded_fields: bool | None = None,
            sort_by: str | None = None,
            sort_order: str | None = None,
            page: int | None = None,
            page_size: int | None = None,
            starting_after: str | None = None,
            ending_before: str | None = None,
            retries: RetryConfig | Unset | None = UNSET,
            timeout_ms: float | None = None,
            http_headers: Mapping[str, str] | None = None,
        ) -> AsyncCustomerPage: ...

        async def create(
            self,
            request: CreateCustomerRequestBody | Mapping[str, Any],
            *,
            retries: RetryConfig | Unset | None = UNSET,
            timeout_ms: float | None = None,
            http_headers: Mapping[str, str] | None = None,
        ) -> Customer: ...

        async def get(
            self,
            request: str | GetCustomerRequest | Mapping[str, Any],
            *,
            include_expanded_fields: bool | None = None,
            retries: RetryConfig | Unset | None = UNSET,
            timeout_ms: float | None = None,
            http_headers: Mapping[str, str] | None = None,
        ) -> Customer: ...

        async def update(
            self,
            id: str,
            request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
            *,
            include_expanded_fields: bool | None = None,
            retries: RetryConfig | Unset | None = UNSET,
            timeout_ms: float | None = None,
            http_headers: Mapping[str, str] | None = None,
        ) -> Customer: ...

        async def delete(
            self,
            id: str,
            *,
            retries: RetryConfig | Unset | None = UNSET,
            timeout_ms: float | None = None,
            http_headers: Mapping[str, str] | None = None,
        ) -> DeleteCustomerResponseBody: ...

    else:
        list = CustomersConsumer.list
        create = CustomersConsumer.create
        get = CustomersConsumer.get
        update = CustomersConsumer.update
        delete = CustomersConsumer.delete

    def iterate(
        self,
        *,
        email: str | None = None,
        external_id: str | None = None,
        search: str | None = None,
        country: str | None = None,
        link_id: str | None = None,
        program_id: str | None = None,
        partner_id: str | None = None,
        include_expanded_fields: bool | None = None,
        sort_by: str | None = None,
        sort_order: str | None = None,
        page_size: int | None = None,
        cursor: str | None = None,
        prefetch: bool = False,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> AsyncCustomerIterator:
        """Go through every customer, each exactly once: ``async for c in s.customers.iterate()``.

        As :meth:`CustomersConsumer.iterate`, and:

        Args:
            prefetch: fetch the next page while the customers of this one are used.
        """
        query = iteration_query(
            email=email,
            external_id=external_id,
            search=search,
            country=country,
            link_id=link_id,
            program_id=program_id,
            partner_id=partner_id,
            include_expanded_fields=include_expanded_fields,
            sort_by=sort_by,
            sort_order=sort_order,
            page_size=page_size,
        )

        async def fetch(query: Mapping[str, Any]) -> AsyncCustomerPage:
            return await self.list(
                query, retries=retries, timeout_ms=timeout_ms, http_headers=http_headers
            )

        return AsyncCustomerIterator(fetch, traversal(query, cursor), query, prefetch=prefetch)

    async def ensure(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> Customer:
        """See :meth:`CustomersConsumer.ensure`."""
        body = serialize_request(_CREATE, request, "ensure()")
        options: Any = {"retries": retries, "timeout_ms": timeout_ms, "http_headers": http_headers}
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

    def create_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]]
        | AsyncIterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[Customer | DubError | ValueError | TypeError, None]:
        """Create customers in tasks, each exactly once, as :meth:`CustomersConsumer.create_many`.

        ``requests`` may also be an asynchronous iterable. ``aclose()`` cancels the calls in flight.
        """

        async def create(request: CreateCustomerRequestBody | Mapping[str, Any]) -> Customer:
            return await self.create(
                request, retries=retries, timeout_ms=timeout_ms, http_headers=http_headers
            )

        return map_ordered(create, requests, workers)

    def delete_many(
        self,
        ids: Iterable[str] | AsyncIterable[str],
        *,
        workers: int = 8,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[DeleteCustomerResponseBody | DubError | ValueError | TypeError, None]:
        """Delete customers in tasks, as :meth:`CustomersConsumer.delete_many`.

        ``ids`` may also be an asynchronous iterable, such as
        ``(customer.id async for customer in s.customers.iterate())``.
        """

        async def delete(id: str) -> DeleteCustomerResponseBody:
            return await self.delete(
                id, retries=retries, timeout_ms=timeout_ms, http_headers=http_headers
            )

        return map_ordered(delete, ids, workers)
