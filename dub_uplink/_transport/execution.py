"""Define the strategies that run the steps of a call in the ``uplink`` library.

uplink's own strategies run each step of an asynchronous call as a coroutine. They also run the
converter of the return type as a response handler. The strategies of this module are faster: they
await only the request, and call the converter once at the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from types import CoroutineType
from typing import Any

from uplink.clients.io import AsyncioStrategy, BlockingStrategy

from .call import OPTIONS_KEY

_Send = Callable[[tuple[str, str, dict[str, Any]]], Any]


class BlockingExecution(BlockingStrategy):  # type: ignore[misc]  # uplink has no types
    """Run the steps of a synchronous call."""

    def __init__(self, send: _Send) -> None:
        self._send = send
        self._convert: Callable[[Any], Any] | None = None

    def invoke(
        self, func: Callable[..., Any], arg: Any, kwargs: Mapping[str, Any], callback: Any
    ) -> Any:
        """Call a function, then call the callback with its result or its exception."""
        if func == self._send:
            self._convert = arg[0][2].get(OPTIONS_KEY, {}).get("convert")
        try:
            result = func(*arg, **kwargs)
        except Exception as error:  # noqa: BLE001 - error handlers of uplink accept any exception
            return callback.on_failure(type(error), error, error.__traceback__)
        return callback.on_success(result)

    def finish(self, response: Any) -> Any:
        """Convert the response and return the result of the call."""
        return response if self._convert is None else self._convert(response)


class AsyncExecution(AsyncioStrategy):  # type: ignore[misc]
    """Run the steps of an asynchronous call."""

    def __init__(self, send: _Send) -> None:
        self._send = send
        self._convert: Callable[[Any], Any] | None = None

    def invoke(
        self, func: Callable[..., Any], args: Any, kwargs: Mapping[str, Any], callback: Any
    ) -> Any:
        """Call a function, then call the callback with its result or its exception.

        If the function sends the request, return a coroutine for both steps.
        """
        if func == self._send:
            self._convert = args[0][2].get(OPTIONS_KEY, {}).get("convert")
            return self._send_request(args[0], callback)
        try:
            result = func(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - error handlers of uplink accept any exception
            return callback.on_failure(type(error), error, error.__traceback__)
        return callback.on_success(result)

    async def _send_request(self, request: Any, callback: Any) -> Any:
        try:
            response = await self._send(request)
        except Exception as error:  # noqa: BLE001
            result = callback.on_failure(type(error), error, error.__traceback__)
        else:
            result = callback.on_success(response)
        # The result is a coroutine if `uplink.retry` sends the request again.
        return await result if isinstance(result, CoroutineType) else result

    async def sleep(self, duration: float, callback: Any) -> Any:
        """Sleep for ``duration`` seconds, then continue the call."""
        await asyncio.sleep(duration)
        return await callback.on_success()

    def finish(self, response: Any) -> Any:
        """Convert the response and return the result of the call."""
        return response if self._convert is None else self._convert(response)

    def execute(self, executable: Any) -> Any:
        """Return the coroutine of the call."""
        return executable.execute()
