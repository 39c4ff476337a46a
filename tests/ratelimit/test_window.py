"""The moving window against a model that looks at every moment, and Redis against the window."""

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
from dub_uplink._rate_limit.sliding_window import Notice, Rules, Ticket, Window

#: What happens: time passes (seconds), one asks with a patience, one gives its place back.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 2.5])),
        st.tuples(st.just("ask"), st.sampled_from([0.4, 1.5, 100.0])),
        st.tuples(st.just("bulk"), st.just(100.0)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
    ),
    max_size=50,
)


@dataclass
class Model:
    """The rule itself: the first moment that no window of more than ``room`` comes of."""

    limit: int
    window: float
    taken: list[float] = field(default_factory=list)

    def fits(self, moment: float, room: int) -> bool:
        taken = [*self.taken, moment]
        windows = (self.within(taken, start) for start in taken)
        return all(len(one) <= room for one in windows if moment in one)

    def within(self, taken: list[float], start: float) -> list[float]:
        return [moment for moment in taken if start <= moment < start + self.window - 1e-6]

    def first(self, now: float, *, bulk: bool = False) -> float:
        room = self.limit - self.limit // 20 if bulk else self.limit
        moments = [now, *(t + self.window for t in self.taken if t + self.window > now)]
        return min(moment for moment in moments if self.fits(moment, room))


@settings(max_examples=100)
@given(limit=st.sampled_from([1, 2, 3, 5, 20]), steps=STEPS)
def test_a_turn_is_the_first_moment_that_the_limit_allows_and_not_a_later_one(
    timeline: Any, limit: int, steps: list[tuple[str, float]]
) -> None:
    rules = Rules(limit, 1.0)
    window, model = Window(rules), Model(limit, rules.window)
    waiting: list[Ticket] = []
    for what, number in steps:
        if what == "pass":
            timeline.now += number
        elif what == "leave" and waiting:
            ticket = waiting.pop(int(number) % len(waiting))
            if ticket.due is not None and ticket.due > timeline.now:
                model.taken.remove(ticket.due)
                window.give_back(ticket)
        elif what in ("ask", "bulk"):
            ticket = timeline.ticket(bulk=what == "bulk")
            due = model.first(timeline.now, bulk=ticket.bulk)
            wait = window.ask(ticket, number)
            assert wait == pytest.approx(due - timeline.now, abs=1e-6)
            placed = wait < number and not (ticket.bulk and wait > 0)
            assert (ticket.due is not None) == placed
            if ticket.due is not None:
                model.taken.append(ticket.due)
                waiting.append(ticket)
    assert all(len(model.within(model.taken, start)) <= limit for start in model.taken)


@given(limit=st.integers(1, 5), asked=st.integers(1, 30), later=st.integers(1, 5))
def test_a_lower_limit_keeps_the_order_and_wastes_no_turn(
    timeline: Any, limit: int, asked: int, later: int
) -> None:
    rules = Rules(limit, 1.0)
    window = Window(rules)
    tickets = [timeline.ticket() for _ in range(asked)]
    for ticket in tickets:
        window.ask(ticket, 1e6)
    start = timeline.now
    timeline.now += 0.5
    window.heed(Notice(later, None, 0.0, refused=False), tickets[0])
    lower = min(limit, later)
    model = Model(lower, rules.window, [start] * min(limit, asked))
    for ticket in tickets[limit:]:
        wait = window.ask(ticket, 1e6)
        due = model.first(timeline.now)
        assert wait == pytest.approx(due - timeline.now, abs=1e-6)
        model.taken.append(due)


def test_after_a_pause_those_who_waited_go_in_their_order_and_not_all_at_once(
    timeline: Any,
) -> None:
    window = Window(Rules(10, 1.0))
    tickets = [timeline.ticket() for _ in range(18)]
    for ticket in tickets:
        window.ask(ticket, 1e6)
    window.heed(Notice(None, None, 5.0, refused=True), tickets[0])
    dues = [window.ask(ticket, 1e6) for ticket in tickets[10:]]
    assert dues == sorted(dues)
    assert len({round(due, 3) for due in dues}) == 8
    assert 5.0 <= dues[0] <= dues[-1] <= 5.02
    new = timeline.ticket()
    assert 5.0 <= window.ask(new, 1e6) <= 5.02


@contextlib.contextmanager
def kept_in(redis: Any, limit: int, per: float) -> Iterator[Any]:
    rate_limit = RateLimit(limit, per, storage=redis.url)
    yield rate_limit.turns("https://api.dub.co/", RedactedStr(f"Bearer {uuid.uuid4()}"))
    rate_limit.close()


@settings(max_examples=15)
@given(
    limit=st.sampled_from([1, 2, 5, 20]),
    steps=st.lists(
        st.one_of(
            st.tuples(st.just("ask"), st.sampled_from([40.0, 150.0, 10_000.0])),
            st.tuples(st.just("bulk"), st.just(10_000.0)),
            st.tuples(st.just("leave"), st.integers(0, 9)),
            st.tuples(st.just("again"), st.integers(0, 9)),
            st.tuples(st.just("limit"), st.integers(1, 25)),
            st.tuples(st.just("count"), st.integers(0, 25)),
            st.tuples(st.just("pause"), st.sampled_from([30.0, 300.0])),
        ),
        max_size=40,
    ),
)
def test_redis_gives_the_same_turns_as_the_window(
    redis: Any, timeline: Any, limit: int, steps: list[tuple[str, float]]
) -> None:
    # So long a window that the time the test itself takes is nothing.
    rules = Rules(limit, 100.0)
    here = Window(rules)
    pairs: list[tuple[Ticket, Ticket]] = []
    timeline.now, start = 0.0, time.monotonic()
    with kept_in(redis, limit, 100.0) as there:
        for what, number in steps:
            timeline.now = time.monotonic() - start
            pair = (timeline.ticket(bulk=what == "bulk"), timeline.ticket(bulk=what == "bulk"))
            patience = number
            if what in ("again", "leave") and pairs:
                pair = pairs[int(number) % len(pairs)]
                patience = (40.0, 10_000.0)[int(number) % 2]
            elif what in ("limit", "count", "pause"):
                remaining = {"limit": None, "count": min(int(number), limit), "pause": 0}[what]
                told = None if what == "pause" else limit if what == "count" else int(number)
                notice = Notice(told, remaining, number, refused=what == "pause")
                there.ask(pair[1], 0.0)  # so that it has a name
                here.heed(notice, pair[0])
                there.heed(notice, pair[1])
                continue
            if what == "leave":
                here.give_back(pair[0])
                there.give_back(pair[1])
                pairs = [other for other in pairs if other is not pair]
                continue
            expected = here.ask(pair[0], patience)
            # 2 s: over so many come those who were held up by a pause.
            assert there.ask(pair[1], patience) == pytest.approx(expected, abs=2.0 + 0.5)
            assert (pair[0].due is None) == (pair[1].due is None)
            # Who was told that its turn has come asks no more.
            pairs = [other for other in pairs if other is not pair]
            if pair[0].due is not None and expected > 0:
                pairs.append(pair)
