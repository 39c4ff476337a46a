"""Declare the customers API with uplink."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, Literal, Unpack, overload

from .. import declare
from .._declarative.signatures import expand_signatures
from ..declare import BodyOptions, CallContext, CallOptions
from ..models.components import Customer, CustomerCount
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    GetCustomerRequest,
    GetCustomersRequest,
    UpdateCustomerRequestBody,
)
from .batches import CustomerBatches
from .pages import CustomerIterator, CustomerPage, start_traversal
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
    split_iterate_options,
)
from .raw import CustomersWithRawResponse
from .recovery import CustomerOperation
from .schemas import (
    CreateSchema,
    CustomerSchema,
    DeletedSchema,
    UpdateSchema,
    read_groups,
    read_number,
)


def _make_page(call: CallContext, customers: list[Customer]) -> CustomerPage:
    """Return customers as a page. The page fetches the next page with the options of this call."""
    # `call.query` has all filters of the call, from the request object and from the keywords, with
    # the server's names. `list` accepts these names too. CustomerPage computes the query of the
    # next page, and passes it to the function.
    consumer, options = call.consumer, call.options
    page: CustomerPage = consumer._page_type(
        customers, call.query, lambda query: consumer.list(query, **options)
    )
    return page


def _read_count(call: CallContext, body: Any) -> int | list[CustomerCount]:
    """Return the number of customers, or the groups if the query has ``groupBy``.

    Without ``groupBy`` the body is a number, such as ``42``. With ``groupBy`` it is an array, such
    as ``[{"country": "GB", "_count": 42}]``.
    """
    return read_groups(body) if "groupBy" in call.query else read_number(body)


@expand_signatures
class CustomersConsumer(CustomerBatches):
    """The customers of a workspace: list, create, get, update, delete.

    ``Dub(…).customers`` is an instance of this class. You can also create an instance yourself, or
    subclass it and add endpoints with :mod:`dub_uplink.declare`. Threads may share an instance. Use
    an instance as a context manager to close the connections that it opened.

    Args:
        token: the API key, or a callable that returns the key before every attempt. The default is
            the value of the environment variable ``DUB_API_KEY``.
        server_url: the URL of the server, which may include a path prefix. The default is the value
            of the environment variable ``DUB_SERVER_URL``. If the variable is not set, the default
            is ``https://api.dub.co``.
        client: a ``requests.Session`` with any adapters, or an uplink client. By default the
            consumer creates a session that limits the size and the time of every response.
        retry_config: the policy of calls without the option ``retries``; ``None`` disables retries.
        timeout_ms: the time limit of one attempt, in milliseconds. Connecting may take at most
            5,000 ms.
        retry_budget: the limit on the retries of all calls together; ``None`` for no limit.
        on_retry: a function that is called before each wait. Its arguments are the number of the
            failed attempt, the seconds to wait, and the error or the response of the attempt.
        clock: the source of time and randomness, for tests.
        rate_limit: a :class:`~dub_uplink.RateLimit` that delays each attempt as needed.

    Raises:
        ValueError: the token is missing, or an argument is out of range.
        TypeError: an argument is of the wrong type.

    Every call accepts the options ``retries``, ``timeout_ms``, ``http_headers`` and
    ``extra_query``, which apply to that call only. A call that sends a body also accepts
    ``extra_body``. The mappings ``extra_query`` and ``extra_body`` contain query parameters and
    body fields that this version does not declare. They are sent unchanged. A failed call raises a
    :class:`~dub_uplink.models.errors.DubError`. Wrong arguments raise ``ValueError`` or
    ``TypeError`` before anything is sent.
    """

    __module__ = "dub_uplink"  # `repr()` and `help()` show the public module

    #: The class of the pages of `list`. The asynchronous consumer has another class.
    _page_type = CustomerPage
    #: Decides whether to repeat a write that the server may have applied. If the repeated write
    #: fails with 404 or 409, this class decides whether the server applied the first write. After a
    #: create or a change of the external id, it needs the response to
    #: `GET customers/ext_<external id>`, which the transport sends.
    _recovery_type = CustomerOperation

    # `declare` has uplink's decorators and annotations, with types. uplink reads its annotations
    # from the signature. Here the signature has Python types, so `args` has uplink's annotations.
    # `result_handler` and `Options` have no equivalent in uplink: `result_handler` is like
    # `uplink.response_handler`, but its function takes the value that `returns.json` made.
    # `Options` is a `QueryMap` that sends nothing: it passes the call options to the transport, and
    # rejects other keywords.
    #
    # `Query` and the schemas send names in camelCase: `external_id` as `externalId`. Each request
    # has the headers `Authorization: Bearer <token>` and `Accept: application/json`, which the
    # transport of the base class sets.
    #
    # A method with `**options: Unpack[ListOptions]` accepts the keywords of ListOptions and no
    # others. ListOptions has the filters of a list and the CallOptions. For methods that are not
    # endpoints, such as `iterate`, the decorator `expand_signatures` checks the keywords.
    #
    # The endpoints need no error handling: a hook in uplink's session, added by the base class,
    # raises a DubError for every error status.

    # ListRequest stores the request object. ListQuery sends the filters of this object and the
    # keyword filters; a filter in both raises ValueError.
    @declare.result_handler(_make_page)
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
            email: only the customer with exactly this email. The server ignores ``external_id`` and
                ``search`` if ``email`` is given.
            external_id: only the customer with exactly this external id. The server ignores
                ``search`` if ``external_id`` is given.
            search: words of a name or an email. Text with an ``@`` must be the exact email.
            country: only customers from the country with this two-letter code.
            link_id: only customers of the link with this id.
            program_id: only customers of the default partner program of the workspace. The server
                replaces the given id by the id of this program.
            partner_id: only customers of this program that the partner with this id referred.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            sort_by: ``createdAt`` (the default), ``saleAmount``, ``firstSaleAt`` or
                ``subscriptionCanceledAt``.
            sort_order: ``desc`` (the default) or ``asc``.
            page: the number of the page, from 1 to 1,000.
            page_size: the number of customers on a page, from 1 to 100; the default is 100.
            starting_after: the id of a customer. The page starts after this customer, in the order
                of the ids: newest first, or oldest first with ``sort_order="asc"``.
            ending_before: the id of a customer. The page ends before this customer, in the order
                of the ids.
            retries, timeout_ms, http_headers, extra_query: for this call only; see the class.

        Returns:
            A list that can fetch the next page. :meth:`iterate` fetches all pages.

        Raises:
            ValueError: an argument is empty or not valid, or two arguments exclude each other, such
                as ``page`` and ``starting_after``.
            NotFound: ``program_id`` or ``partner_id`` is given, but the workspace has no partner
                program.
        """
        raise NotImplementedError

    def iterate(
        self,
        *,
        cursor: str | None = None,
        **options: Unpack[IterateOptions],
    ) -> CustomerIterator:
        """Iterate over every customer once. Pages are fetched when they are needed.

        You can delete customers during the iteration, including customers already returned. A
        customer created during the iteration may or may not appear. With ``sort_order="asc"`` a new
        customer appears last, so a loop that creates a customer in each round does not end. Dub's
        ids contain the time of creation. The order is the order of :meth:`list`, except for
        customers whose ``createdAt`` differs from the time in their id. At most three pages are in
        memory.

        Args:
            cursor: the ``cursor`` of an earlier iteration with the same filters. The new iteration
                continues after the last customer that the earlier iteration returned.
            page_size: the number of customers per request, from 1 to 100.
            sort_by: any value except ``createdAt`` makes the iteration use page numbers. The
                server accepts page numbers up to 1,000. An iteration by page number may miss
                customers if other customers are deleted during the iteration.

        The other arguments are those of :meth:`list`. If a request fails, ``next()`` raises the
        error. The following ``next()`` requests the failed page again.

        Raises:
            ValueError: an argument is empty or not valid.
            PageLimitReached: the list has more than 1,000 pages.
        """
        query, call_options = split_iterate_options(options)
        return CustomerIterator(
            lambda query: self.list(query, **call_options), start_traversal(query, cursor)
        )

    @property
    def with_raw_response(self) -> CustomersWithRawResponse:
        """An object whose endpoints return responses with status, headers and content."""
        return CustomersWithRawResponse(self)

    # CountGroup stores `group_by`. CountQuery sends the keyword filters and `group_by`, as in
    # `groupBy=linkId` for "link_id". If the server does not have the route, CountQuery makes the
    # call raise NotFound instead of SDKError. Here `list` is the method above, so the type is
    # `builtins.list`.
    @overload
    def count(self, *, group_by: None = None, **options: Unpack[CountOptions]) -> int: ...
    @overload
    def count(
        self, *, group_by: Literal["country", "link_id"], **options: Unpack[CountOptions]
    ) -> builtins.list[CustomerCount]: ...
    @declare.result_handler(_read_count)
    @declare.returns.json
    @declare.get("customers/count", args={"group_by": CountGroup, "options": CountQuery})
    def count(
        self, *, group_by: str | None = None, **options: Unpack[CountOptions]
    ) -> int | builtins.list[CustomerCount]:
        """Count all customers, or the customers per country or per link.

        Dub's published reference does not describe this route. The source of this description is
        the public repository of Dub's server. If a server does not have the route, the call raises
        ``NotFound``.

        Args:
            group_by: ``"country"`` or ``"link_id"``. Customers without a link are in no
                group of ``"link_id"``. The server returns at most 10,000 groups.
            email, external_id, search, country, link_id, program_id, partner_id: count only the
                customers that :meth:`list` returns with the same filters.
            retries, timeout_ms, http_headers, extra_query: for this call only; see the class.

        Returns:
            The number of customers. With ``group_by``, a
            :class:`~dub_uplink.models.components.CustomerCount` for each group, the largest first.

        Raises:
            ValueError: an argument is empty or not valid, or the server ignores a filter together
                with ``group_by``.
            NotFound: the server does not have the route. Or ``program_id`` or ``partner_id`` is
                given, but the workspace has no partner program.
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

        If a response is lost, a later attempt may fail because the customer exists. The call then
        looks the customer up, and returns the customer if it has the requested fields.

        Args:
            request: a ``CreateCustomerRequestBody`` or a mapping; the server requires
                ``external_id`` and ``country``.
            retries, timeout_ms, http_headers, extra_query, extra_body: for this call only;
                see the class.

        Raises:
            ValueError: a field is unknown, missing or of the wrong type.
            Conflict: another customer has the external id or the Stripe id.
        """
        raise NotImplementedError

    # CustomerRequest("id") sends an id, or the id of a request object, as {id} in the path.
    # ExpandQuery accepts the call options and include_expanded_fields, and sends
    # `includeExpandedFields=true`.
    @declare.returns.json(type=CustomerSchema)
    @declare.get("customers/{id}", args={"request": CustomerRequest("id"), "options": ExpandQuery})
    def get(
        self,
        request: str | GetCustomerRequest | Mapping[str, Any],
        **options: Unpack[ExpandOptions],
    ) -> Customer:
        """Get a customer by its Dub id, or by ``ext_`` followed by its external id.

        Args:
            request: the id, a ``GetCustomerRequest`` or a mapping with an ``id``.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            retries, timeout_ms, http_headers, extra_query: for this call only; see the class.

        Raises:
            ValueError: the id is empty, not a string, or reserved by Dub.
            NotFound: the customer does not exist.
        """
        raise NotImplementedError

    # CustomerId sends the id as {id} in the path: one segment, percent-encoded.
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
        """Update the given fields of a customer. ``None`` clears a field.

        Args:
            id: the Dub id, or ``ext_`` followed by the external id.
            request_body: an ``UpdateCustomerRequestBody`` or a mapping; ``None`` sends ``{}``. The
                server checks ``country``, but does not store it.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            retries, timeout_ms, http_headers, extra_query, extra_body: for this call only;
                see the class.

        Raises:
            ValueError: the id or a field is not valid.
            NotFound: the customer does not exist.
            Conflict: another customer has the new external id or Stripe id.
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

        If a response is lost, a later attempt may fail because the customer no longer exists. The
        call then succeeds and returns the given id.

        Args:
            id: the Dub id, or ``ext_`` followed by the external id.
            retries, timeout_ms, http_headers, extra_query: for this call only; see the class.

        Raises:
            ValueError: the id is not valid.
            NotFound: the customer does not exist.
        """
        raise NotImplementedError
