"""TLS that is refused is final for both clients; a connection that breaks is not."""

from __future__ import annotations

import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from dub_uplink import BackoffStrategy, RetryConfig, errors

QUICK = RetryConfig("backoff", BackoffStrategy(1, 2, 1.5, 2_000), True)


@pytest.fixture(params=["sync", "async"])
def trusting(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Any:
    """Make clients of either kind that trust the test's certificate."""
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
    """A server's context that requires a certificate of the client."""
    tls.minimum_version = tls.maximum_version = request.param
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(certificate[0])
    return tls


def test_a_required_client_certificate_is_final(
    wire: Any, said: Any, trusting: Any, demanding: ssl.SSLContext, at_best: Any
) -> None:
    def refused() -> errors.APIConnectionError:
        server = wire(said(200, "[]"), tls=demanding)
        with pytest.raises(errors.APIConnectionError) as caught:
            trusting(server.url, retry_config=QUICK).list()
        return caught.value

    # The end of the connection may be noticed before the alert that explains it.
    error = at_best(refused, lambda error: error.attempts == 1)
    assert error.attempts == 1
    assert "TLS failed" in str(error)


def test_an_untrusted_certificate_is_final_in_both(
    wire: Any, said: Any, connect_both: Any, tls: ssl.SSLContext
) -> None:
    server = wire(said(200, "[]"), tls=tls)
    with pytest.raises(errors.APIConnectionError, match="TLS failed") as caught:
        connect_both(server.url, retry_config=QUICK).list()
    assert (caught.value.attempts, caught.value.sent) == (1, False)


def test_a_certificate_of_another_host_is_final_in_both(
    wire: Any, said: Any, trusting: Any, tls: ssl.SSLContext
) -> None:
    server = wire(said(200, "[]"), tls=tls)
    with pytest.raises(errors.APIConnectionError, match="TLS failed") as caught:
        trusting(server.url.replace("127.0.0.1", "localhost"), retry_config=QUICK).list()
    assert (caught.value.attempts, caught.value.sent) == (1, False)


@pytest.mark.parametrize("then", ["close", "reset"])
def test_a_broken_tls_connection_is_made_again_by_both(
    wire: Any, step: Any, said: Any, trusting: Any, tls: ssl.SSLContext, then: str
) -> None:
    server = wire(step(b"", then), said(200, "[]"), tls=tls)
    assert trusting(server.url, retry_config=QUICK).list() == []
    assert len(server.received) == 2


PYOPENSSL = """
import sys, time, urllib3.contrib.pyopenssl, requests
urllib3.contrib.pyopenssl.inject_into_urllib3()
from dub_uplink import DeadlineAdapter, Dub, errors
_, url, authority, slow = sys.argv
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


def test_sockets_of_pyopenssl_work_and_are_bounded(
    wire: Any, step: Any, said: Any, tls: ssl.SSLContext, certificate: tuple[Path, Path]
) -> None:
    pytest.importorskip("OpenSSL")
    server = wire(said(200, "[]"), tls=tls)
    slow = wire(step(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 900, drip=0.01), tls=tls)
    done = subprocess.run(
        [sys.executable, "-c", PYOPENSSL, server.url, str(certificate[0]), slow.url],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
