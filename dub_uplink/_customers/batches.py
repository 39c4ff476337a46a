"""Operations that are made of several calls: get or create, update or create, and batches."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Unpack

from .._concurrency.threads import map_ordered
from .._declarative.consumer import DubConsumer
from .._declarative.extra import check_extra
from .._declarative.methods import explicit_signature
from .._declarative.schemas import field_names, serialize_request
from .._transport.call import UNCACHED
from ..declare import BodyOptions, CallOptions
from ..models.components import Customer
from ..models.errors import Conflict, DubError, NotFound
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    UpdateCustomerRequestBody,
)
from .parameters import ExpandOptions, UpdateOptions
from .schemas import CreateSchema

_CREATE = CreateSchema()


def upsert_requests(request: Any) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Return the body of the create, the id and the body of the update of an upsert.

    Raises:
        TypeError: ``request`` is neither a ``CreateCustomerRequestBody`` nor a mapping.
        ValueError: there is no external id, or a field is unknown or of the wrong type.
    """
    body = serialize_request(_CREATE, request, "upsert()")
    external_id = body["externalId"]
    if not external_id:
        raise ValueError("upsert(): external_id is empty; it names the customer to update")
    change = {name: value for name, value in body.items() if name != "externalId"}
    return body, f"ext_{external_id}", change


def without_extra_body(options: BodyOptions) -> CallOptions:
    """Return the options for a call that sends no body.

    Raises:
        TypeError: ``extra_body`` is not a mapping from strings.
        ValueError: :meth:`create` knows a field of ``extra_body``.
    """
    call: Any = {**options}
    extra = call.pop("extra_body", None)
    if extra is not None:
        check_extra("extra_body", extra, field_names(_CREATE))
    call_options: CallOptions = call
    return call_options


def update_arguments(change: Any) -> tuple[Any, Any]:
    """Return the id and the body of one item of ``update_many``.

    Raises:
        TypeError: it is not a pair.
    """
    if not isinstance(change, (tuple, list)) or len(change) != 2:
        raise TypeError(
            f"update_many() takes pairs of an id and a body, not {type(change).__name__}:"
            ' ("ext_user_1", {"name": "Ada"})'
        )
    return change[0], change[1]


class CustomerBatches(DubConsumer):
    """The operations that call the endpoints of :class:`~dub_uplink.CustomersConsumer`."""

    if TYPE_CHECKING:

        def create(
            self,
            request: CreateCustomerRequestBody | Mapping[str, Any],
            **options: Unpack[BodyOptions],
        ) -> Customer: ...

        def get(self, request: str, **options: Unpack[ExpandOptions]) -> Customer: ...

        def update(
            self,
            id: str,
            request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
            **options: Unpack[UpdateOptions],
        ) -> Customer: ...

        def delete(self, id: str, **options: Unpack[CallOptions]) -> DeleteCustomerResponseBody: ...

    @explicit_signature
    def ensure(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """Get the customer with this external id, or create it.

        Two workers may do it at once. An existing customer is returned unchanged: the other fields
        of ``request`` are neither compared nor written.

        Args:
            request: what :meth:`create` takes.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each request
                of this call; see the class.

        Raises:
            ValueError: a field is unknown, missing or of the wrong type.
            Conflict: the Stripe id is taken by a customer with another external id.
        """
        body = serialize_request(_CREATE, request, "ensure()")
        get_options = without_extra_body(options)
        try:
            return self.get(f"ext_{body['externalId']}", **get_options)
        except NotFound:
            pass
        try:
            return self.create(body, **options)
        except Conflict as error:
            conflict = error
        # A cache of the caller's session may hold the 404 of the first read.
        get_options["http_headers"] = {**(options.get("http_headers") or {}), **UNCACHED}
        try:
            return self.get(f"ext_{body['externalId']}", **get_options)
        except NotFound:
            raise conflict from None

    @explicit_signature
    def upsert(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """Update the customer with this external id, or create it where there is none.

        Two workers may do it at once. An update changes the fields that are given, and ``None``
        clears a field. It does not change ``country``: the server writes that field when it creates
        a customer, and only checks it in an update. If a response is lost, repeated attempts lead
        to one customer with these fields.

        Args:
            request: what :meth:`create` takes; the server requires ``country`` to create.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each request
                of this call; see the class.

        Returns:
            The customer as the server stored it.

        Raises:
            ValueError: there is no external id, or a field is unknown or of the wrong type.
            Conflict: the Stripe id is taken by a customer with another external id.
        """
        body, customer_id, change = upsert_requests(request)
        try:
            return self.update(customer_id, change, **options)
        except NotFound:
            pass
        try:
            return self.create(body, **options)
        except Conflict as error:  # another worker has created it since, or the Stripe id is taken
            conflict = error
        try:
            return self.update(customer_id, change, **options)
        except NotFound:
            raise conflict from None

    @explicit_signature
    def create_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[BodyOptions],
    ) -> Generator[Customer | DubError | ValueError | TypeError, None, None]:
        """Create customers in a few threads, each exactly once.

        Nothing is sent until you take results, and at most ``workers`` requests are read ahead of
        them. When the server asks one worker to wait, all of them wait. Several threads may take
        results: each goes to one of them. ``close()`` stops the workers.

        Args:
            requests: what :meth:`create` takes, any number of them. When reading them raises, the
                results of those already read come first, then the exception.
            workers: number of calls in flight at once.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each call;
                see the class.

        Returns:
            In the order of ``requests``, the customer or the error of each.

        Raises:
            TypeError: ``requests`` is a single mapping, a string or not iterable.
            ValueError: ``workers`` is not a whole number above 0.
        """
        create = functools.partial(self.create, **options)
        return map_ordered(create, requests, workers)

    @explicit_signature
    def delete_many(
        self,
        ids: Iterable[str],
        *,
        workers: int = 8,
        **options: Unpack[CallOptions],
    ) -> Generator[DeleteCustomerResponseBody | DubError | ValueError | TypeError, None, None]:
        """Delete customers in a few threads, in the same way as :meth:`create_many`.

        Args:
            ids: Dub ids, or ``ext_`` and your own.
            workers: number of calls in flight at once.
            retries, timeout_ms, http_headers, extra_query: for each call; see the class.

        Returns:
            In the order of ``ids``, what :meth:`delete` returns or the error of each.

        Raises:
            TypeError: ``ids`` is a single string, a mapping or not iterable.
            ValueError: ``workers`` is not a whole number above 0.
        """
        delete = functools.partial(self.delete, **options)
        return map_ordered(delete, ids, workers)

    @explicit_signature
    def update_many(
        self,
        changes: Iterable[tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]]],
        *,
        workers: int = 8,
        **options: Unpack[UpdateOptions],
    ) -> Generator[Customer | DubError | ValueError | TypeError, None, None]:
        """Change customers in a few threads, in the same way as :meth:`create_many`.

        Args:
            changes: pairs of an id and a body, which :meth:`update` takes. Changes of one customer
                may be applied in any order.
            workers: number of calls in flight at once.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each call;
                see the class.

        Returns:
            In the order of ``changes``, the customer or the error of each.

        Raises:
            TypeError: ``changes`` is a single string, a mapping or not iterable.
            ValueError: ``workers`` is not a whole number above 0.
        """

        def update(change: tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]]) -> Customer:
            return self.update(*update_arguments(change), **options)

        return map_ordered(update, changes, workers)

    @explicit_signature
    def upsert_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[BodyOptions],
    ) -> Generator[Customer | DubError | ValueError | TypeError, None, None]:
        """Update or create customers in a few threads, in the same way as :meth:`create_many`.

        Args:
            requests: what :meth:`upsert` takes. Those of one customer may be applied in any order.
            workers: number of calls in flight at once.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each request;
                see the class.

        Returns:
            In the order of ``requests``, the customer or the error of each.

        Raises:
            TypeError: ``requests`` is a single mapping, a string or not iterable.
            ValueError: ``workers`` is not a whole number above 0.
        """
        upsert = functools.partial(self.upsert, **options)
        return map_ordered(upsert, requests, workers)
