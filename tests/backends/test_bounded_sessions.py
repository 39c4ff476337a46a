"""A caller's session with requests' own adapter is bounded like ours, and is none the wiser."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter

from dub_uplink import errors

PATIENCE = 8.0  # seconds; a server that is never done takes for ever
DRIPPING = {"raw": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 900, "drip": 0.01}


@pytest.mark.promise("attempt-ends-at-timeout")
def test_dripping_headers_that_come_through_a_proxy_are_given_up(
    serving: Any, connect: Any, wrap: Any
) -> None:
    with requests.Session() as session:
        session.proxies = {"http": serving(**DRIPPING).url}
        customers = connect("http://dub.localhost", client=wrap(session), timeout_ms=150)
        started = time.monotonic()
        with pytest.raises(errors.APITimeoutError):
            customers.list()
        assert time.monotonic() - started < PATIENCE


def test_its_clients_share_a_connection_which_it_closes(
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


def test_its_own_requests_are_bounded_as_requests_bounds_them(
    wire: Any, step: Any, said: Any, connect: Any
) -> None:
    """Between two bytes: a long download may take longer than its time-out."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n"
    with requests.Session() as session:
        server = wire(said(200), step(head + b" " * 40, drip=0.04, drip_from=len(head)))
        connect(server.url, client=session).list()
        assert len(session.get(server.url, timeout=1).content) == 40  # in 1.6 seconds
        assert server.connections == 2  # the one of ours would have been bounded otherwise


def test_what_a_session_of_another_class_notes_of_itself_is_noted(
    serving: Any, connect: Any
) -> None:
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


def test_a_session_that_keeps_attributes_in_slots_is_used_as_it_is(
    serving: Any, connect: Any
) -> None:
    class Slotted(requests.Session):
        __slots__ = ("team",)

        def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
            request.headers["X-Team"] = self.team
            return super().send(request, **settings)

    session = Slotted()
    session.team = "growth"
    server = serving()
    connect(server.url, client=session).list()
    assert server.received[0].headers["x-team"] == "growth"


def test_an_adapter_of_another_class_is_used_as_it_is(serving: Any, connect: Any) -> None:
    class Counting(HTTPAdapter):
        sent = 0

        def send(self, request: Any, *args: Any, **settings: Any) -> requests.Response:
            self.sent = self.sent + 1
            return super().send(request, *args, **settings)

    adapter = Counting()
    with requests.Session() as session:
        session.mount("http://", adapter)
        connect(serving().url, client=session).list()
    assert adapter.sent == 1


def test_the_settings_of_its_adapter_hold(serving: Any, connect: Any) -> None:
    """That which is mounted at the time of the call, as it is then."""
    server = serving(raw=[b""])
    with requests.Session() as session:
        customers = connect(server.url, client=session, retry_config=None)
        session.mount("http://", HTTPAdapter(max_retries=2))
        with pytest.raises(errors.APIConnectionError):
            customers.list()
    assert server.connections == 3
