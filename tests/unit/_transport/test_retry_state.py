"""Test the decisions on the attempts of one call, without requests."""

from __future__ import annotations

import math
import time as time_
from typing import Any

import pytest

from dub_uplink import BackoffStrategy, Clock, Response, RetryBudget, RetryConfig, errors
from dub_uplink._transport.retry_after import parse_retry_after, server_time
from dub_uplink._transport.retry_state import Outcome, RetryState

NOW = 1_795_333_861.0  # Sunday, 22 November 2026, 07:51:01 GMT


class Time:
    """A clock that advances only when a test changes it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.jitter = 0.5

    def clock(self) -> Clock:
        return Clock(monotonic=lambda: self.now, time=lambda: NOW, random=lambda: self.jitter)


@pytest.fixture
def time() -> Time:
    return Time()


def responded(status: int, **headers: str) -> Outcome:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Outcome(Response(status, named, b""))


def failed(*, sent: bool, transient: bool = True) -> Outcome:
    return Outcome(error=errors.APIConnectionError("x", sent=sent), transient=transient)


@pytest.mark.parametrize(
    ("outcome", "ambiguous"),
    [
        (responded(200), False),
        (responded(404), False),
        (responded(409), False),
        (responded(429), False),  # may succeed later, and was not applied
        (responded(500), True),
        (responded(503), True),
        (failed(sent=True), True),
        (failed(sent=False), False),
        (failed(sent=True, transient=False), False),
        (failed(sent=False, transient=False), False),
    ],
)
def test_only_transient_failures_after_sending_are_ambiguous(
    time: Time, outcome: Outcome, ambiguous: bool
) -> None:
    attempts = RetryState(RetryConfig(), time.clock())
    assert attempts.record(outcome) is outcome
    assert attempts.may_have_been_applied is ambiguous


def test_five_statuses_are_transient_and_only_429_is_unapplied() -> None:
    outcomes = {status: responded(status) for status in range(100, 600)}
    passing = {status for status, outcome in outcomes.items() if outcome.transient}
    assert passing == {429, 500, 502, 503, 504}
    assert [
        status for status, outcome in outcomes.items() if not outcome.may_have_been_applied
    ] == [429]


@pytest.mark.parametrize("status", [400, 404, 409, 428, 430, 500, 502, 504, 505])
def test_retry_after_is_read_only_from_429_and_503(time: Time, status: int) -> None:
    for outcome, requested in (
        (responded(status, Retry_After="7"), None),
        (responded(429, Retry_After="7"), 7.0),
        (responded(503, Retry_After="7"), 7.0),
    ):
        RetryState(RetryConfig(), time.clock()).record(outcome)
        assert outcome.response is not None
        assert outcome.response.retry_after == requested


def test_call_stays_ambiguous_after_a_500_then_429_and_409(time: Time) -> None:
    attempts = RetryState(RetryConfig(), time.clock())
    for outcome in (responded(500), responded(429), responded(409)):
        attempts.record(outcome)
        assert attempts.may_have_been_applied


def test_outcome_has_attempt_count_and_elapsed_time(time: Time) -> None:
    attempts = RetryState(RetryConfig(), time.clock())
    assert (attempts.attempt_count, attempts.elapsed()) == (0, 0.0)
    for number in (1, 2, 3):
        time.now += 0.25
        response = Response(500, {}, b"")
        error = errors.APIConnectionError("x", sent=True)
        kept: Any = response if number % 2 else error
        attempts.record(Outcome(response) if number % 2 else Outcome(error=error, transient=True))
        assert (kept.attempts, kept.elapsed) == (number, 0.25 * number)


@pytest.mark.parametrize("config", [None, RetryConfig("none")])
def test_disabled_retries_have_no_deadline(time: Time, config: RetryConfig | None) -> None:
    attempts = RetryState(config, time.clock())
    assert attempts.remaining() == math.inf
    assert not attempts.may_retry(responded(503))
    assert not attempts.exceeds_deadline(1e9)


def test_deadline_is_max_elapsed_time_after_the_start(time: Time) -> None:
    attempts = RetryState(RetryConfig(backoff=BackoffStrategy(1, 1, 1.0, 2_500)), time.clock())
    assert attempts.remaining() == 2.5
    time.now += 1.0
    assert attempts.remaining() == 1.5
    assert not attempts.exceeds_deadline(1.4999)
    assert attempts.exceeds_deadline(1.5)  # no time would remain for the attempt
    endless = RetryState(
        RetryConfig(backoff=BackoffStrategy(max_elapsed_time=10**15)), time.clock()
    )
    assert endless.remaining() == 1e8


@pytest.mark.parametrize(
    ("outcome", "repeatable", "connection_errors", "again"),
    [
        (responded(200), True, True, False),
        (responded(404), True, True, False),
        (responded(503), True, True, True),
        (responded(503), False, True, False),
        (responded(429), False, True, True),  # was not applied
        (responded(503), True, False, True),
        (failed(sent=True), True, True, True),
        (failed(sent=True), False, True, False),
        (failed(sent=False), False, True, True),
        (failed(sent=False), True, False, False),
        (failed(sent=False, transient=False), True, True, False),
    ],
)
def test_may_retry_depends_on_outcome_and_config(
    time: Time, outcome: Outcome, repeatable: bool, connection_errors: bool, again: bool
) -> None:
    config = RetryConfig(retry_connection_errors=connection_errors)
    attempts = RetryState(config, time.clock(), repeatable=repeatable)
    attempts.record(outcome)
    assert attempts.may_retry(outcome) is again


def test_sent_request_may_be_retried_by_default(time: Time) -> None:
    outcome = failed(sent=True)
    assert RetryState(RetryConfig(), time.clock()).may_retry(outcome)
    assert not RetryState(RetryConfig(), time.clock(), repeatable=False).may_retry(outcome)


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (0.5, 0.75), (0.999, 0.9995)])
def test_wait_is_between_half_and_the_full_interval(
    time: Time, jitter: float, share: float
) -> None:
    time.jitter = jitter
    attempts = RetryState(RetryConfig(backoff=BackoffStrategy(400, 1_000, 2.0)), time.clock())
    for interval in (0.4, 0.8, 1.0, 1.0):
        outcome = attempts.record(responded(500))
        assert attempts.compute_wait(outcome) == pytest.approx(interval * share)


@pytest.mark.parametrize(
    ("requested", "remaining_time", "jitter", "wait"),
    [
        (10.0, 100.0, 0.0, 10.0),
        (10.0, 100.0, 0.5, 10.5),
        (10.0, 11.0, 0.5, 10.25),  # half of the remaining time is kept for the attempt
        (10.0, 11.0, 1.0, 10.5),
        (10.0, 10.0, 1.0, 10.0),
        (10.0, 5.0, 1.0, 10.0),
    ],
)
def test_requested_wait_gets_up_to_one_second_of_jitter(
    time: Time, requested: float, remaining_time: float, jitter: float, wait: float
) -> None:
    config = RetryConfig(backoff=BackoffStrategy(1, 1, 1.0, int(remaining_time * 1000)))
    attempts = RetryState(config, time.clock())
    time.jitter = jitter
    assert attempts.add_jitter(requested) == pytest.approx(wait)
    outcome = attempts.record(responded(429, Retry_After=str(requested)))
    assert attempts.compute_wait(outcome) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("outcome", "refills"),
    [
        (responded(200), 1),
        (responded(404), 1),
        (responded(429), 0),
        (responded(500), 0),
        (failed(sent=True), 0),
        (failed(sent=False, transient=False), 0),
    ],
)
def test_success_and_404_return_one_retry_budget_token(
    time: Time, outcome: Outcome, refills: int
) -> None:
    budget = RetryBudget(3)
    assert [budget.take() for _ in range(4)] == [True, True, True, False]
    assert budget.tokens == 0
    RetryState(RetryConfig(), time.clock(), budget).record(outcome)
    assert budget.tokens == refills
    assert repr(budget) == f"RetryBudget(capacity=3, tokens={refills})"


def test_retry_budget_never_exceeds_the_capacity() -> None:
    budget = RetryBudget(2)
    budget.refill()
    assert budget.tokens == 2
    budget.take()
    budget.refill()
    budget.refill()
    assert budget.tokens == 2
    assert RetryBudget().tokens == RetryBudget(100).tokens == 100
    assert RetryBudget(1).take()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("100000000000", None),  # in milliseconds a time in 1973
        ("99999999999", 99_999_999_999 - NOW),  # seconds
        ("1000000000", None),  # in Unix seconds a time in 2001
        ("999999999", 999_999_999.0),
        ("1795333861000", None),  # the present time
        ("1795333861", None),
        ("1795333861001", 0.001),
        ("0", None),
        ("0.001", 0.001),
    ],
)
def test_retry_after_number_is_seconds_or_a_unix_time_by_size(
    text: str, seconds: float | None
) -> None:
    assert parse_retry_after(text, NOW) == pytest.approx(seconds)


@pytest.mark.skipif(not hasattr(time_, "tzset"), reason="the time zone cannot be set here")
def test_date_header_with_unknown_zone_is_utc(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TZ", "UTC-9")
    time_.tzset()
    try:
        assert server_time({"Date": "Sun, 22 Nov 2026 08:51:01 -0000"}, NOW) == NOW + 3600
    finally:
        monkeypatch.undo()
        time_.tzset()


@pytest.mark.parametrize(
    ("date", "correction"),
    [
        ("Sun, 22 Nov 2026 07:51:03 GMT", 0.0),  # within the duration of the response
        ("Sun, 22 Nov 2026 07:51:04 GMT", 3.0),
        ("Sun, 22 Nov 2026 07:50:59 GMT", 0.0),
        ("Sun, 22 Nov 2026 07:50:58 GMT", -3.0),
        ("Sun, 22 Nov 2026 08:51:01 GMT", 3600.0),
        ("yesterday", 0.0),
        ("Sun, 22 Nov 99999 07:51:01 GMT", 0.0),
        ("", 0.0),
    ],
)
def test_server_date_header_corrects_clock_skew(date: str, correction: float) -> None:
    assert server_time({"Date": date}, NOW) == NOW + correction
    assert server_time({}, NOW) == NOW
    moment = str(int((NOW + correction + 10) * 1000))
    outcome = responded(429, Retry_After=moment, Date=date)
    RetryState(RetryConfig(), Time().clock()).record(outcome)
    assert outcome.response is not None
    assert outcome.response.retry_after == pytest.approx(10.0)
