"""From an answer or a failed connection to the error a user catches.

Pure functions, and the one session hook that raises what they return.
"""

from __future__ import annotations

import json
from typing import Any

from ..models.errors import (
    BY_STATUS,
    APIStatusError,
    ErrorData,
    ErrorDetail,
    SDKError,
    one_line,
)
from ..models.response import Response

_LITERAL = len("-Infinity")  # the longest thing in JSON, but for strings, that is read as one
_SHOWN = 120  # characters of a foreign text that an error message shows
_MESSAGE = 2_000  # and of a message of Dub's own


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
    shown = body_excerpt(response)
    if not shown:
        hint = "" if response.status_code >= 500 else "; is server_url that of Dub's API?"
        return SDKError(f"the answer has no body{hint}", response)
    kind = one_line(response.headers.get("Content-Type", "no content type").partition(";")[0])
    return SDKError(f"the answer is not an error of Dub's ({kind}): {shown}", response)


def body_excerpt(response: Response) -> str:
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


def is_truncated_json(response: Response) -> bool:
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
