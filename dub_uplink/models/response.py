"""A complete response of the server, whichever HTTP library received it.

It has what response handlers need and nothing of the request, whose headers hold the token.
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

    ``attempts`` is the number of requests of the call, ``elapsed`` its time in seconds, waits
    included. ``retry_after`` is the number of seconds that the server asked to wait.
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
        #: The call that the response belongs to; not pickled.
        self.call: Any = None
        self._parsed: tuple[Any] | None = None

    @property
    def headers(self) -> CaseInsensitiveDict[str]:
        """The headers, whose names have no case."""
        if not isinstance(self._headers, CaseInsensitiveDict):  # few successes are asked for them
            self._headers = CaseInsensitiveDict(self._headers)
        return self._headers

    @property
    def ok(self) -> bool:
        """Whether the status is a success (2XX)."""
        return 200 <= self.status_code < 300

    @property
    def reason(self) -> str:
        """The reason phrase of the status; empty for a status unknown to HTTP."""
        try:
            return HTTPStatus(self.status_code).phrase
        except ValueError:
            return ""

    @property
    def text(self) -> str:
        """The body as text; bytes that are not UTF-8 are replaced."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            ValueError: the body is not JSON.
        """
        if self._parsed is None:
            return json.loads(self.content)
        (value,), self._parsed = self._parsed, None  # handed over, since the caller may change it
        return value

    def parse(self) -> None:
        """Parse the body now and keep the result for the next :meth:`json`.

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
    """A successful response before it is converted; see ``with_raw_response``.

    ``status_code`` is the HTTP status, ``headers`` are looked up in any case, ``content`` is the
    decoded body. ``attempts`` is the number of requests of the call, ``elapsed`` its seconds, waits
    included. When a look-up shows that a write was applied, the headers and the content are those
    of the look-up.
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
        """The headers; their names are looked up in any case."""
        return self._response.headers

    @property
    def content(self) -> bytes:
        """The body, decompressed."""
        return self._response.content

    @property
    def attempts(self) -> int:
        """The number of requests that were sent for the call."""
        return self._response.attempts

    @property
    def elapsed(self) -> float:
        """The seconds of the call, waits included."""
        return self._response.elapsed

    def parse(self) -> T:
        """Return what the call itself would have returned.

        Raises:
            ResponseValidationError: the body is not the expected one.
        """
        return self._parse(self._response)

    def __repr__(self) -> str:
        return f"<RawResponse [{self.status_code}]>"
