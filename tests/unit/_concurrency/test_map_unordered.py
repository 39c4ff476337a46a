"""Test concurrent calls with results in the order of completion."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator

import pytest

from dub_uplink import BackoffStrategy, Clock, Dub, RateLimit, RetryConfig, errors, map_unordered
from dub_uplink.testing import FakeDub, faults


def test_map_unordered_yields_results_before_a_slow_call_ends() -> None:
    free = threading.Event()

    def call(number: int) -> int:
        if number == 0:
            assert free.wait(60)
        return number * 10

    ended = []
    for item, result in map_unordered(call, range(8), 2):
        ended.append((item, result))
        if len(ended) == 7:
            free.set()
    assert ended[:-1] == [(number, number * 10) for number in range(1, 8)]
    assert ended[-1] == (0, 0)


def test_map_unordered_returns_dub_errors_and_raises_others() -> None:
    def call(number: int) -> int:
        if number == 1:
            raise errors.APIConnectionError("gone")
        if number == 2:
            raise KeyError(number)
        return number

    results = map_unordered(call, range(3), 1)
    assert next(results) == (0, 0)
    assert isinstance(next(results)[1], errors.APIConnectionError)
    with pytest.raises(KeyError):
        next(results)


@pytest.mark.parametrize("workers", [0, -1, 1.5])
def test_map_unordered_invalid_workers_raises_when_called(workers: float) -> None:
    with pytest.raises(ValueError, match=r"^workers must be a whole number of 1 or more"):
        map_unordered(str, [1], workers)  # type: ignore[arg-type]


def test_map_unordered_reads_at_most_workers_items_ahead() -> None:
    started = []

    def items() -> Iterator[int]:
        for number in itertools.count():
            started.append(number)
            yield number

    together = threading.Barrier(3, timeout=60)  # no result before all workers have an item
    results = map_unordered(lambda _: together.wait(), items(), 3)
    assert next(results)[0] in {0, 1, 2}
    assert len(started) == 3
    results.close()


def test_closing_map_unordered_stops_waits_and_requests() -> None:
    fake = FakeDub()
    fake.faults.add(faults.RateLimited(3600, "unix_ms"), method="GET", times=None)
    waiting = threading.Event()

    def sleep(seconds: float) -> None:
        waiting.set()
        time.sleep(0.001)

    long_deadline = RetryConfig("backoff", BackoffStrategy(500, 8_000, 2.0, 7_200_000), True)
    clock = Clock(sleep=sleep)
    with Dub("dub_test", client=fake.session(), retry_config=long_deadline, clock=clock) as dub:

        def call(number: int) -> object:
            if number == 1:
                return dub.customers.list()
            created = dub.customers.create({"external_id": f"u{number}", "country": "GB"})
            assert waiting.wait(60)
            return created

        results = map_unordered(call, range(100), 2)
        assert next(results)[0] == 0
        assert waiting.wait(60)
        results.close()
    assert sorted(request.method for request in fake.requests) == ["GET", "POST"]


def test_map_unordered_reserves_5_percent_for_other_calls() -> None:
    limit = RateLimit(20, per=3_600.0)
    client = FakeDub().session()
    with Dub("dub_test", client=client, rate_limit=limit, retry_config=None) as dub:
        results = [page for _, page in map_unordered(lambda _: dub.customers.list(), range(20), 1)]
        assert results[:19] == [[]] * 19
        assert isinstance(results[19], errors.RateLimitExceeded)
        assert dub.customers.list() == []
