"""The customers API, declared."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterable, Mapping
from typing import Any

from .._concurrency.threads import map_ordered
from .._declarative.consumer import DubConsumer
from .._declarative.endpoints import PageOf, endpoint
from .._declarative.parameters import JsonBody
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
from .pages import CustomerIterator, CustomerPage, traversal
from .parameters import (
    EXPANDED,
    LIST_FILTERS,
    CustomerId,
    CustomerRequest,
    iteration_query,
    list_query,
)
from .recovery import CustomerOperation
from .schemas import CreateSchema, CustomerSchema, DeletedSchema, UpdateSchema

_CUSTOMER = CustomerSchema()
_CUSTOMERS = CustomerSchema(many=True)
_DELETED = DeletedSchema()
_CREATE = CreateSchema()

_GET = {"request": CustomerRequest("id"), **EXPANDED}
_UPDATE = {"id": CustomerId("id"), "request_body": JsonBody(UpdateSchema(), "update()"), **EXPANDED}


def _page(consumer: Any, customers: list[Customer], call: Any) -> Any:
    """A page, and the way to the next one: the same call with another query."""
    names = ("retries", "timeout_ms", "http_headers")
    options = {name: call.options[name] for name in names if name in call.options}
    return consumer._page_type(
        customers, call.options["query"], lambda query: consumer.list(request=query, **options)
    )


class CustomersConsumer(DubConsumer):
    """The customers of a workspace: list, create, get, update, delete.

    It is the same object as ``Dub(…).customers``; make one on its own, or subclass it and declare
    more with :data:`~dub_uplink.endpoint`. One may be shared by threads. As a context manager it
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

    @endpoint.get(
        "customers", returns=PageOf(_CUSTOMERS, _page), args=LIST_FILTERS, prepare=list_query
    )
    def list(
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
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
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
        return CustomerIterator(
            lambda query: self.list(
                query, retries=retries, timeout_ms=timeout_ms, http_headers=http_headers
            ),
            traversal(query, cursor),
        )

    @endpoint.post("customers", returns=_CUSTOMER, args={"request": JsonBody(_CREATE, "create()")})
    def create(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
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

    @endpoint.get("customers/{id}", returns=_CUSTOMER, args=_GET)
    def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        *,
        include_expanded_fields: bool | None = None,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
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

    @endpoint.patch("customers/{id}", returns=_CUSTOMER, args=_UPDATE)
    def update(
        self,
        id: str,
        request_body: UpdateCustomerRequestBody | Mapping[str, Any] | None = None,
        *,
        include_expanded_fields: bool | None = None,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
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

    @endpoint.delete("customers/{id}", returns=_DELETED, args={"id": CustomerId("id")})
    def delete(
        self,
        id: str,
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
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

    def ensure(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
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
        options: Any = {"retries": retries, "timeout_ms": timeout_ms, "http_headers": http_headers}
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

    def create_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
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
        options: Any = {"retries": retries, "timeout_ms": timeout_ms, "http_headers": http_headers}
        create = functools.partial(self.create, **options)
        return map_ordered(create, requests, workers)

    def delete_many(
        self,
        ids: Iterable[str],
        *,
        workers: int = 8,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
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
        options: Any = {"retries": retries, "timeout_ms": timeout_ms, "http_headers": http_headers}
        delete = functools.partial(self.delete, **options)
        return map_ordered(delete, ids, workers)
