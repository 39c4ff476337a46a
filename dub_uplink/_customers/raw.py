"""The endpoints of the customers API that return raw responses."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Unpack, overload

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
from .batches import CustomerBatches
from .pages import CustomerPage
from .parameters import (
    CountOptions,
    ExpandOptions,
    ListOptions,
    UpdateOptions,
    refuse_expanded_fields,
)

# These functions call endpoints of `self`. CustomersWithRawResponse passes itself as `self`, so the
# endpoints return raw responses.
_upsert: Any = CustomerBatches.upsert
_ensure: Any = CustomerBatches.ensure


@expand_signatures
class CustomersWithRawResponse:
    """The endpoints of :class:`CustomersConsumer`; each returns a :class:`RawResponse`.

    ``list``, ``create``, ``get``, ``update``, ``delete``, ``count``, ``upsert`` and ``ensure`` have
    the arguments and errors of the methods of ``CustomersConsumer``. Endpoints that a subclass of
    ``CustomersConsumer`` declares are also available, but type checkers do not know them. If the
    subclass overrides an endpoint, the override is not called. ``iterate`` and the batches
    ``…_many`` have no single response, so they are not available.
    """

    __module__ = "dub_uplink"

    def __init__(self, customers: Any) -> None:
        self._customers = customers
        self._make_retry_state = customers._make_retry_state

    def _endpoint(self, name: str) -> Callable[..., RawResponse[Any]]:
        endpoint: Callable[..., RawResponse[Any]] = make_raw_endpoint(self._customers, name)
        return endpoint

    if not TYPE_CHECKING:  # with __getattr__, a type checker accepts any name

        def __getattr__(self, name: str) -> Callable[..., RawResponse[Any]]:
            """Return an endpoint that a subclass of ``CustomersConsumer`` declares."""
            if name.startswith("_"):  # for example __setstate__, which ``copy`` looks up
                raise AttributeError(name)
            return self._endpoint(name)

    def list(
        self,
        request: GetCustomersRequest | Mapping[str, Any] | None = None,
        **options: Unpack[ListOptions],
    ) -> RawResponse[CustomerPage]:
        """See :meth:`CustomersConsumer.list`."""
        return self._endpoint("list")(request, **options)

    def create(
        self, request: CreateCustomerRequestBody | Mapping[str, Any], **options: Unpack[BodyOptions]
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.create`."""
        return self._endpoint("create")(request, **options)

    def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.get`."""
        return self._endpoint("get")(request, **options)

    def update(
        self,
        id: str,
        request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
        **options: Unpack[UpdateOptions],
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.update`."""
        return self._endpoint("update")(id, request_body, **options)

    def delete(
        self, id: str, **options: Unpack[CallOptions]
    ) -> RawResponse[DeleteCustomerResponseBody]:
        """See :meth:`CustomersConsumer.delete`."""
        return self._endpoint("delete")(id, **options)

    @overload
    def count(
        self, *, group_by: None = None, **options: Unpack[CountOptions]
    ) -> RawResponse[int]: ...
    @overload
    def count(
        self, *, group_by: Literal["country", "link_id"], **options: Unpack[CountOptions]
    ) -> RawResponse[builtins.list[CustomerCount]]: ...
    def count(
        self, *, group_by: str | None = None, **options: Unpack[CountOptions]
    ) -> RawResponse[int] | RawResponse[builtins.list[CustomerCount]]:
        """See :meth:`CustomersConsumer.count`."""
        return self._endpoint("count")(group_by=group_by, **options)

    @refuse_expanded_fields
    def upsert(
        self, request: CreateCustomerRequestBody | Mapping[str, Any], **options: Unpack[BodyOptions]
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.upsert`.

        The method returns the last response: 200 for an update, 201 for a create.
        """
        response: RawResponse[Customer] = _upsert(self, request, **options)
        return response

    @refuse_expanded_fields
    def ensure(
        self, request: CreateCustomerRequestBody | Mapping[str, Any], **options: Unpack[BodyOptions]
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.ensure`.

        The method returns the last response: 200 for an existing customer, 201 for a create.
        """
        response: RawResponse[Customer] = _ensure(self, request, **options)
        return response
