"""Exceptions of failed calls, all derived from :class:`DubError`.

Invalid arguments raise ``ValueError`` or ``TypeError`` before a request is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .response import Response


def one_line(text: str, longest: int = 120) -> str:
    """Return text from a server as one line without control characters.

    Text of more than ``longest`` characters is truncated, and ends with "…".
    """
    line = " ".join(text[: 8 * longest].split())
    excerpt = line[:longest]
    if not excerpt.isprintable():
        excerpt = "".join(char if char.isprintable() else "\ufffd" for char in excerpt)
    return excerpt + "…" if len(line) > longest or len(text) > 8 * longest else excerpt


@dataclass(frozen=True)
class ErrorDetail:
    """Dub's description of an error.

    ``code`` is Dub's error code, such as ``"not_found"``. Dub may add codes, so the class of the
    exception depends only on the status.
    """

    code: str
    message: str
    doc_url: str | None = None


@dataclass(frozen=True)
class ErrorData:
    """The parsed body of an error response, with the official SDK's structure."""

    error: ErrorDetail


class DubError(Exception):
    """Base class of the exceptions of a failed call.

    Attributes:
        message: one line that describes the error.
        attempts: number of requests sent for the call.
        elapsed: duration of the call in seconds, including waits.
        retry_after: wait in seconds that the server asked for, or ``None``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message: str = message
        self.attempts: int = 1
        self.elapsed: float = 0.0
        self.retry_after: float | None = None

    def __str__(self) -> str:
        if self.attempts > 1:
            return f"{self._format_line()} ({self.attempts} attempts in {self.elapsed:.1f} s)"
        return self._format_line()

    def _format_line(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception.__reduce__ calls the constructor with `args` only, so `response` is missing.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(cls: type[DubError], args: tuple[Any, ...], state: dict[str, Any]) -> DubError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class APIConnectionError(DubError):
    """No complete response was received.

    The connection was refused, reset or closed early, or TLS failed.

    Attributes:
        sent: ``True`` if the server may have applied the request. ``False`` if the server has
            certainly not applied it, for example because every connection was refused.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent: bool = sent


class APITimeoutError(APIConnectionError):
    """No complete response was received within ``timeout_ms``."""


class _ResponseError(DubError):
    """Base class of exceptions that have a response."""

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.response: Response = response
        self.attempts: int = response.attempts
        self.elapsed: float = response.elapsed
        self.retry_after: float | None = response.retry_after

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the response. Their names are case-insensitive."""
        return self.response.headers

    @property
    def body(self) -> str:
        """The body of the response as text."""
        return self.response.text


class APIStatusError(_ResponseError):
    """The server returned a status other than 2XX.

    Attributes:
        code: Dub's error code, such as ``"not_found"``; ``None`` if the body is not Dub's JSON.
        message: Dub's message, or a description of a body that is not Dub's JSON.
        doc_url: URL of Dub's page about the code, or ``None``.
        data: the parsed body, as in the official SDK; ``None`` if the body is not Dub's JSON.
        response: the response; see also ``status_code``, ``headers`` and ``body``.
    """

    def __init__(self, message: str, response: Response, data: ErrorData | None = None) -> None:
        super().__init__(message, response)
        self.data: ErrorData | None = data

    @property
    def code(self) -> str | None:
        """Dub's error code; ``None`` if the body is not Dub's JSON."""
        return self.data.error.code if self.data else None

    @property
    def doc_url(self) -> str | None:
        """URL of Dub's page about the code, or ``None``."""
        return self.data.error.doc_url if self.data else None

    def _format_line(self) -> str:
        code = one_line(self.code or "")
        return f"{self.status_code} {code}".rstrip() + f": {self.message}"


class BadRequest(APIStatusError):
    """400: the server cannot parse the request."""


class Unauthorized(APIStatusError):
    """401: the token is missing, unknown or expired."""


class Forbidden(APIStatusError):
    """403: the token's role or the workspace's plan does not allow the request."""


class NotFound(APIStatusError):
    """404: the customer or endpoint does not exist, or the token belongs to no workspace."""


class Conflict(APIStatusError):
    """409: another customer has the external id or the Stripe id."""


class InviteExpired(APIStatusError):
    """410: the invitation has expired."""


class UnprocessableEntity(APIStatusError):
    """422: a value in the request is invalid."""


class RateLimitExceeded(APIStatusError):
    """429: too many requests in a minute; ``retry_after`` is the wait in seconds."""


class InternalServerError(APIStatusError):
    """500: the server failed."""


class SDKError(APIStatusError):
    """A redirect, a status without its own class, or an error whose body is not Dub's JSON."""


class PageLimitReached(DubError):
    """The server returns at most 1,000 pages, and more customers may exist.

    The customers returned before the error are valid.
    """


class ResponseValidationError(_ResponseError):
    """The status is 2XX, but the body is not JSON or does not match the schema.

    The server has applied the request.
    """

    def _format_line(self) -> str:
        return f"{self.status_code}: {self.message}"


#: The exception class of each status. Any other error status raises :class:`SDKError`.
BY_STATUS: Mapping[int, type[APIStatusError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: InviteExpired,
    422: UnprocessableEntity,
    429: RateLimitExceeded,
    500: InternalServerError,
}
