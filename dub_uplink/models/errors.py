"""The errors of failed calls, all derived from :class:`DubError`.

A mistake in the arguments raises ``ValueError`` or ``TypeError`` before anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .response import Response


def one_line(text: str, longest: int = 120) -> str:
    """Return a server's text as one line without control characters, at most ``longest`` long."""
    line = " ".join(text[: 8 * longest].split())
    shown = line[:longest]
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else "\ufffd" for char in shown)
    return shown + "…" if len(line) > longest or len(text) > 8 * longest else shown


@dataclass(frozen=True)
class ErrorDetail:
    """Dub's description of an error. ``code`` is any string: the class follows the status."""

    code: str
    message: str
    doc_url: str | None = None


@dataclass(frozen=True)
class ErrorData:
    """The body of an error, available as ``error.data.error`` as in the official SDK."""

    error: ErrorDetail


class DubError(Exception):
    """The base class of the errors of a failed call.

    Attributes:
        message: one line that says what happened.
        attempts: the number of requests that were sent.
        elapsed: the seconds of the whole call, waits included.
        retry_after: the seconds that the server asked to wait, or ``None``.
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
        # Exception.__reduce__ calls the class with `args`, which the subclasses do not accept.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(cls: type[DubError], args: tuple[Any, ...], state: dict[str, Any]) -> DubError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class APIConnectionError(DubError):
    """No complete response: the connection was refused, reset or cut short, or TLS failed.

    Attributes:
        sent: whether the server may have applied the request in any attempt of the call. ``False``
            if it certainly has not, for example because every connection was refused.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent: bool = sent


class APITimeoutError(APIConnectionError):
    """No complete response within ``timeout_ms``."""


class _ResponseError(DubError):
    """An error with a response."""

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
        """The headers of the response; names match in any case."""
        return self.response.headers

    @property
    def body(self) -> str:
        """The body of the response as text."""
        return self.response.text


class APIStatusError(_ResponseError):
    """An unsuccessful response.

    Attributes:
        code: Dub's short code, such as ``"not_found"``; ``None`` if the body is not Dub's JSON.
        message: Dub's message.
        doc_url: the page about the code, or ``None``.
        data: the same three as ``data.error``, as in the official SDK; ``None`` if the body is not
            Dub's JSON.
        response: the response; see also ``status_code``, ``headers`` and ``body``.
    """

    def __init__(self, message: str, response: Response, data: ErrorData | None = None) -> None:
        super().__init__(message, response)
        self.data: ErrorData | None = data

    @property
    def code(self) -> str | None:
        """Dub's short code; new codes may appear."""
        return self.data.error.code if self.data else None

    @property
    def doc_url(self) -> str | None:
        """The page about the code."""
        return self.data.error.doc_url if self.data else None

    def _format_line(self) -> str:
        code = one_line(self.code or "")
        return f"{self.status_code} {code}".rstrip() + f": {self.message}"


class BadRequest(APIStatusError):
    """400: the server cannot parse the request."""


class Unauthorized(APIStatusError):
    """401: the token is missing, unknown or expired."""


class Forbidden(APIStatusError):
    """403: the role of the token or the plan of the workspace does not allow the request."""


class NotFound(APIStatusError):
    """404: there is no such customer, or the token belongs to no workspace."""


class Conflict(APIStatusError):
    """409: the external id or the Stripe id is taken."""


class InviteExpired(APIStatusError):
    """410: the invitation has expired."""


class UnprocessableEntity(APIStatusError):
    """422: the server refuses a value in the request."""


class RateLimitExceeded(APIStatusError):
    """429: too many requests in this minute; ``retry_after`` is the number of seconds to wait."""


class InternalServerError(APIStatusError):
    """500: an error of the server."""


class SDKError(APIStatusError):
    """Any other 4XX or 5XX, a redirect, or an error whose body is not Dub's JSON."""


class PageLimitReached(DubError):
    """There are more customers than page numbers reach.

    The returned customers are valid; those beyond page 1,000 are missing.
    """


class ResponseValidationError(_ResponseError):
    """A successful response whose body is not JSON or not of the expected form.

    The server has applied the request. ``response`` holds the response.
    """

    def _format_line(self) -> str:
        return f"{self.status_code}: {self.message}"


#: The error class of each status; any other status is an :class:`SDKError`.
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
