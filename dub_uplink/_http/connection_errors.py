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
    """The answer is longer than the client reads."""


class UnsupportedEncoding(requests.RequestException):
    """The answer is compressed in a way that was not asked for."""


class DecodingError(requests.RequestException):
    """The answer is not compressed as it says, or breaks off within it."""


class ConnectError(requests.ConnectionError):
    """The server was not reached."""


class IncompleteResponse(requests.RequestException):
    """The answer began and did not come to its end; ``cause`` says why.

    Attributes:
        refused: its status says that the request was not carried out, whatever the body was.
    """

    def __init__(self, status_code: int, cause: Exception) -> None:
        super().__init__(cause)
        self.refused = 400 <= status_code < 500


def connection_error(error: BaseException, method: str, timeout: float) -> APIConnectionError:
    """The error of an attempt that got no whole answer; ``timeout`` is the attempt's, in seconds.

    The original is not kept as a cause: its request, and the local variables of the frames in its
    traceback, hold the token. What it says is in the message.
    """
    chain = _exception_chain(error)
    answered = [e for e in chain if isinstance(e, IncompleteResponse)]
    refused = any(e.refused for e in answered)
    sent = not refused and not any(isinstance(e, _NEVER_SENT) for e in chain)
    if any(isinstance(e, _TIMEOUTS) and not isinstance(e, _NO_CONNECTION) for e in chain):
        what, seconds = "no whole answer", timeout
        if not sent and not answered:
            what, seconds = "no connection", min(timeout, CONNECT_TIMEOUT)
        return APITimeoutError(f"{method}: {what} within {seconds:.3g} s", sent=sent)
    said = one_line(_OBJECT.sub("", str(chain[-1]))) or type(chain[-1]).__name__
    return APIConnectionError(f"{method}: {_what(chain)}: {said}", sent=sent)


def is_transient(error: BaseException) -> bool:
    """Whether a failed attempt could go better the next time."""
    chain = _exception_chain(error)
    if any(isinstance(e, _DROPPED_TLS) for e in chain):
        return True  # an established connection that broke, not a refused certificate
    if any(isinstance(e, (*_TLS, BodyTooLarge, UnsupportedEncoding)) for e in chain):
        return False
    # requests makes its classes for invalid URLs, headers and schemes ValueErrors, and raises a
    # plain OSError for a file with certificates that is not there.
    if isinstance(error, OSError) and not isinstance(error, _NETWORK):
        return False
    return not isinstance(error, ValueError)


#: What urllib3 1.26 puts before its reasons.
_OBJECT = re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>: ")
_TIMEOUTS = (TimeoutError, requests.Timeout, urllib3.exceptions.TimeoutError)
# Refused, unreachable, an unknown host: to urllib3 that is a kind of time-out as well.
_NO_CONNECTION = urllib3.exceptions.NewConnectionError
_NEVER_SENT = (
    ConnectionRefusedError,
    ssl.SSLCertVerificationError,
    ConnectError,
    _NO_CONNECTION,
    urllib3.exceptions.ConnectTimeoutError,
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
    ((BodyTooLarge, UnsupportedEncoding), "the answer was not read"),
    (_DROPPED_TLS, "the connection broke"),
    (_TLS, "TLS failed"),
    (ValueError, "the request could not be made"),
)


def _what(chain: list[BaseException]) -> str:
    for classes, phrase in _PHRASES:
        if any(isinstance(error, classes) for error in chain):
            return phrase
    return "the connection broke"


def _exception_chain(error: BaseException) -> list[BaseException]:
    """The error and what it was made of, as requests and urllib3 wrap them, outermost first."""
    chain: list[BaseException] = []
    queue: list[object] = [error]
    while queue and len(chain) < 20:  # a bound, should a cause ever lead back to itself
        found = queue.pop(0)
        if isinstance(found, BaseException) and not any(found is seen for seen in chain):
            chain.append(found)
            queue += [*found.args, getattr(found, "reason", None), found.__cause__]
    return chain
