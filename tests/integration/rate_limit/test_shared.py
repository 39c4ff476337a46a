"""Test limits that threads, tasks, processes and forks share in a real Redis."""

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
from dub_uplink._rate_limit.sliding_window import Reservation, ServerFeedback
from dub_uplink.testing import FakeDub


@pytest.fixture(autouse=True)
def waits_for_redis(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for Redis on a slow machine; test_storage_unavailable tests the timeouts."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._CALL_TIMEOUT", 20.0)


@pytest.fixture
def token() -> str:
    """Return an API key that no other test uses."""
    return f"dub_{uuid.uuid4().hex}"


@pytest.fixture
def shared(redis: Any) -> Iterator[Callable[..., RateLimit]]:
    """Make rate limits in the Redis that all tests share."""
    created: list[RateLimit] = []

    def make(limit: int, per: Any = 1.0, **settings: Any) -> RateLimit:
        created.append(RateLimit(limit, per, storage=redis.url, **settings))
        return created[-1]

    yield make
    for limit in created:
        limit.close()


def limiter_of(limit: RateLimit, token: str) -> Any:
    return limit._limiter_for("https://api.dub.co/", RedactedStr(f"Bearer {token}"))


def reserve(limit: RateLimit, token: str, *, bulk: bool = False) -> float:
    """Return the wait of a new reservation."""
    wait: float = limiter_of(limit, token).reserve(Reservation(Clock(), bulk=bulk), 10_000.0)
    return wait


class Slot(NamedTuple):
    """The bounds of the time of a slot; the transmission time of the command is unknown."""

    earliest: float
    latest: float

    def is_later(self, other: Slot, seconds: float, by: float = 0.05) -> bool:
        """Return whether it is a number of seconds after another slot, within ``by``."""
        least, most = self.earliest - other.latest, self.latest - other.earliest
        return least - by <= seconds <= most + by


def slot_of(limiter: Any, reservation: Reservation | None = None) -> Slot:
    """Return the slot of a reservation, or of a new one."""
    before = time.monotonic()
    wait = limiter.reserve(reservation or Reservation(Clock(), bulk=False), 10_000.0)
    return Slot(before + wait, time.monotonic() + wait)


def now() -> Slot:
    return Slot(time.monotonic(), time.monotonic())


WORKER = """
import sys, threading
from dub_uplink import Dub, RateLimit
from dub_uplink._rate_limit import shared_limiter
shared_limiter._CALL_TIMEOUT = 20.0
url, token, storage, calls = sys.argv[1:]
with Dub(token, server_url=url, rate_limit=RateLimit(20, 1.0, storage=storage)) as dub:
    def work():
        for _ in range(int(calls)):
            dub.customers.get("ext_1")
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""


def test_processes_with_one_api_key_share_one_limit(redis: Any, token: str) -> None:
    # The window of the server is shorter, because a busy machine may send requests late.
    fake = FakeDub(token, rate_limit=20, window=0.3)
    fake.add(external_id="1")
    with fake.serve() as url:
        started = time.monotonic()
        command = [sys.executable, "-c", WORKER, url, token, redis.url, "8"]
        workers = [subprocess.Popen(command) for _ in range(2)]
        assert [worker.wait(60) for worker in workers] == [0, 0]
        elapsed = time.monotonic() - started
    statuses = [request.status for request in fake.requests]
    assert statuses.count(200) == 32
    assert elapsed > 1.0  # more than 20 requests
    # Without a shared limit twelve are rejected; a busy machine may send a few requests late.
    assert statuses.count(429) <= 5


@pytest.mark.parametrize("caller", ["threads", "tasks"])
def test_concurrent_callers_get_slots_in_order(shared: Any, token: str, caller: str) -> None:
    limiter = limiter_of(shared(5, 30.0), token)
    if caller == "threads":
        slots = [slot_of(limiter) for _ in range(15)]
    else:

        async def main() -> list[Slot]:
            before = time.monotonic()
            reservations = [Reservation(Clock(), bulk=False) for _ in range(15)]
            waits = await asyncio.gather(
                *(limiter.reserve_async(one, 10_000.0) for one in reservations)
            )
            after = time.monotonic()
            assert after - before < 10  # responses end the wait, not the timeout
            return [Slot(before + wait, after + wait) for wait in waits]

        slots = asyncio.run(main())
    # Five per window of 30.6 s: each slot starts when the fifth slot before it ends.
    assert all(slot.earliest <= now().latest for slot in slots[:5])
    for number in range(5, 15):
        assert slots[number].is_later(slots[number - 5], 30.6)


def test_tasks_over_the_limit_wait_and_succeed(shared: Any, token: str) -> None:
    fake = FakeDub(token, rate_limit=20, window=0.2)  # shorter, for a busy machine
    fake.add(external_id="1")

    async def main(url: str) -> None:
        async with AsyncDub(token, server_url=url, rate_limit=shared(20, 0.8)) as dub:
            await asyncio.gather(*(dub.customers.get("ext_1") for _ in range(50)))

    with fake.serve() as url:
        asyncio.run(main(url))
    statuses = [request.status for request in fake.requests]
    assert statuses.count(200) == 50
    assert statuses.count(429) <= 5  # thirty without a rate limit


def test_api_keys_and_servers_have_separate_shared_limits(shared: Any, token: str) -> None:
    limit = shared(1, 60.0)
    assert reserve(limit, token) == 0
    assert reserve(limit, token) > 50
    assert reserve(limit, f"{token}x") == 0
    elsewhere = limit._limiter_for("https://dub.example/", RedactedStr(f"Bearer {token}"))
    assert elsewhere.reserve(Reservation(Clock(), bulk=False), 60) == 0


def test_rate_limit_objects_with_one_storage_share_the_limit(shared: Any, token: str) -> None:
    assert reserve(shared(2, 60.0), token) == 0
    assert reserve(shared(2, 60.0), token) == 0
    assert reserve(shared(2, 60.0), token) > 50


def test_limits_with_two_windows_on_one_api_key_share_no_slots(shared: Any, token: str) -> None:
    """A short window expires its slots after half a second, a long one does not."""
    long, short = shared(5, 20.0), shared(100, 0.5)
    sent = slot_of(limiter_of(long, token))
    waits = [reserve(long, token) for _ in range(4)]
    for _ in range(3):
        time.sleep(0.6)
        assert reserve(short, token) == 0
    assert waits == [0.0] * 4
    assert slot_of(limiter_of(long, token)).is_later(sent, 20.4)


def test_limits_with_two_windows_on_one_api_key_share_a_pause(shared: Any, token: str) -> None:
    long, short = shared(5, 20.0), shared(100, 0.5)
    reservation = Reservation(Clock(), bulk=False)
    assert limiter_of(long, token).reserve(reservation, 60) == 0
    rejection = ServerFeedback(None, None, 30.0, rejected=True)
    limiter_of(long, token).apply_feedback(rejection, reservation)
    assert reserve(long, token) > 20  # after the feedback, which is submitted before it
    assert reserve(short, token) > 20


def test_api_key_is_not_stored_in_any_form(redis: Any, shared: Any, token: str) -> None:
    import base64
    import hashlib

    limit = shared(1, 60.0)
    reserve(limit, token)
    limiter_of(limit, token).apply_feedback(
        ServerFeedback(1, 0, 5.0, rejected=True), Reservation(Clock(), bulk=False)
    )
    reserve(limit, token)
    stored = b""
    with redis.client() as client:
        for key in client.scan_iter("*"):
            stored += key + (client.dump(key) or b"")  # a key of another test may have expired
            assert client.pttl(key) != -1, "every key must expire"
    forms = [token.encode(), base64.b64encode(token.encode())]
    for text in (token, f"Bearer {token}", f"https://api.dub.co/\nBearer {token}"):
        for algorithm in ("md5", "sha1", "sha256", "sha512", "blake2b", "blake2s"):
            forms.append(hashlib.new(algorithm, text.encode()).hexdigest()[:32].encode())
    assert stored.count(b"dub_uplink:{") >= 3
    assert [form for form in forms if form in stored] == []


def test_storage_password_is_never_shown(caplog: pytest.LogCaptureFixture, token: str) -> None:
    pytest.importorskip("redis")
    limit = RateLimit(5, storage="redis://user:pa55w0rd@127.0.0.1:1/0?password=pa55w0rd")
    shown = [repr(limit), str(limit)]
    with caplog.at_level(logging.DEBUG):
        assert reserve(limit, token) == 0
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


def test_429_pauses_all_callers_and_spreads_their_restart(shared: Any, token: str) -> None:
    """Each rate limit represents a process."""
    limits = [shared(50, 100.0) for _ in range(3)]
    reservations = [Reservation(Clock(), bulk=False) for _ in limits]
    for limit, reservation in zip(limits, reservations, strict=True):
        assert limiter_of(limit, token).reserve(reservation, 60) == 0
    for limit, reservation in zip(
        limits[:2], reservations, strict=False
    ):  # two rejections of requests in flight
        limiter_of(limit, token).apply_feedback(
            ServerFeedback(50, 0, 20.0, rejected=True), reservation
        )
    # Each limit submits its feedback before it reserves, and the first one reserves first.
    waits = [reserve(limit, token) for limit in limits for _ in range(3)]
    assert all(15 <= wait <= 123 for wait in waits)
    assert len({round(wait, 3) for wait in waits}) >= 8


def test_waiting_callers_resume_after_a_pause_in_order(shared: Any, token: str) -> None:
    limiter = limiter_of(shared(3, 100.0), token)
    reservations = [Reservation(Clock(), bulk=False) for _ in range(6)]
    for reservation in reservations:
        limiter.reserve(reservation, 10_000)
    before = now()
    limiter.apply_feedback(ServerFeedback(None, None, 200.0, rejected=True), reservations[0])
    first, second, third = (slot_of(limiter, reservation) for reservation in reservations[3:])
    assert first.earliest <= now().latest + 200
    assert first.latest >= before.earliest + 200
    # Paused callers resume within the jitter, here a second.
    assert second.is_later(first, 1 / 3)
    assert third.is_later(second, 1 / 3)


def test_server_limit_below_configured_applies_to_all_processes(shared: Any, token: str) -> None:
    first, second = shared(50, 60.0), shared(50, 60.0)
    reservation = Reservation(Clock(), bulk=False)
    limiter_of(first, token).reserve(reservation, 60)
    limiter_of(first, token).apply_feedback(ServerFeedback(3, 2, 60.0, rejected=False), reservation)
    assert reserve(first, token) == 0
    assert reserve(second, token) == 0
    assert reserve(second, token) > 50


@pytest.mark.parametrize("wrong", [-500.0, 500.0])
def test_machines_with_different_clocks_share_one_limit(
    shared: Any, token: str, wrong: float
) -> None:
    real = Clock()
    skewed = Clock(monotonic=lambda: real.monotonic() + 1_000_000, time=lambda: real.time() + wrong)
    right, other = limiter_of(shared(2, 1_000.0), token), limiter_of(shared(2, 1_000.0), token)
    first = slot_of(right)
    second = slot_of(other, Reservation(skewed, bulk=False))
    assert slot_of(right).is_later(first, 1_001)
    reservation = Reservation(skewed, bulk=False)
    assert slot_of(other, reservation).is_later(second, 1_001)
    assert slot_of(other, reservation).is_later(second, 1_001)


def test_bulk_calls_keep_the_shared_interactive_reserve(shared: Any, token: str) -> None:
    bulk, interactive = shared(40, 60.0, priority="bulk"), shared(40, 60.0)
    began = now()
    waits = [reserve(bulk, token, bulk=True) for _ in range(39)]
    assert waits[:38] == [0.0] * 38
    assert waits[38] > 50
    assert [reserve(interactive, token) for _ in range(2)] == [0.0, 0.0]
    next_one = slot_of(limiter_of(interactive, token))
    assert began.earliest + 61 <= next_one.latest
    assert next_one.earliest <= now().latest + 61


def test_cancelled_slot_is_granted_to_the_next_caller(shared: Any, token: str) -> None:
    limiter = limiter_of(shared(1, 100.0), token)
    first, reservation = slot_of(limiter), Reservation(Clock(), bulk=False)
    assert slot_of(limiter, reservation).is_later(first, 101)
    limiter.cancel(reservation)
    assert slot_of(limiter).is_later(first, 101)


def test_delayed_request_postpones_the_next_slot(shared: Any, token: str) -> None:
    limiter = limiter_of(shared(1, 10.0), token)
    first, second = Reservation(Clock(), bulk=False), Reservation(Clock(), bulk=False)
    sent = slot_of(limiter, first)
    assert slot_of(limiter, second).is_later(sent, 10.2)
    time.sleep(0.6)
    responded = now()
    limiter.postpone_slot(first)
    # The slot counts from the time of the response, less the jitter.
    assert slot_of(limiter, second).latest >= responded.earliest + 10.0
    assert slot_of(limiter, second).earliest <= now().latest + 10.2


def test_task_cancelled_during_a_reservation_releases_the_slot(shared: Any, token: str) -> None:
    limit = shared(1, 60.0)
    first = slot_of(limiter_of(limit, token))

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
    # The cancellation is submitted before the next reservation.
    assert slot_of(limiter_of(limit, token)).is_later(first, 61)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("used_before", [True, False])
def test_forked_child_shares_the_limit_with_the_parent(
    shared: Any, token: str, used_before: bool
) -> None:
    limit = shared(4, 60.0)
    if used_before:
        assert reserve(limit, token) == 0
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        waits = [reserve(limit, token) for _ in range(2)]
        limit.close()
        os.write(writing, repr(waits).encode())
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(reading, 100) == b"[0.0, 0.0]"
    waits = [reserve(limit, token) for _ in range(3)]
    assert [wait > 50 for wait in waits] == [False, used_before, True]


def test_rate_limit_close_ends_the_worker_and_allows_reuse(redis: Any, token: str) -> None:
    limit = RateLimit(5, storage=redis.url)
    reserve(limit, token)
    limit.close()
    end = time.monotonic() + 30
    while time.monotonic() < end and any(
        thread.name == "dub_uplink_storage" for thread in threading.enumerate()
    ):
        time.sleep(0.01)
    assert "dub_uplink_storage" not in [thread.name for thread in threading.enumerate()]
    assert reserve(limit, token) == 0  # the next call opens the storage again
    limit.close()


def test_storage_stays_available_with_two_thousand_tasks(
    shared: Any, token: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last tasks wait longer than the call timeout, while the storage responds all the time."""
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._CALL_TIMEOUT", 0.08)
    monkeypatch.setattr("dub_uplink._rate_limit.shared_limiter._UNAVAILABLE_AFTER", 20.0)
    limit = shared(100_000, 60.0)
    limiter = limiter_of(limit, token)

    async def main() -> list[float]:
        reservations = [Reservation(Clock(), bulk=False) for _ in range(2_000)]
        waits = await asyncio.gather(*(limiter.reserve_async(r, 60.0) for r in reservations))
        return list(waits)

    with caplog.at_level(logging.WARNING, "dub_uplink"):
        assert set(asyncio.run(main())) == {0.0}
    assert caplog.messages == []


def test_sync_and_async_clients_share_one_limit(shared: Any, token: str) -> None:
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
