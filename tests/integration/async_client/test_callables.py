"""Test asynchronous callables of the caller: the token and ``on_retry``."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dub_uplink import AsyncDub, BackoffStrategy, Dub, RateLimit, RetryConfig
from dub_uplink.testing import FakeDub, faults

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 2, 1.0, 10_000))


class AsyncCallable:
    """A callable object with an asynchronous ``__call__``."""

    async def __call__(self, *_: Any) -> str:
        return "dub_test"


async def async_token() -> str:
    await asyncio.sleep(0)
    return "dub_test"


@pytest.mark.parametrize("rate_limit", [None, RateLimit(100, per="minute")], ids=["", "limited"])
@pytest.mark.parametrize(
    "token", [async_token, AsyncCallable(), lambda: "dub_test"], ids=["function", "object", "sync"]
)
def test_async_token_is_awaited_before_every_attempt(token: Any, rate_limit: Any) -> None:
    async def main(url: str) -> list[str | None]:
        calls = 0

        async def counted() -> str:
            nonlocal calls
            calls += 1
            value = token()
            return value if isinstance(value, str) else await value

        async with AsyncDub(
            counted, server_url=url, retry_config=SHORT_RETRIES, rate_limit=rate_limit
        ) as s:
            await s.customers.list()
        assert calls == 2
        return []

    fake = FakeDub()
    fake.faults.add(faults.Status(503))
    with fake.serve() as url:
        asyncio.run(main(url))
    assert [request.headers["authorization"] for request in fake.requests] == [
        "Bearer dub_test"
    ] * 2


async def async_five() -> Any:
    return 5


@pytest.mark.parametrize("token", [lambda: 5, async_five], ids=["sync", "async"])
def test_token_callable_returning_no_string_raises_type_error(token: Any) -> None:
    async def main() -> None:
        async with AsyncDub(token, server_url="http://127.0.0.1:9") as s:
            with pytest.raises(TypeError, match="the token callable returned int, not a string"):
                await s.customers.list()

    asyncio.run(main())


def test_async_on_retry_is_awaited_before_the_wait() -> None:
    seen: list[tuple[int, float]] = []

    async def on_retry(attempt: int, wait: float, _: object) -> None:
        await asyncio.sleep(0)
        seen.append((attempt, wait))

    async def main(url: str) -> None:
        async with AsyncDub(
            "dub_test", server_url=url, retry_config=SHORT_RETRIES, on_retry=on_retry
        ) as s:
            await s.customers.list()

    fake = FakeDub()
    fake.faults.add(faults.Status(503), times=2)
    with fake.serve() as url:
        asyncio.run(main(url))
    assert [attempt for attempt, _ in seen] == [1, 2]


@pytest.mark.parametrize("argument", ["token", "on_retry"])
@pytest.mark.parametrize("function", [async_token, AsyncCallable()], ids=["function", "object"])
def test_sync_client_with_async_token_function_raises_type_error(
    argument: str, function: Any
) -> None:
    arguments: dict[str, Any] = {"token": "dub_test", argument: function}
    with pytest.raises(TypeError, match=f"{argument} is an async function; pass a regular"):
        Dub(**arguments)


def test_sync_client_with_token_callable_of_coroutine_raises() -> None:
    def token() -> Any:
        return async_token()

    s = Dub(token, server_url="http://127.0.0.1:9")
    with s, pytest.raises(TypeError, match="the token callable returned coroutine"):
        s.customers.list()


def test_sync_client_rejects_an_async_on_retry() -> None:
    def on_retry(*_: object) -> Any:
        return async_token()

    fake = FakeDub()
    fake.faults.add(faults.Status(503), times=2)
    with (
        Dub("dub_test", client=fake.session(), retry_config=SHORT_RETRIES, on_retry=on_retry) as s,
        pytest.raises(TypeError, match="on_retry returned a coroutine; pass a regular function"),
    ):
        s.customers.list()
    assert len(fake.requests) == 1
