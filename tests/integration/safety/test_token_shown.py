"""Test that the errors and logs of failed calls do not contain the token."""

from __future__ import annotations

import asyncio
import gc
import http.client
import logging
import pickle
import socket
import threading
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
import requests
from requests.adapters import HTTPAdapter

from dub_uplink import AsyncDub, CustomersConsumer, RetryConfig, declare, errors

DETAIL = b'{"error": {"code": "c", "message": "m", "doc_url": null}}'


def reply(status: int, body: bytes, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


#: Responses of the server; empty bytes drop the connection.
RESPONSES: dict[str, bytes] = {
    "401": reply(401, DETAIL),
    "404 of a proxy": reply(404, b"<html>"),
    "redirect": reply(302, b"", b"Location: https://x.example/\r\n"),
    "no JSON": reply(200, b"<html>"),
    "no customer": reply(200, b'{"id": 5}'),
    "cut": reply(200, b'{"id": "cus_'),
    "rotten gzip": reply(200, b"hello", b"Content-Encoding: gzip\r\n"),
    "unknown packing": reply(200, b"hello", b"Content-Encoding: br\r\n"),
    "no HTTP": b"no HTTP at all\r\n\r\n",
    "dropped": b"",
    "timeout": b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n",
}


@pytest.fixture
def dumping(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Turn on all logs and the debug mode of asyncio."""
    caplog.set_level(logging.DEBUG)
    for name in ("urllib3", "asyncio", "aiohttp.client", "requests", "dub_uplink"):
        caplog.set_level(logging.DEBUG, name)
    monkeypatch.setenv("PYTHONASYNCIODEBUG", "1")


@pytest.mark.promise("errors-show-no-token")
@pytest.mark.usefixtures("dumping")
@pytest.mark.parametrize("name", [*RESPONSES, "refused"])
def test_failures_hide_the_token(
    serving: Any, reach: Any, shown: Any, token: str, name: str, caplog: Any, capfd: Any
) -> None:
    server = serving(raw=RESPONSES.get(name, b""))
    if name == "refused":
        server.close()
    timeout_ms = 100 if name == "timeout" else 20_000
    customers = reach(server.url, timeout_ms=timeout_ms)
    with pytest.raises(errors.DubError) as caught:
        customers.get("cus_1", http_headers={"X-Trace": "1"})
    error = caught.value
    printed = [shown(error), shown(pickle.loads(pickle.dumps(error)))]
    printed += [repr(pickle.dumps(error, protocol)) for protocol in range(6)]
    printed += [repr(vars(record)) + record.getMessage() for record in caplog.records]
    printed += capfd.readouterr()
    assert len(printed[0]) > 1000
    assert not [text for text in printed if token in text]


def fail(*_: Any, **__: Any) -> Any:
    raise ZeroDivisionError


class Mine(CustomersConsumer):
    @declare.returns.json(type=fail)
    @declare.get("broken")
    def broken(self) -> Any:
        raise NotImplementedError


@pytest.mark.promise("handlers-show-no-token")
# If a session hook raises, requests drops the response with its connection.
@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
def test_exception_of_a_response_handler_hides_the_token(
    serving: Any, token: str, shown: Any, request: pytest.FixtureRequest
) -> None:
    """The exception comes from an endpoint reader, ``on_retry``, a session hook or an adapter."""

    def session(**hooks: Any) -> requests.Session:
        created = requests.Session()
        created.hooks.update(hooks)
        request.addfinalizer(created.close)
        return created

    class Broken(HTTPAdapter):
        def send(self, *args: Any, **kwargs: Any) -> Any:
            super().send(*args, **kwargs)
            raise ZeroDivisionError

    adapted = session()
    adapted.mount("http://", Broken())
    url = serving(500, DETAIL).url
    fine = serving().url
    ways: list[dict[str, Any]] = [
        {"on_retry": fail, "retry_config": RetryConfig()},
        {"client": session(response=[fail]), "server_url": fine},
        {"client": adapted},
    ]
    for way in ways:
        with (
            Mine(token, **{"server_url": url, "retry_config": None, **way}) as mine,
            pytest.raises(ZeroDivisionError) as caught,
        ):
            mine.broken()
        assert len(shown(caught.value)) > 1000
        assert token not in shown(caught.value)
    with (
        Mine(token, server_url=serving().url) as mine,
        pytest.raises(ZeroDivisionError) as caught,
    ):
        mine.broken()
    assert token not in shown(caught.value)
    del caught
    gc.collect()


#: More bytes than sockets with these small buffers accept at once.
LONG = {"X-Long": "x" * 400_000}
NARROW = (socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)


class UnreadingServer:
    """A server that accepts a connection and reads nothing; ``accepted`` is set by a connection."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen()
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.accepted = threading.Event()
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        self._sockets.append(sock)
        self.accepted.set()

    def close(self) -> None:
        for sock in (*self._sockets, self._listener):
            sock.close()


@pytest.fixture
def server() -> Iterator[UnreadingServer]:
    server = UnreadingServer()
    yield server
    server.close()


def narrow(address: Any) -> socket.socket:
    sock = socket.socket(*address[:3])
    sock.setsockopt(*NARROW)
    return sock


@pytest.mark.promise("handlers-show-no-token")
@pytest.mark.parametrize("headers", [None, LONG], ids=["waiting", "writing"])
def test_cancelled_task_hides_the_token(
    server: UnreadingServer, shown: Any, token: str, headers: Any
) -> None:
    async def run() -> BaseException:
        connector = aiohttp.TCPConnector(socket_factory=narrow)
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            AsyncDub(token, server_url=server.url, client=session) as dub,
        ):
            task = asyncio.ensure_future(dub.customers.list(http_headers=headers))
            while not server.accepted.is_set():
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError as error:
                server.close()  # unsent bytes would keep the connection open
                return error
        raise AssertionError("the task was not cancelled")

    error = asyncio.run(run())
    assert token not in shown(error)
    assert len(shown(error)) > 1000


@pytest.mark.promise("debugging-shows-no-token")
@pytest.mark.parametrize("make", [lambda: None, requests.Session], ids=["own", "given"])
def test_http_debug_output_hides_the_token(
    serving: Any,
    connect: Any,
    make: Any,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Any,
) -> None:
    """``http.client.HTTPConnection.debuglevel = 1`` prints all bytes that are sent."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    server = serving()
    connect(server.url, client=make()).list()
    assert token not in "".join(capfd.readouterr())
    # Other header values are printed, so the debug output is on.
    plain = http.client.HTTPConnection(server.url.removeprefix("http://"))
    plain.request("GET", "/", headers={"X-Mark": "seen"})
    plain.getresponse().read()
    plain.close()
    assert "X-Mark: seen" in "".join(capfd.readouterr())
