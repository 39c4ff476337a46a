"""Test the attempts in errors, the ``on_retry`` hook, the log, and the rate limit status."""

from __future__ import annotations

import copy
import itertools
import logging
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import pytest

from dub_uplink import Dub, Response
from dub_uplink.models import errors
from dub_uplink.testing import faults

BODY = {"external_id": "user_1", "country": "GB"}


@pytest.mark.parametrize("fault", [faults.Status(503), faults.DropBefore(), faults.RateLimited(1)])
def test_error_attempts_and_elapsed_survive_pickling(
    fake: Any, on_fake: Any, policy: Any, timeline: Any, fault: Any
) -> None:
    fake.faults.add(fault, times=None)
    with pytest.raises(errors.DubError) as caught:
        on_fake(retry_config=policy(max_elapsed_time=5_000)).list()
    error = caught.value
    assert error.attempts == len(fake.requests) > 1
    assert error.elapsed == pytest.approx(timeline.elapsed)
    for copied in (pickle.loads(pickle.dumps(error)), copy.deepcopy(error)):
        assert type(copied) is type(error)
        assert (copied.attempts, copied.elapsed, str(copied)) == (
            error.attempts,
            error.elapsed,
            str(error),
        )
        assert copied.retry_after == error.retry_after
    assert error.elapsed > 1
    assert f"{error.attempts} attempts in " in str(error)


def test_error_after_one_attempt_does_not_show_an_attempt_count(fake: Any, on_fake: Any) -> None:
    with pytest.raises(errors.NotFound) as caught:
        on_fake().get("ext_nobody")
    assert (caught.value.attempts, caught.value.elapsed) == (1, 0.0)
    assert "attempt" not in str(caught.value)


def test_response_validation_error_has_the_number_of_attempts(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.Status(503))
    fake.faults.add(faults.Garbage())
    with pytest.raises(errors.ResponseValidationError) as caught:
        on_fake().list()
    assert caught.value.attempts == 2
    assert caught.value.elapsed == pytest.approx(0.375)


def test_on_retry_is_called_before_every_wait(fake: Any, on_fake: Any, timeline: Any) -> None:
    seen: list[tuple[int, float, Any, int]] = []
    client = on_fake(on_retry=lambda *args: seen.append((*args, len(timeline.slept))))
    fake.faults.add(faults.DropBefore())
    fake.faults.add(faults.RateLimited(4))
    client.list()
    (first, wait_1, error, slept_1), (second, wait_2, response, slept_2) = seen
    assert (first, second, slept_1, slept_2) == (1, 2, 0, 1)
    assert [wait_1, wait_2] == timeline.slept
    assert isinstance(error, errors.APIConnectionError)
    assert isinstance(response, Response)
    assert (response.status_code, response.retry_after, response.attempts) == (429, 4, 2)
    assert "dub_test" not in repr(vars(error)) + repr(response) + str(error)


def test_on_retry_argument_of_dub_is_called(fake: Any, timeline: Any) -> None:
    seen: list[Any] = []
    fake.faults.add(faults.Status(503))
    session, clock = fake.session(), timeline.clock()
    with Dub("dub_test", client=session, clock=clock, on_retry=lambda *a: seen.append(a)) as dub:
        dub.customers.list()
    assert [number for number, *_ in seen] == [1]


def test_on_retry_is_not_called_without_a_retry(fake: Any, on_fake: Any) -> None:
    seen: list[Any] = []
    client = on_fake(on_retry=lambda *args: seen.append(args))
    client.list()
    with pytest.raises(errors.NotFound):
        client.get("ext_nobody")
    fake.faults.add(faults.RateLimited(3_600))
    with pytest.raises(errors.RateLimitExceeded):
        client.list()
    assert seen == []


def test_on_retry_exception_ends_the_call(fake: Any, on_fake: Any, timeline: Any) -> None:
    """A caller can stop the retries with an exception, which is not wrapped."""

    class StopRetrying(Exception):
        pass

    def give_up(number: int, wait: float, failed: Any) -> None:
        if number == 2:
            raise StopRetrying

    fake.faults.add(faults.Status(503), times=None)
    client = on_fake(on_retry=give_up)
    with pytest.raises(StopRetrying):
        client.list()
    assert len(fake.requests) == 2
    assert len(timeline.slept) == 1
    fake.faults.clear()
    assert client.list() == []


def test_on_retry_callback_can_call_the_client(fake: Any, on_fake: Any) -> None:
    found: list[Any] = []
    client = on_fake(on_retry=lambda *_: found.append(client.list(retries=None)))
    fake.faults.add(faults.Status(503), method="POST")
    client.create(BODY)
    assert found == [[]]


def test_retry_logs_one_line_at_info(
    fake: Any, on_fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dub_uplink")
    fake.add(external_id="secret_1")
    fake.faults.add(faults.Status(503))
    fake.faults.add(faults.RateLimited(2))
    fake.faults.add(faults.DropBefore())
    on_fake().update("ext_secret_1", {"email": "ada@example.com"})
    assert [record.getMessage() for record in caplog.records] == [
        "PATCH /customers/{id}: 503, attempt 1; retrying in 0.38 s",
        "PATCH /customers/{id}: 429, attempt 2; retrying in 2.50 s",
        "PATCH /customers/{id}: APIConnectionError, attempt 3; retrying in 1.50 s",
    ]
    caplog.clear()
    caplog.set_level(logging.DEBUG, logger="dub_uplink")
    fake.faults.add(faults.Status(503))
    on_fake().get("ext_secret_1")
    assert len(caplog.records) == 3
    text = caplog.text
    assert not any(word in text for word in ("secret_1", "ada@", "dub_test"))


def test_successful_call_logs_nothing_at_info(
    fake: Any, on_fake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="dub_uplink")
    on_fake().list()
    assert caplog.records == []


def test_rate_limit_status_is_none_before_an_error(fake: Any, on_fake: Any, timeline: Any) -> None:
    client = on_fake()
    assert client.rate_limit_status is None
    client.list()
    assert client.rate_limit_status is None, "Dub sends Retry-After with errors only"
    fake.faults.add(faults.RateLimited())
    client.list()
    assert client.rate_limit_status.limit == 60
    assert client.rate_limit_status.remaining == 0
    reset = client.rate_limit_status.reset
    assert reset.tzinfo is timezone.utc
    assert abs(reset.timestamp() - timeline.unix()) < 2, "the window has passed during the wait"
    with pytest.raises(errors.NotFound):
        client.get("ext_nobody")
    assert client.rate_limit_status.remaining > 0
    known = client.rate_limit_status
    for headers in ({}, {"X-RateLimit-Limit": "0", "X-RateLimit-Remaining": "0"}):
        fake.faults.add(faults.Status(422, headers))
        with pytest.raises(errors.UnprocessableEntity):
            client.list()
        assert client.rate_limit_status == known, "a response without headers keeps the last status"


def test_dub_and_dub_customers_have_equal_rate_limit_status(fake: Any, timeline: Any) -> None:
    fake.faults.add(faults.RateLimited())
    with Dub("dub_test", client=fake.session(), clock=timeline.clock()) as dub:
        assert dub.rate_limit_status is None
        dub.customers.list()
        assert dub.rate_limit_status == dub.customers.rate_limit_status
        assert dub.rate_limit_status is not None
        assert dub.rate_limit_status.reset is not None
        assert dub.rate_limit_status.reset > datetime(2026, 1, 1, tzinfo=timezone.utc)


def test_threads_get_their_own_attempts_and_errors(fake: Any, connect: Any, policy: Any) -> None:
    """Threads of one client have separate attempts, responses and errors, over real sockets."""
    lock = threading.Lock()
    waits: dict[int, list[int]] = {}

    def note(number: int, wait: float, failed: Any) -> None:
        with lock:
            waits.setdefault(threading.get_ident(), []).append(number)

    fake.faults.randomly({faults.Status(503): 0.2, faults.DropAfter(): 0.2}, seed=1)
    with fake.serve() as url, ThreadPoolExecutor(8) as pool:
        # The sleeps of each thread advance the clock of all, so the deadline must be far away.
        long_deadline = policy(max_elapsed_time=10**9)
        client = connect(url, on_retry=note, retry_budget=None, retry_config=long_deadline)

        def work(number: int) -> int:
            waits[threading.get_ident()] = []
            name = f"user_{number}"
            created = client.create({"external_id": name, "name": name, "country": "GB"})
            assert (created.external_id, created.name) == (name, name)
            with pytest.raises(errors.NotFound) as caught:
                client.get(f"ext_nobody_{number}")
            own = waits[threading.get_ident()]
            # The attempts of a call count up from 1, without those of other threads.
            assert all(b > a or b == 1 for a, b in itertools.pairwise([0, *own])), own
            tail = own[len(own) - own[::-1].index(1) - 1 :] if caught.value.attempts > 1 else []
            assert caught.value.attempts == len(tail) + 1
            return number

        assert sorted(pool.map(work, range(150))) == list(range(150))
    assert len(fake.customers) == 150
