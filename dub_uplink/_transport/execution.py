"""The execution strategies of uplink that shorten the tracebacks of this package's errors."""

from __future__ import annotations

from typing import Any

from uplink.clients.io import AsyncioStrategy, BlockingStrategy

from ..models.errors import DubError


class Blocking(BlockingStrategy):  # type: ignore[misc]  # uplink has no types
    """Run a synchronous call; a ``DubError`` starts at the public method."""

    def execute(self, executable: Any) -> Any:
        """Run the call."""
        try:
            return executable.execute()
        except DubError as error:
            # The frames between are uplink's and this package's: none helps the caller.
            raise error.with_traceback(None)  # noqa: B904 - it is the same error


class Awaiting(AsyncioStrategy):  # type: ignore[misc]
    """Run an asynchronous call; a ``DubError`` starts at the public method."""

    async def execute(self, executable: Any) -> Any:
        """Run the call."""
        try:
            return await executable.execute()
        except DubError as error:
            raise error.with_traceback(None)  # noqa: B904
