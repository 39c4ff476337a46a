"""Test that failing calls add little load, and that working clients lose no retries."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dub_uplink import RetryBudget
from dub_uplink.models import errors
from dub_uplink.testing import faults


def failures(client: Any, calls: int) -> int:
    """Return the number of calls that fail."""
    failed = 0
    for _ in range(calls):
        try:
            client.list()
        except errors.DubError:
            failed += 1
    return failed


def test_retry_budget_stops_retries_during_an_outage(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.Status(503), times=None)
    client = on_fake()
    assert failures(client, 300) == 300
    assert len(fake.requests) == 400
    # The long-term bound is one retry per ten calls; without successes there is none.
    sent = len(fake.requests)
    assert failures(client, 200) == 200
    assert len(fake.requests) == sent + 200


def test_retries_continue_without_a_retry_budget(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.Status(503), times=None)
    failures(on_fake(retry_budget=None), 20)
    assert len(fake.requests) > 300


@pytest.mark.parametrize("seed", range(3))
def test_retry_budget_allows_retries_at_30_percent_failures(
    fake: Any, on_fake: Any, seed: int
) -> None:
    fake.faults.randomly({faults.Status(503): 0.2, faults.DropBefore(): 0.1}, seed=seed)
    assert failures(on_fake(), 400) == 0


def test_retry_budget_is_refilled_by_404_responses(fake: Any, on_fake: Any) -> None:
    """Refill the budget of a client that looks customers up before it creates them."""
    fake.faults.randomly({faults.Status(503): 0.3}, seed=7)
    client = on_fake()
    for number in range(400):
        with pytest.raises(errors.NotFound):
            client.get(f"ext_{number}")
    assert client._transport._budget.tokens > 80


def test_retry_budget_recovers_after_an_outage(fake: Any, on_fake: Any) -> None:
    client = on_fake(retry_budget=RetryBudget(10))
    fake.faults.add(faults.Status(503), times=50)
    failures(client, 40)
    assert len(fake.requests) == 50
    fake.faults.clear()
    assert failures(client, 10) == 0
    fake.faults.add(faults.Status(503), times=10)
    assert failures(client, 1) == 0


def test_empty_retry_budget_raises_the_original_error(fake: Any, on_fake: Any) -> None:
    budget = RetryBudget(1)
    budget.take()
    fake.faults.add(faults.Status(503))
    fake.faults.add(faults.DropBefore())
    client = on_fake(retry_budget=budget)
    with pytest.raises(errors.SDKError) as status:
        client.list()
    with pytest.raises(errors.APIConnectionError) as connection:
        client.list()
    assert status.value.attempts == connection.value.attempts == 1


def test_given_retry_budget_is_shared_by_several_clients(fake: Any, on_fake: Any) -> None:
    budget = RetryBudget(10)
    fake.faults.add(faults.Status(503), times=None)
    one, other = on_fake(retry_budget=budget), on_fake(retry_budget=budget)
    failures(one, 1)
    failures(other, 5)
    assert budget.tokens == 0
    assert len(fake.requests) == 6 + 10


def test_clients_have_separate_retry_budgets_by_default(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.Status(503), times=None)
    failures(on_fake(), 50)
    sent = len(fake.requests)
    failures(on_fake(), 1)
    assert len(fake.requests) > sent + 1


def test_retry_budget_shared_by_threads_counts_every_token(
    fake: Any, on_fake: Any, policy: Any
) -> None:
    budget = RetryBudget(50)
    fake.faults.add(faults.Status(503), times=None)
    # The sleeps of each thread advance the clock of all, so the deadline must be far away.
    client = on_fake(retry_budget=budget, retry_config=policy(max_elapsed_time=10**9))
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: failures(client, 20), range(8))) == 160
    assert len(fake.requests) == 160 + 50
    assert budget.tokens == 0
    fake.faults.clear()
    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(lambda _: failures(client, 4), range(8))) == 0
    assert budget.tokens == 32


def test_failure_without_a_retry_uses_no_budget_token(fake: Any, on_fake: Any) -> None:
    client = on_fake()
    for fault in (faults.Status(404), faults.RateLimited(3_600), faults.Garbage()):
        fake.faults.add(fault)
        failures(client, 1)
    failures(on_fake(retry_budget=client._transport._budget, retry_config=None), 1)
    assert client._transport._budget.tokens == 100
