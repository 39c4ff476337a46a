"""The customers API, declared.

May import endpoints and what is to their right.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

import uplink

from . import hooks
from .arguments import CustomerId, CustomerRequest, Filter, JsonBody, list_query
from .backend import backend
from .config import DEFAULT_TIMEOUT_MS, Token, base_url, timeout_seconds
from .consumer import Consumer
from .endpoints import Paged, endpoint
from .models.components import Customer
from .models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    GetCustomerRequest,
    GetCustomersRequest,
    UpdateCustomerRequestBody,
)
from .models.unset import UNSET, Unset
from .pagination import CustomerPage
from .retries import (
    DEFAULT_RETRY_CONFIG,
    Clock,
    RateLimitStatus,
    RetryBudget,
    RetryConfig,
)
from .schemas import CreateSchema, CustomerSchema, DeletedSchema, UpdateSchema
from .transport import OnRetry, RetryingClient, check_policy

_CUSTOMER = CustomerSchema()
_CUSTOMERS = CustomerSchema(many=True)
_DELETED = DeletedSchema()

_FILTERS = {field.name: Filter(field.name) for field in dataclasses.fields(GetCustomersRequest)} | {
    "request": Filter("request")
}
C = TypeVar("C", bound="CustomersConsumer")


def _page(consumer: CustomersConsumer, customers: list[Customer], call: Any) -> CustomerPage:
    """A page, and the way to the next one: the same call with another query."""
    names = ("retries", "timeout_ms", "http_headers")
    options = {name: call.options[name] for name in names if name in call.options}
    return CustomerPage(
        customers, call.options["query"], lambda query: consumer.list(request=query, **options)
    )


class CustomersConsumer(Consumer):
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

    Raises:
        ValueError: there is no token, or an argument is out of range.
        TypeError: an argument is of the wrong type.

    Every call takes ``retries`` (a :class:`~dub_uplink.utils.RetryConfig`, or ``None`` for none),
    ``timeout_ms`` and ``http_headers``, each for this call only. Every failure is a
    :class:`~dub_uplink.models.errors.DubError`; a mistake in the arguments is a ``ValueError`` or
    ``TypeError`` before anything is sent.
    """

    def __init__(
        self,
        token: str | Callable[[], str] | None = None,
        *,
        server_url: str | None = None,
        client: Any = None,
        retry_config: RetryConfig | Unset | None = UNSET,
        timeout_ms: float = DEFAULT_TIMEOUT_MS,
        retry_budget: RetryBudget | Unset | None = UNSET,
        on_retry: OnRetry | None = None,
        clock: Clock | None = None,
    ) -> None:
        server = base_url(server_url)
        if isinstance(retry_config, Unset):
            retry_config = DEFAULT_RETRY_CONFIG
        if isinstance(retry_budget, Unset):
            retry_budget = RetryBudget()
        check_policy(retry_config, retry_budget, on_retry, clock)
        self._transport = RetryingClient(
            backend(client, server),
            server,
            Token(token),
            retry_config=retry_config,
            timeout=timeout_seconds(timeout_ms, DEFAULT_TIMEOUT_MS / 1000),
            budget=retry_budget,
            on_retry=on_retry,
            clock=clock,
        )
        super().__init__(
            base_url=server,
            client=self._transport,
            hooks=(uplink.response_handler(hooks.raise_for_status),),
        )

    @property
    def rate_limit(self) -> RateLimitStatus | None:
        """What the server last said of the token's rate limit; ``None`` before it has.

        It says so only with errors.
        """
        return self._transport.rate_limit

    def close(self) -> None:
        """Close what this client opened; a session it was given is left alone."""
        self._transport.close()

    def __enter__(self: C) -> C:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._transport.server_url}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError(
            f"a {type(self).__name__} cannot be pickled: it holds open connections and the token;"
            " make one in each process"
        )

    @endpoint.get("customers", returns=Paged(_CUSTOMERS, _page), args=_FILTERS, prepare=list_query)
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

    @endpoint.post(
        "customers", returns=_CUSTOMER, args={"request": JsonBody(CreateSchema(), "create()")}
    )
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

    @endpoint.get("customers/{id}", returns=_CUSTOMER, args={"request": CustomerRequest("id")})
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

    @endpoint.patch(
        "customers/{id}",
        returns=_CUSTOMER,
        args={"id": CustomerId("id"), "request_body": JsonBody(UpdateSchema(), "update()")},
    )
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
