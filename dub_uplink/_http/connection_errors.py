"""Failures of one attempt: what backends raise, and the error that a user catches for it."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any

import requests
import urllib3.exceptions

from .._internal.config import CONNECT_TIMEOUT
from ..models.errors import APIConnectionError, APITimeoutError, one_line


class BodyTooLarge(requests.RequestException):
    """A response is longer than the client reads."""


class UnsupportedEncoding(requests.RequestException):
    """A response has a ``Content-Encoding`` that was not asked for."""


class DecodingError(requests.RequestException):
    """A body is not compressed as its ``Content-Encoding`` says, or is cut short."""


class ConnectError(requests.ConnectionError):
    """The server was not reached."""


class ProxyConnectError(requests.exceptions.ProxyError, ConnectError):
    """The proxy was not reached."""


class HandshakeError(requests.exceptions.SSLError):
    """TLS was not established."""


class InvalidRequest(ValueError):
    """A request could not be made of what a session is set to."""


class TunnelRefused(requests.exceptions.ProxyError):
    """A proxy did not accept a CONNECT; ``status`` is the status of its response."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"Tunnel connection failed: {status} {reason}")
        self.status = status


class PoolTimeout(urllib3.exceptions.ConnectTimeoutError):
    """The attempt's time passed before it had a connection to send on."""


class RepeatedRequest(urllib3.exceptions.HTTPError):
    """A session's adapter tried to send a request more than once in one attempt."""


class IncompleteResponse(requests.RequestException):
    """A response began and did not end; ``cause`` is the reason.

    Attributes:
        refused: whether its status says that the request was not applied, whatever the body was.
    """

    def __init__(self, status_code: int, cause: Exception) -> None:
        super().__init__(cause)
        self.refused = 400 <= status_code < 500


def connection_error(error: BaseException, method: str, timeout: float) -> APIConnectionError:
    """Return the error of an attempt that received no whole response.

    The original is not kept as a cause: its request, and the local variables of the frames in its
    traceback, hold the token. Its text is in the message, without the credentials of any URL.

    Args:
        error: what the backend raised.
        method: the HTTP method of the request.
        timeout: seconds that the attempt had.
    """
    chain = _exception_chain(error)
    incomplete = [e for e in chain if isinstance(e, IncompleteResponse)]
    refused = any(e.refused for e in incomplete)
    never_sent = any(
        isinstance(e, _NEVER_SENT)
        or getattr(e, "while_connecting", False)
        or (isinstance(e, ssl.SSLError) and "bad handshake" in str(e))  # pyOpenSSL
        or (isinstance(e, OSError) and _NO_FILE.search(str(e)))
        or (isinstance(e, ValueError) and str(e).startswith("Invalid header value"))  # http.client
        for e in chain
    )
    sent = not (refused or never_sent or _tunnel_status(chain))
    if any(isinstance(e, _TIMEOUTS) and not isinstance(e, _NO_CONNECTION) for e in chain):
        what, seconds = "no complete response", timeout
        if not sent and not incomplete:
            pooled = any(isinstance(e, _POOL) for e in chain)
            what, seconds = "no connection", timeout if pooled else min(timeout, CONNECT_TIMEOUT)
        return APITimeoutError(f"{method}: {what} within {seconds:.3g} s", sent=sent)
    text = without_credentials(_OBJECT.sub("", str(chain[-1])))
    text = one_line(text) or type(chain[-1]).__name__
    return APIConnectionError(f"{method}: {_what(chain)}: {text}", sent=sent)


def is_transient(error: BaseException) -> bool:
    """Return whether a failed attempt may succeed when it is repeated."""
    chain = _exception_chain(error)
    if 400 <= _tunnel_status(chain) < 500:
        return False  # wrong credentials, repeated, lock an account
    if any(isinstance(e, _NOT_REACHED) and _SOCKS_LOGIN.search(str(e)) for e in chain):
        return False
    if _is_dropped(chain):
        return True  # an established connection that broke, not a refused certificate
    if any(isinstance(e, (*_TLS, BodyTooLarge, UnsupportedEncoding)) for e in chain):
        return False
    # requests makes its classes for invalid URLs, headers and schemes ValueErrors, and raises a
    # plain OSError for a file with certificates that is not there.
    if isinstance(error, OSError) and not isinstance(error, _NETWORK):
        return False
    return not isinstance(error, ValueError)


def without_credentials(text: str) -> str:
    """Return a library's text without the user information of any URL, malformed URLs included."""
    for pattern, replacement in _CREDENTIALS:
        text = pattern.sub(replacement, text)
    return text


def _is_dropped(chain: list[BaseException]) -> bool:
    """Return whether a connection with TLS broke, with Python's ssl or with pyOpenSSL."""
    return any(
        isinstance(e, _DROPPED_TLS) or (isinstance(e, ssl.SSLError) and "Unexpected EOF" in str(e))
        for e in chain
    )


def _tunnel_status(chain: list[BaseException]) -> int:
    """Return the status of a proxy's response to CONNECT, or 0 without one."""
    for error in chain:
        match = _TUNNEL.search(str(error)) if isinstance(error, OSError) else None
        if match:
            return int(match[1])
    return 0


#: How requests begins the text of a plain OSError for a file of certificates or a key.
_NO_FILE = re.compile(r"Could not find (a suitable TLS CA|the TLS (certificate|key) file)")
#: What PySocks and python-socks say when a proxy refuses the login.
_SOCKS_LOGIN = re.compile(
    r"SOCKS5 authentication|No username/password supplied|No acceptable authentication methods"
    r"|Username and password authentication failure"
)
#: http.client raises a plain OSError with this text.
_TUNNEL = re.compile(r"Tunnel connection failed: (\d{3})")
_CREDENTIALS = (
    # What cannot be parsed shows nothing: its user information may be anywhere in it.
    (
        re.compile(
            r"(Failed to parse: |integer value as |base 10: |[Ii]nvalid URL:? ).*", re.DOTALL
        ),
        r"\1***",
    ),
    # requests quotes the value of a header that it refuses; it may be a key of a gateway.
    (re.compile(r"(header value:? |Header part \().*", re.DOTALL), r"\1***"),
    # A password may hold any character, an unescaped "@" and "/" too: up to the last "@".
    (re.compile(r"(//).*@", re.DOTALL), r"\1***@"),
    (re.compile(r"[^\s'\"(<=]+@"), "***@"),
)
#: What urllib3 1.26 puts before its reasons.
_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>: ")
_POOL = (PoolTimeout, urllib3.exceptions.EmptyPoolError)
_TIMEOUTS = (
    TimeoutError,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.EmptyPoolError,
)
# urllib3 derives refused, unreachable and unknown hosts from its timeout class.
_NO_CONNECTION = urllib3.exceptions.NewConnectionError
_NOT_REACHED = (ConnectError, _NO_CONNECTION)
_NEVER_SENT = (
    *_NOT_REACHED,
    ConnectionRefusedError,
    ssl.SSLCertVerificationError,
    HandshakeError,
    InvalidRequest,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.EmptyPoolError,
    urllib3.exceptions.LocationValueError,
    requests.ConnectTimeout,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)
_NETWORK = (requests.RequestException, ConnectionError, TimeoutError, socket.gaierror)
_DROPPED_TLS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_TLS = (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError)
_PHRASES: tuple[tuple[Any, str], ...] = (
    ((requests.exceptions.ProxyError, urllib3.exceptions.ProxyError), "the proxy failed"),
    ((_NO_CONNECTION, ConnectError), "no connection"),
    ((BodyTooLarge, UnsupportedEncoding), "the response was not read"),
    (_TLS, "TLS failed"),
    (ValueError, "the request could not be made"),
)


def _what(chain: list[BaseException]) -> str:
    if _is_dropped(chain):
        return "the connection broke"
    if any(isinstance(e, OSError) and _NO_FILE.search(str(e)) for e in chain):
        return "the request could not be made"
    for classes, phrase in _PHRASES:
        if any(isinstance(error, classes) for error in chain):
            return phrase
    return "the connection broke"


def _exception_chain(error: BaseException) -> list[BaseException]:
    """Return an error and those that it wraps, as requests and urllib3 do, outermost first."""
    chain: list[BaseException] = []
    queue: list[object] = [error]
    while queue and len(chain) < 20:  # a bound, should a cause ever lead back to itself
        link = queue.pop(0)
        if isinstance(link, BaseException) and not any(link is seen for seen in chain):
            chain.append(link)
            queue += [*link.args, getattr(link, "reason", None), link.__cause__]
    return chain
