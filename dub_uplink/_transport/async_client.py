"""The transport of the asynchronous clients: the same attempts, awaited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tenacity

from .._concurrency.cooldown import current_pause
from ..models.response import Response
from ..retries import Attempts, Outcome
from .call import Call, last_of
from .client import RetryingClient, result
from .execution import Awaiting, without_frames


class AsyncRetryingClient(RetryingClient):
    """What :class:`RetryingClient` is, over a backend that is awaited."""

    def io(self) -> Any:
        return Awaiting()

    async def apply_callback(self, callback: Callable[[Any], Any], response: Any) -> Any:
        # The response has been read: a handler is a plain function here too.
        return callback(response)

    async def aclose(self) -> None:
        """End the client; a call after this is a ``RuntimeError``."""
        self._closed = True
        await self._backend.close()

    async def send(self, request: tuple[str, str, dict[str, Any]]) -> Response:
        """Send a request of uplink's; the response, or the error that it ended with."""
        conversation = self._converse(self._call(request))
        call = next(conversation)
        while True:
            outcome = await self._until_done(call)
            try:
                call = conversation.send(outcome)
            except StopIteration as end:
                last: Outcome = end.value
                break
        return result(last)

    async def _until_done(self, call: Call) -> Outcome:  # type: ignore[override]
        outcome = await self._attempt(call)
        if not call.attempts.may_retry(outcome):
            return outcome
        call.last = outcome
        clock = call.attempts.clock
        retrying = tenacity.AsyncRetrying(sleep=clock.async_sleep, **self._policy(call))
        try:
            last: Outcome = await retrying(self._resume, call)
        finally:
            vars(retrying).pop("_local", None)  # see RetryingClient
        return last

    async def _resume(self, call: Call) -> Outcome:  # type: ignore[override]
        return self._kept(call, await self._attempt(call)) if self._is_due(call) else last_of(call)

    async def _attempt(self, call: Call) -> Outcome:  # type: ignore[override]
        await heed_pause(call.attempts)
        gate = None if self._limit is None else self._gate(call, self._limit)
        rejection = None if gate is None else await gate.acquire_async()
        if rejection is not None and not call.follows:
            return rejection
        attempt = self._begin(call, gate)
        came: Response | Exception
        try:
            came = await self._backend.send(*attempt.request)
        except self._backend.failures as error:
            came = without_frames(error)
        outcome = self._end(call, attempt, came)
        if gate is not None:
            gate.report(outcome)
        return outcome


async def heed_pause(attempts: Attempts) -> None:
    """Wait for what the server told another task of the same bulk, where there is time to."""
    pause = current_pause.get()
    if pause is None:
        return
    left = pause.left(attempts.clock)
    if 0 < left < attempts.remaining():
        await attempts.clock.async_sleep(attempts.no_sooner(left))
