"""A call that runs when its client is closed sends no further request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import requests

from dub_uplink import AsyncDub, BackoffStrategy, Clock, Dub, RateLimit, RetryConfig, errors

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 3_000), True)
BODY = {"external_id": "u", "country": "GB"}
CONFLICT = '{"error": {"code": "conflict", "message": "Exists."}}'


class Caller:
    """Makes one call with either client, and closes the client when :meth:`close` is called."""

    def __init__(self, *, is_async: bool, own: bool) -> None:
        self._is_async = is_async
        self._own = own
        self.close_client: Callable[[], Any] = lambda: None

    def call(self, url: str, operation: str, *args: Any, **settings: Any) -> Any:
        """Call an operation of a client of ``url``. ``on_retry`` closes the client."""
        settings = {"token": "dub_test", "retry_config": SHORT_RETRIES, **settings}
        if self._is_async:
            return asyncio.run(self._call_async(url, operation, *args, **settings))
        session = None if self._own else requests.Session()
        dub = Dub(server_url=url, client=session, on_retry=self._on_retry, **settings)
        self.close_client = dub.close
        return getattr(dub.customers, operation)(*args)

    async def _call_async(self, url: str, operation: str, *args: Any, **settings: Any) -> Any:
        session = None if self._own else aiohttp.ClientSession()
        dub = AsyncDub(server_url=url, client=session, on_retry=self._on_retry, **settings)
        self.close_client = dub.aclose
        try:
            return await getattr(dub.customers, operation)(*args)
        finally:
            if session is not None:
                await session.close()

    def _on_retry(self, *_: Any) -> Any:
        return self.close_client()

    def make_token(self, close_at: int) -> Any:
        """Return a token function that closes the client in call number ``close_at``."""
        calls: list[None] = []

        def token() -> str:
            calls.append(None)
            if len(calls) == close_at:
                self.close_client()
            return "dub_test"

        async def token_async() -> str:
            calls.append(None)
            if len(calls) == close_at:
                await self.close_client()
            return "dub_test"

        return token_async if self._is_async else token


@pytest.fixture(params=["own", "given"])
def caller(request: pytest.FixtureRequest, is_async: bool) -> Caller:
    return Caller(is_async=is_async, own=request.param == "own")


@pytest.fixture(params=[False, True], ids=["sync", "async"])
def is_async(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.mark.promise("closed-client-sends-nothing")
def test_closed_client_stops_retrying_an_error_status(serving: Any, caller: Caller) -> None:
    server = serving(503, "")
    with pytest.raises(errors.SDKError, match="503") as caught:
        caller.call(server.url, "list")
    assert caught.value.attempts == 1
    assert len(server.received) == 1


@pytest.mark.promise("closed-client-sends-nothing")
def test_closed_client_keeps_the_outcome_of_a_lost_write(serving: Any, caller: Caller) -> None:
    server = serving(raw=b"")
    with pytest.raises(errors.APIConnectionError) as caught:
        caller.call(server.url, "create", BODY)
    assert (caught.value.attempts, caught.value.sent) == (1, True)
    assert len(server.received) == 1


def test_client_closed_before_a_retry_sends_no_request(serving: Any, caller: Caller) -> None:
    server = serving(raw=b"")
    make_token, caller._on_retry = caller.make_token, lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(errors.APIConnectionError) as caught:
        caller.call(server.url, "create", BODY, token=make_token(2))
    assert (caught.value.attempts, caught.value.sent) == (1, True)
    assert len(server.received) == 1


@pytest.mark.promise("closed-client-sends-nothing")
def test_client_closed_before_a_lookup_reports_the_write_as_sent(
    wire: Any, step: Any, http_response: Any, caller: Caller
) -> None:
    server = wire(step(b"", "close"), http_response(409, CONFLICT))
    caller._on_retry = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(errors.APIConnectionError, match=r"closed before .* look up") as caught:
        caller.call(server.url, "create", BODY, token=caller.make_token(3))
    assert (caught.value.attempts, caught.value.sent) == (2, True)
    assert [request.method for request in server.received] == ["POST", "POST"]


@pytest.mark.promise("closed-client-sends-nothing")
def test_client_closed_before_the_first_request_raises(serving: Any, caller: Caller) -> None:
    server = serving()
    with pytest.raises(RuntimeError, match="the client is closed"):
        caller.call(server.url, "list", token=caller.make_token(1))
    assert server.received == []


@pytest.mark.promise("closed-client-sends-nothing")
def test_client_closed_in_a_rate_limit_wait_sends_nothing(serving: Any) -> None:
    server = serving()

    def sleep(seconds: float) -> None:
        dub.close()
        time.sleep(seconds)

    rate_limit = RateLimit(1, per=0.2)
    dub = Dub("x", server_url=server.url, rate_limit=rate_limit, clock=Clock(sleep=sleep))
    dub.customers.list()
    with pytest.raises(RuntimeError, match="the client is closed"):
        dub.customers.list()
    assert len(server.received) == 1


def test_response_in_flight_is_returned_after_close(serving: Any) -> None:
    server = serving(body="[]", drip=0.002)
    dub = Dub("x", server_url=server.url)
    timer = threading.Timer(0.05, dub.close)
    timer.start()
    assert dub.customers.list() == []
    timer.join()


@pytest.mark.parametrize("operation", ["create", "update"])
def test_closing_an_async_client_ends_a_write_in_flight(serving: Any, operation: str) -> None:
    server = serving(raw=b"HTTP/1.1 200 OK\r\n", then="hold")
    args = (BODY,) if operation == "create" else ("cus_1", {"name": "Ada"})

    async def main() -> None:
        dub = AsyncDub("dub_test", server_url=server.url, retry_config=SHORT_RETRIES)
        call = asyncio.ensure_future(getattr(dub.customers, operation)(*args))
        while not server.received:
            await asyncio.sleep(0.01)
        await dub.aclose()
        with pytest.raises(errors.APIConnectionError) as caught:
            await call
        assert (caught.value.attempts, caught.value.sent) == (1, True)

    asyncio.run(main())
    assert len(server.received) == 1


def test_closing_an_async_client_ends_waits_for_a_connection(serving: Any) -> None:
    server = serving(raw=b"HTTP/1.1 200 OK\r\n", then="hold")

    async def main() -> list[Any]:
        dub = AsyncDub("dub_test", server_url=server.url, retry_config=SHORT_RETRIES)
        calls = [asyncio.ensure_future(dub.customers.create(BODY)) for _ in range(101)]
        while len(server.received) < 100:
            await asyncio.sleep(0.01)
        await dub.aclose()
        return await asyncio.gather(*calls, return_exceptions=True)

    ended = asyncio.run(main())
    assert {type(error) for error in ended} == {errors.APIConnectionError}
    assert sorted(error.sent for error in ended) == [False] + [True] * 100


def test_closing_a_given_session_keeps_that_a_write_was_sent(serving: Any) -> None:
    server = serving(raw=b"HTTP/1.1 200 OK\r\n", then="hold")

    async def main() -> None:
        session = aiohttp.ClientSession()
        dub = AsyncDub(
            "dub_test", server_url=server.url, client=session, retry_config=SHORT_RETRIES
        )
        call = asyncio.ensure_future(dub.customers.create(BODY))
        while not server.received:
            await asyncio.sleep(0.01)
        await session.close()
        with pytest.raises(errors.APIConnectionError, match="Session is closed") as caught:
            await call
        assert (caught.value.attempts, caught.value.sent) == (2, True)
        with pytest.raises(errors.APIConnectionError, match="Session is closed") as caught:
            await dub.customers.create(BODY)
        assert (caught.value.attempts, caught.value.sent) == (1, False)

    asyncio.run(main())
    assert len(server.received) == 1
