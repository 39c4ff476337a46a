"""Declare the customers API for the asynchronous client."""

from __future__ import annotations

import builtins
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

from .._declarative.decorators import same_request_as
from .._declarative.raw import make_raw_endpoint
from .._declarative.signatures import expand_signatures
from ..declare import BodyOptions, CallOptions
from ..models.components import Customer, CustomerCount
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    GetCustomerRequest,
    GetCustomersRequest,
    UpdateCustomerRequestBody,
)
from ..models.response import RawResponse
from .async_batches import AsyncCustomerBatches
from .async_pages import AsyncCustomerIterator, AsyncCustomerPage
from .consumer import CustomersConsumer
from .pages import start_traversal
from .parameters import (
    CountOptions,
    ExpandOptions,
    IterateOptions,
    ListOptions,
    UpdateOptions,
    refuse_expanded_fields,
    split_iterate_options,
)
from .recovery import CustomerOperation

# These functions call endpoints of `self`. AsyncCustomersWithRawResponse passes itself as `self`,
# so the endpoints return raw responses.
_upsert: Any = AsyncCustomerBatches.upsert
_ensure: Any = AsyncCustomerBatches.ensure


@expand_signatures
class AsyncCustomersWithRawResponse:
    """The endpoints of :class:`AsyncCustomersConsumer`; each returns a :class:`RawResponse`.

    See :class:`CustomersWithRawResponse`.
    """

    __module__ = "dub_uplink"

    def __init__(self, customers: Any) -> None:
        self._customers = customers
        self._make_retry_state = customers._make_retry_state

    def _endpoint(self, name: str) -> Callable[..., Awaitable[RawResponse[Any]]]:
        endpoint: Callable[..., Awaitable[RawResponse[Any]]] = make_raw_endpoint(
            self._customers, name
        )
        return endpoint

    if not TYPE_CHECKING:  # see CustomersWithRawResponse

        def __getattr__(self, name: str) -> Callable[..., Awaitable[RawResponse[Any]]]:
            """Return an endpoint that a subclass of ``AsyncCustomersConsumer`` declares."""
            if name.startswith("_"):
                raise AttributeError(name)
            return self._endpoint(name)

    async def list(
        self,
        request: GetCustomersRequest | Mapping[str, Any] | None = None,
        **options: Unpack[ListOptions],
    ) -> RawResponse[AsyncCustomerPage]:
        """See :meth:`CustomersConsumer.list`."""
        return await self._endpoint("list")(request, **options)

    async def create(
        self, request: CreateCustomerRequestBody | Mapping[str, Any], **options: Unpack[BodyOptions]
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.create`."""
        return await self._endpoint("create")(request, **options)

    async def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.get`."""
        return await self._endpoint("get")(request, **options)

    async def update(
        self,
        id: str,
        request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
        **options: Unpack[UpdateOptions],
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.update`."""
        return await self._endpoint("update")(id, request_body, **options)

    async def delete(
        self, id: str, **options: Unpack[CallOptions]
    ) -> RawResponse[DeleteCustomerResponseBody]:
        """See :meth:`CustomersConsumer.delete`."""
        return await self._endpoint("delete")(id, **options)

    @overload
    async def count(
        self, *, group_by: None = None, **options: Unpack[CountOptions]
    ) -> RawResponse[int]: ...
    @overload
    async def count(
        self, *, group_by: Literal["country", "link_id"], **options: Unpack[CountOptions]
    ) -> RawResponse[builtins.list[CustomerCount]]: ...
    async def count(
        self, *, group_by: str | None = None, **options: Unpack[CountOptions]
    ) -> RawResponse[int] | RawResponse[builtins.list[CustomerCount]]:
        """See :meth:`CustomersConsumer.count`."""
        return await self._endpoint("count")(group_by=group_by, **options)

    @refuse_expanded_fields
    async def upsert(
        self, request: CreateCustomerRequestBody | Mapping[str, Any], **options: Unpack[BodyOptions]
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersWithRawResponse.upsert`."""
        response: RawResponse[Customer] = await _upsert(self, request, **options)
        return response

    @refuse_expanded_fields
    async def ensure(
        self, request: CreateCustomerRequestBody | Mapping[str, Any], **options: Unpack[BodyOptions]
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersWithRawResponse.ensure`."""
        response: RawResponse[Customer] = await _ensure(self, request, **options)
        return response


@expand_signatures
class AsyncCustomersConsumer(AsyncCustomerBatches):
    """The customers of a workspace, for ``asyncio``.

    ``AsyncDub(…).customers`` is an instance of this class. ``client`` is an
    ``aiohttp.ClientSession``. ``token`` and ``on_retry`` may be coroutine functions. The other
    arguments, the errors and the guarantees are those of :class:`~dub_uplink.CustomersConsumer`.
    """

    __module__ = "dub_uplink"

    _page_type = AsyncCustomerPage
    _recovery_type = CustomerOperation

    # same_request_as copies the decorators and the annotations of the given endpoint, so both
    # consumers send the same requests and convert the responses in the same way.
    @same_request_as(CustomersConsumer.list)
    async def list(
        self,
        request: GetCustomersRequest | Mapping[str, Any] | None = None,
        **options: Unpack[ListOptions],
    ) -> AsyncCustomerPage:
        """See :meth:`CustomersConsumer.list`."""
        raise NotImplementedError

    @property
    def with_raw_response(self) -> AsyncCustomersWithRawResponse:
        """See :attr:`CustomersConsumer.with_raw_response`."""
        return AsyncCustomersWithRawResponse(self)

    @overload
    async def count(self, *, group_by: None = None, **options: Unpack[CountOptions]) -> int: ...
    @overload
    async def count(
        self, *, group_by: Literal["country", "link_id"], **options: Unpack[CountOptions]
    ) -> builtins.list[CustomerCount]: ...
    @same_request_as(CustomersConsumer.count)
    async def count(
        self, *, group_by: str | None = None, **options: Unpack[CountOptions]
    ) -> int | builtins.list[CustomerCount]:
        """See :meth:`CustomersConsumer.count`."""
        raise NotImplementedError

    @same_request_as(CustomersConsumer.create)
    async def create(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.create`."""
        raise NotImplementedError

    @same_request_as(CustomersConsumer.get)
    async def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.get`."""
        raise NotImplementedError

    @same_request_as(CustomersConsumer.update)
    async def update(
        self,
        id: str,
        request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
        **options: Unpack[UpdateOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.update`."""
        raise NotImplementedError

    @same_request_as(CustomersConsumer.delete)
    async def delete(
        self,
        id: str,
        **options: Unpack[CallOptions],
    ) -> DeleteCustomerResponseBody:
        """See :meth:`CustomersConsumer.delete`."""
        raise NotImplementedError

    def iterate(
        self,
        *,
        cursor: str | None = None,
        prefetch: bool = False,
        **options: Unpack[IterateOptions],
    ) -> AsyncCustomerIterator:
        """Iterate over every customer once: ``async for c in dub.customers.iterate()``.

        Args:
            prefetch: fetch the next page while the customers of the current page are consumed.

        The other arguments are those of :meth:`CustomersConsumer.iterate`.
        """
        query, call_options = split_iterate_options(options)

        async def fetch(query: Mapping[str, Any]) -> AsyncCustomerPage:
            return await self.list(query, **call_options)

        traversal = start_traversal(query, cursor)
        return AsyncCustomerIterator(fetch, traversal, query, prefetch=prefetch)
