"""Test that ``timeout_ms`` bounds an attempt of every client, with any slow server."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from dub_uplink import errors

BOUND = 0.15  # seconds
# The bound on a busy machine; the servers never complete a response.
MAX_SECONDS = 8.0

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
FAILED = b"HTTP/1.1 500 X\r\nContent-Length: 9000\r\n\r\n"
SLOW: dict[str, dict[str, Any]] = {
    "is silent": {"raw": b"x", "drip": 60.0},
    "sends nothing": {"raw": [b""], "then": "hold"},
    "stops in its headers": {"raw": b"HTTP/1.1 200 OK\r\nContent-Le", "then": "hold"},
    "stops in its body": {"raw": HEAD + b"[", "then": "hold"},
    "drips its body": {"raw": HEAD + b" " * 9000, "drip": 0.01, "drip_from": len(HEAD)},
    "drips its chunks": {"raw": CHUNKED + b"1\r\n \r\n" * 900, "drip": 0.01, "drip_from": 50},
    "drips an error": {"raw": FAILED + b" " * 9000, "drip": 0.01, "drip_from": len(FAILED)},
}
#: An uplink client hides its session, so that the headers are not bounded.
SLOW_HEADERS: dict[str, dict[str, Any]] = {
    "drips its headers": {"raw": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 900, "drip": 0.01},
    "only says it goes on": {"raw": b"HTTP/1.1 100 Continue\r\n\r\n" * 900, "drip": 0.01},
    "only gives hints": {"raw": b"HTTP/1.1 103 X\r\nA: b\r\n\r\n" * 900, "drip": 0.01},
}


def times_out(call: Any, bound: float = BOUND) -> errors.APITimeoutError:
    started = time.monotonic()
    with pytest.raises(errors.APITimeoutError) as caught:
        call()
    assert bound * 0.9 <= time.monotonic() - started < MAX_SECONDS
    return caught.value


@pytest.mark.promise("attempt-ends-at-timeout")
@pytest.mark.parametrize("slow", SLOW)
def test_slow_servers_never_exceed_the_timeout(
    serving: Any, reach: Any, repeat_measurement: Any, slow: str
) -> None:
    customers = reach(serving(**SLOW[slow]).url, timeout_ms=BOUND * 1000)
    error = repeat_measurement(lambda: times_out(customers.list), lambda error: error.sent)
    assert str(error) == "GET: no complete response within 0.15 s"
    assert error.sent is True


@pytest.mark.promise("attempt-ends-at-timeout")
@pytest.mark.parametrize("slow", SLOW_HEADERS)
def test_slow_headers_never_exceed_the_timeout(
    serving: Any, reach_session: Any, repeat_measurement: Any, slow: str
) -> None:
    customers = reach_session(serving(**SLOW_HEADERS[slow]).url, timeout_ms=BOUND * 1000)
    error = repeat_measurement(lambda: times_out(customers.list), lambda error: error.sent)
    assert error.sent is True


def test_slow_headers_with_an_adapter_subclass_time_out(serving: Any, connect: Any) -> None:

    class Own(HTTPAdapter):
        pass

    with requests.Session() as session:
        session.mount("http://", Own())
        server = serving(**SLOW_HEADERS["drips its headers"])
        times_out(connect(server.url, client=session, timeout_ms=BOUND * 1000).list)


@pytest.fixture
def full() -> Iterator[str]:
    """Run a server with a full accept queue, so that connecting takes until the timeout."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.promise("attempt-ends-at-timeout")
def test_slow_connections_never_exceed_the_timeout(full: str, reach: Any) -> None:
    customers = reach(full, timeout_ms=BOUND * 1000)
    # aiohttp applies one limit to connecting and to the wait for a connection.
    limit = BOUND / 2 if hasattr(customers, "loop") else BOUND
    error = times_out(customers.list, limit)
    assert str(error) == f"GET: no connection within {limit:.3g} s"
    assert error.sent is False


@pytest.mark.promise("responses-are-not-mixed-up")
@pytest.mark.parametrize("early", [b"103 Early Hints\r\nLink: </x>\r\n", b"100 Continue\r\n"])
def test_informational_1xx_responses_are_skipped(
    serving: Any, reach_own: Any, http_response: Any, early: bytes
) -> None:
    replies = [http_response(200, '{"id": "cus_1"}'), http_response(200, '{"id": "cus_2"}')]
    server = serving(raw=[b"HTTP/1.1 " + early + b"\r\n" + reply for reply in replies])
    customers = reach_own(server.url)
    assert [customers.get(f"cus_{n}").id for n in (1, 2)] == ["cus_1", "cus_2"]
    assert server.connections == 1
