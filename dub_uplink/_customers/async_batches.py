"""Define the asynchronous operations that consist of several calls."""

from __future__ import annotations

from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
    Mapping,
)
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from .._concurrency.tasks import map_ordered
from .._declarative.async_consumer import AsyncDubConsumer
from .._declarative.extra import check_call_options
from .._declarative.signatures import expand_signatures
from ..declare import BodyOptions, CallOptions
from ..models.components import Customer
from ..models.errors import Conflict, DubError, NotFound
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    UpdateCustomerRequestBody,
)
from .batches import (
    CREATE_FIELDS,
    UPDATE_FIELDS,
    FindOrCreateRetries,
    prepare_ensure,
    prepare_upsert,
    split_change,
)
from .parameters import (
    ExpandOptions,
    ExpandQuery,
    UpdateOptions,
    check_expand_option,
    refuse_expanded_fields,
    refuse_unsupported,
)
from .recovery import without_lookup

T = TypeVar("T")


async def _find_or_create(
    find: Callable[[bool], Awaitable[T]],
    create: Callable[[], Awaitable[T]],
    retries: FindOrCreateRetries,
) -> T:
    """Await ``find`` and ``create`` alternately until one of them succeeds.

    ``find`` receives ``True`` after a failed ``create``.
    """
    while True:
        try:
            return await find(retries.conflict is not None)
        except NotFound:
            if retries.conflict is not None:
                await retries.retry_state.clock.async_sleep(retries.wait_seconds(retries.conflict))
        except Conflict as error:
            raise retries.make_stripe_id_error(error) from None
        try:
            return await create()
        except Conflict as error:
            retries.record_conflict(error)


@expand_signatures
class AsyncCustomerBatches(AsyncDubConsumer):
    """The operations of ``AsyncCustomersConsumer`` that consist of several calls."""

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

    @refuse_expanded_fields
    async def ensure(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.ensure`."""
        body, customer_id, read_options = prepare_ensure(request, options)
        retries = FindOrCreateRetries("ensure()", body, self._make_retry_state(options))
        return await _find_or_create(
            lambda create_failed: self.get(customer_id, **read_options[create_failed]),
            lambda: self.create(body, **options),
            retries,
        )

    @refuse_expanded_fields
    async def upsert(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """See :meth:`CustomersConsumer.upsert`."""
        body, customer_id, change = prepare_upsert(request, options)
        retries = FindOrCreateRetries("upsert()", body, self._make_retry_state(options))

        async def create() -> Customer:
            with without_lookup(body["externalId"]):
                return await self.create(body, **options)

        return await _find_or_create(
            lambda _: self.update(customer_id, change, **options), create, retries
        )

    def create_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]]
        | AsyncIterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[BodyOptions],
    ) -> AsyncGenerator[Customer | DubError | ValueError | TypeError, None]:
        """Create customers in tasks; see :meth:`CustomersConsumer.create_many`.

        ``requests`` may also be an asynchronous iterable. ``aclose()`` cancels the calls in flight.
        """
        check_call_options(options, body_names=CREATE_FIELDS)

        async def create(request: CreateCustomerRequestBody | Mapping[str, Any]) -> Customer:
            return await self.create(request, **options)

        return map_ordered(create, requests, workers)

    def delete_many(
        self,
        ids: Iterable[str] | AsyncIterable[str],
        *,
        workers: int = 8,
        **options: Unpack[CallOptions],
    ) -> AsyncGenerator[DeleteCustomerResponseBody | DubError | ValueError | TypeError, None]:
        """Delete customers in tasks; see :meth:`CustomersConsumer.delete_many`.

        ``ids`` may also be an asynchronous iterable, such as
        ``(customer.id async for customer in s.customers.iterate())``.
        """
        check_call_options(options)

        async def delete(id: str) -> DeleteCustomerResponseBody:
            return await self.delete(id, **options)

        return map_ordered(delete, ids, workers)

    def update_many(
        self,
        changes: Iterable[tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]]]
        | AsyncIterable[tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]]],
        *,
        workers: int = 8,
        **options: Unpack[UpdateOptions],
    ) -> AsyncGenerator[Customer | DubError | ValueError | TypeError, None]:
        """Update customers in tasks; see :meth:`CustomersConsumer.update_many`.

        ``changes`` may also be an asynchronous iterable.
        """
        check_expand_option(options.get("include_expanded_fields"))
        check_call_options(options, ExpandQuery.known, UPDATE_FIELDS)

        async def update(
            change: tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]],
        ) -> Customer:
            return await self.update(*split_change(change), **options)

        return map_ordered(update, changes, workers)

    @refuse_expanded_fields
    def upsert_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]]
        | AsyncIterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[BodyOptions],
    ) -> AsyncGenerator[Customer | DubError | ValueError | TypeError, None]:
        """Update or create customers in tasks; see :meth:`CustomersConsumer.upsert_many`.

        ``requests`` may also be an asynchronous iterable.
        """
        refuse_unsupported("upsert_many()", options.get("extra_query"), options.get("extra_body"))
        check_call_options(options, body_names=CREATE_FIELDS | UPDATE_FIELDS)

        async def upsert(request: CreateCustomerRequestBody | Mapping[str, Any]) -> Customer:
            return await self.upsert(request, **options)

        return map_ordered(upsert, requests, workers)
