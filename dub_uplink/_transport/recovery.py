"""Define the rules that decide whether a write with an error response was applied after all.

The transport calls these rules but is independent of resources: each consumer passes in the rules
for its resource.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..models.response import Response


class WriteRecovery(Protocol):
    """Decides whether the write of one call was applied."""

    #: The path template of the lookup request, for the log.
    lookup_route: str

    @property
    def repeatable(self) -> bool:
        """Whether the request may be repeated even if the server may have applied it."""
        ...

    def resolve_rejection(self, error_response: Response) -> Response | None:
        """Return a success response if the error of a retry shows that the write was applied.

        Otherwise return ``None``. ``error_response`` is the response to a retry of an attempt that
        the server may have applied.
        """

    def lookup_path(self, error_response: Response) -> str | None:
        """Return the path of a lookup that shows whether the write was applied, or ``None``."""

    def resolve_after_lookup(
        self, error_response: Response, lookup_response: Response
    ) -> Response | None:
        """Return the result of the write after a lookup, or ``None`` if the result is unknown.

        If the write was not applied, the result is ``error_response``.
        """


#: Creates the recovery of a call. The arguments are the method, the path relative to the server
#: URL, and the body. The body is JSON bytes, or a mapping that the ``requests`` library serialises.
RecoveryFactory = Callable[[str, str, Any], WriteRecovery]


class NoRecovery:
    """The recovery of a request without rules: no error response counts as a success."""

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
