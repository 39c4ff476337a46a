"""Define the base classes of consumers.

A consumer is an object whose methods are endpoints of an API. It stores the configuration of its
calls.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import uplink
from uplink import arguments
from uplink.hooks import TransactionHook

from .._http.requests_backend import make_backend
from .._internal.config import (
    DEFAULT_TIMEOUT_MS,
    merge_headers,
    normalize_base_url,
    timeout_seconds,
    validate_headers,
)
from .._internal.credentials import TokenProvider, is_coroutine_function
from .._internal.env_logging import enable_env_logging
from .._rate_limit.rate_limit import RateLimit
from .._transport import errors as transport_errors
from .._transport.client import OnRetry, RetryingClient
from .._transport.recovery import NoRecovery, RecoveryFactory
from .._transport.retry_state import RetryState
from ..models.response import Response
from ..models.unset import UNSET, Unset
from ..retries import DEFAULT_RETRY_CONFIG, Clock, RateLimitStatus, RetryBudget, RetryConfig
from .context import begin_call
from .converters import SchemaConverter
from .methods import define_methods
from .parameters import check_retries

if TYPE_CHECKING:

    class Consumer:
        """The types of ``uplink.Consumer`` for type checkers; uplink has no types."""

        session: Any
        exceptions: Any
        _asynchronous: bool

        def __init__(
            self,
            base_url: str = "",
            client: Any = None,
            converters: Any = (),
            *,
            hooks: Any = (),
        ) -> None: ...

else:

    class Consumer(uplink.Consumer):
        """``uplink.Consumer`` with plain methods and constructors.

        uplink wraps every constructor. The wrapper stores the constructor's arguments, including
        the token, in a reference cycle with the consumer. The wrapper also makes uplink process
        these arguments again at every call. This class therefore removes the wrapper.
        """

        #: Whether the endpoints are coroutine functions. If so, ``token`` and ``on_retry`` may be
        #: coroutine functions too.
        _asynchronous = False

        def __init_subclass__(cls, **options: Any) -> None:
            super().__init_subclass__(**options)
            wrapper = vars(cls).get("__init__")
            if wrapper is not None and not _has_request_arguments(wrapper.__wrapped__):
                cls.__init__ = wrapper.__wrapped__
            define_methods(cls, asynchronous=cls._asynchronous, is_reserved=_is_reserved)

    Consumer.__init__ = uplink.Consumer.__init__.__wrapped__


def _has_request_arguments(init: Callable[..., None]) -> bool:
    """Return whether a constructor has arguments that uplink sends with each request."""
    handler = arguments.ArgumentAnnotationHandlerBuilder.from_func(init).build()
    return any(True for _ in handler.annotations)


def _is_reserved(name: str) -> bool:
    """Return whether every consumer has an attribute of this name."""
    return name == "aclose" or hasattr(DubConsumer, name)


def check_policy(
    retry_config: RetryConfig | None,
    budget: RetryBudget | None,
    on_retry: OnRetry | None,
    clock: Clock | None,
    rate_limit: RateLimit | None,
) -> None:
    """Check the types of the policy arguments of a constructor.

    Raises:
        TypeError: an argument is of the wrong type. The message names the argument.
    """
    typed_arguments = (
        ("retry_config", retry_config, RetryConfig),
        ("retry_budget", budget, RetryBudget),
        ("clock", clock, Clock),
        ("rate_limit", rate_limit, RateLimit),
    )
    for name, value, expected_type in typed_arguments:
        if value is not None and not isinstance(value, expected_type):
            raise TypeError(f"{name} must be a {expected_type.__name__} or None, not {value!r}")
    if on_retry is not None and not callable(on_retry):
        raise TypeError(f"on_retry must be callable, not {on_retry!r}")


class _CallHook(TransactionHook):  # type: ignore[misc]  # uplink has no types
    """Create the ``CallState`` of each call, and raise an exception for each error status."""

    def audit_request(self, consumer: Any, request_builder: Any) -> None:
        begin_call(consumer, request_builder)

    def handle_response(self, consumer: Any, response: Response) -> Response:
        return transport_errors.raise_for_status(response)


class ConfiguredConsumer(Consumer):
    """The base class of all consumers. It stores the configuration of their calls."""

    #: Creates the object that decides whether the server applied a failed write.
    _recovery_type: RecoveryFactory = NoRecovery
    #: The default call options of this view, or ``None`` if the consumer is not a view. A view is a
    #: copy of a consumer, made by :meth:`with_options`.
    _default_options: Mapping[str, Any] | None = None
    #: The original of a view that returns raw responses; ``None`` in every other consumer.
    _raw_view_of: Any = None

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
        rate_limit: RateLimit | None = None,
    ) -> None:
        enable_env_logging()
        token_provider = TokenProvider(token)
        del token  # tracebacks with local variables must not show the token
        server_url = normalize_base_url(server_url)
        if isinstance(retry_config, Unset):
            retry_config = DEFAULT_RETRY_CONFIG
        if isinstance(retry_budget, Unset):
            retry_budget = RetryBudget()
        check_policy(retry_config, retry_budget, on_retry, clock, rate_limit)
        if not self._asynchronous and is_coroutine_function(on_retry):
            raise TypeError(
                "on_retry is an async function; pass a regular function, or use AsyncDub"
            )
        token_provider.resolve(asynchronous=self._asynchronous)
        self._transport = self._make_transport(
            client,
            server_url,
            token_provider,
            retry_config=retry_config,
            timeout=timeout_seconds(timeout_ms, DEFAULT_TIMEOUT_MS / 1000),
            budget=retry_budget,
            on_retry=on_retry,
            clock=clock,
            rate_limit=rate_limit,
            make_recovery=self._recovery_type,
        )
        super().__init__(
            base_url=server_url,
            client=self._transport,
            converters=SchemaConverter(),
            hooks=_CallHook(),
        )

    def with_options(
        self,
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a view of this consumer: a copy with the given default call options.

        A view shares the connections, the retry budget and the rate limit of the original consumer.
        Closing a view does nothing. After the original is closed, calls of the view raise
        ``RuntimeError``. A view of a view inherits the options that are not given.

        Args:
            retries: the policy of calls without the option ``retries``; ``None`` disables retries.
            timeout_ms: the time limit of one attempt, in milliseconds. If a call, an endpoint or a
                further ``with_options`` gives a time limit, that time limit applies instead.
            http_headers: headers of every call. If a call, an endpoint or a further
                ``with_options`` gives a header with the same name, that header is sent instead. The
                case of a header name does not matter.

        Raises:
            ValueError: an option is out of range, or a header is given twice.
            TypeError: an option is of the wrong type.
        """
        defaults: dict[str, Any] = dict(self._default_options or {})
        if not isinstance(retries, Unset):
            check_retries(retries)
            defaults["retries"] = retries
        if timeout_ms is not None and not isinstance(timeout_ms, Unset):
            defaults["timeout"] = timeout_seconds(timeout_ms, 1.0)
        if http_headers is not None and not isinstance(http_headers, Unset):
            headers = validate_headers(http_headers)
            defaults["http_headers"] = merge_headers(defaults.get("http_headers", {}), headers)
        return self._make_view(defaults)

    def _make_view(self, defaults: Mapping[str, Any]) -> Self:
        """Return a shallow copy of this consumer with the given default call options."""
        view = object.__new__(type(self))
        vars(view).update(vars(self), _default_options=defaults)
        return view

    def _make_retry_state(self, options: Mapping[str, Any]) -> RetryState:
        """Return the retry state of an operation that consists of several calls."""
        given = {name: value for name, value in options.items() if value is not UNSET}
        return self._transport.make_retry_state({**(self._default_options or {}), **given})

    def _make_transport(
        self, client: Any, server_url: str, token: TokenProvider, **policy: Any
    ) -> RetryingClient:
        """Return a transport that sends requests through the argument ``client``."""
        raise NotImplementedError

    @property
    def rate_limit_status(self) -> RateLimitStatus | None:
        """Return the rate limit that an error response last reported, or ``None``."""
        return self._transport.rate_limit_status

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._transport.server_url}>"

    def __reduce__(self) -> str | tuple[Any, ...]:
        raise TypeError(
            f"{type(self).__name__} objects cannot be pickled, because they have open connections"
            " and the token; create one in each process"
        )


class DubConsumer(ConfiguredConsumer):
    """The base class of your own consumers. It has no endpoints.

    See :class:`~dub_uplink.CustomersConsumer` for the arguments.
    """

    __module__ = "dub_uplink"

    def _make_transport(
        self, client: Any, server_url: str, token: TokenProvider, **policy: Any
    ) -> RetryingClient:
        return RetryingClient(make_backend(client, server_url), server_url, token, **policy)

    def close(self) -> None:
        """Close the connections of this consumer; a session passed as ``client`` stays open."""
        if self._default_options is None:
            self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
