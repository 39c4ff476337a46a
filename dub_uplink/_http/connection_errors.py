"""Define exceptions that backends raise, and convert them to public exceptions."""

from __future__ import annotations

import re
import socket
import ssl
from typing import Any

import requests
import urllib3.exceptions

from .._internal.config import CONNECT_TIMEOUT, POOL_WAIT_SHARE
from ..models.errors import APIConnectionError, APITimeoutError, one_line


class BodyTooLarge(requests.RequestException):
    """A response body is larger than the client's limit."""


class UnsupportedEncoding(requests.RequestException):
    """A response has a ``Content-Encoding`` that the client did not request."""


class DecodingError(requests.RequestException):
    """A body is truncated or does not match its ``Content-Encoding``."""


class ResponseConsumed(requests.RequestException):
    """A hook or adapter of the caller read or closed a response, but did not store its body."""

    def __init__(self) -> None:
        super().__init__(
            "a hook of the session or an adapter has closed the response or read a part of it;"
            " read response.content instead, which stores the body"
        )


class ConnectError(requests.ConnectionError):
    """The client could not connect to the server."""


class ProxyConnectError(requests.exceptions.ProxyError, ConnectError):
    """The client could not connect to the proxy."""


class SessionClosed(ConnectError):
    """The session was closed before the request of the attempt was sent."""


class HandshakeError(requests.exceptions.SSLError):
    """The TLS handshake failed."""


class InvalidRequest(ValueError):
    """A setting of the session makes the request invalid."""


class TunnelRefused(requests.exceptions.ProxyError):
    """A proxy rejected CONNECT. ``status`` is the HTTP status that the proxy returned."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"Tunnel connection failed: {status} {reason}")
        self.status = status


class PoolTimeout(urllib3.exceptions.ConnectTimeoutError):
    """The attempt timed out before it had a connection."""


class RepeatedRequest(urllib3.exceptions.HTTPError):
    """An adapter of the caller's session tried to send the request of an attempt again."""


class IncompleteResponse(requests.RequestException):
    """The client did not read a whole response. ``cause`` is the exception that prevented it.

    Attributes:
        is_rejected: whether the status is 4XX: the server rejected the request.
    """

    def __init__(self, status_code: int, cause: Exception) -> None:
        super().__init__(cause)
        self.is_rejected = 400 <= status_code < 500


def make_connection_error(error: BaseException, method: str, timeout: float) -> APIConnectionError:
    """Create the public exception for an attempt without a complete response.

    The message contains the text of ``error``, but masks the credentials of URLs. The new exception
    has no ``__cause__``, because the request and the traceback of ``error`` refer to the token.

    Args:
        error: the exception that the backend raised.
        method: the HTTP method of the request.
        timeout: time limit of the attempt in seconds.
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
    sent = not (rejected or never_sent or _find_tunnel_status(chain))
    if any(
        isinstance(e, _TIMEOUT_ERRORS) and not isinstance(e, _NEW_CONNECTION_ERROR) for e in chain
    ):
        description, seconds = "no complete response", timeout
        if not sent and not incomplete:
            waited_for_pool = any(isinstance(e, _POOL_TIMEOUT_ERRORS) for e in chain)
            description = "no connection"
            pool_wait = timeout * POOL_WAIT_SHARE
            if waited_for_pool:
                seconds = pool_wait
            elif any(isinstance(e, _CONNECT_TIMEOUT_ERRORS) for e in chain):
                seconds = min(timeout, CONNECT_TIMEOUT)
        return APITimeoutError(f"{method}: {description} within {seconds:.3g} s", sent=sent)
    text = mask_credentials(_OBJECT_REPR_PATTERN.sub("", str(chain[-1])))
    text = one_line(text) or type(chain[-1]).__name__
    return APIConnectionError(f"{method}: {_describe(chain)}: {text}", sent=sent)


def is_transient(error: BaseException) -> bool:
    """Return whether another attempt may succeed after ``error``."""
    chain = _exception_chain(error)
    if 400 <= _find_tunnel_status(chain) < 500:
        return False  # for example wrong credentials: more attempts could lock an account
    if isinstance(error, SessionClosed) or any(
        isinstance(e, _UNREACHABLE_ERRORS) and _SOCKS_LOGIN_PATTERN.search(str(e)) for e in chain
    ):
        return False
    if _is_tls_eof(chain):
        return True  # the connection broke; no certificate was rejected
    if any(isinstance(e, (*_TLS_ERRORS, *_UNREAD_ERRORS)) for e in chain):
        return False
    # `requests` raises a plain OSError if a certificate file is missing. The exceptions of
    # `requests` for invalid URLs, headers and schemes derive from ValueError.
    if isinstance(error, OSError) and not isinstance(error, _NETWORK_ERRORS):
        return False
    return not isinstance(error, ValueError)


def mask_credentials(text: str) -> str:
    """Mask the credentials of URLs in a text, even if a URL is malformed."""
    for pattern in _SECRET_PATTERNS:
        text = pattern.sub(r"\1***", text)
    # Mask up to the last "@", because a password may contain an unescaped "@" or "/".
    start, end = text.find("//"), text.rfind("@")
    if 0 <= start < end:
        text = f"{text[:start]}//***{text[end:]}"
    return _USER_PATTERN.sub("***@", text)


def find_tls_error(error: BaseException) -> ssl.SSLError | None:
    """Return the TLS error that caused ``error``, or ``None``."""
    cause: BaseException | None = error
    for _ in range(10):  # limited, because causes could form a cycle
        if cause is None or isinstance(cause, ssl.SSLError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _is_tls_eof(chain: list[BaseException]) -> bool:
    """Return whether an error of ``ssl`` or ``pyOpenSSL`` shows that a TLS connection broke."""
    return any(
        isinstance(e, _TLS_EOF_ERRORS)
        or (isinstance(e, ssl.SSLError) and "Unexpected EOF" in str(e))
        for e in chain
    )


def _find_tunnel_status(chain: list[BaseException]) -> int:
    """Return the status of a proxy that rejected CONNECT, or 0 if no proxy rejected it."""
    for error in chain:
        match = _TUNNEL_STATUS_PATTERN.search(str(error)) if isinstance(error, OSError) else None
        if match:
            return int(match[1])
    return 0


#: Start of the message of `requests` if a certificate or key file is missing.
_MISSING_TLS_FILE_PATTERN = re.compile(
    r"Could not find (a suitable TLS CA|the TLS (certificate|key) file)"
)
#: Messages of PySocks and python-socks if a proxy rejects the login.
_SOCKS_LOGIN_PATTERN = re.compile(
    r"SOCKS5 authentication|No username/password supplied|No acceptable authentication methods"
    r"|Username and password authentication failure"
)
#: Start of the message of http.client if a proxy rejects CONNECT.
_TUNNEL_STATUS_PATTERN = re.compile(r"Tunnel connection failed: (\d{3})")
_SECRET_PATTERNS = (
    # Mask an unparsable URL completely, because its credentials may be anywhere in it.
    re.compile(r"(Failed to parse: |integer value as |base 10: |[Ii]nvalid URL:? ).*", re.DOTALL),
    # `requests` quotes an invalid header value. Mask the value: it may contain an API key.
    re.compile(r"(header value:? |Header part \().*", re.DOTALL),
)
#: A text up to an "@". It starts at the start of a word, so that a long word takes linear time.
_USER_PATTERN = re.compile(r"(?<![^\s'\"(<=])[^\s'\"(<=]+@")
#: The messages of urllib3 1.26 start with the repr of an object.
_OBJECT_REPR_PATTERN = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>: ")
_POOL_TIMEOUT_ERRORS = (PoolTimeout, urllib3.exceptions.EmptyPoolError)
_CONNECT_TIMEOUT_ERRORS = (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError)
_TIMEOUT_ERRORS = (
    TimeoutError,
    requests.Timeout,
    urllib3.exceptions.TimeoutError,
    urllib3.exceptions.EmptyPoolError,
)
#: This error is not a timeout, although urllib3 derives it from its timeout class. It means that
#: the host refused the connection, is unreachable or is unknown.
_NEW_CONNECTION_ERROR = urllib3.exceptions.NewConnectionError
_UNREACHABLE_ERRORS = (ConnectError, _NEW_CONNECTION_ERROR)
_ERRORS_BEFORE_SENDING = (
    *_UNREACHABLE_ERRORS,
    ConnectionRefusedError,
    ssl.SSLCertVerificationError,
    HandshakeError,
    InvalidRequest,
    *_CONNECT_TIMEOUT_ERRORS,
    urllib3.exceptions.EmptyPoolError,
    urllib3.exceptions.LocationValueError,
    requests.exceptions.InvalidHeader,
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
)
_NETWORK_ERRORS = (requests.RequestException, ConnectionError, TimeoutError, socket.gaierror)
_UNREAD_ERRORS = (BodyTooLarge, UnsupportedEncoding, ResponseConsumed)
_TLS_EOF_ERRORS = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_TLS_ERRORS = (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError)
_DESCRIPTIONS: tuple[tuple[Any, str], ...] = (
    ((requests.exceptions.ProxyError, urllib3.exceptions.ProxyError), "the proxy failed"),
    ((_NEW_CONNECTION_ERROR, ConnectError), "no connection"),
    (_UNREAD_ERRORS, "the response was not read"),
    (_TLS_ERRORS, "TLS failed"),
    (ValueError, "the request is invalid"),
)


def _describe(chain: list[BaseException]) -> str:
    if _is_tls_eof(chain):
        return "the connection broke"
    if any(isinstance(e, OSError) and _MISSING_TLS_FILE_PATTERN.search(str(e)) for e in chain):
        return "the request is invalid"
    for classes, description in _DESCRIPTIONS:
        if any(isinstance(error, classes) for error in chain):
            return description
    return "the connection broke"


def _exception_chain(error: BaseException) -> list[BaseException]:
    """Return an error and the errors that it wraps, outermost first.

    ``requests`` and ``urllib3`` store a wrapped error in ``args`` or in the attribute ``reason``.
    """
    chain: list[BaseException] = []
    candidates: list[object] = [error]
    while candidates and len(chain) < 20:  # limited, because causes could form a cycle
        candidate = candidates.pop(0)
        if isinstance(candidate, BaseException) and not any(candidate is seen for seen in chain):
            chain.append(candidate)
            candidates += [*candidate.args, getattr(candidate, "reason", None), candidate.__cause__]
    return chain
