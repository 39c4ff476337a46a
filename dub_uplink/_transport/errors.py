"""From an answer or a failed connection to the error a user catches.

Pure functions, and the one session hook that raises what they return.
"""

from __future__ import annotations

import json
import re
import socket
import ssl
from typing import Any

import requests
import urllib3.exceptions

from .._internal.config import CONNECT_TIMEOUT
from ..models.errors import (
    BY_STATUS,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    ErrorData,
    ErrorDetail,
    SDKError,
    one_line,
)
from ..models.response import Response

_LITERAL = len("-Infinity")  # the longest thing in JSON, but for strings, that is read as one
_SHOWN = 120  # characters of a foreign text that an error message shows
_MESSAGE = 2_000  # and of a message of Dub's own


class BodyTooLarge(requests.RequestException):
    """The answer is longer than the client reads."""


class UnknownPacking(requests.RequestException):
    """The answer is compressed in a way that was not asked for."""


class PackedWrongly(requests.RequestException):
    """The answer is not compressed as it says, or breaks off within it."""


class NotConnected(requests.ConnectionError):
    """The server was not reached."""


class BrokenAnswer(requests.RequestException):
    """The answer began and did not come to its end; ``cause`` says why.

    Attributes:
        refused: its status says that the request was not carried out, whatever the body was.
    """

    def __init__(self, status_code: int, cause: Exception) -> None:
        super().__init__(cause)
        self.refused = 400 <= status_code < 500


def raise_for_status(response: Response) -> Response:
    """The session hook: hand on a success, raise anything else.

    It sits on the session and not on the class, so that endpoints which a subclass adds have it.
    """
    if response.ok:
        return response
    raise status_error(detached(response))


def detached(response: Response) -> Response:
    """The response without the call it answers, as an error keeps it."""
    response.call = None
    return response


def json_or_none(response: Response) -> Any:
    """The body as JSON, or ``None`` where it is not."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def status_error(response: Response) -> APIStatusError:
    """The error of an answer that is no success; its class follows the status."""
    data = error_data(response)
    if data is not None:
        message = one_line(data.error.message, _MESSAGE)
        cls = BY_STATUS.get(response.status_code, SDKError)
        return (cls if response.status_code >= 400 else SDKError)(message, response, data)
    location = response.headers.get("Location")
    if 300 <= response.status_code < 400 and location is not None:
        return SDKError(
            f"the server redirects to {location[:_SHOWN]!r}; redirects are not followed,"
            " check server_url",
            response,
        )
    shown = beginning(response)
    if not shown:
        hint = "" if response.status_code >= 500 else "; is server_url that of Dub's API?"
        return SDKError(f"the answer has no body{hint}", response)
    kind = one_line(response.headers.get("Content-Type", "no content type").partition(";")[0])
    return SDKError(f"the answer is not an error of Dub's ({kind}): {shown}", response)


def beginning(response: Response) -> str:
    """The beginning of a body that is not what it should be, for an error message."""
    # A body may be 32 MB long: only what is shown of it is worth the work.
    return one_line(response.content.lstrip()[: 8 * _SHOWN].decode("utf-8", "replace"))


def error_data(response: Response) -> ErrorData | None:
    """The body of an error as Dub sends it, or ``None`` for any other body."""
    try:
        body: Any = json.loads(response.content)
        error = body["error"]
        code, message = error["code"], error["message"]
        doc_url = error.get("doc_url")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, IndexError):
        return None
    if not isinstance(code, str) or not isinstance(message, str):
        return None
    return ErrorData(ErrorDetail(code, message, doc_url if isinstance(doc_url, str) else None))


def breaks_off(response: Response) -> bool:
    """Whether the body is the beginning of a JSON document, cut short before its end."""
    text = response.content.strip()
    closing = {b"{": b"}", b"[": b"]"}.get(text[:1])
    if closing is None:
        return False
    closed = text[-1:] == closing
    try:
        response.parse()
    except json.JSONDecodeError as error:
        left = len(error.doc.rstrip()) - error.pos
        if error.msg.startswith("Unterminated string"):
            return True
        # Near its end, or it is something else that only begins like JSON.
        return not error.msg.startswith("Extra data") and left <= (0 if closed else _LITERAL)
    except UnicodeDecodeError as error:
        return error.end >= len(text) and not closed  # within a character
    except (ValueError, RecursionError):
        return not closed
    return False


def connection_error(error: BaseException, method: str, timeout: float) -> APIConnectionError:
    """The error of an attempt that got no whole answer; ``timeout`` is the attempt's, in seconds.

    The original is not kept as a cause: its request, and the local variables of the frames in its
    traceback, hold the token. What it says is in the message.
    """
    chain = _reasons(error)
    answered = [e for e in chain if isinstance(e, BrokenAnswer)]
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
    chain = _reasons(error)
    if any(isinstance(e, _DROPPED_TLS) for e in chain):
        return True  # an established connection that broke, not a refused certificate
    if any(isinstance(e, (*_TLS, BodyTooLarge, UnknownPacking)) for e in chain):
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
    NotConnected,
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
    ((_NO_CONNECTION, NotConnected), "no connection"),
    ((BodyTooLarge, UnknownPacking), "the answer was not read"),
    (_DROPPED_TLS, "the connection broke"),
    (_TLS, "TLS failed"),
    (ValueError, "the request could not be made"),
)


def _what(chain: list[BaseException]) -> str:
    for classes, phrase in _PHRASES:
        if any(isinstance(error, classes) for error in chain):
            return phrase
    return "the connection broke"


def _reasons(error: BaseException) -> list[BaseException]:
    """The error and what it was made of, as requests and urllib3 wrap them, outermost first."""
    chain: list[BaseException] = []
    queue: list[object] = [error]
    while queue and len(chain) < 20:  # a bound, should a cause ever lead back to itself
        found = queue.pop(0)
        if isinstance(found, BaseException) and not any(found is seen for seen in chain):
            chain.append(found)
            queue += [*found.args, getattr(found, "reason", None), found.__cause__]
    return chain
