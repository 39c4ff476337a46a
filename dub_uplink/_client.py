"""The whole client: one configuration and one lifetime for the APIs of a workspace."""

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
    """The consumer of a client; on the class of the client, the class of the consumer.

    ``unittest.mock.create_autospec`` reads the class, and needs the methods that are there.
    """

    def __init__(self, consumer_type: Callable[[], type[T]]) -> None:
        self._consumer_type = consumer_type
        self.__doc__ = "The customers of the workspace."

    def __set_name__(self, owner: type[Any], name: str) -> None:
        self._name = name

    @overload
    def __get__(self, client: None, owner: type[Any]) -> type[T]: ...
    @overload
    def __get__(self, client: object, owner: type[Any]) -> T: ...
    def __get__(self, client: object | None, owner: type[Any]) -> Any:
        if client is None:
            return self._consumer_type()
        try:
            return vars(client)[self._name]
        except KeyError:  # while it is constructed
            raise AttributeError(f"the client has no {self._name} yet") from None

    def __set__(self, client: object, consumer: T) -> None:
        vars(client)[self._name] = consumer


def _async_customers() -> type[AsyncCustomersConsumer]:
    from ._customers.async_consumer import AsyncCustomersConsumer  # noqa: PLC0415 - takes time

    return AsyncCustomersConsumer


def _make_view(client: T, **options: Any) -> T:
    """Return a client whose consumers are views of the consumers of ``client``."""
    view = object.__new__(type(client))
    for name, value in vars(client).items():
        is_consumer = isinstance(value, ConfiguredConsumer)
        vars(view)[name] = value.with_options(**options) if is_consumer else value
    return view


class Dub:
    """A client of Dub's API: ``Dub(token="dub_…").customers``.

    Takes the same arguments as :class:`~dub_uplink.CustomersConsumer`, which has their meaning.
    May be shared by threads. As a context manager it closes at the end what it opened itself::

        with Dub() as s:  # the token is in DUB_API_KEY
            s.customers.list()
    """

    __module__ = "dub_uplink"

    if TYPE_CHECKING:
        customers: ConsumerAttribute[CustomersConsumer]
    else:  # without the annotation, whose class is not public
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
        provider: Any = TokenProvider(token)
        del token  # from here on only the caller's own frame shows it
        self.customers = CustomersConsumer(
            provider,
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
        """Return the token's rate limit as the last error response stated it, or ``None``."""
        return self.customers.rate_limit_status

    def with_options(
        self,
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a view with other defaults; see :meth:`CustomersConsumer.with_options`.

        Args:
            retries: the retries of calls that get no ``retries``; ``None`` for no retries.
            timeout_ms: milliseconds that one attempt may take.
            http_headers: headers of every call.
        """
        return _make_view(self, retries=retries, timeout_ms=timeout_ms, http_headers=http_headers)

    def close(self) -> None:
        """Close what this client opened; a session it was given is left alone."""
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
    """An asynchronous client of Dub's API: ``AsyncDub(token="dub_…").customers``.

    Takes the arguments of :class:`Dub`; ``client`` is an ``aiohttp.ClientSession``. It needs the
    ``aiohttp`` extra and belongs to the event loop of its first call::

        async with AsyncDub() as s:  # the token is in DUB_API_KEY
            await s.customers.list()
    """

    __module__ = "dub_uplink"

    if TYPE_CHECKING:
        customers: ConsumerAttribute[AsyncCustomersConsumer]
    else:  # the same
        customers = ConsumerAttribute(_async_customers)

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
        provider: Any = TokenProvider(token)
        del token  # from here on only the caller's own frame shows it
        self.customers = _async_customers()(
            provider,
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
        """Return the token's rate limit as the last error response stated it, or ``None``."""
        return self.customers.rate_limit_status

    def with_options(
        self,
        *,
        retries: RetryConfig | Unset | None = UNSET,
        timeout_ms: float | None = None,
        http_headers: Mapping[str, str] | None = None,
    ) -> Self:
        """Return a view with other defaults; see :meth:`CustomersConsumer.with_options`.

        Args:
            retries: the retries of calls that get no ``retries``; ``None`` for no retries.
            timeout_ms: milliseconds that one attempt may take.
            http_headers: headers of every call.
        """
        return _make_view(self, retries=retries, timeout_ms=timeout_ms, http_headers=http_headers)

    async def aclose(self) -> None:
        """Close what this client opened; a session it was given is left alone."""
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
