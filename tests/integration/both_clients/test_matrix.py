"""Test six cases in which other clients fail, and the ``Retry-After`` of Dub, with both clients."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from dub_uplink import errors
from dub_uplink.testing import FakeDub, faults

BODY = {"external_id": "u/1", "email": "ada@example.com", "country": "GB"}


@pytest.mark.parametrize("carried_out", [False, True])
def test_post_after_a_503_is_retried_and_applied_once(
    fake: FakeDub, customers: Any, carried_out: bool
) -> None:
    fake.faults.add(faults.Status(503, carried_out=carried_out))
    created = customers.create(BODY)
    assert [customer.id for customer in fake.customers] == [created.id]


def test_post_after_a_dropped_connection_is_applied_once(fake: FakeDub, customers: Any) -> None:
    fake.faults.add(faults.DropAfter())
    created = customers.create(BODY)
    assert [customer.id for customer in fake.customers] == [created.id]


@pytest.mark.parametrize("form", ["seconds", "http_date", "unix", "unix_ms"])
def test_429_retry_after_in_every_format_is_waited(
    fake: FakeDub, customers: Any, skips: Any, form: Any
) -> None:
    fake.faults.add(faults.RateLimited(retry_after=30, form=form))
    assert customers.create(BODY).external_id == "u/1"
    # A date has whole seconds, rounded up; half a second is jitter.
    assert 29 <= sum(skips.slept) <= 31.5
    assert len(skips.slept) == 1


def test_retry_after_of_an_hour_raises_immediately(
    fake: FakeDub, customers: Any, skips: Any
) -> None:
    fake.faults.add(faults.RateLimited(retry_after=3_600))
    with pytest.raises(errors.RateLimitExceeded) as caught:
        customers.create(BODY)
    assert caught.value.retry_after == pytest.approx(3_600, abs=5)
    assert skips.slept == []


def test_silent_server_raises_a_picklable_timeout(
    fake: FakeDub, customers: Any, repeat_measurement: Any
) -> None:
    fake.faults.add(faults.Delay(20), times=None)

    def timed_out_error() -> errors.APITimeoutError:
        with pytest.raises(errors.APITimeoutError) as caught:
            customers.get("ext_1", timeout_ms=200, retries=None)
        return caught.value

    error = repeat_measurement(timed_out_error, lambda error: error.sent)
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied), copied.sent) == (type(error), str(error), True)
