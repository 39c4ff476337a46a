"""Test that ``timeout_ms`` bounds an attempt with any slow server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import requests

from dub_uplink import Clock, CustomersConsumer, DeadlineAdapter, RetryConfig, errors
from dub_uplink._http.aiohttp_backend import _make_client_timeout

BOUND = 0.2  # seconds, the timeout of these calls
# The bound on a busy machine; the servers never complete a response.
MAX_SECONDS = 5.0

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n"
MOVED = b"HTTP/1.1 302 X\r\nLocation: /x\r\nContent-Length: 2000\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
LONG = b"[" + b" " * 1998 + b"]"
SLOW: dict[str, dict[str, Any]] = {
    "silent": {"raw": b"", "then": "hold"},
    "drips its body": {"raw": HEAD + LONG, "drip": 0.01, "drip_from": len(HEAD)},
    "drips its chunks": {
        "raw": CHUNKED + b"1\r\n \r\n" * 400,
        "drip": 0.01,
        "drip_from": len(CHUNKED),
    },
    "stops in its body": {"raw": HEAD + b"["},
    "drips a redirect": {"raw": MOVED + LONG, "drip": 0.01, "drip_from": len(MOVED)},
}
DRIPPING_HEADERS = {"raw": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 300 + b"\r\n", "drip": 0.01}


def times_out(call: Callable[[], Any]) -> errors.APITimeoutError:
    started = time.monotonic()
    with pytest.raises(errors.APITimeoutError) as caught:
        call()
    elapsed = time.monotonic() - started
    assert BOUND * 0.9 <= elapsed < MAX_SECONDS
    return caught.value


@pytest.mark.parametrize("slow", SLOW.values(), ids=[name.replace(" ", "-") for name in SLOW])
def test_slow_response_times_out_with_every_client_type(
    serving: Any, connect: Any, client: Any, repeat_measurement: Any, slow: dict[str, Any]
) -> None:
    customers = connect(serving(**slow).url, client=client, timeout_ms=BOUND * 1000)
    error = repeat_measurement(lambda: times_out(customers.list), lambda error: error.sent)
    assert str(error) == "GET: no complete response within 0.2 s"
    assert error.sent is True


def test_slow_headers_time_out_on_the_default_session(
    serving: Any, connect: Any, repeat_measurement: Any
) -> None:
    customers = connect(serving(**DRIPPING_HEADERS).url, timeout_ms=BOUND * 1000)
    assert (
        repeat_measurement(lambda: times_out(customers.list), lambda error: error.sent).sent is True
    )


def test_slow_headers_time_out_with_a_deadline_adapter(serving: Any, connect: Any) -> None:
    with requests.Session() as session:
        session.mount("http://", DeadlineAdapter())
        server = serving(**DRIPPING_HEADERS)
        customers = connect(server.url, client=session, timeout_ms=BOUND * 1000)
        times_out(customers.list)


def test_deadline_adapter_limits_direct_session_calls(serving: Any) -> None:
    with requests.Session() as session:
        session.mount("http://", DeadlineAdapter())
        started = time.monotonic()
        with pytest.raises(requests.RequestException):
            session.get(serving(**DRIPPING_HEADERS).url, timeout=BOUND)
        assert time.monotonic() - started < MAX_SECONDS
        # Without a timeout the request is not bounded.
        assert session.get(serving().url).text == "[]"


def test_received_bytes_do_not_restart_the_timeout(
    serving: Any, connect: Any, repeat_measurement: Any
) -> None:
    server = serving(raw=HEAD + LONG, drip=0.9, drip_from=len(HEAD))

    def measure() -> float:
        started = time.monotonic()
        with pytest.raises(errors.APITimeoutError):
            connect(server.url, timeout_ms=1000).list()
        return time.monotonic() - started

    # The second byte arrives after 1.8 s.
    assert 0.9 < repeat_measurement(measure, lambda seconds: seconds < 1.75) < 1.75


def test_call_timeout_overrides_the_client_timeout(serving: Any, connect: Any) -> None:
    server = serving(raw=b"", then="hold")
    customers = connect(server.url, timeout_ms=60_000)
    bounded: list[Callable[[], Any]] = [
        lambda: customers.list(timeout_ms=BOUND * 1000),
        lambda: customers.create({"external_id": "u"}, timeout_ms=BOUND * 1000),
        lambda: customers.get("x", timeout_ms=BOUND * 1000),
        lambda: customers.update("x", timeout_ms=BOUND * 1000),
        lambda: customers.delete("x", timeout_ms=BOUND * 1000),
    ]
    for call in bounded:
        times_out(call)
    hasty = connect(server.url, timeout_ms=BOUND * 1000)
    times_out(lambda: hasty.list(timeout_ms=None))


@pytest.mark.parametrize("timeout_ms", [1, 0.001, 86_400_000])
def test_any_valid_timeout_is_accepted_by_the_socket(
    serving: Any, connect: Any, client: Any, timeout_ms: float
) -> None:
    customers = connect(serving().url, client=client)
    try:
        assert customers.list(timeout_ms=timeout_ms) == []
    except errors.APITimeoutError:
        assert timeout_ms <= 1


def test_timeout_applies_to_each_attempt(serving: Any, connect: Any) -> None:
    server = serving(raw=b"", then="hold")
    waits: list[float] = []

    def stop_after_two(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) >= 2:
            server.play(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]")

    customers = connect(
        server.url,
        timeout_ms=BOUND * 1000,
        retry_config=RetryConfig(),
        clock=Clock(sleep=stop_after_two),
    )
    assert customers.list() == []
    assert len(waits) >= 2  # a busy machine may need more attempts
    assert len(server.received) == len(waits) + 1


def test_slow_response_within_the_timeout_is_complete(serving: Any, connect: Any) -> None:
    server = serving(200, "[ ]", drip=0.001)
    customers = connect(server.url, timeout_ms=30_000)
    for _ in range(3):
        assert customers.list() == []
    assert server.connections == 1


def test_connect_timeout_reports_the_request_as_unsent(
    connect: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Any, address: Any) -> None:
        raise TimeoutError("timed out")  # like a full accept queue

    monkeypatch.setattr("socket.socket.connect", full)
    with pytest.raises(errors.APITimeoutError) as caught:
        connect("http://127.0.0.1:9", client=client, timeout_ms=30_000).list()
    assert caught.value.sent is False
    assert str(caught.value) == "GET: no connection within 5 s"


def test_default_timeout_is_thirty_seconds(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bounds: list[Any] = []

    class Noting(requests.adapters.HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            bounds.append(kwargs["timeout"])
            return super().send(*args, **kwargs)

    with requests.Session() as session:
        session.mount("http://", Noting())
        CustomersConsumer("dub_x", server_url=serving().url, client=session).list()
    assert 20 < bounds[0] <= 30
    assert bounds[0].connect_seconds == 5.0


@pytest.mark.parametrize(("timeout", "connect"), [(30.0, 15.0), (2.0, 1.0)])
def test_async_connect_timeout_is_half_of_the_timeout(timeout: float, connect: float) -> None:
    assert _make_client_timeout(timeout).connect == connect
