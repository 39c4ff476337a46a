"""Test that a response counts if a hook of the caller's session raises an exception."""

from __future__ import annotations

from typing import Any

import pytest
import requests
import uplink
import urllib3
from requests.adapters import HTTPAdapter

from dub_uplink import BackoffStrategy, RetryConfig, errors

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 3_000), True)


class HookError(Exception):
    """An exception class of the caller."""


def hooked(hook: Any) -> requests.Session:
    session = requests.Session()
    session.hooks["response"].append(hook)
    return session


def test_user_exception_in_a_response_hook_is_raised(serving: Any, connect: Any) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise HookError

    server = serving()
    with pytest.raises(HookError):
        connect(server.url, client=hooked(refuse), retry_config=SHORT_RETRIES).list()
    assert len(server.received) == 1


def test_hook_exception_does_not_hide_a_redirect(serving: Any, connect: Any) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise HookError

    server = serving(307, "", {"Location": "/elsewhere"})
    with pytest.raises(errors.SDKError, match="redirects to '/elsewhere'"):
        connect(server.url, client=hooked(refuse), retry_config=SHORT_RETRIES).list()
    assert len(server.received) == 1


BROKEN = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n[",
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n[",
    "between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n[]",
}


@pytest.mark.parametrize("name", BROKEN)
@pytest.mark.parametrize("then", ["close", "hold"])
def test_hook_that_cannot_read_the_body_raises_connection_error(
    serving: Any, connect: Any, name: str, then: str
) -> None:
    server = serving(raw=BROKEN[name], then=then)
    client = hooked(lambda response, **_: response.content)
    with pytest.raises(errors.APIConnectionError) as caught:
        connect(server.url, client=client, timeout_ms=300).list()
    assert caught.value.sent is True
    timed_out = then == "hold" and name != "gzip"
    assert isinstance(caught.value, errors.APITimeoutError) is timed_out


def test_hook_error_with_an_uplink_client_becomes_a_dub_error(serving: Any, connect: Any) -> None:
    server = serving(404, '{"error": {"code": "not_found", "message": "No."}}')
    session = hooked(lambda response, **_: response.raise_for_status())
    with pytest.warns(UserWarning, match="hides its session"):
        client = connect(
            server.url,
            client=uplink.RequestsClient(session),
        )
    with pytest.raises(errors.NotFound):
        client.get("x")
    assert len(server.received) == 1


@pytest.mark.filterwarnings("ignore:an uplink client")
def test_uplink_client_with_session_retries_sends_one_request(serving: Any, connect: Any) -> None:
    server = serving(503, "")
    session = requests.Session()
    retry = urllib3.Retry(3, status_forcelist=[503], allowed_methods=None)
    session.mount("http://", HTTPAdapter(max_retries=retry))
    with pytest.raises(errors.APIConnectionError, match="tried to repeat"):
        connect(server.url, client=uplink.RequestsClient(session)).delete("cus_1")
    assert len(server.received) == 1


LIBRARY_ERRORS = [
    OSError("gone"),
    ConnectionResetError(104, "gone"),
    TimeoutError("gone"),
    requests.ConnectionError("gone"),
    requests.ReadTimeout("gone"),
    urllib3.exceptions.ProtocolError("gone"),
    ValueError("gone"),
]


@pytest.mark.parametrize("error", LIBRARY_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("reads", [False, True], ids=["unread", "read"])
def test_requests_exception_in_a_hook_keeps_the_response(
    serving: Any, connect: Any, error: Exception, reads: bool
) -> None:
    def fail(response: requests.Response, **_: Any) -> None:
        if reads:
            assert response.content
        raise error

    customer = b'{"id": "cus_1", "name": "Ada"}'
    server = serving(201, customer)
    created = connect(server.url, client=hooked(fail), retry_config=SHORT_RETRIES)
    assert created.create({"external_id": "u", "country": "GB"}).id == "cus_1"
    assert len(server.received) == 1


@pytest.mark.parametrize("error", LIBRARY_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("body", ["", '{"error": {"code": "not_found", "message": "No."}}'])
def test_requests_exception_in_a_hook_keeps_the_status(
    serving: Any, connect: Any, error: Exception, body: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    server = serving(404, body)
    with pytest.raises(errors.DubError, match="404"):
        connect(server.url, client=hooked(fail), retry_config=SHORT_RETRIES).get("x")
    assert len(server.received) == 1


READERS: dict[str, Any] = {
    "close": lambda response, **_: response.close(),
    "iter_content": lambda response, **_: list(response.iter_content(3)) and None,
    "raw": lambda response, **_: response.raw.read(3) and None,
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("status", "sent"), [(201, True), (404, False), (503, True)])
def test_hook_that_consumes_the_body_raises_and_is_named(
    serving: Any, connect: Any, name: str, status: int, sent: bool
) -> None:
    server = serving(status, b'{"id": "cus_1", "name": "Ada"}')
    client = connect(server.url, client=hooked(READERS[name]), retry_config=SHORT_RETRIES)
    with pytest.raises(
        errors.APIConnectionError, match=r"a hook of the session .* response\.content"
    ) as caught:
        client.update("cus_1", {"name": "Ada"})
    assert caught.value.sent is sent
    assert len(server.received) == 1


def test_hook_that_reads_and_closes_the_response_is_supported(serving: Any, connect: Any) -> None:
    def read_and_close(response: requests.Response, **_: Any) -> None:
        assert response.content
        response.close()

    server = serving(200, "[]")
    assert connect(server.url, client=hooked(read_and_close)).list() == []


def test_hook_returning_an_empty_response_raises_and_is_named(serving: Any, connect: Any) -> None:
    server = serving()
    client = hooked(lambda response, **_: requests.Response())
    with pytest.raises(TypeError, match=r"^a hook of the session returned a response without a"):
        connect(server.url, client=client, retry_config=SHORT_RETRIES).list()
    assert len(server.received) == 1


def one_connection(hook: Any) -> requests.Session:
    """Return a session with a pool of one connection, whose lack makes a call wait."""
    session = hooked(hook)
    session.mount("http://", HTTPAdapter(pool_maxsize=1, pool_block=True))
    return session


def replaced(status: int, **attributes: Any) -> requests.Response:
    response = requests.Response()
    vars(response).update({"status_code": status, "_content": b"[]", **attributes})
    return response


class Interrupt(BaseException):
    """An exception such as ``KeyboardInterrupt``."""


def interrupt(*_: Any, **__: Any) -> None:
    raise Interrupt


def read_and_interrupt(response: requests.Response, **_: Any) -> None:
    response.raw.read(1)
    raise Interrupt


REPLACING: dict[str, Any] = {
    "response": lambda response, **_: replaced(200),
    "same stream": lambda response, **_: replaced(200, raw=response.raw, _content=False),
    "error": lambda response, **_: replaced(404),
    "no status": lambda response, **_: requests.Response(),
    "interrupt": interrupt,
    "read and interrupt": read_and_interrupt,
}


@pytest.mark.parametrize("name", REPLACING)
@pytest.mark.parametrize("wrap", [lambda session: session, uplink.RequestsClient])
@pytest.mark.filterwarnings("ignore:an uplink client")
def test_hook_that_replaces_the_response_keeps_the_pool_usable(
    serving: Any, connect: Any, name: str, wrap: Any
) -> None:
    server = serving(body=f"[{' ' * 100_000}]")
    dub = connect(server.url, client=wrap(one_connection(REPLACING[name])), timeout_ms=1_000)
    for _ in range(3):
        if name in ("response", "same stream"):
            assert dub.list() == []
            continue
        expected = {"no status": TypeError, "error": errors.SDKError}.get(name, Interrupt)
        with pytest.raises(expected):
            dub.list()
    assert len(server.received) == 3
