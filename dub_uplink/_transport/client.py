"""The uplink client that every call goes through: attempts, tenacity's loop, exactly once.

It sits below uplink, so that it sees raw statuses and headers, serves every backend, and covers the
endpoints that subclasses add.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from uplink.clients.interfaces import HttpClientAdapter

from .._concurrency.cooldown import heed_pause, share_pause, sleeper
from .._customers.recovery import Write, is_missing
from .._internal.config import Secret, Token, timeout_seconds
from .._rate_limit.rate_limit import RateLimit
from ..models.errors import APIConnectionError, DubError
from ..models.response import Response
from ..models.unset import UNSET, Unset
from ..retries import (
    Attempts,
    Clock,
    Outcome,
    RateLimitStatus,
    RetryBudget,
    RetryConfig,
    current_clock,
)
from . import errors as hooks
from .call import OPTIONS, Attempt, Call, last_of
from .execution import Blocking, without_frames
from .rate_limit_gate import RateLimitGate

if TYPE_CHECKING:
    import tenacity

logger = logging.getLogger("dub_uplink")
logger.addHandler(logging.NullHandler())

#: Called before a wait: the number of the attempt that failed, the seconds to wait, and the error
#: or the response that it ended with.
OnRetry = Callable[[int, float, "DubError | Response"], object]


class Backend(Protocol):
    """What sends a request once, and what that may raise."""

    failures: tuple[type[Exception], ...]

    def send(
        self, method: str, url: str, info: Mapping[str, Any], authorization: Secret, timeout: float
    ) -> Response: ...

    def close(self) -> None: ...


class AsyncBackend(Protocol):
    """What a :class:`Backend` is, awaited."""

    failures: tuple[type[Exception], ...]

    async def send(
        self, method: str, url: str, info: Mapping[str, Any], authorization: Secret, timeout: float
    ) -> Response: ...

    async def close(self) -> None: ...


class RetryingClient(HttpClientAdapter):  # type: ignore[misc]  # uplink has no types
    """Sends a request of uplink's as often as its policy allows, and not once more.

    Safe to share between threads: what belongs to a call is on the call's own objects.
    """

    def __init__(
        self,
        backend: Backend | AsyncBackend,
        server_url: str,
        token: Token,
        *,
        retry_config: RetryConfig | None,
        timeout: float,
        budget: RetryBudget | None = None,
        on_retry: OnRetry | None = None,
        clock: Clock | None = None,
        rate_limit: RateLimit | None = None,
    ) -> None:
        self._backend: Any = backend
        self.server_url = server_url
        self._token = token
        self._retry_config = retry_config
        self._timeout = timeout
        self._budget = budget
        self._on_retry = on_retry
        self._clock = clock
        self._limit = rate_limit
        self._closed = False
        self.rate_limit: RateLimitStatus | None = None

    def io(self) -> Any:
        return Blocking()

    def apply_callback(self, callback: Callable[[Any], Any], response: Any) -> Any:
        return callback(response)

    def close(self) -> None:
        """End the client; a call after this is a ``RuntimeError``."""
        self._closed = True
        self._backend.close()

    def send(self, request: tuple[str, str, dict[str, Any]]) -> Any:
        """Send a request of uplink's; the response, or the error that it ended with."""
        conversation = self._converse(self._call(request))
        call = next(conversation)
        while True:
            outcome = self._until_done(call)
            try:
                call = conversation.send(outcome)
            except StopIteration as end:
                last: Outcome = end.value
                break
        return result(last)  # outside of `except`, or its traceback would tell of StopIteration

    def _call(self, request: tuple[str, str, dict[str, Any]]) -> Call:
        if self._closed:
            raise RuntimeError("the client is closed; make a new one, or call it before close()")
        method, url, gathered = request
        info = {key: value for key, value in gathered.items() if key != OPTIONS}
        # What `@uplink.timeout` sets on an endpoint, in seconds.
        declared = info.pop("timeout", self._timeout)
        info.setdefault("headers", {})
        options = gathered.get(OPTIONS, {})
        retries: RetryConfig | Unset | None = options.get("retries", UNSET)
        config = self._retry_config if isinstance(retries, Unset) else retries
        body = info.get("json") or info.get("data")
        write = Write(method, url.removeprefix(self.server_url), body)
        attempts = Attempts(
            config,
            self._clock or current_clock(),
            self._budget,
            repeatable=options.get("idempotent") or write.repeatable,
        )
        timeout = timeout_seconds(options.get("timeout_ms"), declared)
        return Call(method, url, info, options, write, timeout, attempts)

    def _converse(self, call: Call) -> Generator[Call, Outcome, Outcome]:
        """What one call of an endpoint asks of the server: nearly always just that.

        A generator, so that the synchronous and the asynchronous client share it.
        """
        outcome = yield call
        refusal = outcome.response
        if refusal is None or refusal.ok or not call.attempts.ambiguous:
            return outcome
        deleted = call.write.already_deleted(refusal)
        if deleted is not None:
            return _in_place_of(refusal, deleted)
        path = call.write.lookup(refusal)
        if path is None:
            return outcome
        found = yield call.lookup(self.server_url + path)
        return _in_view_of(found, call, refusal)

    def _until_done(self, call: Call) -> Outcome:
        outcome = self._attempt(call)
        if not call.attempts.may_retry(outcome):
            return outcome
        call.last = outcome
        import tenacity  # noqa: PLC0415 - most processes never try again

        retrying = tenacity.Retrying(sleep=sleeper(call.attempts.clock), **self._policy(call))
        try:
            last: Outcome = retrying(self._resume, call)
        finally:
            vars(retrying).pop(
                "_local", None
            )  # a circle through it holds the policy, and that the client
        return last

    def _policy(self, call: Call) -> dict[str, Any]:
        """tenacity's questions, answered by the call's own attempts."""
        attempts = call.attempts

        def retry(state: tenacity.RetryCallState) -> bool:
            # An exception is a caller's mistake or an interrupt: neither is tried again.
            if _failed(state) or not attempts.may_retry(_outcome(state)):
                return False
            # Here, since this is the first question of every release; `wait` and `stop` changed
            # places once.
            call.wait = attempts.wait(_outcome(state))
            return True

        def stop(_: tenacity.RetryCallState) -> bool:
            if attempts.out_of_time(call.wait or 0.0):
                return True
            return attempts.budget is not None and not attempts.budget.take()

        return {
            "retry": retry,
            "wait": lambda _: call.wait,
            "stop": stop,
            "before_sleep": lambda state: self._announce(call, state),
            "retry_error_callback": lambda _: call.last,
            "reraise": True,
        }

    def _resume(self, call: Call) -> Outcome:
        """An attempt; the first of a call was made before tenacity was asked for the rest.

        None begins after the deadline, should a sleep have lasted longer than it was to.
        """
        return self._kept(call, self._attempt(call)) if self._is_due(call) else last_of(call)

    def _kept(self, call: Call, outcome: Outcome) -> Outcome:
        """An outcome, kept unless it is that of an attempt that was not sent for want of a turn.

        A call then ends with what its last attempt came to, which may have been carried out.
        """
        if outcome.response is None or outcome.response.call is not None:
            call.last = outcome
        return outcome

    def _is_due(self, call: Call) -> bool:
        return call.last is None or (call.wait is not None and call.attempts.remaining() > 0)

    def _attempt(self, call: Call) -> Outcome:
        heed_pause(call.attempts)
        gate = None if self._limit is None else self._gate(call, self._limit)
        rejection = None if gate is None else gate.acquire()
        if rejection is not None and not call.follows:
            return rejection
        attempt = self._begin(call, gate)
        came: Response | Exception
        try:
            came = self._backend.send(*attempt.request)
        except self._backend.failures as error:
            came = without_frames(error)
        # Outside of `except`, so that the error gets no context that leads to the token.
        outcome = self._end(call, attempt, came)
        if gate is not None:
            gate.report(outcome)
        return outcome

    def _gate(self, call: Call, limit: RateLimit) -> RateLimitGate:
        authorization = self._token.authorization()
        limiter = limit._limiter_for(self.server_url, authorization)
        return RateLimitGate(limit, limiter, call.attempts, call.timeout, authorization)

    def _begin(self, call: Call, gate: RateLimitGate | None) -> Attempt:
        authorization = None if gate is None else gate.authorization
        if authorization is None:
            authorization = self._token.authorization()
        attempts = call.attempts
        timeout = min(call.timeout, max(attempts.remaining(), 0.001))
        request = (call.method, call.url, call.info, authorization, timeout)
        return Attempt(request, attempts.clock.monotonic())

    def _end(self, call: Call, attempt: Attempt, came: Response | Exception) -> Outcome:
        attempts = call.attempts
        outcome = attempts.record(self._judge(call, came, attempt.request[-1]))
        if outcome.response is not None:
            outcome.response.call = call
            share_pause(outcome.response, attempts.clock)
        self._note(call, outcome, attempts.clock.monotonic() - attempt.started)
        return outcome

    def _judge(self, call: Call, came: Response | Exception, timeout: float) -> Outcome:
        if isinstance(came, Exception):
            error = hooks.connection_error(came, call.method, timeout)
            return Outcome(error=error, transient=hooks.is_transient(came))
        response = came
        if response.ok and hooks.breaks_off(response):
            error = APIConnectionError(f"{call.method}: the answer broke off within its JSON")
            return Outcome(error=error, transient=True)
        return Outcome(response)

    def _note(self, call: Call, outcome: Outcome, seconds: float) -> None:
        response = outcome.response
        if response is not None and not response.ok:
            status = RateLimitStatus.from_headers(response.headers, call.attempts.clock.time())
            self.rate_limit = status or self.rate_limit
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s /%s: %s, attempt %d, %.0f ms",
                call.method,
                call.options.get("route", "…"),
                _word(outcome),
                call.attempts.count,
                seconds * 1000,
            )

    def _announce(self, call: Call, state: tenacity.RetryCallState) -> None:
        outcome, wait = _outcome(state), call.wait or 0.0
        logger.info(
            "%s /%s: %s, attempt %d; trying again in %.2f s",
            call.method,
            call.options.get("route", "…"),
            _word(outcome),
            call.attempts.count,
            wait,
        )
        if self._on_retry is not None:
            failed = outcome.error if outcome.response is None else outcome.response
            assert failed is not None
            self._on_retry(call.attempts.count, wait, failed)


def _failed(state: tenacity.RetryCallState) -> bool:
    return state.outcome is None or state.outcome.failed


def _outcome(state: tenacity.RetryCallState) -> Outcome:
    assert state.outcome is not None
    outcome: Outcome = state.outcome.result()
    return outcome


def _word(outcome: Outcome) -> str:
    if outcome.response is not None:
        return str(outcome.response.status_code)
    return type(outcome.error).__name__


def _in_view_of(found: Outcome, call: Call, refusal: Response) -> Outcome:
    """What a write comes to that was refused, now that its customer was looked up."""
    answer = found.response
    if answer is None or not (answer.ok or is_missing(answer)):
        return found  # whether it is ours is not known: no false Conflict
    customer = hooks.json_or_none(answer) if answer.ok else None
    if answer.ok and not isinstance(customer, Mapping):
        return found  # nor is it from what is no customer
    if customer is None or not call.write.carried_out(customer):
        return _in_place_of(answer, refusal)
    status = 201 if call.method == "POST" else 200
    return _in_place_of(answer, Response(status, answer.headers, answer.content))


def _in_place_of(asked: Response, answer: Response) -> Outcome:
    answer.attempts, answer.elapsed = asked.attempts, asked.elapsed
    return Outcome(answer)


def result(outcome: Outcome) -> Response:
    """The response of a call that had one; raises the error of one that had none."""
    if outcome.response is None:
        assert outcome.error is not None
        raise outcome.error
    return outcome.response
