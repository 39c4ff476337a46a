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
        is_rejected: whether the status is 4XX, so that the server has not applied the request.
    """

    def __init__(self, status_code: int, cause: Exception) -> None:
        super().__init__(cause)
        self.is_rejected = 400 <= status_code < 500


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
    rejected = any(e.is_rejected for e in incomplete)
    never_sent = any(
        isinstance(e, _ERRORS_BEFORE_SENDING)
        or getattr(e, "while_connecting", False)
        or (isinstance(e, ssl.SSLError) and "bad handshake" in str(e))  # pyOpenSSL
        or (isinstance(e, OSError) and _MISSING_TLS_FILE_PATTERN.search(str(e)))
        or (isinstance(e, ValueError) and str(e).startswith("Invalid header value"))  # http.client
        for e in chain
    )
    sent = not (rejected or never_sent or _tunnel_status(chain))
    if any(
        isinstance(e, _TIMEOUT_ERRORS) and not isinstance(e, _NEW_CONNECTION_ERROR) for e in chain
    ):
        description, seconds = "no complete response", timeout
        if not sent and not incomplete:
            waited_for_pool = any(isinstance(e, _POOL_TIMEOUT_ERRORS) for e in chain)
            description, seconds = (
                "no connection",
                timeout if waited_for_pool else min(timeout, CONNECT_TIMEOUT),
            )
        return APITimeoutError(f"{method}: {description} within {seconds:.3g} s", sent=sent)
    text = without_credentials(_OBJECT_REPR_PATTERN.sub("", str(chain[-1])))
    text = one_line(text) or type(chain[-1]).__name__
    return APIConnectionError(f"{method}: {_describe(chain)}: {text}", sent=sent)


def is_transient(error: BaseException) -> bool:
    """Return whether a failed attempt may succeed when it is repeated."""
    chain = _exception_chain(error)
    if 400 <= _tunnel_status(chain) < 500:
        return False  # wrong credentials, repeated, lock an account
    if any(
        isinstance(e, _UNREACHABLE_ERRORS) and _SOCKS_LOGIN_PATTERN.search(str(e)) for e in chain
    ):
        return False
    if _is_tls_eof(chain):
        return True  # an established connection that broke, not a refused certificate
    if any(isinstance(e, (*_TLS_ERRORS, BodyTooLarge, UnsupportedEncoding)) for e in chain):
        return False
    # requests makes its classes for invalid URLs, headers and schemes ValueErrors, and raises a
    # plain OSError for a file with certificates that is not there.
    if isinstance(error, OSError) and not isinstance(error, _NETWORK_ERRORS):
        return False
    return not isinstance(error, ValueError)


def without_credentials(text: str) -> str:
    """Return a library's text without the user information of any URL, malformed URLs included."""
    for pattern, replacement in _CREDENTIAL_PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _is_tls_eof(chain: list[BaseException]) -> bool:
    """Return whether a connection with TLS broke, with Python's ssl or with pyOpenSSL."""
    return any(
        isinstance(e, _TLS_EOF_ERRORS)
        or (isinstance(e, ssl.SSLError) and "Unexpected EOF" in str(e))
        for e in chain
    )


def _tunnel_status(chain: list[BaseException]) -> int:
    """Return the status of a proxy's response to CONNECT, or 0 without one."""
    for error in chain:
        match = _TUNNEL_STATUS_PATTERN.search(str(error)) if isinstance(error, OSError) else None
        if match:
            return int(match[1])
    return 0


#: How requests begins the text of a plain OSError for a file of certificates or a key.
_MISSING_TLS_FILE_PATTERN = re.compile(
    r"Could not find (a suitable TLS CA|the TLS (certificate|key) file)"
)
#: What PySocks and python-socks say when a proxy refuses the login.
_SOCKS_LOGIN_PATTERN = re.compile(
    r"SOCKS5 authentication|No username/password supplied|No acceptable authentication methods"
    r"|Username and password authentication failure"
)
#: http.client raises a plain OSError with this text.
_TUNNEL_STATUS_PATTERN = re.compile(r"Tunnel connection failed: (\d{3})")
_CREDENTIAL_PATTERNS = (
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
_OBJECT_REPR_PATTERN = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>: ")
_POOL_TIMEOUT_ERRORS = (PoolTimeout, urllib3.exceptions.EmptyPoolError)
_TIMEOUT_ERRORS = (
    TimeoutError,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.EmptyPoolError,
)
# urllib3 derives refused, unreachable and unknown hosts from its timeout class.
_NEW_CONNECTION_ERROR = urllib3.exceptions.NewConnectionError
_UNREACHABLE_ERRORS = (ConnectError, _NEW_CONNECTION_ERROR)
_ERRORS_BEFORE_SENDING = (
    *_UNREACHABLE_ERRORS,
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
_NETWORK_ERRORS = (requests.RequestException, ConnectionError, TimeoutError, socket.gaierror)
_TLS_EOF_ERRORS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_TLS_ERRORS = (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError)
_DESCRIPTIONS: tuple[tuple[Any, str], ...] = (
    ((requests.exceptions.ProxyError, urllib3.exceptions.ProxyError), "the proxy failed"),
    ((_NEW_CONNECTION_ERROR, ConnectError), "no connection"),
    ((BodyTooLarge, UnsupportedEncoding), "the response was not read"),
    (_TLS_ERRORS, "TLS failed"),
    (ValueError, "the request could not be made"),
)


def _describe(chain: list[BaseException]) -> str:
    if _is_tls_eof(chain):
        return "the connection broke"
    if any(isinstance(e, OSError) and _MISSING_TLS_FILE_PATTERN.search(str(e)) for e in chain):
        return "the request could not be made"
    for classes, description in _DESCRIPTIONS:
        if any(isinstance(error, classes) for error in chain):
            return description
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
