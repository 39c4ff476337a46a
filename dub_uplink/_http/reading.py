"""Read the response of requests to its end, within a deadline and a size."""

from __future__ import annotations

import functools
import http.client
import time
from collections.abc import Callable

import requests
import urllib3

from ..models.response import Response
from .connection_errors import IncompleteResponse
from .deadline_adapter import Deadline
from .decoding import ContentDecoder, check_size

#: Exceptions of an attempt over requests that are no mistake of the caller's.
SEND_ERRORS: tuple[type[Exception], ...] = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    OSError,
    ValueError,  # urllib's parsers, on a `Location` or a proxy that is no URL
)
_CHUNK_BYTES = 64 * 1024


def read_response(response: requests.Response, deadline: Deadline) -> Response:
    """Return a response of requests', read to its end; see :func:`read_body`.

    Raises:
        IncompleteResponse: it could not be read; the reason is its argument.
    """
    location = vars(response).pop("hidden_location", None)
    if location is not None:
        response.headers["Location"] = location
    try:
        content = read_body(response, deadline.expires)
    except BaseException as error:
        response.close()  # or what is left of it would be the next response
        if isinstance(error, SEND_ERRORS):
            raise IncompleteResponse(response.status_code, error) from None
        raise
    return Response(response.status_code, response.headers, content)


def read_body(response: requests.Response, deadline: float) -> bytes:
    """Return the body of a streamed response, read until its end.

    Args:
        response: the response of requests.
        deadline: when to stop, by ``time.monotonic``.

    Raises:
        TimeoutError: the body was not complete at the deadline.
        BodyTooLarge: it is longer than a client reads.
        DecodingError, UnsupportedEncoding: it cannot be decompressed.
    """
    raw = response.raw
    # An adapter without a connection may set the content and no raw stream.
    if vars(response).get("_content", False) is not False or not hasattr(raw, "read"):
        return response.content or b""
    if getattr(raw, "enforce_content_length", None) is False:
        # urllib3 1.26, which requests allows as well, accepts a body that was cut short.
        raw.enforce_content_length = True
    read: Callable[[int], bytes] = raw.read
    decoder: ContentDecoder | None = None
    if hasattr(raw, "stream"):  # urllib3's; requests tells it from a plain file in the same way
        encoding = response.headers.get("Content-Encoding")
        decoder = ContentDecoder(encoding) if encoding else None
        # The bytes that are there, not a full chunk; the read1 of vcrpy takes no arguments.
        urllib3_read1 = getattr(urllib3.HTTPResponse, "read1", None)
        can_read1 = urllib3_read1 is not None and getattr(type(raw), "read1", None) is urllib3_read1
        read = functools.partial(raw.read1 if can_read1 else raw.read, decode_content=False)
    chunks: list[bytes] = []
    size = 0
    while chunk := read(_CHUNK_BYTES):
        chunks.append(decoder.decode(chunk) if decoder else chunk)
        size += len(chunks[-1])
        check_size(size)
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    if decoder:
        decoder.flush()
    return b"".join(chunks)
