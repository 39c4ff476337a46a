"""Define operations that consist of several calls: ``ensure``, ``upsert`` and ``…_many``."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Generator, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from .._concurrency.cooldown import make_sleep
from .._concurrency.threads import map_ordered
from .._declarative.consumer import DubConsumer
from .._declarative.extra import check_call_options
from .._declarative.schemas import field_names, serialize_request
from .._declarative.signatures import expand_signatures
from .._transport.call import NO_CACHE_HEADERS
from .._transport.retry_state import Outcome, RetryState
from ..declare import BodyOptions, CallOptions
from ..models.components import Customer
from ..models.errors import Conflict, DubError, NotFound
from ..models.operations import (
    CreateCustomerRequestBody,
    DeleteCustomerResponseBody,
    UpdateCustomerRequestBody,
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
from .schemas import CreateSchema, UpdateSchema

T = TypeVar("T")

_CREATE_SCHEMA = CreateSchema()
CREATE_FIELDS = field_names(_CREATE_SCHEMA)
UPDATE_FIELDS = field_names(UpdateSchema)


def prepare_upsert(
    request: Any, options: BodyOptions
) -> tuple[dict[str, Any], str, dict[str, Any]]:
    """Return the arguments of an upsert's calls.

    Returns:
        The body of the create, the id of the customer to update, and the body of the update.

    Raises:
        TypeError: ``request`` is neither a ``CreateCustomerRequestBody`` nor a mapping, or a call
            option is of the wrong type.
        ValueError: the external id is missing, a field is unknown or of the wrong type, expanded
            fields are requested, or a call option is out of range.
    """
    refuse_unsupported("upsert()", request, options.get("extra_query"), options.get("extra_body"))
    body = serialize_request(_CREATE_SCHEMA, request, "upsert()")
    external_id = body["externalId"]
    if not external_id:
        raise ValueError("upsert(): external_id is empty; give the id of a customer in your system")
    check_call_options(options, body_names=CREATE_FIELDS | UPDATE_FIELDS)
    change = {name: value for name, value in body.items() if name != "externalId"}
    return body, f"ext_{external_id}", change


def prepare_ensure(
    request: Any, options: BodyOptions
) -> tuple[dict[str, Any], str, tuple[Any, Any]]:
    """Return the arguments of an ensure's calls.

    A cache in the caller's session may store the 404 of the first read. Later reads therefore have
    headers that disable caches.

    Returns:
        The body of the create, the id to read, and the options of the first and of later reads.

    Raises:
        TypeError: ``request`` is neither a ``CreateCustomerRequestBody`` nor a mapping, or
            ``extra_body`` is not a mapping from strings.
        ValueError: a field is unknown, missing or of the wrong type, expanded fields are requested,
            or ``extra_body`` repeats a field of :meth:`create`.
    """
    refuse_unsupported("ensure()", request, options.get("extra_query"), options.get("extra_body"))
    body = serialize_request(_CREATE_SCHEMA, request, "ensure()")
    check_call_options(options, body_names=CREATE_FIELDS)
    first_read_options: Any = {**options}
    first_read_options.pop("extra_body", None)
    headers = {**(options.get("http_headers") or {}), **NO_CACHE_HEADERS}
    later_read_options = {**first_read_options, "http_headers": headers}
    return body, f"ext_{body['externalId']}", (first_read_options, later_read_options)


class FindOrCreateRetries:
    """The retries of an upsert or an ensure that can neither find nor create the customer.

    There are two possible causes. Other clients create and delete the customer between the
    requests, or another customer has the Stripe id of the request. The server sends the same
    message for both causes. The call tries again until the deadline of the retry policy. With a
    Stripe id, the call tries only three times, because the second cause is permanent.

    Args:
        call: the name of the call, for error messages.
        body: the body of the create.
        state: the retry state of the call.
    """

    def __init__(self, call: str, body: Mapping[str, Any], state: RetryState) -> None:
        self._call = call
        self._external_id = body["externalId"]
        self._stripe_id = body.get("stripeCustomerId")
        self.retry_state = state
        #: The error of the last failed create.
        self.conflict: Conflict | None = None

    def record_conflict(self, conflict: Conflict) -> None:
        """Store the error of a create, and count the attempt.

        The traceback is removed, because it refers to this object.
        """
        self.conflict = conflict.with_traceback(None)
        self.retry_state.attempt_count += 1

    def wait_seconds(self, conflict: Conflict) -> float:
        """Return the seconds to wait before the next create.

        Raises:
            Conflict: no further attempt is allowed, or the wait ends after the deadline.
        """
        state = self.retry_state
        is_last_attempt = state.config is None or (self._stripe_id and state.attempt_count >= 3)
        wait = math.inf if is_last_attempt else state.compute_wait(Outcome())
        if not state.exceeds_deadline(wait):
            return wait
        reason = "other clients create and delete this customer at the same time"
        if self._stripe_id:
            reason = f"another customer has {self._describe_stripe_id()}, or {reason}"
        raise Conflict(
            f"{self._call} could neither find nor create the customer with external_id"
            f" {self._external_id!r:.80}: {reason}",
            conflict.response,
            conflict.data,
        ) from None

    def make_stripe_id_error(self, conflict: Conflict) -> Conflict:
        """Return the error for a conflict of an update. The error names the given Stripe id."""
        if not self._stripe_id:  # the conflict is in a field of extra_body
            return conflict
        message = f"another customer has {self._describe_stripe_id()}"
        return Conflict(message, conflict.response, conflict.data)

    def _describe_stripe_id(self) -> str:
        return f"stripe_customer_id {self._stripe_id!r:.80}"


def _find_or_create(
    find: Callable[[bool], T], create: Callable[[], T], retries: FindOrCreateRetries
) -> T:
    """Call ``find`` and ``create`` alternately until one of them succeeds.

    ``find`` receives ``True`` after a failed ``create``.
    """
    while True:
        try:
            return find(retries.conflict is not None)
        except NotFound:
            if retries.conflict is not None:
                make_sleep(retries.retry_state.clock)(retries.wait_seconds(retries.conflict))
        except Conflict as error:
            raise retries.make_stripe_id_error(error) from None
        try:
            return create()
        except Conflict as error:  # the customer exists now, or another customer has its Stripe id
            retries.record_conflict(error)


def split_change(change: Any) -> tuple[Any, Any]:
    """Return the id and the body of one item of ``update_many``.

    Raises:
        TypeError: ``change`` is not a pair.
    """
    if not isinstance(change, (tuple, list)) or len(change) != 2:
        raise TypeError(
            'update_many(): each change must be a pair such as ("ext_user_1", {"name": "Ada"}), not'
            f" {change!r:.40}"
        )
    return change[0], change[1]


@expand_signatures
class CustomerBatches(DubConsumer):
    """The operations of :class:`~dub_uplink.CustomersConsumer` that consist of several calls."""

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

    @refuse_expanded_fields
    def ensure(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """Get the customer with this external id, or create it.

        Several workers may call ``ensure`` at once, even while other workers delete the customer.
        An existing customer is returned unchanged: its other fields may differ from ``request``.

        Args:
            request: a request as for :meth:`create`.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each request
                of this call; see the class.

        Raises:
            ValueError: a field is unknown, missing or of the wrong type.
            Conflict: another customer has the Stripe id, or other clients keep creating and
                deleting this customer until the deadline of the retry policy.
        """
        body, customer_id, read_options = prepare_ensure(request, options)
        retries = FindOrCreateRetries("ensure()", body, self._make_retry_state(options))
        return _find_or_create(
            lambda create_failed: self.get(customer_id, **read_options[create_failed]),
            lambda: self.create(body, **options),
            retries,
        )

    @refuse_expanded_fields
    def upsert(
        self,
        request: CreateCustomerRequestBody | Mapping[str, Any],
        **options: Unpack[BodyOptions],
    ) -> Customer:
        """Update the customer with this external id, or create it if there is none.

        Several workers may call ``upsert`` at once. An update changes the given fields only, and
        ``None`` clears a field. An update does not change ``country``, because the server stores
        that field only when it creates a customer. If a response is lost, the retries still lead to
        one customer with the given fields. If other clients create and delete the customer during
        the call, the call tries again until the deadline of the retry policy. A call with a Stripe
        id then tries at most three times.

        Args:
            request: a request as for :meth:`create`. The server requires ``country`` to create.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each request
                of this call; see the class.

        Returns:
            The customer as the server stored it.

        Raises:
            ValueError: the external id is missing, or a field is unknown or of the wrong type.
            Conflict: another customer has the Stripe id, or other clients keep creating and
                deleting this customer until the deadline of the retry policy.
        """
        body, customer_id, change = prepare_upsert(request, options)
        retries = FindOrCreateRetries("upsert()", body, self._make_retry_state(options))

        def create() -> Customer:
            with without_lookup(body["externalId"]):
                return self.create(body, **options)

        return _find_or_create(
            lambda _: self.update(customer_id, change, **options), create, retries
        )

    def create_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[BodyOptions],
    ) -> Generator[Customer | DubError | ValueError | TypeError, None, None]:
        """Create customers in several threads, and each customer exactly once.

        The first ``next()`` starts the workers. At most ``workers`` requests are read ahead of the
        results. When the server asks one worker to wait, all workers wait. Several threads may
        consume the results; each result is returned once. ``close()`` stops the workers.

        Args:
            requests: any number of requests as for :meth:`create`. If this iterable raises an
                exception, the results of the requests already read are returned first. Then the
                exception is raised.
            workers: the number of calls in flight at once.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each call;
                see the class.

        Returns:
            For each request, in the order of ``requests``: the customer or the error.

        Raises:
            TypeError: ``requests`` is a single mapping, a string or not iterable.
            ValueError: ``workers`` is not a whole number above 0, or an option is not valid.
        """
        check_call_options(options, body_names=CREATE_FIELDS)
        create = functools.partial(self.create, **options)
        return map_ordered(create, requests, workers)

    def delete_many(
        self,
        ids: Iterable[str],
        *,
        workers: int = 8,
        **options: Unpack[CallOptions],
    ) -> Generator[DeleteCustomerResponseBody | DubError | ValueError | TypeError, None, None]:
        """Delete customers in several threads; see :meth:`create_many` for details.

        Args:
            ids: Dub ids, or ``ext_`` followed by external ids.
            workers: the number of calls in flight at once.
            retries, timeout_ms, http_headers, extra_query: for each call; see the class.

        Returns:
            For each id, in the order of ``ids``: the result of :meth:`delete` or the error.

        Raises:
            TypeError: ``ids`` is a single string, a mapping or not iterable.
            ValueError: ``workers`` is not a whole number above 0, or an option is not valid.
        """
        check_call_options(options)
        delete = functools.partial(self.delete, **options)
        return map_ordered(delete, ids, workers)

    def update_many(
        self,
        changes: Iterable[tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]]],
        *,
        workers: int = 8,
        **options: Unpack[UpdateOptions],
    ) -> Generator[Customer | DubError | ValueError | TypeError, None, None]:
        """Update customers in several threads; see :meth:`create_many` for details.

        Args:
            changes: pairs of an id and a body as for :meth:`update`. Several changes of one
                customer may be applied in any order.
            workers: the number of calls in flight at once.
            include_expanded_fields: also get ``link``, ``partner``, ``discount``, ``program_id``.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each call;
                see the class.

        Returns:
            For each change, in the order of ``changes``: the customer or the error.

        Raises:
            TypeError: ``changes`` is a single string, a mapping or not iterable.
            ValueError: ``workers`` is not a whole number above 0, or an option is not valid.
        """
        check_expand_option(options.get("include_expanded_fields"))
        check_call_options(options, ExpandQuery.known, UPDATE_FIELDS)

        def update(change: tuple[str, UpdateCustomerRequestBody | Mapping[str, Any]]) -> Customer:
            return self.update(*split_change(change), **options)

        return map_ordered(update, changes, workers)

    @refuse_expanded_fields
    def upsert_many(
        self,
        requests: Iterable[CreateCustomerRequestBody | Mapping[str, Any]],
        *,
        workers: int = 8,
        **options: Unpack[BodyOptions],
    ) -> Generator[Customer | DubError | ValueError | TypeError, None, None]:
        """Update or create customers in several threads; see :meth:`create_many` for details.

        Args:
            requests: requests as for :meth:`upsert`. Several requests for one customer may be
                applied in any order.
            workers: the number of calls in flight at once.
            retries, timeout_ms, http_headers, extra_query, extra_body: for each request;
                see the class.

        Returns:
            For each request, in the order of ``requests``: the customer or the error.

        Raises:
            TypeError: ``requests`` is a single mapping, a string or not iterable.
            ValueError: ``workers`` is not a whole number above 0, or an option is not valid.
        """
        refuse_unsupported("upsert_many()", options.get("extra_query"), options.get("extra_body"))
        check_call_options(options, body_names=CREATE_FIELDS | UPDATE_FIELDS)
        upsert = functools.partial(self.upsert, **options)
        return map_ordered(upsert, requests, workers)
