"""Test that TLS errors are not retried, and that broken TLS connections are."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import requests

from dub_uplink.models import errors


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.verify = str(certificate[0])
    return session


def test_untrusted_certificate_is_not_retried(
    wire: Any, http_response: Any, connect: Any, timeline: Any, tls: ssl.SSLContext
) -> None:
    server = wire(http_response(200), tls=tls)
    with pytest.raises(errors.APIConnectionError, match=r"TLS failed: .*certificate") as caught:
        connect(server.url).list()
    assert caught.value.attempts == 1
    assert caught.value.sent is False
    assert (server.connections, server.seen, timeline.slept) == (1, [], [])


def test_certificate_of_another_host_is_not_retried(
    wire: Any, http_response: Any, connect: Any, timeline: Any, tls: ssl.SSLContext, trusting: Any
) -> None:
    server = wire(http_response(200), tls=tls)
    url = server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(errors.APIConnectionError, match=r"TLS failed: .*localhost") as caught:
        connect(url, client=trusting).list()
    assert caught.value.attempts == 1
    assert timeline.slept == []


def test_server_without_tls_is_not_retried(
    wire: Any, step: Any, connect: Any, timeline: Any
) -> None:
    server = wire(step(b"HTTP/1.1 400 No\r\n\r\n", "hold", unread=True))
    with pytest.raises(errors.APIConnectionError, match="TLS failed") as caught:
        connect(server.url.replace("http:", "https:")).list()
    assert caught.value.attempts == 1
    assert timeline.slept == []


def test_dropped_handshake_is_retried(wire: Any, step: Any, connect: Any) -> None:
    """A restarting server closes connections before it sends a certificate."""
    server = wire(step(b"", "close", unread=True))
    with pytest.raises(errors.APIConnectionError, match="the connection broke") as caught:
        connect(server.url.replace("http:", "https:")).list()
    assert caught.value.attempts > 10


def test_trusted_certificate_is_accepted(
    wire: Any, http_response: Any, connect: Any, tls: ssl.SSLContext, trusting: Any
) -> None:
    server = wire(http_response(503), http_response(200), tls=tls)
    assert connect(server.url, client=trusting).list() == []
    assert len(server.seen) == 2


@pytest.mark.parametrize("then", ["close", "reset"])
def test_broken_tls_connection_is_reopened(
    wire: Any,
    step: Any,
    http_response: Any,
    connect: Any,
    tls: ssl.SSLContext,
    trusting: Any,
    then: str,
) -> None:
    customer = {"id": "cus_1", "externalId": "user_1"}
    server = wire(step(b"", then), http_response(201, customer), tls=tls)
    client = connect(server.url, client=trusting)
    assert client.create({"external_id": "user_1", "country": "GB"}).id == "cus_1"
    assert len(server.seen) == 2
