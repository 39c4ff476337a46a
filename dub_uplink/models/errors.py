"""Every way a call can fail, below :class:`DubError`.

A mistake of the caller's own is not here: it is a ``ValueError`` or ``TypeError``, raised before
anything is sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .response import Response


def one_line(text: str, longest: int = 120) -> str:
    """A foreign text as a log or a terminal may have it: one line, no control characters."""
    line = " ".join(text[: 8 * longest].split())
    shown = line[:longest]
    if not shown.isprintable():
        shown = "".join(char if char.isprintable() else "\ufffd" for char in shown)
    return shown + "…" if len(line) > longest or len(text) > 8 * longest else shown


@dataclass(frozen=True)
class ErrorDetail:
    """What Dub says about an error. ``code`` is an open string: the class follows the status."""

    code: str
    message: str
    doc_url: str | None = None


@dataclass(frozen=True)
class ErrorData:
    """The body of an error, reached as ``error.data.error`` as in the official SDK."""

    error: ErrorDetail


class DubError(Exception):
    """The base of every failure of a call.

    Attributes:
        message: what happened, in one line.
        attempts: how many requests were sent, the last one included.
        elapsed: seconds from the start of the call to its end, waits included.
        retry_after: seconds the server asked to wait before the next try, else ``None``.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.attempts = 1
        self.elapsed = 0.0
        self.retry_after: float | None = None

    def __str__(self) -> str:
        if self.attempts > 1:
            return f"{self._line()} ({self.attempts} attempts in {self.elapsed:.1f} s)"
        return self._line()

    def _line(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        # Exception's own way calls the class with `args`, which the subclasses do not take.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(cls: type[DubError], args: tuple[Any, ...], state: dict[str, Any]) -> DubError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class APIConnectionError(DubError):
    """No whole answer came: refused, reset, cut short, a failed TLS handshake.

    Attributes:
        sent: whether the server may have carried the request out all the same. ``False`` where
            that is sure not to be, as for a refused connection.
    """

    def __init__(self, message: str, *, sent: bool = True) -> None:
        super().__init__(message)
        self.sent = sent


class APITimeoutError(APIConnectionError):
    """No whole answer came within ``timeout_ms``."""


class _Answered(DubError):
    """A failure that had an answer."""

    def __init__(self, message: str, response: Response) -> None:
        super().__init__(message)
        self.response = response
        self.attempts = response.attempts
        self.elapsed = response.elapsed
        self.retry_after = response.retry_after

    @property
    def status_code(self) -> int:
        """The HTTP status."""
        return self.response.status_code

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers of the answer; their names are looked up in any case."""
        return self.response.headers

    @property
    def body(self) -> str:
        """The body of the answer as text."""
        return self.response.text


class APIStatusError(_Answered):
    """An answer that is no success.

    Attributes:
        code: Dub's short code, such as ``"not_found"``; ``None`` where the body is not Dub's.
        message: Dub's own words.
        doc_url: a page about the code, or ``None``.
        data: the same three as ``data.error``, as in the official SDK; ``None`` where the body
            is not Dub's.
        response: the answer itself; also ``status_code``, ``headers`` and ``body``.
    """

    def __init__(self, message: str, response: Response, data: ErrorData | None = None) -> None:
        super().__init__(message, response)
        self.data = data

    @property
    def code(self) -> str | None:
        """Dub's short code, an open string."""
        return self.data.error.code if self.data else None

    @property
    def doc_url(self) -> str | None:
        """A page about the code."""
        return self.data.error.doc_url if self.data else None

    def _line(self) -> str:
        code = one_line(self.code or "")
        return f"{self.status_code} {code}".rstrip() + f": {self.message}"


class BadRequest(APIStatusError):
    """400: the request could not be read."""


class Unauthorized(APIStatusError):
    """401: the token is missing, unknown or expired."""


class Forbidden(APIStatusError):
    """403: the token's role or the workspace's plan does not allow this, or a limit is used up."""


class NotFound(APIStatusError):
    """404: there is no such customer, or the token is of no workspace."""


class Conflict(APIStatusError):
    """409: the external id or the Stripe id is taken."""


class InviteExpired(APIStatusError):
    """410: the invitation has run out."""


class UnprocessableEntity(APIStatusError):
    """422: the server understood the request and refuses a value in it."""


class RateLimitExceeded(APIStatusError):
    """429: too many requests in this minute; ``retry_after`` says how many seconds are left."""


class InternalServerError(APIStatusError):
    """500: the server failed; its own doing."""


class SDKError(APIStatusError):
    """Any other 4XX or 5XX, a redirect, or a failure whose body is not Dub's JSON."""


class PageLimitReached(DubError):
    """The server has more customers than the pages it gives out by number.

    Nothing is wrong with those that were returned; the ones beyond page 1,000 are missing.
    """


class ResponseValidationError(_Answered):
    """A success whose body is not what was promised: not JSON, or not of the expected form.

    The server has carried the request out. The answer is at ``response``.
    """

    def _line(self) -> str:
        return f"{self.status_code}: {self.message}"


#: The class of each status that has one of its own.
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
