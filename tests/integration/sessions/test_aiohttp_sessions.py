"""Test aiohttp sessions with traces and of subclasses: each attempt sends one request."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest

from dub_uplink import BackoffStrategy, RetryConfig, errors

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 3_000), True)
BODY = {"external_id": "u", "country": "GB"}
CUSTOMER = b'{"id": "cus_1", "name": "Ada"}'
MISSING = '{"error": {"code": "not_found", "message": "No."}}'


def traced(**handlers: Any) -> Callable[[], aiohttp.ClientSession]:
    """Return a function that creates a session with these trace handlers."""
    config = aiohttp.TraceConfig()
    for name, handler in handlers.items():
        getattr(config, name).append(handler)
    return lambda: aiohttp.ClientSession(trace_configs=[config])


def raising(error: Exception) -> Any:
    async def handle(*_: Any) -> None:
        raise error

    return handle


async def sleep_long(*_: Any) -> None:
    await asyncio.sleep(5)


LIBRARY_ERRORS = [
    ConnectionResetError(104, "gone"),
    aiohttp.ClientError("gone"),
    TimeoutError("gone"),
    ValueError("gone"),
]


@pytest.mark.parametrize("error", LIBRARY_ERRORS, ids=lambda error: type(error).__name__)
def test_aiohttp_error_in_a_trace_callback_keeps_the_success(
    serving: Any, connect_async: Any, error: Exception
) -> None:
    server = serving(201, CUSTOMER)
    session = traced(on_request_end=raising(error))
    dub = connect_async(server.url, client=session, retry_config=SHORT_RETRIES)
    assert dub.create(BODY).id == "cus_1"
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "error", [*LIBRARY_ERRORS, KeyError("own")], ids=lambda error: type(error).__name__
)
def test_exception_in_a_trace_callback_keeps_the_error_status(
    serving: Any, connect_async: Any, error: Exception
) -> None:
    server = serving(404, MISSING)
    session = traced(on_request_end=raising(error))
    with pytest.raises(errors.NotFound):
        connect_async(server.url, client=session, retry_config=SHORT_RETRIES).get("x")
    assert len(server.received) == 1


def test_user_exception_in_a_trace_callback_is_raised(serving: Any, connect_async: Any) -> None:
    server = serving(201, CUSTOMER)
    session = traced(on_request_end=raising(KeyError("own")))
    with pytest.raises(KeyError, match="own"):
        connect_async(server.url, client=session, retry_config=SHORT_RETRIES).create(BODY)
    assert len(server.received) == 1


def test_trace_callback_exception_does_not_hide_a_redirect(
    serving: Any, connect_async: Any
) -> None:
    server = serving(307, "", {"Location": "/elsewhere"})
    session = traced(on_request_end=raising(KeyError("own")))
    with pytest.raises(errors.SDKError, match="redirects to '/elsewhere'"):
        connect_async(server.url, client=session, retry_config=SHORT_RETRIES).create(BODY)


@pytest.mark.parametrize("failure", ["refused", "timeout"])
def test_sleeping_trace_callback_after_a_failure_is_cancelled(
    serving: Any, connect_async: Any, failure: str
) -> None:
    server = serving(raw=b"HTTP/1.1 200 OK\r\n", then="hold")
    if failure == "refused":
        server.close()
    session = traced(on_request_exception=sleep_long)
    started = time.monotonic()
    with pytest.raises(errors.APITimeoutError):
        connect_async(server.url, client=session, timeout_ms=200).list()
    assert time.monotonic() - started < 3


def test_sleeping_trace_callback_after_a_response_is_cancelled(
    serving: Any, connect_async: Any
) -> None:
    server = serving(201, CUSTOMER)
    session = traced(on_request_end=sleep_long)
    started = time.monotonic()
    dub = connect_async(server.url, client=session, timeout_ms=200, retry_config=SHORT_RETRIES)
    assert dub.create(BODY).id == "cus_1"
    assert time.monotonic() - started < 3
    assert len(server.received) == 1


def repeating() -> aiohttp.ClientSession:
    """Return a session of a subclass that sends each request up to three times."""

    class Repeating(aiohttp.ClientSession):
        async def _request(self, *args: Any, **settings: Any) -> aiohttp.ClientResponse:
            for _ in range(2):
                try:
                    response = await super()._request(*args, **settings)
                except aiohttp.ClientError:
                    continue
                if response.status < 500:
                    return response
            return await super()._request(*args, **settings)

    return Repeating()


@pytest.mark.filterwarnings("ignore:Inheritance class")
@pytest.mark.parametrize("reply", ["lost", "503"])
def test_session_subclass_that_retries_sends_one_request(
    wire: Any, step: Any, http_response: Any, connect_async: Any, reply: str
) -> None:
    first = step(b"", "close") if reply == "lost" else http_response(503, "")
    server = wire(first, http_response(404, MISSING))
    with pytest.raises(errors.DubError) as caught:
        connect_async(server.url, client=repeating).delete("cus_1")
    assert not isinstance(caught.value, errors.NotFound)
    assert len(server.received) == 1


def test_timeout_above_five_seconds_is_not_rounded(serving: Any, connect_async: Any) -> None:
    server = serving(raw=b"HTTP/1.1 200 OK\r\n", then="hold")
    dub = connect_async(server.url, timeout_ms=5_100)
    # aiohttp would round up to a full second of the loop's clock.
    time.sleep(-dub.loop.time() % 1)
    started = time.monotonic()
    with pytest.raises(errors.APITimeoutError):
        dub.list()
    assert 5.0 <= time.monotonic() - started < 5.6


def test_invalid_session_header_is_reported_as_unsent(serving: Any, connect_async: Any) -> None:
    server = serving(201, CUSTOMER)
    dub = connect_async(
        server.url,
        client=lambda: aiohttp.ClientSession(headers={"X-Key": "a\nb"}),
        retry_config=SHORT_RETRIES,
    )
    with pytest.raises(errors.APIConnectionError, match="the request is invalid") as caught:
        dub.create(BODY)
    assert (caught.value.attempts, caught.value.sent) == (1, False)
    assert server.received == []


@pytest.mark.parametrize(
    ("callback", "message", "sent"),
    [
        ("on_request_start", "no complete response within 0.2 s", True),
        ("on_connection_create_start", "no connection within 0.1 s", False),
    ],
)
def test_sleeping_trace_callback_ends_request_before_sending(
    serving: Any, connect_async: Any, callback: str, message: str, sent: bool
) -> None:
    server = serving(201, CUSTOMER)
    session = traced(**{callback: sleep_long})
    with pytest.raises(errors.APITimeoutError, match=message) as caught:
        connect_async(server.url, client=session, timeout_ms=200).create(BODY)
    assert caught.value.sent is sent
    assert server.received == []


def test_request_without_a_lookup_thread_is_reported_as_unsent(
    serving: Any, connect_async: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serving(201, CUSTOMER)
    dub = connect_async(server.url.replace("127.0.0.1", "localhost"))

    def refuse(_: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(
            errors.APIConnectionError, match="no connection: can't start new thread"
        ) as caught:
            dub.create(BODY)
    assert caught.value.sent is False
    assert dub.create(BODY).id == "cus_1"


@pytest.mark.parametrize("error", LIBRARY_ERRORS, ids=lambda error: type(error).__name__)
def test_trace_callback_error_before_sending_is_reported_as_unsent(
    serving: Any, connect_async: Any, error: Exception
) -> None:
    server = serving(201, CUSTOMER)
    session = traced(on_connection_create_start=raising(error))
    with pytest.raises(errors.APIConnectionError) as caught:
        connect_async(server.url, client=session).create(BODY)
    assert caught.value.sent is False
    assert server.received == []


@pytest.mark.filterwarnings("ignore:Inheritance class")
@pytest.mark.parametrize("error", LIBRARY_ERRORS[:3], ids=lambda error: type(error).__name__)
def test_error_of_a_mocked_session_is_reported_as_sent(
    serving: Any, connect_async: Any, error: Exception
) -> None:
    def make_session() -> aiohttp.ClientSession:
        class Mocked(aiohttp.ClientSession):
            async def _request(self, *_: Any, **__: Any) -> aiohttp.ClientResponse:
                raise type(error)(*error.args)  # without the traceback of another test

        return Mocked()

    with pytest.raises(errors.APIConnectionError) as caught:
        connect_async(serving().url, client=make_session).create(BODY)
    assert caught.value.sent is True


@pytest.mark.filterwarnings("ignore:Inheritance class")
@pytest.mark.parametrize("failure", ["dropped", "silent"])
def test_session_without_middlewares_reports_a_lost_write_as_sent(
    serving: Any, connect_async: Any, failure: str
) -> None:
    def make_session() -> aiohttp.ClientSession:
        class WithoutMiddlewares(aiohttp.ClientSession):
            async def _request(self, *args: Any, **settings: Any) -> aiohttp.ClientResponse:
                del settings["middlewares"]
                return await super()._request(*args, **settings)

        return WithoutMiddlewares()

    server = serving(raw=b"") if failure == "dropped" else serving(raw=b"HTTP/1.1 ", then="hold")
    dub = connect_async(server.url, client=make_session, timeout_ms=300)
    with pytest.raises(errors.APIConnectionError) as caught:
        dub.create(BODY)
    assert caught.value.sent is True
    assert len(server.received) == 1
