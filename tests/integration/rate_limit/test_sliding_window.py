"""Compare the in-process limiter with a model, and the Redis limiter with the in-process one."""

from __future__ import annotations

import contextlib
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dub_uplink import RateLimit
from dub_uplink._internal.credentials import RedactedStr
from dub_uplink._rate_limit.sliding_window import (
    LimitConfig,
    Reservation,
    ServerFeedback,
    SlidingWindowLimiter,
)

#: Events: time passes (seconds), a caller reserves with a max_wait, a caller cancels.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 2.5])),
        st.tuples(st.just("reserve"), st.sampled_from([0.4, 1.5, 100.0])),
        st.tuples(st.just("bulk"), st.just(100.0)),
        st.tuples(st.just("cancel"), st.integers(0, 9)),
    ),
    max_size=50,
)


@dataclass
class Model:
    """A model of slots: a slot is the first time from which no window exceeds the capacity."""

    limit: int
    window: float
    slots: list[float] = field(default_factory=list)

    def fits(self, time_: float, capacity: int) -> bool:
        slots = [*self.slots, time_]
        windows = (self.within(slots, start) for start in slots)
        return all(len(window) <= capacity for window in windows if time_ in window)

    def within(self, slots: list[float], start: float) -> list[float]:
        return [time_ for time_ in slots if start <= time_ < start + self.window - 1e-6]

    def first(self, now: float, *, bulk: bool = False) -> float:
        capacity = self.limit - self.limit // 20 if bulk else self.limit
        times = [now, *(t + self.window for t in self.slots if t + self.window > now)]
        return min(time_ for time_ in times if self.fits(time_, capacity))


@settings(max_examples=100)
@given(limit=st.sampled_from([1, 2, 3, 5, 20]), steps=STEPS)
def test_reserve_returns_the_earliest_slot_within_the_limit(
    timeline: Any, limit: int, steps: list[tuple[str, float]]
) -> None:
    config = LimitConfig(limit, 1.0)
    limiter, model = SlidingWindowLimiter(config), Model(limit, config.window)
    waiting: list[Reservation] = []
    for event, number in steps:
        if event == "pass":
            timeline.now += number
        elif event == "cancel" and waiting:
            reservation = waiting.pop(int(number) % len(waiting))
            if reservation.scheduled_at is not None and reservation.scheduled_at > timeline.now:
                model.slots.remove(reservation.scheduled_at)
                limiter.cancel(reservation)
        elif event in ("reserve", "bulk"):
            reservation = timeline.reservation(bulk=event == "bulk")
            slot = model.first(timeline.now, bulk=reservation.bulk)
            wait = limiter.reserve(reservation, number)
            assert wait == pytest.approx(slot - timeline.now, abs=1e-6)
            placed = wait < number and not (reservation.bulk and wait > 0)
            assert (reservation.scheduled_at is not None) == placed
            if reservation.scheduled_at is not None:
                model.slots.append(reservation.scheduled_at)
                waiting.append(reservation)
    assert all(len(model.within(model.slots, start)) <= limit for start in model.slots)


@given(limit=st.integers(1, 5), count=st.integers(1, 30), later=st.integers(1, 5))
def test_lowered_limit_keeps_the_order_and_uses_every_slot(
    timeline: Any, limit: int, count: int, later: int
) -> None:
    config = LimitConfig(limit, 1.0)
    limiter = SlidingWindowLimiter(config)
    reservations = [timeline.reservation() for _ in range(count)]
    for reservation in reservations:
        limiter.reserve(reservation, 1e6)
    start = timeline.now
    timeline.now += 0.5
    limiter.apply_feedback(ServerFeedback(later, None, 0.0, rejected=False), reservations[0])
    lower = min(limit, later)
    model = Model(lower, config.window, [start] * min(limit, count))
    for reservation in reservations[limit:]:
        wait = limiter.reserve(reservation, 1e6)
        slot = model.first(timeline.now)
        assert wait == pytest.approx(slot - timeline.now, abs=1e-6)
        model.slots.append(slot)


def test_waiting_callers_resume_in_order_at_distinct_times(
    timeline: Any,
) -> None:
    limiter = SlidingWindowLimiter(LimitConfig(10, 1.0))
    reservations = [timeline.reservation() for _ in range(18)]
    for reservation in reservations:
        limiter.reserve(reservation, 1e6)
    limiter.apply_feedback(ServerFeedback(None, None, 5.0, rejected=True), reservations[0])
    waits = [limiter.reserve(reservation, 1e6) for reservation in reservations[10:]]
    assert waits == sorted(waits)
    assert len({round(slot, 3) for slot in waits}) == 8
    assert 5.0 <= waits[0] <= waits[-1] <= 5.02
    new = timeline.reservation()
    assert 5.0 <= limiter.reserve(new, 1e6) <= 5.02


@contextlib.contextmanager
def redis_limiter(redis: Any, limit: int, per: float) -> Iterator[Any]:
    rate_limit = RateLimit(limit, per, storage=redis.url)
    yield rate_limit._limiter_for("https://api.dub.co/", RedactedStr(f"Bearer {uuid.uuid4()}"))
    rate_limit.close()


@settings(max_examples=15)
@given(
    limit=st.sampled_from([1, 2, 5, 20]),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("reserve"), st.sampled_from([40.0, 150.0, 10_000.0])),
            st.tuples(st.just("bulk"), st.just(10_000.0)),
            st.tuples(st.just("cancel"), st.integers(0, 9)),
            st.tuples(st.just("reserve again"), st.integers(0, 9)),
            st.tuples(st.just("limit"), st.integers(1, 25)),
            st.tuples(st.just("count"), st.integers(0, 25)),
            st.tuples(st.just("pause"), st.sampled_from([30.0, 300.0])),
        ),
        max_size=40,
    ),
)
def test_redis_and_in_process_limiters_return_equal_slots(
    redis: Any, timeline: Any, limit: int, steps: list[tuple[str, float]]
) -> None:
    # The window is long, so that the duration of the test is negligible.
    config = LimitConfig(limit, 100.0)
    in_process = SlidingWindowLimiter(config)
    pairs: list[tuple[Reservation, Reservation]] = []
    timeline.now, start = 0.0, time.monotonic()
    with redis_limiter(redis, limit, 100.0) as in_redis:
        for event, number in steps:
            timeline.now = time.monotonic() - start
            pair = (
                timeline.reservation(bulk=event == "bulk"),
                timeline.reservation(bulk=event == "bulk"),
            )
            max_wait = number
            if event in ("reserve again", "cancel") and pairs:
                pair = pairs[int(number) % len(pairs)]
                max_wait = (40.0, 10_000.0)[int(number) % 2]
            elif event in ("limit", "count", "pause"):
                remaining = {"limit": None, "count": min(int(number), limit), "pause": 0}[event]
                server_limit = (
                    None if event == "pause" else limit if event == "count" else int(number)
                )
                feedback = ServerFeedback(
                    server_limit, remaining, number, rejected=event == "pause"
                )
                in_redis.reserve(pair[1], 0.0)  # assigns the member in Redis
                in_process.apply_feedback(feedback, pair[0])
                in_redis.apply_feedback(feedback, pair[1])
                continue
            if event == "cancel":
                in_process.cancel(pair[0])
                in_redis.cancel(pair[1])
                pairs = [other for other in pairs if other is not pair]
                continue
            expected = in_process.reserve(pair[0], max_wait)
            # Paused callers resume within 2 s.
            assert in_redis.reserve(pair[1], max_wait) == pytest.approx(expected, abs=2.0 + 0.5)
            assert (pair[0].scheduled_at is None) == (pair[1].scheduled_at is None)
            # A caller with a slot at this time does not reserve again.
            pairs = [other for other in pairs if other is not pair]
            if pair[0].scheduled_at is not None and expected > 0:
                pairs.append(pair)
