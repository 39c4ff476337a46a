"""Read a whole response of the ``requests`` library, with a deadline and a size limit."""

from __future__ import annotations

import functools
import http.client
import time
from collections.abc import Callable

import requests
import urllib3

from ..models.response import Response
from .connection_errors import IncompleteResponse, ResponseConsumed
from .deadline_adapter import Deadline
from .decoding import ContentDecoder, check_size

#: The exceptions of a failed attempt. Any other exception is a mistake of the caller.
SEND_ERRORS: tuple[type[Exception], ...] = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # an invalid proxy URL or `Location`
)
_CHUNK_BYTES = 64 * 1024


def read_response(response: requests.Response, deadline: Deadline) -> Response:
    """Read a response of the ``requests`` library to its end.

    Raises:
        IncompleteResponse: the body could not be read. Its ``args`` hold the original exception.
    """
    location = vars(response).pop("hidden_location", None)
    if location is not None:
        response.headers["Location"] = location
    try:
        content = read_body(response, deadline.expires_at)
    except BaseException as error:
        response.close()  # otherwise the next request would read the rest of this response
        if isinstance(error, SEND_ERRORS):
            raise IncompleteResponse(response.status_code, error) from None
        raise
    return Response(response.status_code, response.headers, content)


def read_body(response: requests.Response, deadline: float) -> bytes:
    """Read the body of a streamed response to its end.

    Args:
        response: the response of the ``requests`` library.
        deadline: monotonic time in seconds.

    Raises:
        TimeoutError: the body was not complete by the deadline.
        BodyTooLarge: the body is larger than the limit.
        DecodingError, UnsupportedEncoding: the body cannot be decompressed.
    """
    raw = response.raw
    # An adapter that returns stored responses may set the content but no raw stream.
    if vars(response).get("_content", False) is not False or not hasattr(raw, "read"):
        return response.content or b""
    if getattr(raw, "enforce_content_length", None) is False:
        # `requests` also supports urllib3 1.26, which accepts a truncated body by default.
        raw.enforce_content_length = True
    read: Callable[[int], bytes] = raw.read
    decoder: ContentDecoder | None = None
    if hasattr(raw, "stream"):  # responses of urllib3 have stream(), files do not
        encoding = response.headers.get("Content-Encoding")
        decoder = ContentDecoder(encoding) if encoding else None
        # read1() returns available bytes without waiting for a full chunk. Use only the read1() of
        # urllib3, because the read1() of vcrpy takes no arguments.
        urllib3_read1 = getattr(urllib3.HTTPResponse, "read1", None)
        can_read1 = urllib3_read1 is not None and getattr(type(raw), "read1", None) is urllib3_read1
        read = functools.partial(raw.read1 if can_read1 else raw.read, decode_content=False)
    chunks: list[bytes] = []
    size = 0
    while chunk := read(_CHUNK_BYTES):
        chunks.append(decoder.decode(chunk) if decoder else chunk)
        size += len(chunks[-1])
        check_size(size)
        if getattr(raw, "length_remaining", None) == 0 and raw.closed:
            break  # urllib3 has read the whole body and has released the connection
        if time.monotonic() > deadline:
            raise TimeoutError("timed out while reading the body")
    if decoder:
        decoder.check_complete()
    return b"".join(chunks)


def send_and_read(
    send: Callable[[], requests.Response], received: list[requests.Response], deadline: Deadline
) -> Response:
    """Send a request with the caller's session, and read the response to its end.

    Args:
        send: sends the request and returns the response, after the hooks of the session.
        received: the list to which the first hook of the request appends the response.
        deadline: the deadline of the request.
    """
    response: requests.Response | None = None
    try:
        try:
            response = send()
        except Exception as error:  # noqa: BLE001 - a hook of the caller may raise any exception
            response = _recover_response(error, received)
        else:
            _check_response(response)
        return read_response(response, deadline)
    finally:
        # If a hook has returned another response or has raised an exception, no other code closes
        # the response, which would keep its connection. The other response may share its stream.
        for other in received:
            if other is not response:
                other.close()


def _recover_response(error: Exception, received: list[requests.Response]) -> requests.Response:
    """Return the response that was received before a hook or the caller's session raised ``error``.

    Args:
        error: the exception of the session.
        received: the responses that were received before the exception, possibly none.

    Raises:
        IncompleteResponse: the hook has read a part of the body.
        Exception: ``error`` itself. Either no response was received, or the response is successful
            and ``error`` is not in :data:`SEND_ERRORS`.
    """
    if not received:
        raise error
    response = received[0]
    if 200 <= response.status_code < 300 and not isinstance(error, SEND_ERRORS):
        raise error
    if _is_body_lost(response):
        raise IncompleteResponse(response.status_code, error) from None
    return response


def _check_response(response: requests.Response) -> None:
    """Check a response after the hooks and adapters of the caller have handled it.

    Raises:
        IncompleteResponse: a hook has closed the response, or has read a part of the body.
        TypeError: a hook has returned a response without a status.
    """
    if getattr(response, "status_code", None) is None:  # although its type excludes None
        raise TypeError(
            "a hook of the session returned a response without a status; return None, or the"
            " response that the hook received"
        )
    if _is_body_lost(response):
        response.close()
        raise IncompleteResponse(response.status_code, ResponseConsumed())


def _is_body_lost(response: requests.Response) -> bool:
    """Return whether a hook has read a part of the body without storing the body."""
    raw = response.raw
    if vars(response).get("_content", False) is not False or not hasattr(raw, "read"):
        return False
    if isinstance(raw, urllib3.HTTPResponse) and raw.closed:
        # A closed body is not lost if it is empty, because urllib3 closes an empty body itself.
        return raw.tell() > 0 or raw.length_remaining != 0
    return hasattr(raw, "tell") and raw.tell() > 0
