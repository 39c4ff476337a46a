"""Send requests asynchronously, with the same logic as the module ``client``."""

from __future__ import annotations

import inspect
from typing import Any

import tenacity

from .._concurrency.cooldown import current_cooldown
from ..models.response import Response
from .call import Call
from .client import RetryingClient, unwrap_outcome
from .cooldown_wait import wait_for_cooldown_async
from .execution import AsyncExecution
from .retry_state import Outcome


class AsyncRetryingClient(RetryingClient):
    """A :class:`RetryingClient` with an asynchronous backend."""

    def io(self) -> Any:
        return AsyncExecution(self.send)

    async def aclose(self) -> None:
        """Close the client; see :meth:`RetryingClient.close`."""
        self._closed = True
        await self._backend.close()

    async def send(self, request: tuple[str, str, dict[str, Any]]) -> Response:
        """Send a request asynchronously; see :meth:`RetryingClient.send`."""
        recovery_steps = self._call_with_recovery(self._make_call(request))
        call = next(recovery_steps)
        while True:
            outcome = await self._attempt(call)
            if call.retry_state.may_retry(outcome):
                outcome = await self._retry(call, outcome)
            try:
                call = recovery_steps.send(outcome)
            except StopIteration as end:
                final_outcome: Outcome = end.value
                break
        return unwrap_outcome(final_outcome)

    async def _retry(self, call: Call, outcome: Outcome) -> Outcome:  # type: ignore[override]
        call.outcome = outcome
        clock = call.retry_state.clock
        retrying = tenacity.AsyncRetrying(sleep=clock.async_sleep, **self._tenacity_options(call))
        final_outcome: Outcome = await retrying(self._attempt_or_last_outcome, call)
        return final_outcome

    def _tenacity_options(self, call: Call) -> dict[str, Any]:
        async def before_sleep(state: tenacity.RetryCallState) -> None:
            assert state.outcome is not None
            result = self._before_retry(call, state.outcome.result())
            if inspect.isawaitable(result):
                await result

        return {**super()._tenacity_options(call), "before_sleep": before_sleep}

    async def _attempt_or_last_outcome(self, call: Call) -> Outcome:  # type: ignore[override]
        if not self._should_send(call):
            return call.require_outcome()
        return self._remember_outcome(call, await self._attempt(call))

    async def _attempt(self, call: Call) -> Outcome:  # type: ignore[override]
        if current_cooldown.get() is not None:
            await wait_for_cooldown_async(call.retry_state)
        authorization = gate = None
        if self._rate_limit is not None:
            gate = self._make_gate(call, self._rate_limit, await self._token.authorization_async())
            rejection = await gate.acquire_async()
            if rejection is not None and not call.is_lookup:
                return rejection
            authorization = gate.authorization
        authorization = authorization or await self._token.authorization_async()
        if self._closed:
            return self._end_closed_call(call)
        timeout = call.attempt_timeout()
        started_at = call.retry_state.clock.monotonic()
        received: Response | Exception
        try:
            received = await self._backend.send(
                call.method, call.url, call.extras, authorization, timeout
            )
        except self._backend.send_errors as error:
            received = error
        outcome = self._finish_attempt(call, received, timeout, started_at)
        if gate is not None:
            gate.report(outcome)
        return outcome
