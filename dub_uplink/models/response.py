"""A complete response, independent of the HTTP library that received it.

The response does not refer to its request, because the headers of the request contain the token.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Generic, TypeVar

from requests.structures import CaseInsensitiveDict

T = TypeVar("T")


class Response:
    """A status, headers and a complete body.

    ``attempts`` is the number of requests sent for the call. ``elapsed`` is the duration of the
    call in seconds, including waits. ``retry_after`` is the wait in seconds that the server asked
    for, or ``None``.
    """

    __slots__ = (
        "_headers",
        "_parsed",
        "attempts",
        "call",
        "content",
        "elapsed",
        "retry_after",
        "status_code",
    )

    def __init__(
        self, status_code: int, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> None:
        self.status_code: int = status_code
        self._headers = headers
        self.content: bytes = content
        self.attempts: int = 1
        self.elapsed: float = 0.0
        self.retry_after: float | None = None
        #: The call that received this response. The call is not pickled.
        self.call: Any = None
        #: ``None`` before parsing, then a tuple that contains the parsed body. The parsed body
        #: itself may be ``None``.
        self._parsed: tuple[Any] | None = None

    @property
    def headers(self) -> CaseInsensitiveDict[str]:
        """The headers. Their names are case-insensitive."""
        # Converted on demand, because few callers read the headers of a successful response.
        if not isinstance(self._headers, CaseInsensitiveDict):
            self._headers = CaseInsensitiveDict(self._headers)
        return self._headers

    @property
    def ok(self) -> bool:
        """Whether the status is 2XX."""
        return 200 <= self.status_code < 300

    @property
    def reason(self) -> str:
        """The reason phrase of the status, or an empty string for an unknown status."""
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def text(self) -> str:
        """The body as text. Bytes that are not UTF-8 become U+FFFD."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body parsed as JSON.

        Raises:
            ValueError: the body is not JSON.
        """
        if self._parsed is None:
            return json.loads(self.content)
        (value,), self._parsed = self._parsed, None  # not kept: the caller may change the value
        return value

    def parse_json(self) -> None:
        """Parse the body and keep the result for the next call of :meth:`json`.

        Raises:
            ValueError: the body is not JSON.
        """
        self._parsed = (json.loads(self.content),)

    def __reduce__(self) -> tuple[Any, ...]:
        state = (self.attempts, self.elapsed, self.retry_after)
        return _restore, (self.status_code, self.headers, self.content, *state)

    def __repr__(self) -> str:
        return f"<Response [{self.status_code}]>"


def _restore(
    status_code: int,
    headers: Mapping[str, str],
    content: bytes,
    attempts: int,
    elapsed: float,
    retry_after: float | None,
) -> Response:
    response = Response(status_code, headers, content)
    response.attempts, response.elapsed, response.retry_after = attempts, elapsed, retry_after
    return response


class RawResponse(Generic[T]):
    """A successful response that is not converted yet; see ``with_raw_response``.

    If the response of a write was lost, the client may reconstruct it. ``status_code`` is then 201
    for a create, and 200 for an update or a delete. For a create or an update, ``headers`` and
    ``content`` are those of the customer lookup. For a delete, ``content`` is ``{"id": …}`` with
    the id that was passed, and the only header is ``Content-Type``.
    """

    __slots__ = ("_parse", "_response")

    def __init__(self, response: Response, parse: Callable[[Response], T]) -> None:
        self._response = response
        self._parse = parse

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers. Their names are case-insensitive."""
        return self._response.headers

    @property
    def content(self) -> bytes:
        """The body, decompressed."""
        return self._response.content

    @property
    def attempts(self) -> int:
        """The number of requests sent for the call."""
        return self._response.attempts

    @property
    def elapsed(self) -> float:
        """The duration of the call in seconds, including waits."""
        return self._response.elapsed

    def parse(self) -> T:
        """Return what the same call without ``with_raw_response`` returns.

        Raises:
            ResponseValidationError: the body is not JSON or does not match the schema.
        """
        return self._parse(self._response)

    def __repr__(self) -> str:
        return f"<RawResponse [{self.status_code}]>"
