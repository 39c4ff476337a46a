"""The whole client: one configuration and one lifetime for the APIs of a workspace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ._customers.consumer import CustomersConsumer
from ._internal.config import DEFAULT_TIMEOUT_MS
from ._internal.credentials import TokenProvider
from ._rate_limit.rate_limit import RateLimit
from ._transport.client import OnRetry
from .models.unset import UNSET, Unset
from .retries import Clock, RateLimitStatus, RetryBudget, RetryConfig

if TYPE_CHECKING:
    from ._customers.async_consumer import AsyncCustomersConsumer


class Dub:
    """A client of Dub's API: ``Dub(token="dub_…").customers``.

    Takes the same arguments as :class:`~dub_uplink.CustomersConsumer`, which has their meaning.
    May be shared by threads. As a context manager it closes at the end what it opened itself::

        with Dub() as s:  # the token is in DUB_API_KEY
            s.customers.list()
    """

    #: The customers of the workspace.
    customers: CustomersConsumer

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
        held: Any = TokenProvider(token)
        del token  # from here on only the caller's own frame shows it
        self.customers = CustomersConsumer(
            held,
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
    def rate_limit(self) -> RateLimitStatus | None:
        """What the server last said of the token's rate limit; ``None`` before it has."""
        return self.customers.rate_limit

    def close(self) -> None:
        """Close what this client opened; a session it was given is left alone."""
        self.customers.close()

    def __enter__(self) -> Dub:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
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

    #: The customers of the workspace.
    customers: AsyncCustomersConsumer

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
        held: Any = TokenProvider(token)
        del token  # from here on only the caller's own frame shows it
        from ._customers.async_consumer import AsyncCustomersConsumer  # noqa: PLC0415 - its declarations take time

        self.customers = AsyncCustomersConsumer(
            held,
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
    def rate_limit(self) -> RateLimitStatus | None:
        """What the server last said of the token's rate limit; ``None`` before it has."""
        return self.customers.rate_limit

    async def aclose(self) -> None:
        """Close what this client opened; a session it was given is left alone."""
        await self.customers.aclose()

    async def __aenter__(self) -> AsyncDub:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<AsyncDub {self.customers!r}>"
