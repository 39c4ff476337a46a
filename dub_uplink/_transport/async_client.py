"""The transport of the asynchronous clients: the same attempts, awaited."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tenacity

from .._concurrency.cooldown import current_cooldown
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
        await wait_for_cooldown(call.attempts)
        turn = None if self._limit is None else self._turn(call, self._limit)
        refusal = None if turn is None else await turn.take_awaited()
        if refusal is not None and not call.follows:
            return refusal
        attempt = self._begin(call, turn)
        came: Response | Exception
        try:
            came = await self._backend.send(*attempt.request)
        except self._backend.failures as error:
            came = without_frames(error)
        outcome = self._end(call, attempt, came)
        if turn is not None:
            turn.heed(outcome)
        return outcome


async def wait_for_cooldown(attempts: Attempts) -> None:
    """Wait until the current batch may send again, if the deadline leaves time for it."""
    cooldown = current_cooldown.get()
    if cooldown is None:
        return
    remaining = cooldown.remaining(attempts.clock)
    if 0 < remaining < attempts.remaining():
        await attempts.clock.async_sleep(attempts.no_sooner(remaining))
