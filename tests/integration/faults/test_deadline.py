"""Test that no part of a call continues after ``max_elapsed_time``."""

from __future__ import annotations

import random
from typing import Any

import pytest

from dub_uplink import Clock
from dub_uplink.models import errors
from dub_uplink.testing import faults

HOST = "https://api.dub.co"


def test_attempt_timeout_is_limited_by_the_deadline(
    script: Any, connect: Any, policy: Any, timeline: Any
) -> None:
    session, adapter = script((1_000, 200, {}))  # never responds in time
    client = connect(
        HOST,
        client=session,
        timeout_ms=4_000,
        retry_config=policy(initial_interval=1_000, exponent=1.0, max_elapsed_time=10_000),
    )
    with pytest.raises(errors.APITimeoutError) as caught:
        client.list()
    # 4 seconds, a wait of 0.75, 4 seconds, a wait of 0.75; then half a second remains.
    assert adapter.timeouts == [4.0, 4.0, pytest.approx(0.5)]
    assert timeline.elapsed == pytest.approx(10.0)
    assert caught.value.attempts == 3
    assert caught.value.elapsed == pytest.approx(10.0)
    assert "within 0.5 s" in str(caught.value)


def test_first_attempt_timeout_is_limited_by_the_deadline(
    script: Any, connect: Any, policy: Any, timeline: Any
) -> None:
    session, adapter = script((1_000, 200, {}))
    with pytest.raises(errors.APITimeoutError):
        connect(HOST, client=session, retry_config=policy(max_elapsed_time=700)).list()
    assert adapter.timeouts == [pytest.approx(0.7)]
    assert timeline.elapsed == pytest.approx(0.7)


def test_call_without_retries_is_limited_by_the_timeout(script: Any, connect: Any) -> None:
    session, adapter = script((1_000, 200, {}))
    with pytest.raises(errors.APITimeoutError):
        connect(HOST, client=session, retry_config=None, timeout_ms=100_000).list()
    assert adapter.timeouts == [100.0]


@pytest.mark.parametrize("form", ["seconds", "http_date", "unix", "unix_ms"])
@pytest.mark.parametrize("status", [429, 503])
def test_wait_beyond_the_deadline_raises_immediately(
    fake: Any, on_fake: Any, timeline: Any, form: Any, status: int
) -> None:
    limited = faults.RateLimited(3_600, form)
    header = limited.apply(lambda: None, timeline.unix()).response.headers["Retry-After"]
    fake.faults.add(faults.Status(status, {"Retry-After": header}), times=None)
    with pytest.raises(errors.APIStatusError) as caught:
        on_fake().list()
    assert caught.value.status_code == status
    assert 3_600 <= caught.value.retry_after < 3_601.5
    assert caught.value.attempts == 1
    assert timeline.slept == []
    assert on_fake()._transport._budget.tokens == 100


def test_429_of_dub_is_retried_after_a_minute_by_default(
    fake: Any, on_fake: Any, timeline: Any
) -> None:
    """The rate limit window of a minute fits into the default deadline."""
    fake.faults.add(faults.RateLimited())
    assert on_fake().list() == []
    assert len(fake.requests) == 2
    assert 60 <= timeline.slept[0] <= 61


@pytest.mark.parametrize(("retry_after", "waits"), [(89.5, True), (90, False), (90.001, False)])
def test_wait_of_all_remaining_time_raises_immediately(
    fake: Any, on_fake: Any, timeline: Any, retry_after: float, waits: bool
) -> None:
    timeline.jitter = 0.999_999
    fake.faults.add(faults.Status(429, {"Retry-After": str(retry_after)}))
    if waits:
        assert on_fake().list() == []
        assert retry_after <= timeline.slept[0] < 90
    else:
        with pytest.raises(errors.RateLimitExceeded):
            on_fake().list()
        assert timeline.slept == []


def test_attempt_duration_counts_towards_the_deadline(
    script: Any, connect: Any, timeline: Any
) -> None:
    session, adapter = script((25, 503, {"Retry-After": "66"}))
    with pytest.raises(errors.SDKError) as caught:
        connect(HOST, client=session).list()
    assert adapter.timeouts == [30.0]
    assert caught.value.retry_after == 66
    assert timeline.slept == []


@pytest.mark.parametrize("seed", range(30))
def test_sleeps_and_attempts_end_before_the_deadline(
    script: Any, connect: Any, policy: Any, timeline: Any, seed: int
) -> None:
    rng = random.Random(seed)
    timeline.jitter = None
    session, adapter = script(
        *(
            (
                rng.choice([0, 0.01, 1, 20, 500]),
                rng.choice([429, 500, 503]),
                rng.choice([{}, {"Retry-After": str(rng.randint(0, 40))}]),
            )
            for _ in range(300)
        )
    )
    client = connect(HOST, client=session, retry_config=policy(max_elapsed_time=60_000))
    with pytest.raises(errors.DubError) as caught:
        client.list()
    assert timeline.elapsed <= 60
    assert caught.value.elapsed <= 60
    assert all(seconds > 0.001 for seconds in adapter.timeouts)


@pytest.mark.parametrize("late", [0.0, 0.4, 100.0, 10**6])
def test_sleep_that_ends_after_the_deadline_sends_no_request(
    fake: Any, on_fake: Any, timeline: Any, policy: Any, late: float
) -> None:
    """For example, the computer is suspended during the sleep and resumes after the deadline."""
    fake.faults.add(faults.Status(503), times=None)
    client = on_fake(
        clock=timeline.clock(sleep=lambda _: timeline.tick(64 + late - timeline.elapsed)),
        retry_config=policy(max_elapsed_time=64_000),
    )
    with pytest.raises(errors.SDKError) as caught:
        client.create({"external_id": "user_1", "country": "GB"})
    assert caught.value.status_code == 503
    assert caught.value.attempts == len(fake.requests) == 1


def test_on_retry_hook_past_the_deadline_sends_no_request(
    fake: Any, on_fake: Any, timeline: Any
) -> None:
    fake.faults.add(faults.Status(503), times=None)
    with pytest.raises(errors.SDKError) as caught:
        on_fake(on_retry=lambda *_: timeline.tick(100)).list()
    assert caught.value.attempts == len(fake.requests) == 1


def test_wall_clock_changes_do_not_affect_the_deadline(
    fake: Any, on_fake: Any, timeline: Any
) -> None:
    """The wall clock may change during a call; only dates are compared with it."""
    wall = iter([0.0, 1e12, 5.0] * 200)
    fake.faults.add(faults.Status(503), times=4)
    assert on_fake(clock=timeline.clock(time=lambda: next(wall))).list() == []
    assert timeline.slept == [0.375, 0.75, 1.5, 3.0]


@pytest.mark.parametrize("wrong", [0.0, 1e12])
def test_call_succeeds_with_a_wrong_wall_clock(
    fake: Any, on_fake: Any, timeline: Any, wrong: float
) -> None:
    fake.faults.add(faults.RateLimited())
    client = on_fake(clock=timeline.clock(time=lambda: wrong))
    if wrong:  # the date is in the past
        assert client.list() == []
        assert timeline.slept == [0.375]
    else:  # the date is decades in the future
        with pytest.raises(errors.RateLimitExceeded) as caught:
            client.list()
        assert caught.value.retry_after > 1e9
        assert timeline.slept == []


def test_deadline_uses_a_monotonic_clock_by_default() -> None:
    import time

    assert Clock().monotonic is time.monotonic


def test_lookup_ends_by_the_deadline_of_the_call(fake: Any, on_fake: Any, timeline: Any) -> None:
    body = {"external_id": "user_1", "country": "GB"}
    fake.faults.add(faults.DropAfter())
    fake.faults.add(faults.Status(503), method="GET", times=None)
    with pytest.raises(errors.SDKError) as caught:
        on_fake().create(body)
    assert caught.value.status_code == 503
    assert timeline.elapsed <= 90
    assert caught.value.attempts == len(fake.requests)
