"""Define the interface of rules that decide whether a failed write was applied.

The transport calls the rules, but does not know any resource. Each consumer passes the rules for
its own resource to the transport.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..models.response import Response


class WriteRecovery(Protocol):
    """Decides whether the write of one call was applied."""

    #: The path template of the lookup request. The log shows it.
    lookup_route: str

    @property
    def repeatable(self) -> bool:
        """Whether the request may be repeated even if the server may have applied it."""
        ...

    def resolve_rejection(self, error_response: Response) -> Response | None:
        """Return a success response if the error response shows that the write was applied.

        Otherwise return ``None``. The transport calls this method only if the
        server may have applied an attempt. ``error_response`` is the response to the last attempt.
        """

    def lookup_path(self, error_response: Response) -> str | None:
        """Return the path of a lookup that can show whether the write was applied.

        If no lookup can show it, return ``None``.
        """

    def resolve_after_lookup(
        self, error_response: Response, lookup_response: Response
    ) -> Response | None:
        """Return the response to report for the write after a lookup.

        If the write was not applied, return ``error_response``. If the lookup does not show whether
        the write was applied, return ``None``.
        """


#: Creates the recovery rules of a call. The arguments are the method, the path relative to the
#: server URL, and the body. The body is JSON bytes, or a mapping of form fields.
RecoveryFactory = Callable[[str, str, Any], WriteRecovery]


class NoRecovery:
    """The rules of a call without recovery: no error response counts as a success."""

    lookup_route = ""

    def __init__(self, method: str, path: str, body: Any) -> None:
        self._method = method

    @property
    def repeatable(self) -> bool:
        """Whether the method is not POST. PATCH is repeatable, because Dub's PATCH sets values."""
        return self._method != "POST"

    def resolve_rejection(self, error_response: Response) -> Response | None:
        """Return ``None``: an error response is final."""
        return None

    def lookup_path(self, error_response: Response) -> str | None:
        """Return ``None``: there is no lookup."""
        return None

    def resolve_after_lookup(
        self, error_response: Response, lookup_response: Response
    ) -> Response | None:
        """Return ``None``: there is no lookup."""
        return None
