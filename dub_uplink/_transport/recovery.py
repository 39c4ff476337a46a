"""The rules by which a write that seems to have failed may turn out to have been applied.

The transport applies them and does not know them: a consumer hands over the rules of its resource.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ..models.response import Response


class WriteRecovery(Protocol):
    """The request of one call, as far as its recovery needs it."""

    #: The template of the path that a look-up requests, for the log.
    lookup_route: str

    @property
    def repeatable(self) -> bool:
        """Whether the request may be sent again although it may have been applied."""
        ...

    def resolve_rejection(self, rejected: Response) -> Response | None:
        """Return the success that a rejected repetition stands for, ``None`` if it stands for none.

        ``rejected`` is the error response that followed an attempt which may have been applied.
        """

    def lookup_path(self, rejected: Response) -> str | None:
        """Return the path whose response shows whether the write was applied, if there is one."""

    def resolve_after_lookup(self, rejected: Response, looked_up: Response) -> Response | None:
        """Return the result of the write after the look-up, ``None`` if it remains unknown.

        The result is ``rejected`` itself if the write was not applied.
        """


#: Makes the operation of a call from its method, its path below the server's URL, and its body:
#: bytes of JSON, or the mapping that requests is to serialise.
RecoveryFactory = Callable[[str, str, Any], WriteRecovery]


class NoRecovery:
    """A request of which nothing but the method is known."""

    lookup_route = ""

    def __init__(self, method: str, path: str, body: Any) -> None:
        self._method = method

    @property
    def repeatable(self) -> bool:
        """Whether the method is idempotent (RFC 9110, 9.2.2), or one that sets values."""
        return self._method != "POST"

    def resolve_rejection(self, rejected: Response) -> Response | None:
        """Return ``None``: a rejected repetition is what it seems."""
        return None

    def lookup_path(self, rejected: Response) -> str | None:
        """Return ``None``: there is nothing to look up."""
        return None

    def resolve_after_lookup(self, rejected: Response, looked_up: Response) -> Response | None:
        """Return ``None``: nothing was looked up."""
        return None
