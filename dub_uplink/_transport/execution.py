"""How uplink runs a call, less the references to the client that errors leave behind.

A frame of uplink's, urllib3's or our own that has an error in a local variable, and is in that
error's traceback, waits for the garbage collector, and the client and its sockets wait with it.
"""

from __future__ import annotations

from typing import Any

from uplink.clients.io import AsyncioStrategy, BlockingStrategy

from ..models.errors import DubError


def without_frames(error: Exception) -> Exception:
    """An error of a library's and all that it was made of, without their tracebacks."""
    seen: list[BaseException] = []
    queue: list[object] = [error]
    while queue and len(seen) < 40:  # a bound, should a cause ever lead back to itself
        found = queue.pop()
        if isinstance(found, BaseException) and not any(found is other for other in seen):
            seen.append(found)
            found.__traceback__ = None
            queue += [*found.args, getattr(found, "reason", None), found.__context__]
            queue.append(found.__cause__)
    return error


def _bare(error: DubError, execution: Any) -> DubError:
    """An error without the frames that it came through: none of them is the caller's."""
    execution.state = None  # the last one is of the error and its traceback
    return error.with_traceback(None)


class Blocking(BlockingStrategy):  # type: ignore[misc]  # uplink has no types
    """uplink's strategy of the synchronous clients."""

    def invoke(self, func: Any, arg: Any, kwargs: Any, callback: Any) -> Any:
        try:
            response = func(*arg, **kwargs)
        except Exception as error:  # noqa: BLE001 - uplink's hooks decide
            return callback.on_failure(type(error), error, error.__traceback__)
        return callback.on_success(response)

    def execute(self, executable: Any) -> Any:
        try:
            return executable.execute()
        except DubError as error:
            raise _bare(error, executable)  # noqa: B904 - it is the same error


class Awaiting(AsyncioStrategy):  # type: ignore[misc]
    """uplink's strategy of the asynchronous clients."""

    async def invoke(self, func: Any, args: Any, kwargs: Any, callback: Any) -> Any:
        try:
            response = await func(*args, **kwargs)
        except Exception as error:  # noqa: BLE001
            return await callback.on_failure(type(error), error, error.__traceback__)
        return await callback.on_success(response)

    async def execute(self, executable: Any) -> Any:
        try:
            return await executable.execute()
        except DubError as error:
            raise _bare(error, executable)  # noqa: B904
