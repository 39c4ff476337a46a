"""Test retries, deadlines and writes applied once with both clients, without real sleeps."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink import BackoffStrategy, Customer, RetryBudget, RetryConfig, errors
from dub_uplink.testing import FakeDub, faults

BODY = {"external_id": "u/1", "email": "ada@example.com", "country": "GB"}
AMBIGUOUS = [faults.DropAfter(), faults.Truncate(8)]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_transient_failure_is_retried(
    fake: FakeDub, customers: Any, skips: Any, status: int
) -> None:
    fake.add(external_id="1")
    fake.faults.add(faults.Status(status), times=3)
    assert customers.get("ext_1").external_id == "1"
    assert skips.slept == [0.375, 0.75, 1.5]


@pytest.mark.parametrize("fault", AMBIGUOUS, ids=repr)
def test_create_with_a_lost_response_is_applied_once(
    fake: FakeDub, customers: Any, fault: faults.Fault
) -> None:
    fake.faults.add(fault)
    created = customers.create(BODY)
    assert [c.id for c in fake.customers] == [created.id]
    assert [r.method for r in fake.requests] == ["POST", "POST", "GET"]


@pytest.mark.parametrize("fault", AMBIGUOUS, ids=repr)
def test_create_with_external_id_in_use_raises_conflict(
    fake: FakeDub, customers: Any, fault: faults.Fault
) -> None:
    fake.add(external_id="u/1", email="bob@example.com", country="GB")
    fake.faults.add(faults.DropBefore())
    with pytest.raises(errors.Conflict):
        customers.create(BODY)


@pytest.mark.parametrize("fault", AMBIGUOUS, ids=repr)
def test_delete_with_a_lost_response_succeeds(
    fake: FakeDub, customers: Any, fault: faults.Fault
) -> None:
    fake.add(external_id="u/1")
    fake.faults.add(fault)
    assert customers.delete("ext_u/1").id == "ext_u/1"
    assert not fake.customers


def test_external_id_update_with_lost_response_finds_the_new_id(
    fake: FakeDub, customers: Any
) -> None:
    fake.add(external_id="old", country="GB")
    fake.faults.add(faults.DropAfter())
    assert customers.update("ext_old", {"external_id": "new"}).external_id == "new"


def test_retry_waits_at_least_retry_after(fake: FakeDub, customers: Any, skips: Any) -> None:
    fake.add(external_id="1")
    fake.faults.add(faults.RateLimited(retry_after=20))
    customers.get("ext_1")
    assert 20 <= sum(skips.slept) <= 21


def test_wait_beyond_the_deadline_raises_immediately(
    fake: FakeDub, customers: Any, skips: Any
) -> None:
    fake.faults.add(faults.RateLimited(retry_after=3_600))
    with pytest.raises(errors.RateLimitExceeded) as caught:
        customers.get("ext_1")
    assert caught.value.retry_after == pytest.approx(3_600, abs=5)
    assert skips.slept == []


def test_deadline_limits_all_attempts_and_waits_of_a_call(
    fake: FakeDub, make: Any, skips: Any
) -> None:
    fake.faults.add(faults.Status(503), times=100)
    config = RetryConfig("backoff", BackoffStrategy(1_000, 4_000, 2.0, 10_000), True)
    with pytest.raises(errors.SDKError) as caught:
        make(retry_config=config, retry_budget=None).get("ext_1")
    assert sum(skips.slept) < 10
    assert caught.value.attempts == len(skips.slept) + 1
    assert f"{caught.value.attempts} attempts" in str(caught.value)


def test_call_without_retries_sends_one_request(fake: FakeDub, customers: Any, skips: Any) -> None:
    fake.faults.add(faults.Status(503), times=2)
    for retries in (None, RetryConfig("none")):
        with pytest.raises(errors.SDKError):
            customers.get("ext_1", retries=retries)
    assert skips.slept == []


def test_empty_retry_budget_stops_retries(fake: FakeDub, make: Any) -> None:
    fake.faults.add(faults.Status(503), times=1_000)
    customers = make(retry_budget=RetryBudget(5))
    for _ in range(50):
        with pytest.raises(errors.SDKError):
            customers.get("ext_1")
    assert len(fake.requests) == 55


def test_429_calls_on_retry_and_sets_rate_limit_status(fake: FakeDub, make: Any) -> None:
    heard: list[tuple[int, float, Any]] = []
    customers = make(on_retry=lambda *arguments: heard.append(arguments))
    assert customers.rate_limit_status is None
    fake.add(external_id="1")
    fake.faults.add(faults.RateLimited())
    fake.faults.add(faults.DropBefore())
    customers.get("ext_1")
    assert [(attempt, type(what).__name__) for attempt, _, what in heard] == [
        (1, "Response"),
        (2, "APIConnectionError"),
    ]
    assert customers.rate_limit_status is not None


def test_writes_with_30_percent_failures_are_applied_once(fake: FakeDub, make: Any) -> None:
    fake.faults.randomly(
        {
            faults.DropBefore(): 0.05,
            faults.DropAfter(): 0.05,
            faults.Truncate(30): 0.05,
            faults.Status(500): 0.05,
            faults.Status(503): 0.05,
            faults.RateLimited(retry_after=1): 0.05,
        },
        seed=11,
    )
    customers = make(retry_budget=None)
    names = [f"user {n}" for n in range(150)]
    bodies = ({"external_id": name, "country": "GB"} for name in names)
    created = list(customers.create_many(bodies, workers=8))
    assert [type(result) for result in created] == [Customer] * len(names)
    assert sorted(c.external_id for c in fake.customers) == sorted(names)
    gone = list(customers.delete_many(f"ext_{name}" for name in names))
    assert {type(result).__name__ for result in gone} == {"DeleteCustomerResponseBody"}
    assert not fake.customers
