"""Define the base class of asynchronous consumers: objects whose methods are endpoints of an API.

The module ``aiohttp`` is imported when the first consumer is created.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .._internal.config import DEFAULT_TIMEOUT_MS
from .._internal.credentials import TokenProvider
from .._rate_limit.rate_limit import RateLimit
from .._transport.async_client import AsyncRetryingClient
from .._transport.client import OnRetry
from ..models.unset import UNSET, Unset
from ..retries import Clock, RetryBudget, RetryConfig
from .consumer import ConfiguredConsumer


class AsyncDubConsumer(ConfiguredConsumer):
    """The asynchronous :class:`~dub_uplink.DubConsumer`.

    ``client`` is an ``aiohttp.ClientSession``. By default, the first call creates a session for its
    event loop. ``aclose()`` or ``async with`` closes the created session.

    ``token`` may be a coroutine function. ``timeout_ms`` is in milliseconds. See
    :class:`~dub_uplink.CustomersConsumer` for the other arguments.
    """

    __module__ = "dub_uplink"

    if TYPE_CHECKING:
        _transport: AsyncRetryingClient
    _asynchronous = True

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
        del token  # tracebacks with local variables must not show the token
        super().__init__(
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

    def _make_transport(
        self, client: Any, server_url: str, token: TokenProvider, **policy: Any
    ) -> AsyncRetryingClient:
        try:
            from .._http.aiohttp_backend import make_async_backend  # noqa: PLC0415 - optional
        except ModuleNotFoundError as error:
            raise ImportError(
                'the asynchronous client needs aiohttp; run  pip install "dub-uplink[aiohttp]"'
            ) from error
        return AsyncRetryingClient(
            make_async_backend(client, server_url), server_url, token, **policy
        )

    async def aclose(self) -> None:
        """Close the connections of this consumer; a session passed as ``client`` stays open."""
        if self._default_options is None:
            await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
