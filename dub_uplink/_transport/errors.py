"""Map a response to the error that the user catches, and parse error bodies."""

from __future__ import annotations

import json
from typing import Any

from .._http.connection_errors import without_credentials
from ..models.errors import (
    BY_STATUS,
    APIStatusError,
    ErrorData,
    ErrorDetail,
    NotFound,
    SDKError,
    one_line,
)
from ..models.response import Response

_MAX_LITERAL_CHARS = len("-Infinity")  # the longest JSON token that is not a string
_MAX_EXCERPT_CHARS = 120  # characters of a server's text in an error message
_MAX_MESSAGE_CHARS = 2_000  # characters of Dub's own error message


def raise_for_status(response: Response) -> Response:
    """Return a successful response; raise the error of any other.

    A hook of the session and not of the class, so that endpoints of subclasses have it too.
    """
    if response.ok:
        return response
    call = response.call
    error = status_error(detach_call(response))
    if call is not None and response.status_code == 404 and call.options.get("unpublished"):
        raise _route_not_found(call, error)
    raise error


def _route_not_found(call: Any, error: APIStatusError) -> APIStatusError:
    """Return the error of a server that does not have a route: its 404 is a page of HTML."""
    if error.data is not None:
        return error
    return NotFound(
        f"the server has no {call.method} /{call.options.get('route')}, which Dub does not publish,"
        " or server_url is not that of Dub's API",
        error.response,
    )


def detach_call(response: Response) -> Response:
    """Return the response without its call, which holds the client, for an error to keep."""
    response.call = None
    return response


def json_or_none(response: Response) -> Any:
    """Return the body as JSON, or ``None`` if it is not JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def status_error(response: Response) -> APIStatusError:
    """Return the error of an unsuccessful response; its class follows the status."""
    data = error_data(response)
    if data is not None:
        message = one_line(data.error.message, _MAX_MESSAGE_CHARS)
        cls = BY_STATUS.get(response.status_code, SDKError)
        return (cls if response.status_code >= 400 else SDKError)(message, response, data)
    location = response.headers.get("Location")
    if 300 <= response.status_code < 400 and location is not None:
        return SDKError(
            f"the server redirects to {without_credentials(location)[:_MAX_EXCERPT_CHARS]!r};"
            " redirects are not followed,"
            " check server_url",
            response,
        )
    excerpt = body_excerpt(response)
    if not excerpt:
        hint = "" if response.status_code >= 500 else "; is server_url that of Dub's API?"
        return SDKError(f"the response has no body{hint}", response)
    content_type = one_line(
        response.headers.get("Content-Type", "no content type").partition(";")[0]
    )
    return SDKError(f"the response is not an error from Dub ({content_type}): {excerpt}", response)


def body_excerpt(response: Response) -> str:
    """Return the start of an unexpected body, for an error message."""
    # A body may have 32 MB, so only the part that is shown is decoded.
    return one_line(response.content.lstrip()[: 8 * _MAX_EXCERPT_CHARS].decode("utf-8", "replace"))


def error_data(response: Response) -> ErrorData | None:
    """Return the parsed body of Dub's errors, or ``None`` for any other body."""
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


def is_truncated_json(response: Response) -> bool:
    """Return whether the body starts as a JSON document and ends before its end."""
    text = response.content.strip()
    closing = {b"{": b"}", b"[": b"]"}.get(text[:1])
    if closing is None:
        return False
    closed = text[-1:] == closing
    try:
        response.parse_json()
    except json.JSONDecodeError as error:
        remaining = len(error.doc.rstrip()) - error.pos
        if error.msg.startswith("Unterminated string"):
            return True
        # An error far from the end means that the body only looks like JSON.
        allowed = 0 if closed else _MAX_LITERAL_CHARS
        return not error.msg.startswith("Extra data") and remaining <= allowed
    except UnicodeDecodeError as error:
        return error.end >= len(text) and not closed  # the body ends within a character
    except (ValueError, RecursionError):
        return not closed
    return False
