"""Test the statuses that are retried, and the settings that change this."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink import BackoffStrategy, RetryConfig
from dub_uplink.models import errors
from dub_uplink.testing import faults

RETRIED = {429, 500, 502, 503, 504}
BODY = {"external_id": "user_1", "country": "GB"}


@pytest.mark.parametrize("status", sorted(RETRIED))
def test_429_500_502_503_and_504_are_retried(
    fake: Any, on_fake: Any, timeline: Any, status: int
) -> None:
    fake.faults.add(faults.Status(status), times=2)
    assert on_fake().list() == []
    assert len(fake.requests) == 3
    assert timeline.slept == [0.375, 0.75]  # three quarters of 0.5 and of 1 second


@pytest.mark.parametrize(
    "status",
    sorted(
        {*range(300, 309), *range(400, 432), 451, *range(501, 512), 520, 522, 524, 599} - RETRIED
    ),
)
@pytest.mark.parametrize("headers", [{}, {"Retry-After": "1"}])
def test_statuses_that_are_not_transient_are_not_retried(
    fake: Any, on_fake: Any, timeline: Any, status: int, headers: dict[str, str]
) -> None:
    fake.faults.add(faults.Status(status, headers))
    with pytest.raises(errors.APIStatusError) as caught:
        on_fake().list()
    assert caught.value.status_code == status
    assert caught.value.retry_after is None
    assert len(fake.requests) == 1
    assert timeline.slept == []


@pytest.mark.parametrize("retries", [None, RetryConfig("none")])
@pytest.mark.parametrize("fault", [faults.Status(503), faults.DropBefore(), faults.Truncate(1)])
def test_disabled_retries_send_one_request(
    fake: Any, on_fake: Any, timeline: Any, retries: Any, fault: Any
) -> None:
    fake.faults.add(fault, times=4)
    on_each = on_fake()
    for attempt in (
        lambda: on_each.list(retries=retries),
        lambda: on_each.create(BODY, retries=retries),
        lambda: on_fake(retry_config=retries).list(),
        lambda: on_fake(retry_config=retries).delete("ext_user_1"),
    ):
        sent = len(fake.requests)
        with pytest.raises(errors.DubError) as caught:
            attempt()
        assert caught.value.attempts == 1
        assert len(fake.requests) == sent + 1
    assert timeline.slept == []


def test_call_can_enable_retries_if_the_client_has_none(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.Status(503))
    assert on_fake(retry_config=None).list(retries=RetryConfig()) == []
    assert len(fake.requests) == 2


def test_retry_strategy_of_a_call_overrides_that_of_the_client(
    fake: Any, on_fake: Any, timeline: Any
) -> None:
    fake.faults.add(faults.Status(503), times=3)
    mine = RetryConfig("backoff", BackoffStrategy(10_000, 20_000, 3.0, 1_000_000))
    client = on_fake()
    client.list(retries=mine)
    assert timeline.slept == [7.5, 15.0, 15.0]
    fake.faults.add(faults.Status(503))
    client.list()
    assert timeline.slept[3:] == [0.375]


@pytest.mark.parametrize("fault", [faults.DropBefore(), faults.DropAfter(), faults.Truncate(1)])
def test_connection_error_is_not_retried_if_disabled_in_config(
    fake: Any, on_fake: Any, policy: Any, fault: Any
) -> None:
    client = on_fake(retry_config=policy(connection_errors=False))
    fake.add(external_id="user_1", country="GB")
    fake.faults.add(fault)
    with pytest.raises(errors.APIConnectionError):
        client.list()
    assert len(fake.requests) == 1
    fake.faults.add(faults.Status(503))
    assert len(client.list()) == 1


def test_invalid_argument_raises_before_sending(fake: Any, on_fake: Any, timeline: Any) -> None:
    client = on_fake()
    for mistake in (
        lambda: client.create({"name": "Ada"}),
        lambda: client.create({"external_id": "u", "nmae": "Ada"}),
        lambda: client.get(""),
        lambda: client.delete(".."),
        lambda: client.list(page_size=0),
        lambda: client.list(retries="backoff"),
        lambda: client.list(timeout_ms=-1),
    ):
        with pytest.raises((ValueError, TypeError)):
            mistake()
    assert fake.requests == []
    assert timeline.slept == []


def test_error_of_the_last_attempt_is_raised(
    fake: Any, on_fake: Any, policy: Any, timeline: Any
) -> None:
    fake.faults.add(faults.DropBefore())
    fake.faults.add(faults.Status(500))
    fake.faults.add(faults.Status(502), times=None)
    with pytest.raises(errors.SDKError) as caught:
        on_fake(retry_config=policy(max_elapsed_time=20_000)).list()
    error = caught.value
    assert error.status_code == 502
    assert error.attempts == len(fake.requests) == len(timeline.slept) + 1
    assert error.elapsed == pytest.approx(sum(timeline.slept))
    assert error.elapsed < 20
    assert f"({error.attempts} attempts in {error.elapsed:.1f} s)" in str(error)
    chain = [error.__cause__, error.__context__]
    assert chain == [None, None], "the error must not reference exceptions of tenacity"


def test_token_callable_is_called_before_every_attempt(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.Status(503), times=2)
    tokens = iter(["dub_test", "dub_test", "dub_test", "dub_unknown"])
    client = type(on_fake())(
        lambda: next(tokens), client=fake.session(), clock=on_fake()._transport._clock
    )
    assert client.list() == []
    assert next(tokens) == "dub_unknown"


def test_token_callable_failure_between_attempts_propagates(fake: Any, timeline: Any) -> None:
    from dub_uplink import CustomersConsumer

    class Vault(Exception):
        pass

    def token() -> str:
        if fake.requests:
            raise Vault("sealed")
        return "dub_test"

    fake.faults.add(faults.Status(503), times=None)
    client = CustomersConsumer(token, client=fake.session(), clock=timeline.clock())
    with pytest.raises(Vault, match="sealed"):
        client.list()
    assert len(fake.requests) == 1


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_keyboard_interrupt_propagates_without_retry(
    fake: Any, on_fake: Any, script: Any, connect: Any, timeline: Any, stop: type[BaseException]
) -> None:
    def interrupted(_: float) -> None:
        raise stop

    fake.faults.add(faults.Status(503), times=None)
    with pytest.raises(stop):
        on_fake(clock=timeline.clock(sleep=interrupted)).list()
    assert len(fake.requests) == 1
    for attempts in ([stop()], [(0, 503, {}), stop()]):
        session, adapter = script(*attempts)
        with pytest.raises(stop):
            connect("https://api.dub.co", client=session).list()
        assert len(adapter.timeouts) == len(attempts)


def test_hundreds_of_attempts_do_not_grow_the_call_stack(
    fake: Any, on_fake: Any, policy: Any
) -> None:
    fake.faults.add(faults.Status(503), times=1_050)
    client = on_fake(
        retry_config=policy(initial_interval=1, max_interval=1, max_elapsed_time=10**9),
        retry_budget=None,
    )
    assert client.list() == []
    assert len(fake.requests) == 1_051
