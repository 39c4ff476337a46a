"""Define the clients ``Dub`` and ``AsyncDub``.

A client creates and closes a consumer: an object whose methods are endpoints of the API.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from ._customers.consumer import CustomersConsumer
from ._declarative.consumer import ConfiguredConsumer
from ._internal.config import DEFAULT_TIMEOUT_MS
from ._internal.credentials import TokenProvider
from ._rate_limit.rate_limit import RateLimit
from ._transport.client import OnRetry
from .models.unset import UNSET, Unset
from .retries import Clock, RateLimitStatus, RetryBudget, RetryConfig

if TYPE_CHECKING:
    from ._customers.async_consumer import AsyncCustomersConsumer


T = TypeVar("T")


class ConsumerAttribute(Generic[T]):
    """A descriptor that returns a client's consumer or the consumer's class.

    ``client.customers`` is the consumer. ``Dub.customers`` is the class of the consumer.
    ``unittest.mock.create_autospec(Dub)`` reads that class to create the methods of the mock.
    """

    def __init__(self, load_consumer_type: Callable[[], type[T]]) -> None:
        self._load_consumer_type = load_consumer_type
        self.__doc__ = "The customers of the workspace."

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, client: None, owner: type[Any]) -> type[T]: ...
    @overload
    def __get__(self, client: object, owner: type[Any]) -> T: ...
    def __get__(self, client: object | None, owner: type[Any]) -> Any:
        if client is None:
            return self._load_consumer_type()
        try:
            return vars(client)[self._name]
        except KeyError:  # the constructor of the client has not set the consumer yet
            raise AttributeError(
                f"{self._name} is not available; call the constructor of the client first"
            ) from None

    def __set__(self, client: object, consumer: T) -> None:
        vars(client)[self._name] = consumer


def _load_async_customers_consumer() -> type[AsyncCustomersConsumer]:
    from ._customers.async_consumer import AsyncCustomersConsumer  # noqa: PLC0415 - slow to import

    return AsyncCustomersConsumer


def _make_view(client: T, **options: Any) -> T:
    """Return a copy of a client with ``options`` as its default call options."""
    view = object.__new__(type(client))
    for name, value in vars(client).items():
        is_consumer = isinstance(value, ConfiguredConsumer)
        vars(view)[name] = value.with_options(**options) if is_consumer else value
    return view


class Dub:
    """A client for Dub's API: ``Dub(token="dub_…").customers``.

    See :class:`~dub_uplink.CustomersConsumer` for the arguments.
    Threads may share a client. Use the client as a context manager to close its connections::

        with Dub() as s:  # the environment variable DUB_API_KEY contains the token
            s.customers.list()
    """

    __module__ = "dub_uplink"

    if TYPE_CHECKING:
        customers: ConsumerAttribute[CustomersConsumer]
    else:  # not annotated at run time, so that the API reference hides the descriptor class
        customers = ConsumerAttribute(lambda: CustomersConsumer)

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
        token_provider: Any = TokenProvider(token)
        del token  # a traceback with local variables must not show the token
        self.customers = CustomersConsumer(
            token_provider,
            server_url=server_url,
            client=client,
            retry_config=retry_config,
            timeout_ms=timeout_ms,
            retry_budget=retry_budget,
            on_retry=on_retry,
            clock=clock,
            rate_limit=rate_limit,
        )

    @property
    def rate_limit_status(self) -> RateLimitStatus | None:
        """Return the rate limit that an error response last reported, or ``None``."""
        return self.customers.rate_limit_status

    def with_options(
        self,
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a copy of this client with the given default call options.

        The copy shares the connections. See :meth:`CustomersConsumer.with_options`.

        Args:
            retries: the policy of calls without the option ``retries``; ``None`` disables retries.
            timeout_ms: the time limit of one attempt in milliseconds.
            http_headers: headers to send with every call.
        """
        return _make_view(self, retries=retries, timeout_ms=timeout_ms, http_headers=http_headers)

    def close(self) -> None:
        """Close the client; later calls raise ``RuntimeError``.

        A session passed as ``client`` stays open.
        """
        self.customers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Dub {self.customers!r}>"


class AsyncDub:
    """An asynchronous client for Dub's API: ``AsyncDub(token="dub_…").customers``.

    ``client`` is an ``aiohttp.ClientSession``. ``token`` and ``on_retry`` may be coroutine
    functions. The other arguments are those of :class:`Dub`. Requires the ``aiohttp`` extra. All
    calls of a client must run in the event loop of its first call::

        async with AsyncDub() as s:  # the environment variable DUB_API_KEY contains the token
            await s.customers.list()
    """

    __module__ = "dub_uplink"

    if TYPE_CHECKING:
        customers: ConsumerAttribute[AsyncCustomersConsumer]
    else:  # not annotated at run time; see the comment in Dub
        customers = ConsumerAttribute(_load_async_customers_consumer)

    def __init__(
        self,
        token: str | Callable[[], str | Awaitable[str]] | None = None,
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
        token_provider: Any = TokenProvider(token)
        del token  # a traceback with local variables must not show the token
        self.customers = _load_async_customers_consumer()(
            token_provider,
            server_url=server_url,
            client=client,
            retry_config=retry_config,
            timeout_ms=timeout_ms,
            retry_budget=retry_budget,
            on_retry=on_retry,
            clock=clock,
            rate_limit=rate_limit,
        )

    @property
    def rate_limit_status(self) -> RateLimitStatus | None:
        """Return the rate limit that an error response last reported, or ``None``."""
        return self.customers.rate_limit_status

    def with_options(
        self,
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a copy of this client with the given default call options.

        The copy shares the connections. See :meth:`CustomersConsumer.with_options`.

        Args:
            retries: the policy of calls without the option ``retries``; ``None`` disables retries.
            timeout_ms: the time limit of one attempt in milliseconds.
            http_headers: headers to send with every call.
        """
        return _make_view(self, retries=retries, timeout_ms=timeout_ms, http_headers=http_headers)

    async def aclose(self) -> None:
        """Close the client; later calls raise ``RuntimeError``.

        A session passed as ``client`` stays open.
        """
        await self.customers.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncDub {self.customers!r}>"
