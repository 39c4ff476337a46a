"""Test which exceptions show that the request was not sent."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import requests
import urllib3
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from dub_uplink._http import connection_errors

_ANY: Any = None


def _proxy_failed(reason: Exception) -> requests.exceptions.ProxyError:
    failed = urllib3.exceptions.ProxyError("Cannot connect to proxy.", reason)
    return requests.exceptions.ProxyError(MaxRetryError(_ANY, "/", failed))


@pytest.mark.parametrize(
    ("error", "sent"),
    [
        (ConnectionRefusedError(111, "Connection refused"), False),
        (requests.ConnectionError(ConnectionRefusedError(111, "Connection refused")), False),
        (requests.ConnectionError(MaxRetryError(_ANY, "/", NewConnectionError(_ANY, "x"))), False),
        (requests.ConnectTimeout("timed out"), False),
        (urllib3.exceptions.ConnectTimeoutError("timed out"), False),
        (ssl.SSLCertVerificationError("self-signed"), False),
        (requests.exceptions.InvalidURL("no host"), False),
        (_proxy_failed(NewConnectionError(_ANY, "refused")), False),
        # urllib3 1.26 raises this for any broken connection through a proxy.
        (_proxy_failed(ConnectionResetError(104, "Connection reset by peer")), True),
        (requests.ReadTimeout("timed out"), True),
        (TimeoutError("timed out"), True),
        (ConnectionResetError(104, "Connection reset by peer"), True),
        (requests.ConnectionError(ProtocolError("aborted", ConnectionResetError())), True),
        (requests.exceptions.ChunkedEncodingError("cut short"), True),
        (ssl.SSLEOFError(8, "EOF occurred in violation of protocol"), True),
        (ValueError("Invalid IPv6 URL"), True),  # possibly for the Location of a redirect
        (connection_errors.IncompleteResponse(200, ConnectionResetError()), True),
        (connection_errors.IncompleteResponse(503, TimeoutError()), True),
        (connection_errors.IncompleteResponse(404, ConnectionResetError()), False),
        (connection_errors.IncompleteResponse(429, TimeoutError()), False),
    ],
    ids=repr,
)
def test_connection_error_reports_whether_the_request_was_sent(
    error: Exception, sent: bool
) -> None:
    assert connection_errors.make_connection_error(error, "POST", 1.0).sent is sent


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("no secret: a // b", "no secret: a // b"),
        ("http://ada:pw@proxy:1 failed", "***@proxy:1 failed"),
        ("'http://ada:p@w/d@proxy:1/x'", "'***@proxy:1/x'"),
        ("//ada@one and //bob@two", "***@two"),
        ("ada:pw@proxy and (bob@two)", "***@proxy and (***@two)"),
        ("Failed to parse: http://ada:pw", "Failed to parse: ***"),
        ("Invalid header value: b'Bearer dub_x'", "Invalid header value: ***"),
    ],
)
def test_credentials_in_a_library_text_are_masked(text: str, masked: str) -> None:
    assert connection_errors.mask_credentials(text) == masked
