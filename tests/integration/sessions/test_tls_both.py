"""Test that TLS errors are not retried, and broken connections are, with both clients."""

from __future__ import annotations

import contextlib
import gc
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from dub_uplink import BackoffStrategy, RetryConfig, errors

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 2, 1.5, 2_000), True)


@pytest.fixture(params=["sync", "async"])
def trusting(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Any:
    """Make clients of either type that trust the certificate of the tests."""
    authority = str(certificate[0])
    if request.param == "sync":
        connect = request.getfixturevalue("connect")
        session = requests.Session()
        session.trust_env = False
        session.verify = authority
        return lambda url, **settings: connect(url, client=session, **settings)
    connect_async = request.getfixturevalue("connect_async")
    context = ssl.create_default_context(cafile=authority)

    def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    return lambda url, **settings: connect_async(url, client=make, **settings)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])
def demanding(
    request: pytest.FixtureRequest, tls: ssl.SSLContext, certificate: tuple[Path, Path]
) -> ssl.SSLContext:
    """Return a TLS context that requires a client certificate."""
    tls.minimum_version = tls.maximum_version = request.param
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(certificate[0])
    return tls


@pytest.fixture
def refusing(demanding: ssl.SSLContext) -> Iterator[str]:
    """Run a server that rejects each handshake and reads on, so that the alert arrives."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse(sock: socket.socket) -> None:
            with demanding.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False
            ) as wrapped:
                with contextlib.suppress(ssl.SSLError):
                    wrapped.do_handshake()
                with contextlib.suppress(OSError):
                    while socket.socket.recv(wrapped, 65_536):
                        pass

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    sock, _ = listener.accept()
                    threading.Thread(target=refuse, args=(sock,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def test_required_client_certificate_is_not_retried(trusting: Any, refusing: str) -> None:
    with pytest.raises(errors.APIConnectionError, match="TLS failed") as caught:
        trusting(refusing, retry_config=SHORT_RETRIES).list()
    assert caught.value.attempts == 1


def test_client_certificate_of_a_session_is_sent(
    wire: Any,
    http_response: Any,
    connect: Any,
    connect_async: Any,
    demanding: ssl.SSLContext,
    certificate: tuple[Path, Path],
) -> None:
    server = wire(http_response(200, "[]"), tls=demanding)
    session = requests.Session()
    session.trust_env = False
    session.verify, session.cert = str(certificate[0]), tuple(map(str, certificate))
    assert connect(server.url, client=session).list() == []
    context = ssl.create_default_context(cafile=certificate[0])
    context.load_cert_chain(*certificate)

    def make() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))

    assert connect_async(server.url, client=make).list() == []
    assert len(server.received) == 2


def test_client_certificate_rejected_by_reset_is_not_retried(
    wire: Any, http_response: Any, trusting: Any, demanding: ssl.SSLContext
) -> None:
    client = trusting(wire(http_response(200, "[]"), tls=demanding).url, retry_config=SHORT_RETRIES)
    for _ in range(50):
        with pytest.raises(errors.APIConnectionError, match="TLS failed") as caught:
            client.list()
        assert caught.value.attempts == 1


def test_untrusted_certificate_is_not_retried(
    wire: Any, http_response: Any, connect_both: Any, tls: ssl.SSLContext
) -> None:
    server = wire(http_response(200, "[]"), tls=tls)
    with pytest.raises(errors.APIConnectionError, match="TLS failed") as caught:
        connect_both(server.url, retry_config=SHORT_RETRIES).list()
    assert (caught.value.attempts, caught.value.sent) == (1, False)


def test_certificate_of_another_host_is_not_retried(
    wire: Any, http_response: Any, trusting: Any, tls: ssl.SSLContext
) -> None:
    server = wire(http_response(200, "[]"), tls=tls)
    with pytest.raises(errors.APIConnectionError, match="TLS failed") as caught:
        trusting(server.url.replace("127.0.0.1", "localhost"), retry_config=SHORT_RETRIES).list()
    assert (caught.value.attempts, caught.value.sent) == (1, False)


@pytest.mark.parametrize("then", ["close", "reset"])
def test_broken_tls_connection_is_reopened(
    wire: Any, step: Any, http_response: Any, trusting: Any, tls: ssl.SSLContext, then: str
) -> None:
    server = wire(step(b"", then), http_response(200, "[]"), tls=tls)
    assert trusting(server.url, retry_config=SHORT_RETRIES).list() == []
    assert len(server.received) == server.connections == 2


def test_handshake_timeout_is_reported_as_unsent(
    wire: Any, step: Any, connect: Any, connect_async: Any
) -> None:
    server = wire(step(b"", "hold", unread=True))
    url = server.url.replace("http:", "https:")
    clients = [connect(url, timeout_ms=600), connect_async(url, timeout_ms=600)]
    clients.append(connect(url, client=requests.Session(), timeout_ms=600))
    for client in clients:
        with pytest.raises(errors.APITimeoutError) as caught:
            client.list()
        assert caught.value.sent is False


PYOPENSSL = """
import sys, time, urllib3.contrib.pyopenssl, requests
urllib3.contrib.pyopenssl.inject_into_urllib3()
from dub_uplink import DeadlineAdapter, Dub, errors
_, url, authority, slow = sys.argv
with Dub("dub_x", server_url=url, client=requests.Session()) as dub:
    try:
        dub.customers.list()
    except errors.APIConnectionError as error:
        assert (error.attempts, error.sent) == (1, False), str(error)
    else:
        raise AssertionError("a certificate was not checked")
for own in (True, False):
    session = requests.Session()
    session.verify = authority
    import os
    os.environ["REQUESTS_CA_BUNDLE"] = authority
    with Dub("dub_x", server_url=url, client=None if own else session) as dub:
        for _ in range(2):
            assert dub.customers.list() == []
    with Dub("dub_x", server_url=slow, client=None if own else session, timeout_ms=300,
             retry_config=None) as dub:
        started = time.monotonic()
        try:
            dub.customers.list()
        except errors.APITimeoutError:
            assert time.monotonic() - started < 8
        else:
            raise AssertionError("it was not bounded")
session.mount("https://", DeadlineAdapter())
assert session.get(url, timeout=20).text == "[]"
"""


def test_pyopenssl_sockets_obey_the_timeout(
    wire: Any, step: Any, http_response: Any, tls: ssl.SSLContext, certificate: tuple[Path, Path]
) -> None:
    pytest.importorskip("OpenSSL")
    server = wire(http_response(200, "[]"), tls=tls)
    slow = wire(step(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 900, drip=0.01), tls=tls)
    done = subprocess.run(
        [sys.executable, "-c", PYOPENSSL, server.url, str(certificate[0]), slow.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_reset_before_handshake_leaves_no_socket_open(
    wire: Any, step: Any, connect: Any, recwarn: pytest.WarningsRecorder
) -> None:
    gc.collect()  # release objects of other tests
    recwarn.clear()
    url = wire(step(b"", "reset", unread=True)).url.replace("http:", "https:")
    for client in (None, requests.Session()):
        dub = connect(url, client=client)
        for _ in range(20):
            with pytest.raises(errors.APIConnectionError):
                dub.list()
    gc.collect()
    assert [str(one.message) for one in recwarn] == []


@pytest.mark.parametrize("then", ["close", "reset"])
def test_broken_handshake_is_reported_as_unsent(
    wire: Any, step: Any, connect: Any, connect_async: Any, then: str
) -> None:
    server = wire(step(b"", then, unread=True))
    url = server.url.replace("http:", "https:")
    clients = [connect(url, client=client) for client in (None, requests.Session())]
    for client in (*clients, connect_async(url)):
        with pytest.raises(errors.APIConnectionError) as caught:
            client.list()
        assert caught.value.sent is False


def test_https_request_to_a_plain_server_is_reported_as_unsent(
    wire: Any, step: Any, connect: Any, connect_async: Any
) -> None:
    server = wire(step(b"HTTP/1.1 400 No\r\n\r\n", "hold", unread=True))
    url = server.url.replace("http:", "https:")
    for client in (connect(url), connect(url, client=requests.Session()), connect_async(url)):
        with pytest.raises(errors.APIConnectionError, match="TLS failed") as caught:
            client.list()
        assert (caught.value.attempts, caught.value.sent) == (1, False)


@pytest.mark.parametrize("name", ["verify", "cert"])
def test_missing_certificate_file_is_named_in_the_error(connect: Any, name: str) -> None:
    session = requests.Session()
    session.trust_env = False
    setattr(session, name, "/no.pem")
    with pytest.raises(
        errors.APIConnectionError, match=r"the request is invalid: .*/no\.pem"
    ) as caught:
        connect("https://127.0.0.1:9", client=session, retry_config=SHORT_RETRIES).list()
    assert (caught.value.attempts, caught.value.sent) == (1, False)
