"""Convert an error response to an exception, and parse error bodies."""

from __future__ import annotations

import json
import re
from typing import Any

from .._http.connection_errors import mask_credentials
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

#: The literals that ``json.loads`` accepts. "-" can start "-Infinity" or a negative number.
_LITERALS = ("true", "false", "null", "NaN", "Infinity", "-Infinity")
#: The part of a truncated number that ``json.loads`` does not accept, as in "1." or "1e".
_CUT_NUMBER = re.compile(r"\.|[eE][+-]?")
#: A truncated Unicode escape.
_CUT_ESCAPE = re.compile(r"\\?u?[0-9a-fA-F]{0,4}")
#: The maximum number of characters of a response that an error message quotes.
_MAX_EXCERPT_CHARS = 120
#: The maximum number of characters of Dub's message that an error message quotes.
_MAX_MESSAGE_CHARS = 2_000


def raise_for_status(response: Response) -> Response:
    """Return a successful response. For any other response, raise the matching exception.

    A response hook of the consumer calls this function, also in subclasses of the consumer.
    """
    if response.ok:
        return response
    call = response.call
    error = make_status_error(detach_call(response))
    if call is not None and response.status_code == 404 and call.options.get("unpublished"):
        raise _route_not_found(call, error)
    raise error


def _route_not_found(call: Any, error: APIStatusError) -> APIStatusError:
    """If the body of a 404 is not Dub's JSON, return an error whose message names the route."""
    if error.data is not None:
        return error
    return NotFound(
        f"the server has no {call.method} /{call.options.get('route')}, which Dub does not"
        " document; check that server_url is the URL of Dub's API",
        error.response,
    )


def detach_call(response: Response) -> Response:
    """Remove the call, so that an exception with this response does not keep the client alive."""
    response.call = None
    return response


def json_or_none(response: Response) -> Any:
    """Return the body parsed as JSON, or ``None`` if it is not JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return None


def make_status_error(response: Response) -> APIStatusError:
    """Create the exception for an error response. The status selects the class."""
    data = parse_error_data(response)
    if data is not None:
        message = one_line(data.error.message, _MAX_MESSAGE_CHARS)
        cls = BY_STATUS.get(response.status_code, SDKError)
        return (cls if response.status_code >= 400 else SDKError)(message, response, data)
    location = response.headers.get("Location")
    if 300 <= response.status_code < 400 and location is not None:
        return SDKError(
            f"the server redirects to {mask_credentials(location)[:_MAX_EXCERPT_CHARS]!r};"
            " redirects are not followed; set server_url to the final address",
            response,
        )
    if response.status_code == 407:
        return SDKError(
            "the proxy rejected the request; check the user name and password in the proxy's URL",
            response,
        )
    excerpt = make_body_excerpt(response)
    if not excerpt:
        hint = "" if response.status_code >= 500 else "; is server_url that of Dub's API?"
        return SDKError(f"the response has no body{hint}", response)
    content_type = one_line(
        response.headers.get("Content-Type", "no content type").partition(";")[0]
    )
    return SDKError(f"the response is not an error from Dub ({content_type}): {excerpt}", response)


def make_body_excerpt(response: Response) -> str:
    """Return the start of an unexpected body, for an error message."""
    # Decode only the start, because a body can be 32 MB long.
    return one_line(response.content.lstrip()[: 8 * _MAX_EXCERPT_CHARS].decode("utf-8", "replace"))


def parse_error_data(response: Response) -> ErrorData | None:
    """Parse the body of Dub's error responses. Return ``None`` for any other body."""
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
    """Return whether the body is the start of a JSON object or array, without its end."""
    content = response.content.strip()
    closing_bracket = {b"{": b"}", b"[": b"]"}.get(content[:1])
    if closing_bracket is None:
        return False
    try:
        response.parse_json()
    except json.JSONDecodeError as error:
        return _is_at_end(error)
    except UnicodeDecodeError as error:
        # If the body ends within a character, check the text before that character.
        is_cut = error.reason == "unexpected end of data"
        return is_cut and is_truncated_json(Response(200, None, response.content[: error.start]))
    except (ValueError, RecursionError):  # nested too deeply, or a number has too many digits
        return content[-1:] != closing_bracket
    return False


def _is_at_end(error: json.JSONDecodeError) -> bool:
    """Return whether more text could complete the JSON text that caused ``error``."""
    rest = error.doc[error.pos :]
    match error.msg.split(":")[0].split()[:2]:
        case ["Unterminated", _]:
            return True
        case ["Invalid", "\\uXXXX"]:
            return _CUT_ESCAPE.fullmatch(rest) is not None
        case ["Expecting", "value"] if any(each.startswith(rest) for each in _LITERALS):
            return True
        case ["Expecting", "','"] if _CUT_NUMBER.fullmatch(rest):
            try:
                json.loads(error.doc + "0")
            except json.JSONDecodeError as next_error:
                return next_error.pos > error.pos
    return not rest.strip(" \t\n\r") and not error.msg.startswith("Extra data")
