"""The customers API, declared."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable, Mapping
from typing import Any, Unpack

from .. import declare
from .._concurrency.threads import map_ordered
from .._declarative.consumer import DubConsumer
from .._declarative.context import CallContext
from .._declarative.decorators import result_handler
from .._declarative.methods import keywords
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
from .pages import CustomerIterator, CustomerPage, traversal
from .parameters import (
    CustomerId,
    CustomerRequest,
    ExpandOptions,
    ExpandQuery,
    IterateOptions,
    ListOptions,
    ListQuery,
    ListRequest,
    iterate_query,
)
from .recovery import CustomerOperation
from .schemas import CreateSchema, CustomerSchema, DeletedSchema, UpdateSchema

_CREATE = CreateSchema()


def _page(context: CallContext, customers: list[Customer]) -> Any:
    """Return customers as a page that fetches the next one with the same options."""
    consumer, options = context.consumer, context.options
    return consumer._page_type(
        customers, context.query, lambda query: consumer.list(request=query, **options)
    )


class CustomersConsumer(DubConsumer):
    """The customers of a workspace: list, create, get, update, delete.

    It is the same object as ``Dub(…).customers``; make one on its own, or subclass it and declare
    more with :mod:`dub_uplink.declare`. One may be shared by threads. As a context manager it
    closes at the end what it opened itself.

    Args:
        token: the API key, or a callable that is asked for it before every attempt. By default
            the environment variable ``DUB_API_KEY``.
        server_url: by default ``DUB_SERVER_URL``, else ``https://api.dub.co``. May have a path,
            which goes before those of the API.
        client: a ``requests.Session``, with whatever adapters it has mounted, or a client of
            uplink's. By default a session of its own, with bounds on every answer.
        retry_config: what every call does that is given no ``retries``; ``None`` for no retries.
        timeout_ms: milliseconds that one attempt may take in all; to connect, 5,000 of them.
        retry_budget: how many retries may be in hand; ``None`` for no bound.
        on_retry: called before each wait with the number of the attempt that failed, the seconds
            to wait, and the error or the response it ended with.
        clock: time and chance, for tests.
        rate_limit: a :class:`~dub_uplink.RateLimit` whose turn each attempt waits for.

    Raises:
        ValueError: there is no token, or an argument is out of range.
        TypeError: an argument is of the wrong type.

    Every call takes ``retries`` (a :class:`~dub_uplink.RetryConfig`, or ``None`` for none),
    ``timeout_ms`` and ``http_headers``, each for this call only. Every failure is a
    :class:`~dub_uplink.models.errors.DubError`; a mistake in the arguments is a ``ValueError`` or
    ``TypeError`` before anything is sent.
    """

    _page_type = CustomerPage
    _recovery = CustomerOperation

    @result_handler(_page)
    @declare.returns.json(type=CustomerSchema(many=True))
    @declare.get("customers", args={"request": ListRequest, "options": ListQuery})
    def list(
        self,
        request: GetCustomersRequest | Mapping[str, Any] | None = None,
        **options: Unpack[ListOptions],
    ) -> CustomerPage:
        """Get one page of customers, the newest 100 by default.

        Args:
            request: the filters as one object, as the official SDK takes them.
            email: exactly this email. Of ``email``, ``external_id`` and ``search`` the server
                takes the first that is given and ignores the others.
            external_id: exactly this id of your own.
            search: words of an email or a name; with an ``@`` in it, exactly this email.
            country: two letters. This and the next three are combined with *and*.
            link_id: the link that brought the customer.
            program_id: the partner program.
            partner_id: the partner who referred the customer.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            sort_by: ``createdAt`` (the default), ``saleAmount``, ``firstSaleAt`` or
                ``subscriptionCanceledAt``.
            sort_order: ``desc`` (the default) or ``asc``.
            page: a page by its number, 1 to 1,000.
            page_size: customers a page, 1 to 100; 100 by default.
            starting_after: the id of a customer; the page after it, in the order of ids.
            ending_before: the id of a customer; the page before it.
            retries, timeout_ms, http_headers: for this call only; see the class.

        Returns:
            A list that knows how to go on; :meth:`iterate` does so by itself.

        Raises:
            ValueError: a filter that the server would refuse or ignore.
        """
        raise NotImplementedError

    @keywords
    def iterate(
        self,
        *,
        cursor: str | None = None,
        **options: Unpack[IterateOptions],
    ) -> CustomerIterator:
        """Go through every customer, each exactly once, page after page as they are needed.

        Customers may be deleted meanwhile, those just returned above all; those created meanwhile
        may or may not appear; with ``sort_order="asc"`` they come last, so that an iteration which
        creates a customer for each it returns does not end. The order is the list's but for
        customers whose ``createdAt`` disagrees with their id. Three pages are in memory at most.

        Args:
            cursor: the ``cursor`` of an iteration with the same filters, to go on where it was.
            page_size: customers a request, 1 to 100.
            sort_by: any but ``createdAt`` goes by page number, for which the server has a limit
                of 1,000 pages, and misses customers where others are deleted meanwhile.

        The other arguments are those of :meth:`list`. Errors are raised by the iteration, which
        may go on after one: ``next()`` tries the same page again.

        Raises:
            ValueError: a filter that the server would refuse or ignore, or not a cursor.
            PageLimitReached: there is more than page numbers reach.
        """
        query, call = iterate_query(options)
        return CustomerIterator(lambda query: self.list(query, **call), traversal(query, cursor))

    @declare.json
    @declare.returns.json(type=CustomerSchema)
    @declare.post(
        "customers",
        args={"request": declare.Body(type=CreateSchema), "options": declare.Options},
    )
    def create(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[CallOptions],
    ) -> Customer:
        """Create a customer, exactly once.

        Where an answer is lost and a later attempt is told that the customer exists, the client
        looks whether it is the one that was asked for, and returns it if so.

        Args:
            request: a ``CreateCustomerRequestBody`` or a mapping; today's server asks for
                ``external_id`` and ``country``.
            retries, timeout_ms, http_headers: for this call only; see the class.

        Raises:
            ValueError: a field is unknown, missing or of the wrong type.
            Conflict: the external id or the Stripe id is taken by another customer.
        """
        raise NotImplementedError

    @declare.returns.json(type=CustomerSchema)
    @declare.get("customers/{id}", args={"request": CustomerRequest("id"), "options": ExpandQuery})
    def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> Customer:
        """Get a customer by Dub's id, or by ``ext_`` and your own.

        Args:
            request: the id, a ``GetCustomerRequest`` or a mapping with an ``id``.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            retries, timeout_ms, http_headers: for this call only; see the class.

        Raises:
            ValueError: the id is empty, no string, or the name of another route.
            NotFound: there is no such customer.
        """
        raise NotImplementedError

    @declare.json
    @declare.returns.json(type=CustomerSchema)
    @declare.patch(
        "customers/{id}",
        args={
            "id": CustomerId,
            "request_body": declare.Body(type=UpdateSchema),
            "options": ExpandQuery,
        },
    )
    def update(
        self,
        id: str,
        request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
        **options: Unpack[ExpandOptions],
    ) -> Customer:
        """Change a customer; what is not given stays, ``None`` clears a field.

        Args:
            id: Dub's id, or ``ext_`` and your own.
            request_body: an ``UpdateCustomerRequestBody`` or a mapping. The server checks a
                ``country`` and does not write it.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            retries, timeout_ms, http_headers: for this call only; see the class.

        Raises:
            ValueError: the id or a field is not valid.
            NotFound: there is no such customer.
            Conflict: the new external id or Stripe id is taken.
        """
        raise NotImplementedError

    @declare.returns.json(type=DeletedSchema)
    @declare.delete("customers/{id}", args={"id": CustomerId, "options": declare.Options})
    def delete(
        self,
        id: str,
        **options: Unpack[CallOptions],
    ) -> DeleteCustomerResponseBody:
        """Delete a customer.

        Where an answer is lost and a later attempt finds no such customer, that is the success it
        was; the id returned is then the one given.

        Args:
            id: Dub's id, or ``ext_`` and your own.
            retries, timeout_ms, http_headers: for this call only; see the class.

        Raises:
            ValueError: the id is not valid.
            NotFound: there is no such customer.
        """
        raise NotImplementedError

    @keywords
    def ensure(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[CallOptions],
    ) -> Customer:
        """Get the customer with this external id; create it where there is none.

        Safe when two workers do it at once. A customer that is there is returned as it is: nothing
        of ``request`` but the external id is compared or written.

        Args:
            request: what :meth:`create` takes.
            retries, timeout_ms, http_headers: for each request of this call; see the class.

        Raises:
            ValueError: a field is unknown, missing or of the wrong type.
            Conflict: the Stripe id is taken by a customer with another external id.
        """
        body = serialize_request(_CREATE, request, "ensure()")
        try:
            return self.get(f"ext_{body['externalId']}", **options)
        except NotFound:
            pass
        try:
            return self.create(body, **options)
        except Conflict as error:
            conflict = error
        try:
            return self.get(f"ext_{body['externalId']}", **options)
        except NotFound:
            raise conflict from None

    @keywords
    def create_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[CallOptions],
    ) -> Generator[Customer | DubError | ValueError | TypeError, None, None]:
        """Create customers in a few threads, each exactly once.

        Nothing is sent until you take results, and at most ``workers`` requests are read ahead of
        them. When the server asks one worker to wait, all of them wait. Several threads may take
        results: each goes to one of them. ``close()`` stops the workers.

        Args:
            requests: what :meth:`create` takes, any number of them. When reading them raises, the
                results of those already read come first, then the exception.
            workers: number of calls in flight at once.
            retries, timeout_ms, http_headers: for each call; see the class.

        Returns:
            In the order of ``requests``, the customer or the error of each.

        Raises:
            TypeError: ``requests`` is a single mapping, a string or not iterable.
            ValueError: ``workers`` is not a whole number above 0.
        """
        create = functools.partial(self.create, **options)
        return map_ordered(create, requests, workers)

    @keywords
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
            retries, timeout_ms, http_headers: for each call; see the class.

        Returns:
            In the order of ``ids``, what :meth:`delete` returns or the error of each.

        Raises:
            TypeError: ``ids`` is a single string, a mapping or not iterable.
            ValueError: ``workers`` is not a whole number above 0.
        """
        delete = functools.partial(self.delete, **options)
        return map_ordered(delete, ids, workers)
