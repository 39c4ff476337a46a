"""Send the requests of all endpoints: attempts, retries, and exactly-once writes.

``RetryingClient`` implements uplink's interface for HTTP clients. Therefore it sees statuses and
headers, works with every backend, and also serves the endpoints of consumer subclasses.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Generator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

from uplink.clients.interfaces import HttpClientAdapter

from .._concurrency.cooldown import make_sleep, publish_cooldown
from .._http.backend import AsyncBackend, Backend
from .._http.connection_errors import is_transient, make_connection_error
from .._internal.config import timeout_seconds
from .._internal.credentials import RedactedStr, TokenProvider
from .._rate_limit.rate_limit import RateLimit
from ..models.errors import APIConnectionError, DubError
from ..models.response import Response
from ..models.unset import UNSET, Unset
from ..retries import Clock, RateLimitStatus, RetryBudget, RetryConfig, current_clock
from .call import OPTIONS_KEY, Call
from .cooldown_wait import wait_for_cooldown
from .errors import is_truncated_json
from .execution import BlockingExecution
from .rate_limit_gate import RateLimitGate
from .rate_limit_headers import parse_rate_limit_status
from .recovery import NoRecovery, RecoveryFactory
from .retry_state import Outcome, RetryState

if TYPE_CHECKING:
    import tenacity

logger = logging.getLogger("dub_uplink")
logger.addHandler(logging.NullHandler())

_CLOSED_MESSAGE = "the client is closed; create a new one, or close it later"
#: Called before a retry. The arguments are the number of the failed attempt, the wait in seconds,
#: and the error or the response of that attempt.
OnRetry = Callable[[int, float, DubError | Response], object]


class RetryingClient(HttpClientAdapter):  # type: ignore[misc]  # uplink has no types
    """Send the requests of the ``uplink`` library, with retries.

    Threads may share a client, because a :class:`Call` object holds the state of each call.
    """

    def __init__(
        self,
        backend: Backend | AsyncBackend,
        server_url: str,
        token: TokenProvider,
        *,
        retry_config: RetryConfig | None,
        timeout: float,
        budget: RetryBudget | None = None,
        on_retry: OnRetry | None = None,
        clock: Clock | None = None,
        rate_limit: RateLimit | None = None,
        make_recovery: RecoveryFactory = NoRecovery,
    ) -> None:
        self._backend: Any = backend
        self.server_url = server_url
        # The slash at the end is needed to reject "https://api.dub.co@example.com/".
        self._origin = urljoin(server_url, "/")
        self._token = token
        self._retry_config = retry_config
        self._timeout = timeout
        self._budget = budget
        self._on_retry = on_retry
        self._clock = clock
        self._rate_limit = rate_limit
        self._make_recovery = make_recovery
        self._closed = False
        self.rate_limit_status: RateLimitStatus | None = None

    def io(self) -> Any:
        return BlockingExecution(self.send)

    def apply_callback(self, callback: Callable[[Any], Any], response: Any) -> Any:
        return callback(response)

    def close(self) -> None:
        """Close the client; later calls raise ``RuntimeError``.

        A call that another thread is running sends no further request. It ends after its current
        wait, with the outcome of its last attempt. It raises ``RuntimeError`` if it has sent no
        request, and ``APIConnectionError`` if it still had to look up a write.
        """
        self._closed = True
        self._backend.close()

    def send(self, request: tuple[str, str, dict[str, Any]]) -> Any:
        """Send a request built by the ``uplink`` library and return its response.

        Raises:
            DubError: the call ended without a response.
            ValueError: the URL is on another server, or the body has NaN or an infinite number.
            TypeError: the body has a value that is not JSON-serialisable.
            RuntimeError: the client is closed.
        """
        recovery_steps = self._call_with_recovery(self._make_call(request))
        call = next(recovery_steps)
        while True:
            outcome = self._attempt(call)
            if call.retry_state.may_retry(outcome):
                outcome = self._retry(call, outcome)
            try:
                call = recovery_steps.send(outcome)
            except StopIteration as end:
                final_outcome: Outcome = end.value
                break
        # Raise the error outside of `except`, so that StopIteration is not its context.
        return unwrap_outcome(final_outcome)

    def _make_call(self, request: tuple[str, str, dict[str, Any]]) -> Call:
        if self._closed:
            raise RuntimeError(_CLOSED_MESSAGE)
        method, url, uplink_extras = request
        if not url.startswith(self._origin):
            # The message must not quote the URL, which may contain credentials.
            raise ValueError(
                "the URL of this endpoint is not on the server of server_url, so the token is not"
                " sent; create another client whose server_url is the server of this endpoint"
            )
        extras = {key: value for key, value in uplink_extras.items() if key != OPTIONS_KEY}
        # `@uplink.timeout` sets the timeout of an endpoint, in seconds.
        default = extras.pop("timeout", self._timeout)
        headers = extras.setdefault("headers", {})
        if "json" in extras:
            extras["data"] = serialize_json(extras.pop("json"))
            if not any(name.lower() == "content-type" for name in headers):
                headers["Content-Type"] = "application/json"
        if method != "GET" and not any(name.lower() == "cache-control" for name in headers):
            # A cache of the caller's session must not serve a write.
            extras["headers"] = {**headers, "Cache-Control": "no-store"}
        options = uplink_extras.get(OPTIONS_KEY, {})
        path = url.removeprefix(self.server_url)
        recovery = self._make_recovery(method, path, extras.get("data"))
        retry_state = self.make_retry_state(options)
        retry_state.repeatable = options.get("idempotent") or recovery.repeatable
        timeout_ms = options.get("timeout_ms")
        timeout = default if timeout_ms is None else timeout_seconds(timeout_ms, default)
        return Call(method, url, extras, options, recovery, timeout, retry_state)

    def make_retry_state(self, options: Mapping[str, Any]) -> RetryState:
        """Create the retry state of a call that starts now. ``options`` override the defaults."""
        retries: RetryConfig | Unset | None = options.get("retries", UNSET)
        config = self._retry_config if isinstance(retries, Unset) else retries
        return RetryState(config, self._clock or current_clock(), self._budget)

    def _call_with_recovery(self, call: Call) -> Generator[Call, Outcome, Outcome]:
        """Yield each request of a call and receive its outcome. Return the outcome of the call.

        Nearly all calls have one request. This method is a generator, so that the synchronous and
        the asynchronous client can share it.
        """
        outcome = yield call
        rejected = outcome.response
        if rejected is None or not call.retry_state.may_have_been_applied or rejected.ok:
            return outcome
        resolved = call.recovery.resolve_rejection(rejected)
        if resolved is not None:
            return _replace_response(rejected, resolved)
        path = call.recovery.lookup_path(rejected)
        if path is None:
            return outcome
        lookup = yield call.make_lookup(self.server_url + path)
        if lookup.response is None:
            return lookup
        resolved = call.recovery.resolve_after_lookup(rejected, lookup.response)
        return lookup if resolved is None else _replace_response(lookup.response, resolved)

    def _retry(self, call: Call, outcome: Outcome) -> Outcome:
        """Retry a call whose first attempt failed; return the last outcome."""
        call.outcome = outcome
        import tenacity  # noqa: PLC0415 - most processes never retry

        retrying = tenacity.Retrying(
            sleep=make_sleep(call.retry_state.clock), **self._tenacity_options(call)
        )
        final_outcome: Outcome = retrying(self._attempt_or_last_outcome, call)
        return final_outcome

    def _tenacity_options(self, call: Call) -> dict[str, Any]:
        """Return the arguments of ``tenacity.Retrying``: callbacks that use the retry state."""
        retry_state = call.retry_state

        def retry(state: tenacity.RetryCallState) -> bool:
            # Do not retry after an exception: it is a mistake of the caller or an interrupt.
            if _has_raised(state) or not retry_state.may_retry(_get_outcome(state)):
                return False
            # Compute the wait here, because every release of tenacity calls `retry` first. The
            # order of `wait` and `stop` depends on the release.
            call.wait_seconds = retry_state.compute_wait(_get_outcome(state))
            return True

        def stop(_: tenacity.RetryCallState) -> bool:
            if self._closed or retry_state.exceeds_deadline(call.wait_seconds or 0.0):
                return True
            return retry_state.budget is not None and not retry_state.budget.take()

        return {
            "retry": retry,
            "wait": lambda _: call.wait_seconds,
            "stop": stop,
            "before_sleep": lambda state: _raise_for_coroutine(
                self._before_retry(call, _get_outcome(state))
            ),
            "retry_error_callback": lambda _: call.outcome,
            "reraise": True,
        }

    def _attempt_or_last_outcome(self, call: Call) -> Outcome:
        """Send an attempt, or return the last outcome if no further attempt may be sent."""
        if not self._should_send(call):
            return call.require_outcome()
        return self._remember_outcome(call, self._attempt(call))

    def _remember_outcome(self, call: Call, outcome: Outcome) -> Outcome:
        """Store the outcome of a request in the call.

        If the client-side rate limit prevented the request, keep the outcome of the previous
        request, because the server may have applied the previous request.
        """
        if outcome.response is None or outcome.response.call is not None:
            call.outcome = outcome.prefer_earlier(call.outcome)
        return outcome

    def _should_send(self, call: Call) -> bool:
        """Return whether to send an attempt.

        tenacity's first call only returns the outcome of the attempt that has already been sent.
        """
        return call.outcome is None or (
            not self._closed and call.wait_seconds is not None and call.retry_state.remaining() > 0
        )

    def _attempt(self, call: Call) -> Outcome:
        wait_for_cooldown(call.retry_state)
        authorization = gate = None
        if self._rate_limit is not None:
            gate = self._make_gate(call, self._rate_limit, self._token.authorization())
            rejection = gate.acquire()
            if rejection is not None and not call.is_lookup:
                return rejection
            authorization = gate.authorization
        authorization = authorization or self._token.authorization()
        if self._closed:
            return self._end_closed_call(call)
        timeout = call.attempt_timeout()
        started_at = call.retry_state.clock.monotonic()
        received: Response | Exception
        try:
            received = self._backend.send(
                call.method, call.url, call.extras, authorization, timeout
            )
        except self._backend.send_errors as error:
            received = error
        # Create the error outside of `except`, so that its context does not lead to the token.
        outcome = self._finish_attempt(call, received, timeout, started_at)
        if gate is not None:
            gate.report(outcome)
        return outcome

    def _end_closed_call(self, call: Call) -> Outcome:
        """Return the outcome of a call that sends no further request because the client is closed.

        Raises:
            RuntimeError: the call has sent no request.
        """
        if call.outcome is not None:
            return call.outcome
        if not call.is_lookup:
            raise RuntimeError(_CLOSED_MESSAGE)
        error = APIConnectionError(
            f"{call.method}: the client was closed before it could look up whether the write was"
            " applied"
        )
        error.attempts, error.elapsed = call.retry_state.attempt_count, call.retry_state.elapsed()
        return Outcome(error=error)

    def _make_gate(
        self, call: Call, rate_limit: RateLimit, authorization: RedactedStr
    ) -> RateLimitGate:
        limiter = rate_limit._limiter_for(self.server_url, authorization)
        return RateLimitGate(rate_limit, limiter, call.retry_state, call.timeout, authorization)

    def _finish_attempt(
        self, call: Call, received: Response | Exception, timeout: float, started_at: float
    ) -> Outcome:
        retry_state = call.retry_state
        outcome = retry_state.record(self._classify(call, received, timeout))
        response = outcome.response
        if response is not None:
            response.call = call
            if not response.ok:
                status = parse_rate_limit_status(response.headers, retry_state.clock.time())
                self.rate_limit_status = status or self.rate_limit_status
            if response.retry_after is not None:
                publish_cooldown(response.retry_after, retry_state.clock)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "%s /%s: %s, attempt %d, %.0f ms",
                call.method,
                call.options.get("route", "…"),
                _summarize_outcome(outcome),
                retry_state.attempt_count,
                (retry_state.clock.monotonic() - started_at) * 1000,
            )
        return outcome

    def _classify(self, call: Call, received: Response | Exception, timeout: float) -> Outcome:
        if isinstance(received, Exception):
            error = make_connection_error(received, call.method, timeout)
            return Outcome(error=error, transient=is_transient(received))
        if received.ok and is_truncated_json(received):
            error = APIConnectionError(
                f"{call.method}: the response ended in the middle of its JSON"
            )
            return Outcome(error=error, transient=True)
        return Outcome(received)

    def _before_retry(self, call: Call, outcome: Outcome) -> object:
        """Log a retry, call ``on_retry`` and return its result."""
        wait = call.wait_seconds or 0.0
        logger.info(
            "%s /%s: %s, attempt %d; retrying in %.2f s",
            call.method,
            call.options.get("route", "…"),
            _summarize_outcome(outcome),
            call.retry_state.attempt_count,
            wait,
        )
        if self._on_retry is None:
            return None
        failed = outcome.error if outcome.response is None else outcome.response
        assert failed is not None
        return self._on_retry(call.retry_state.attempt_count, wait, failed)


def serialize_json(body: Any) -> bytes:
    """Serialise a body as JSON, and reject NaN. ``requests`` is slower; ``aiohttp`` sends NaN.

    Raises:
        ValueError: the body contains NaN or an infinite number.
        TypeError: the body contains a value that is not JSON-serialisable.
    """
    try:
        return json.dumps(body, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, TypeError) as error:
        raised = TypeError if isinstance(error, TypeError) else ValueError
        raise raised(f"the body cannot be sent as JSON: {error}") from None


def _raise_for_coroutine(returned: object) -> None:
    if inspect.iscoroutine(returned):
        returned.close()  # otherwise Python warns that the coroutine was never awaited
        raise TypeError("on_retry returned a coroutine; pass a regular function, or use AsyncDub")


def _has_raised(state: tenacity.RetryCallState) -> bool:
    return state.outcome is None or state.outcome.failed


def _get_outcome(state: tenacity.RetryCallState) -> Outcome:
    assert state.outcome is not None
    outcome: Outcome = state.outcome.result()
    return outcome


def _summarize_outcome(outcome: Outcome) -> str:
    if outcome.response is not None:
        return str(outcome.response.status_code)
    return type(outcome.error).__name__


def _replace_response(original: Response, response: Response) -> Outcome:
    response.attempts, response.elapsed = original.attempts, original.elapsed
    return Outcome(response)


def unwrap_outcome(outcome: Outcome) -> Response:
    """Return the response of a call. If there is no response, raise the error."""
    if outcome.response is None:
        assert outcome.error is not None
        raise outcome.error
    return outcome.response
