"""Test that attempts of a caller's session with the adapter of requests are bounded."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from requests.adapters import BaseAdapter, HTTPAdapter

from dub_uplink import errors

MAX_SECONDS = 8.0  # seconds; the servers never complete a response
DRIPPING = {"raw": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 900, "drip": 0.01}


@pytest.mark.promise("attempt-ends-at-timeout")
def test_slow_response_headers_from_a_proxy_time_out(serving: Any, connect: Any) -> None:
    with requests.Session() as session:
        session.proxies = {"http": serving(**DRIPPING).url}
        customers = connect("http://dub.localhost", client=session, timeout_ms=150)
        started = time.monotonic()
        with pytest.raises(errors.APITimeoutError):
            customers.list()
        assert time.monotonic() - started < MAX_SECONDS


def test_clients_share_a_connection_of_a_given_session(
    serving: Any, connect: Any, wrap: Any
) -> None:
    server = serving()
    with requests.Session() as session:
        for _ in range(3):
            with connect(server.url, client=wrap(session)) as customers:
                customers.list()
        assert server.connections == 1
        session.close()
        connect(server.url, client=wrap(session)).list()
        assert server.connections == 2


def test_session_get_after_client_calls_has_no_total_timeout(
    wire: Any, step: Any, http_response: Any, connect: Any
) -> None:
    """The timeout applies between two bytes, so a long download may take longer."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
    with requests.Session() as session:
        server = wire(http_response(200), step(head + b" " * 40, drip=0.04, drip_from=len(head)))
        connect(server.url, client=session, timeout_ms=1_000).list()
        assert len(session.get(server.url, timeout=1).content) == 40  # in 1.6 seconds
        assert server.connections == 1  # the session's pool is used


def test_session_subclass_state_is_updated(serving: Any, connect: Any) -> None:
    class Counting(requests.Session):
        sent = 0
        closed = 0

        def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
            self.sent = self.sent + 1
            return super().send(request, **settings)

        def __del__(self) -> None:
            self.closed = self.closed + 1

    session = Counting()
    customers = connect(serving().url, client=session)
    customers.list()
    customers.list()
    assert (session.sent, session.closed) == (2, 0)
    assert type(session) is Counting


def test_session_subclass_with_slots_obeys_the_timeout(serving: Any, connect: Any) -> None:
    class Slotted(requests.Session):
        __slots__ = ("count", "team")

        def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
            request.headers["X-Team"] = self.team
            self.count += 1
            return super().send(request, **settings)

    session = Slotted()
    session.team, session.count = "growth", 0
    server = serving()
    connect(server.url, client=session).list()
    with pytest.raises(errors.APITimeoutError):
        connect(serving(**DRIPPING).url, client=session, timeout_ms=150).list()
    assert server.received[0].headers["x-team"] == "growth"
    assert session.count == 2


class Subclassed(HTTPAdapter):
    sent = 0

    def send(self, request: Any, *args: Any, **settings: Any) -> requests.Response:
        self.sent = self.sent + 1
        return super().send(request, *args, **settings)


class TimeoutAdapter(HTTPAdapter):
    """An adapter that sets another timeout."""

    def send(self, request: Any, *args: Any, **settings: Any) -> requests.Response:
        return super().send(request, *args, **{**settings, "timeout": 60})


class SlottedAdapter(HTTPAdapter):
    __slots__ = ("sent",)


@pytest.mark.parametrize("cls", [Subclassed, TimeoutAdapter, SlottedAdapter])
def test_adapter_subclass_obeys_the_timeout(serving: Any, connect: Any, cls: Any) -> None:
    with requests.Session() as session:
        session.mount("http://", cls())
        customers = connect(serving(**DRIPPING).url, client=session, timeout_ms=150)
        started = time.monotonic()
        with pytest.raises(errors.APITimeoutError):
            customers.list()
        assert time.monotonic() - started < MAX_SECONDS


def test_adapter_subclass_attributes_are_kept(serving: Any, connect: Any) -> None:
    adapter = Subclassed()
    with requests.Session() as session:
        session.mount("http://", adapter)
        connect(serving().url, client=session).list()
    assert adapter.sent == 1


def test_adapter_mounted_after_the_client_is_created_is_used(serving: Any, connect: Any) -> None:
    adapter = Subclassed()
    with requests.Session() as session:
        customers = connect(serving().url, client=session)
        session.mount("http://", adapter)
        customers.list()
    assert adapter.sent == 1


class WrappingAdapter(BaseAdapter):
    """An adapter that sends through another adapter, like adapters for logs and metrics."""

    def __init__(self, inner: HTTPAdapter) -> None:
        super().__init__()
        self.inner = inner

    def send(self, *args: Any, **settings: Any) -> requests.Response:
        return self.inner.send(*args, **settings)

    def close(self) -> None:
        self.inner.close()


def test_deadline_adapter_inside_another_emits_a_warning(serving: Any, connect: Any) -> None:
    server = serving(raw=[b""])
    with requests.Session() as session:
        session.mount("http://", WrappingAdapter(HTTPAdapter(max_retries=2)))
        with pytest.warns(UserWarning, match="wraps another adapter") as warned:
            customers = connect(server.url, client=session)
        assert warned[0].filename.endswith("conftest.py"), "not the line of the constructor call"
        with pytest.raises(errors.APIConnectionError, match="tried to repeat"):
            customers.list()
    assert len(server.received) == 1
