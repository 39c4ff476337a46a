"""The endpoints of the customers API that return raw responses."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from typing import Any, Literal, Unpack, overload

from .._declarative.methods import explicit_signature, raw_endpoint
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
from .pages import CustomerPage
from .parameters import CountOptions, ExpandOptions, ListOptions, UpdateOptions


class CustomersWithRawResponse:
    """The endpoints of :class:`CustomersConsumer`, each returning a :class:`RawResponse`.

    ``list``, ``create``, ``get``, ``update``, ``delete`` and ``count`` take the same arguments and
    raise the same errors. Methods of subclasses that override them are not called.
    """

    __module__ = "dub_uplink"

    def __init__(self, customers: Any) -> None:
        self._customers = customers

    def _endpoint(self, name: str) -> Callable[..., RawResponse[Any]]:
        endpoint: Callable[..., RawResponse[Any]] = raw_endpoint(self._customers, name)
        return endpoint

    @explicit_signature
    def list(
        self,
        request: GetCustomersRequest | Mapping[str, Any] | None = None,
        **options: Unpack[ListOptions],
    ) -> RawResponse[CustomerPage]:
        """See :meth:`CustomersConsumer.list`."""
        return self._endpoint("list")(request, **options)

    @explicit_signature
    def create(
        self, request: CreateCustomerRequestBody | Mapping[str, Any], **options: Unpack[BodyOptions]
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.create`."""
        return self._endpoint("create")(request, **options)

    @explicit_signature
    def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.get`."""
        return self._endpoint("get")(request, **options)

    @explicit_signature
    def update(
        self,
        id: str,
        request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
        **options: Unpack[UpdateOptions],
    ) -> RawResponse[Customer]:
        """See :meth:`CustomersConsumer.update`."""
        return self._endpoint("update")(id, request_body, **options)

    @explicit_signature
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
    @explicit_signature
    def count(
        self, *, group_by: str | None = None, **options: Unpack[CountOptions]
    ) -> RawResponse[int] | RawResponse[builtins.list[CustomerCount]]:
        """See :meth:`CustomersConsumer.count`."""
        return self._endpoint("count")(group_by=group_by, **options)
