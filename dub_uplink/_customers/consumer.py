"""The customers API, declared with uplink."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Literal, Unpack, overload

from .. import declare
from .._declarative.context import CallContext
from .._declarative.converters import response_converter
from .._declarative.decorators import result_handler, unpublished
from .._declarative.methods import explicit_signature
from ..declare import BodyOptions, CallOptions
from ..models.components import Customer, CustomerCount
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    GetCustomerRequest,
    GetCustomersRequest,
    UpdateCustomerRequestBody,
)
from .batches import CustomerBatches
from .pages import CustomerIterator, CustomerPage, traversal
from .parameters import (
    CountGroup,
    CountOptions,
    CountQuery,
    CustomerId,
    CustomerRequest,
    ExpandOptions,
    ExpandQuery,
    IterateOptions,
    ListOptions,
    ListQuery,
    ListRequest,
    UpdateOptions,
    iterate_query,
)
from .raw import CustomersWithRawResponse
from .recovery import CustomerOperation
from .schemas import CountSchema, CreateSchema, CustomerSchema, DeletedSchema, UpdateSchema


def _page(context: CallContext, customers: list[Customer]) -> Any:
    """Return customers as a page that fetches the next one with the same options.

    ``context.query`` is the query as it was sent, in the server's names, which :class:`ListQuery`
    checked. ``context.options`` are the given ``retries``, ``timeout_ms`` and ``http_headers``.
    """
    consumer, options = context.consumer, context.options
    return consumer._page_type(
        customers, context.query, lambda query: consumer.list(request=query, **options)
    )


_COUNTS = CountSchema(many=True)


def _count(context: CallContext, body: Any) -> int | list[CustomerCount]:
    """Return the number of customers, or their groups if the query asked for them."""
    if "groupBy" in context.query:
        convert: Any = response_converter(_COUNTS)  # compiles the schema the first time
        counts: list[CustomerCount] = convert(body)
        return counts
    if isinstance(body, bool) or not isinstance(body, int):
        raise ValueError(f"not a number: {body!r:.40}")
    return body


class CustomersConsumer(CustomerBatches):
    """The customers of a workspace: list, create, get, update, delete.

    This is the class of ``Dub(…).customers``. Instantiate it on its own, or subclass it and add
    endpoints with :mod:`dub_uplink.declare`. Threads may share an instance. As a context manager it
    closes the connections that it opened itself.

    Args:
        token: the API key, or a callable that returns it before every attempt. The default is the
            environment variable ``DUB_API_KEY``.
        server_url: the default is ``DUB_SERVER_URL``, or ``https://api.dub.co``. Its path precedes
            those of the API.
        client: a ``requests.Session`` with any adapters, or a client of uplink's. The default is a
            session of its own, which bounds the size and the time of every response.
        retry_config: the retries of calls that get no ``retries``; ``None`` for no retries.
        timeout_ms: milliseconds that one attempt may take in total, connecting at most 5,000.
        retry_budget: bounds the number of retries of all calls together; ``None`` for no bound.
        on_retry: called before each wait with the number of the failed attempt, the seconds to
            wait, and the error or the response of the attempt.
        clock: time and randomness, for tests.
        rate_limit: a :class:`~dub_uplink.RateLimit` that each attempt waits for.

    Raises:
        ValueError: there is no token, or an argument is out of range.
        TypeError: an argument is of the wrong type.

    Every call takes ``retries`` (a :class:`~dub_uplink.RetryConfig`, or ``None`` for none),
    ``timeout_ms``, ``http_headers`` and ``extra_query``, each for this call only. Those that send a
    body take ``extra_body``, too. ``extra_query`` and ``extra_body`` are mappings of parameters and
    fields that this version does not know: they are sent as they are. Every failure raises a
    :class:`~dub_uplink.models.errors.DubError`. A mistake in the arguments raises ``ValueError`` or
    ``TypeError`` before anything is sent.
    """

    __module__ = "dub_uplink"

    # No endpoint maps errors: the base class sets a response handler on uplink's session, which
    # raises a DubError for every status of an error, also for the endpoints of subclasses.
    _page_type = CustomerPage
    #: The transport's rules for a write of which an attempt may have been applied: whether to send
    #: it again, and whether a later 404 or 409 shows that it was applied.
    _recovery = CustomerOperation

    # ListRequest keeps the request object, and ListQuery sends its filters together with the
    # keywords. A filter in both is a ValueError. CountQuery adds the group of CountGroup likewise.
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
            request: the filters as one object, as in the official SDK.
            email: exactly this email. Of ``email``, ``external_id`` and ``search`` the server
                uses the first that is given and ignores the others.
            external_id: exactly this id of your own.
            search: words of an email or a name; text with an ``@`` is exactly this email.
            country: two letters. This and the next three are combined with *and*.
            link_id: the link that brought the customer.
            program_id: the partner program.
            partner_id: the partner who referred the customer.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            sort_by: ``createdAt`` (the default), ``saleAmount``, ``firstSaleAt`` or
                ``subscriptionCanceledAt``.
            sort_order: ``desc`` (the default) or ``asc``.
            page: the number of the page, 1 to 1,000.
            page_size: customers on a page, 1 to 100; the default is 100.
            starting_after: the id of the customer before the page, in the order of ids.
            ending_before: the id of the customer after the page.
            retries, timeout_ms, http_headers, extra_query: for this call only; see the class.

        Returns:
            A list that can fetch the next page; :meth:`iterate` does it for you.

        Raises:
            ValueError: a filter that the server would refuse or ignore.
        """
        raise NotImplementedError

    @explicit_signature
    def iterate(
        self,
        *,
        cursor: str | None = None,
        **options: Unpack[IterateOptions],
    ) -> CustomerIterator:
        """Iterate over every customer, each exactly once; pages are fetched when they are needed.

        You may delete customers during the iteration, also those it returned. Customers created
        during it may or may not appear. With ``sort_order="asc"`` they come last: an iteration that
        creates a customer for each one does not end. The order is that of the list, except for
        customers whose ``createdAt`` disagrees with their id. At most three pages are in memory.

        Args:
            cursor: the ``cursor`` of an iteration with the same filters, to continue it.
            page_size: customers of one request, 1 to 100.
            sort_by: with any value but ``createdAt`` the iteration uses page numbers. The server
                has at most 1,000 pages, and the iteration misses customers if others are deleted
                during it.

        The other arguments are those of :meth:`list`. The iteration raises the errors of its
        requests and can continue after one: ``next()`` requests the same page again.

        Raises:
            ValueError: a filter that the server would refuse or ignore, or not a cursor.
            PageLimitReached: there are more than 1,000 pages.
        """
        query, call = iterate_query(options)
        return CustomerIterator(lambda query: self.list(query, **call), traversal(query, cursor))

    @property
    def with_raw_response(self) -> CustomersWithRawResponse:
        """The same endpoints, each returning the response with its status, headers and content."""
        return CustomersWithRawResponse(self)

    @overload
    def count(self, *, group_by: None = None, **options: Unpack[CountOptions]) -> int: ...
    @overload
    def count(
        self, *, group_by: Literal["country", "link_id"], **options: Unpack[CountOptions]
    ) -> builtins.list[CustomerCount]: ...
    @unpublished
    @result_handler(_count)
    @declare.returns.json
    @declare.get("customers/count", args={"group_by": CountGroup, "options": CountQuery})
    def count(
        self, *, group_by: str | None = None, **options: Unpack[CountOptions]
    ) -> int | builtins.list[CustomerCount]:
        """Count customers, all of them or those in each country or of each link.

        The route is on Dub's server, in its public repository, and not in its published reference.
        A server without it raises ``NotFound``: be able to do without the number.

        Args:
            group_by: ``"country"``, or ``"link_id"``: customers without a link are in no group, and
                the server returns at most 10,000 groups.
            email: exactly this email. Of ``email``, ``external_id`` and ``search`` the server
                uses the first that is given and ignores the others.
            external_id: exactly this id of your own.
            search: words of an email or a name; text with an ``@`` is exactly this email.
            country: two letters. This and the next three are combined with *and*.
            link_id: the link that brought the customer.
            program_id: the partner program.
            partner_id: the partner who referred the customer.
            retries, timeout_ms, http_headers, extra_query: for this call only; see the class.

        Returns:
            The number of customers. With ``group_by``, a
            :class:`~dub_uplink.models.components.CustomerCount` for each group, the largest first.

        Raises:
            ValueError: a filter that the server would refuse or ignore.
            NotFound: the server has no such route, or the workspace has no partner program.
        """
        raise NotImplementedError

    @declare.json
    @declare.returns.json(type=CustomerSchema)
    @declare.post(
        "customers",
        args={"request": declare.Body(type=CreateSchema), "options": declare.Options},
    )
    def create(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """Create a customer, exactly once.

        If a response is lost and a later attempt gets the error that the customer exists, the
        client looks the customer up. It returns the customer if it is the requested one.

        Args:
            request: a ``CreateCustomerRequestBody`` or a mapping; the server requires
                ``external_id`` and ``country``.
            retries, timeout_ms, http_headers, extra_query, extra_body: for this call only;
                see the class.

        Raises:
            ValueError: a field is unknown, missing or of the wrong type.
            Conflict: the external id or the Stripe id is taken by another customer.
        """
        raise NotImplementedError

    # CustomerRequest("id") sends its argument, or the id of a request object, as {id} of the path.
    # ExpandQuery takes the call options, and include_expanded_fields, which it sends in the query.
    # declare.Options accepts only call options.
    @declare.returns.json(type=CustomerSchema)
    @declare.get("customers/{id}", args={"request": CustomerRequest("id"), "options": ExpandQuery})
    def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> Customer:
        """Get a customer by its Dub id, or by ``ext_`` and your own id.

        Args:
            request: the id, a ``GetCustomerRequest`` or a mapping with an ``id``.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            retries, timeout_ms, http_headers, extra_query: for this call only; see the class.

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
        **options: Unpack[UpdateOptions],
    ) -> Customer:
        """Change a customer: fields that are not given stay, ``None`` clears a field.

        Args:
            id: the Dub id, or ``ext_`` and your own.
            request_body: an ``UpdateCustomerRequestBody`` or a mapping; ``None`` sends ``{}``. The
                server checks ``country`` and does not store it.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            retries, timeout_ms, http_headers, extra_query, extra_body: for this call only;
                see the class.

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

        If a response is lost and a later attempt gets the error that there is no such customer,
        the call succeeds and returns the given id.

        Args:
            id: the Dub id, or ``ext_`` and your own.
            retries, timeout_ms, http_headers, extra_query: for this call only; see the class.

        Raises:
            ValueError: the id is not valid.
            NotFound: there is no such customer.
        """
        raise NotImplementedError
