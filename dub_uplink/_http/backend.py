"""Define the interface of backends. A backend sends the request of one attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from .._internal.credentials import RedactedStr
from ..models.response import Response


class Backend(Protocol):
    """Sends each request once. ``send_errors`` are the exceptions that mean a failed attempt."""

    send_errors: tuple[type[Exception], ...]

    def send(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response: ...

    def close(self) -> None: ...


class AsyncBackend(Protocol):
    """The asynchronous version of :class:`Backend`."""

    send_errors: tuple[type[Exception], ...]

    async def send(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response: ...

    async def close(self) -> None: ...
