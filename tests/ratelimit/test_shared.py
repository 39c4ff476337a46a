"""One budget in a real Redis: threads, tasks, processes and forks."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from dub_uplink import AsyncDub, Clock, Dub, RateLimit, errors
from dub_uplink._internal.credentials import RedactedStr
from dub_uplink._rate_limit.sliding_window import Notice, Ticket
from dub_uplink.testing import FakeDub


@pytest.fixture(autouse=True)
def waits_for_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a call does that Redis does not answer in time stands in ``test_storage_away``."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._PATIENCE", 20.0)


@pytest.fixture
def token() -> str:
    """A key that no other test counts."""
    return f"dub_{uuid.uuid4().hex}"


@pytest.fixture
def shared(redis: Any) -> Iterator[Callable[..., RateLimit]]:
    """Make rate limits in the Redis of all tests."""
    made: list[RateLimit] = []

    def make(limit: int, per: Any = 1.0, **settings: Any) -> RateLimit:
        made.append(RateLimit(limit, per, storage=redis.url, **settings))
        return made[-1]

    yield make
    for limit in made:
        limit.close()


def turns_of(limit: RateLimit, token: str) -> Any:
    return limit.turns("https://api.dub.co/", RedactedStr(f"Bearer {token}"))


def ask(limit: RateLimit, token: str, *, bulk: bool = False) -> float:
    """The wait of a new ticket."""
    wait: float = turns_of(limit, token).ask(Ticket(Clock(), bulk=bulk), 10_000.0)
    return wait


class Due(NamedTuple):
    """Between when and when a turn comes: nobody knows how long the question took to get there."""

    soonest: float
    latest: float

    def is_later(self, other: Due, seconds: float, by: float = 0.05) -> bool:
        """Whether it may be so many seconds after another, give or take ``by``."""
        least, most = self.soonest - other.latest, self.latest - other.soonest
        return least - by <= seconds <= most + by


def due(turns: Any, ticket: Ticket | None = None) -> Due:
    """The turn of a ticket, or of a new one."""
    before = time.monotonic()
    wait = turns.ask(ticket or Ticket(Clock(), bulk=False), 10_000.0)
    return Due(before + wait, time.monotonic() + wait)


def now() -> Due:
    return Due(time.monotonic(), time.monotonic())


WORKER = """
import sys, threading
from dub_uplink import Dub, RateLimit
from dub_uplink._rate_limit import shared_limiter
shared_limiter._PATIENCE = 20.0
url, token, storage, calls = sys.argv[1:]
with Dub(token, server_url=url, rate_limit=RateLimit(20, 1.0, storage=storage)) as dub:
    def work():
        for _ in range(int(calls)):
            dub.customers.get("ext_1")
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_processes_with_one_key_share_one_budget(redis: Any, token: str) -> None:
    # The server's window is shorter than what the workers keep to: a busy machine may be late.
    fake = FakeDub(token, rate_limit=20, window=0.3)
    fake.add(external_id="1")
    with fake.serve() as url:
        started = time.monotonic()
        command = [sys.executable, "-c", WORKER, url, token, redis.url, "8"]
        workers = [subprocess.Popen(command) for _ in range(2)]
        assert [worker.wait(60) for worker in workers] == [0, 0]
        took = time.monotonic() - started
    statuses = [request.status for request in fake.requests]
    assert statuses.count(200) == 32
    assert took > 1.0  # more than 20 requests
    # Each by itself they are refused twelve times; a busy machine may be late with a few.
    assert statuses.count(429) <= 5


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_many_callers_at_once_have_their_turns_in_the_order_of_asking(
    shared: Any, token: str, kind: str
) -> None:
    turns = turns_of(shared(5, 30.0), token)
    if kind == "threads":
        dues = [due(turns) for _ in range(15)]
    else:

        async def main() -> list[Due]:
            before = time.monotonic()
            tickets = [Ticket(Clock(), bulk=False) for _ in range(15)]
            waits = await asyncio.gather(*(turns.ask_awaited(t, 10_000.0) for t in tickets))
            after = time.monotonic()
            assert after - before < 10  # woken by the answers, not by the end of their patience
            return [Due(before + wait, after + wait) for wait in waits]

        dues = asyncio.run(main())
    # In each window of 30.6 s five of them: each when the fifth before it leaves.
    assert all(due.soonest <= now().latest for due in dues[:5])
    for number in range(5, 15):
        assert dues[number].is_later(dues[number - 5], 30.6)


def test_tasks_wait_and_none_is_refused(shared: Any, token: str) -> None:
    fake = FakeDub(token, rate_limit=20, window=0.2)  # shorter: a busy machine may be late
    fake.add(external_id="1")

    async def main(url: str) -> None:
        async with AsyncDub(token, server_url=url, rate_limit=shared(20, 0.8)) as dub:
            await asyncio.gather(*(dub.customers.get("ext_1") for _ in range(50)))

    with fake.serve() as url:
        asyncio.run(main(url))
    statuses = [request.status for request in fake.requests]
    assert statuses.count(200) == 50
    assert statuses.count(429) <= 5  # without turns thirty, at once


def test_other_keys_and_servers_have_budgets_of_their_own(shared: Any, token: str) -> None:
    limit = shared(1, 60.0)
    assert ask(limit, token) == 0
    assert ask(limit, token) > 50
    assert ask(limit, f"{token}x") == 0
    elsewhere = limit.turns("https://dub.example/", RedactedStr(f"Bearer {token}"))
    assert elsewhere.ask(Ticket(Clock(), bulk=False), 60) == 0


def test_a_second_rate_limit_with_the_same_storage_is_the_same_budget(
    shared: Any, token: str
) -> None:
    assert ask(shared(2, 60.0), token) == 0
    assert ask(shared(2, 60.0), token) == 0
    assert ask(shared(2, 60.0), token) > 50


def test_the_key_is_not_stored_in_any_form(redis: Any, shared: Any, token: str) -> None:
    import base64
    import hashlib

    limit = shared(1, 60.0)
    ask(limit, token)
    turns_of(limit, token).heed(Notice(1, 0, 5.0, refused=True), Ticket(Clock(), bulk=False))
    ask(limit, token)
    stored = b""
    with redis.client() as client:
        for key in client.scan_iter("*"):
            stored += key + (client.dump(key) or b"")  # one of another test's may just have gone
            assert client.pttl(key) != -1, "everything in Redis goes away by itself"
    forms = [token.encode(), base64.b64encode(token.encode())]
    for text in (token, f"Bearer {token}", f"https://api.dub.co/\nBearer {token}"):
        for algorithm in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s"):
            forms.append(hashlib.new(algorithm, text.encode()).hexdigest()[:32].encode())
    assert stored.count(b"dub_uplink:{") >= 3
    assert [form for form in forms if form in stored] == []


def test_a_password_of_the_storage_is_shown_nowhere(
    caplog: pytest.LogCaptureFixture, token: str
) -> None:
    pytest.importorskip("redis")
    limit = RateLimit(5, storage="redis://user:pa55w0rd@127.0.0.1:1/0?password=pa55w0rd")
    shown = [repr(limit), str(limit)]
    with caplog.at_level(logging.DEBUG):
        assert ask(limit, token) == 0
    limit.close()
    shown += caplog.messages + [record.getMessage() for record in caplog.records]
    for url in ("redis://:pa55w0rd@[::1", "rediss://u:pa55w0rd@h:pa55w0rd", "pa55w0rd://x"):
        with pytest.raises(ValueError, match=r"^storage") as caught:
            RateLimit(5, storage=url)
        shown += traceback.format_exception(caught.value, chain=True)[-1:]
        assert caught.value.__cause__ is None
    assert shown[0] == "RateLimit(5, per='minute', storage='redis://127.0.0.1:1/0')"
    assert len(shown) >= 6
    assert [line for line in shown if "pa55w0rd" in line] == []


def test_a_refusal_of_one_pauses_all_once_and_they_come_back_one_by_one(
    shared: Any, token: str
) -> None:
    """Three rate limits stand for three processes."""
    limits = [shared(50, 100.0) for _ in range(3)]
    tickets = [Ticket(Clock(), bulk=False) for _ in limits]
    for limit, ticket in zip(limits, tickets, strict=True):
        assert turns_of(limit, token).ask(ticket, 60) == 0
    for limit, ticket in zip(limits[:2], tickets, strict=False):  # two were on their way at once
        turns_of(limit, token).heed(Notice(50, 0, 20.0, refused=True), ticket)
    # Each limit tells what it heard before it asks, and the first of them asks first.
    waits = [ask(limit, token) for limit in limits for _ in range(3)]
    assert all(15 <= wait <= 123 for wait in waits)
    assert len({round(wait, 3) for wait in waits}) >= 8


def test_those_who_waited_come_back_from_a_pause_in_their_order(shared: Any, token: str) -> None:
    turns = turns_of(shared(3, 100.0), token)
    tickets = [Ticket(Clock(), bulk=False) for _ in range(6)]
    for ticket in tickets:
        turns.ask(ticket, 10_000)
    before = now()
    turns.heed(Notice(None, None, 200.0, refused=True), tickets[0])
    first, second, third = (due(turns, ticket) for ticket in tickets[3:])
    assert first.soonest <= now().latest + 200
    assert first.latest >= before.soonest + 200
    # Those who were held up come back within the margin of the window, here of a second.
    assert second.is_later(first, 1 / 3)
    assert third.is_later(second, 1 / 3)


def test_a_lower_limit_is_learned_by_all(shared: Any, token: str) -> None:
    first, second = shared(50, 60.0), shared(50, 60.0)
    ticket = Ticket(Clock(), bulk=False)
    turns_of(first, token).ask(ticket, 60)
    turns_of(first, token).heed(Notice(3, 2, 60.0, refused=False), ticket)
    assert ask(first, token) == 0
    assert ask(second, token) == 0
    assert ask(second, token) > 50


@pytest.mark.parametrize("wrong", [-500.0, 500.0])
def test_machines_whose_clocks_disagree_share_all_the_same(
    shared: Any, token: str, wrong: float
) -> None:
    real = Clock()
    skewed = Clock(monotonic=lambda: real.monotonic() + 1_000_000, time=lambda: real.time() + wrong)
    right, other = turns_of(shared(2, 1_000.0), token), turns_of(shared(2, 1_000.0), token)
    first = due(right)
    second = due(other, Ticket(skewed, bulk=False))
    assert due(right).is_later(first, 1_001)
    ticket = Ticket(skewed, bulk=False)
    assert due(other, ticket).is_later(second, 1_001)
    assert due(other, ticket).is_later(second, 1_001)


def test_a_bulk_leaves_one_in_twenty_and_never_stands_in_the_queue(shared: Any, token: str) -> None:
    bulk, interactive = shared(40, 60.0, priority="bulk"), shared(40, 60.0)
    began = now()
    waits = [ask(bulk, token, bulk=True) for _ in range(39)]
    assert waits[:38] == [0.0] * 38
    assert waits[38] > 50
    assert [ask(interactive, token) for _ in range(2)] == [0.0, 0.0]
    next_one = due(turns_of(interactive, token))
    assert began.soonest + 61 <= next_one.latest
    assert next_one.soonest <= now().latest + 61


def test_a_place_that_was_given_back_is_the_nexts(shared: Any, token: str) -> None:
    turns = turns_of(shared(1, 100.0), token)
    first, ticket = due(turns), Ticket(Clock(), bulk=False)
    assert due(turns, ticket).is_later(first, 101)
    turns.give_back(ticket)
    assert due(turns).is_later(first, 101)


def test_who_waits_behind_a_request_that_was_late_waits_longer(shared: Any, token: str) -> None:
    turns = turns_of(shared(1, 10.0), token)
    first, second = Ticket(Clock(), bulk=False), Ticket(Clock(), bulk=False)
    asked = due(turns, first)
    assert due(turns, second).is_later(asked, 10.2)
    time.sleep(0.6)
    answered = now()
    turns.late(first)
    # As if it had been sent when its answer came, but for the margin of the window.
    assert due(turns, second).latest >= answered.soonest + 10.0
    assert due(turns, second).soonest <= now().latest + 10.2


def test_a_cancelled_task_gives_back_even_the_place_that_it_was_just_getting(
    shared: Any, token: str
) -> None:
    limit = shared(1, 60.0)
    first = due(turns_of(limit, token))

    async def main() -> None:
        async with AsyncDub(token, server_url="https://api.dub.co", rate_limit=limit) as dub:
            for delay in (0, 0, 0.002, 0.2):
                task = asyncio.ensure_future(dub.customers.get("ext_1"))
                await asyncio.sleep(delay)
                await asyncio.sleep(0)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task

    asyncio.run(main())
    # What was given back is told before the next question.
    assert due(turns_of(limit, token)).is_later(first, 61)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("used_before", [True, False])
def test_a_forked_process_goes_on_with_the_same_budget(
    shared: Any, token: str, used_before: bool
) -> None:
    limit = shared(4, 60.0)
    if used_before:
        assert ask(limit, token) == 0
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        waits = [ask(limit, token) for _ in range(2)]
        limit.close()
        os.write(writing, repr(waits).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 100) == b"[0.0, 0.0]"
    waits = [ask(limit, token) for _ in range(3)]
    assert [wait > 50 for wait in waits] == [False, used_before, True]


def test_close_closes_the_connections_and_ends_the_thread(redis: Any, token: str) -> None:
    limit = RateLimit(5, storage=redis.url)
    ask(limit, token)
    limit.close()
    end = time.monotonic() + 30
    while time.monotonic() < end and any(
        thread.name == "dub_uplink_storage" for thread in threading.enumerate()
    ):
        time.sleep(0.01)
    assert "dub_uplink_storage" not in [thread.name for thread in threading.enumerate()]
    assert ask(limit, token) == 0  # another call opens them again
    limit.close()


def test_two_thousand_who_ask_at_once_are_neither_refused_nor_a_loss(
    shared: Any, token: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of them wait longer than a call waits for a storage, which answers all the time."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._PATIENCE", 0.08)
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._GRACE", 20.0)
    limit = shared(100_000, 60.0)
    turns = turns_of(limit, token)

    async def main() -> list[float]:
        tickets = [Ticket(Clock(), bulk=False) for _ in range(2_000)]
        return await asyncio.gather(*(turns.ask_awaited(t, 60.0) for t in tickets))

    with caplog.at_level(logging.WARNING, "dub_uplink"):
        assert set(asyncio.run(main())) == {0.0}
    assert caplog.messages == []


def test_a_call_is_counted_with_the_answers_of_both_clients(shared: Any, token: str) -> None:
    fake = FakeDub(token, rate_limit=3, window=60.0)
    fake.add(external_id="1")
    with fake.serve() as url, Dub(token, server_url=url, rate_limit=shared(3, 60.0)) as dub:
        dub.customers.get("ext_1")

        async def main() -> None:
            async with AsyncDub(token, server_url=url, rate_limit=shared(3, 60.0)) as other:
                await other.customers.get("ext_1")
                await other.customers.get("ext_1")
                with pytest.raises(errors.RateLimitExceeded) as caught:
                    await other.customers.get("ext_1", timeout_ms=500, retries=None)
                assert caught.value.attempts == 0

        asyncio.run(main())
    assert len(fake.requests) == 3
