"""Test calls of both clients that wait for a slot, on a clock that only sleeps advance."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dub_uplink import BackoffStrategy, RateLimit, RetryConfig, errors
from dub_uplink.testing import faults

BODY = {"external_id": "u/1", "email": "ada@example.com", "country": "GB"}
SHORT = RetryConfig("backoff", BackoffStrategy(100, 1_000, 2.0, 10_000))


def test_calls_over_the_limit_wait_and_succeed(driven: Any, limited: Any, timeline: Any) -> None:
    fake, url = limited(5, 10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(5, per=10.0))
    for _ in range(16):
        client.get("ext_1")
    assert [request.status for request in fake.requests] == [200] * 16
    assert timeline.slept == pytest.approx([10.2] * 3)


def test_call_with_slot_past_the_deadline_raises_before_sending(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(None)
    limit = RateLimit(1)
    client = driven(url, clock=timeline.clock(), rate_limit=limit, retry_config=SHORT)
    client.get("ext_1")
    timeline.now += 20
    with pytest.raises(errors.RateLimitExceeded) as caught:
        client.get("ext_1")
    error = caught.value
    assert error.retry_after == pytest.approx(41.0)
    assert (error.attempts, error.code) == (0, "rate_limit_exceeded")
    assert error.message == "rate limit: next slot in 41 s, but only 10 s remain; not sent"
    assert timeline.slept == []
    assert len(fake.requests) == 1
    # The rejected call keeps no slot, so the next call gets it.
    timeline.now += 41.0
    client.get("ext_1")
    assert timeline.slept == []


def test_call_without_retries_waits_for_a_slot_up_to_the_timeout(
    driven: Any, limited: Any, timeline: Any
) -> None:
    _, url = limited(None)
    settings = {"clock": timeline.clock(), "retry_config": None, "rate_limit": RateLimit(1, 10.0)}
    client = driven(url, **settings)
    client.get("ext_1")
    with pytest.raises(errors.RateLimitExceeded):
        client.get("ext_1", timeout_ms=10_000)
    client.get("ext_1", timeout_ms=11_000)
    assert timeline.slept == pytest.approx([10.2])


def test_wait_for_a_slot_counts_towards_the_call_deadline(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(None)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(1, 9.0), retry_config=SHORT)
    client.get("ext_1")
    fake.faults.add(faults.Status(503))
    with pytest.raises(errors.SDKError) as caught:
        client.get("ext_1")
    # The call has waited 9.18 of its 10 seconds, and there is no second slot in the rest.
    assert (caught.value.status_code, caught.value.attempts) == (503, 1)
    assert len(fake.requests) == 2


def test_retry_without_a_slot_in_time_raises_the_first_error(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(None)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(1), retry_config=SHORT)
    fake.faults.add(faults.DropAfter())
    with pytest.raises(errors.APIConnectionError) as caught:
        client.create(BODY)
    assert (caught.value.sent, caught.value.attempts) == (True, 1)
    assert [request.method for request in fake.requests] == ["POST"]


def test_lookup_after_a_lost_create_response_needs_no_slot(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(None)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(2), retry_config=SHORT)
    fake.faults.add(faults.DropAfter())
    assert client.create(BODY).external_id == "u/1"
    assert [request.method for request in fake.requests] == ["POST", "POST", "GET"]


def test_token_callable_is_called_again_after_a_rate_limit_wait(
    driven: Any, limited: Any, timeline: Any, token: str
) -> None:
    _, url = limited(None)
    calls: list[float] = []

    def give() -> str:
        calls.append(timeline.now)
        return token

    client = driven(url, token=give, clock=timeline.clock(), rate_limit=RateLimit(1, 10.0))
    client.get("ext_1")
    assert len(calls) == 1
    client.get("ext_1")
    assert calls[1:] == pytest.approx([1_000.0, 1_010.2])


def test_api_keys_and_servers_have_separate_in_process_limits(
    driven: Any, limited: Any, timeline: Any
) -> None:
    _, url = limited(None)
    _, other = limited(None)
    shared = {"clock": timeline.clock(), "rate_limit": RateLimit(1)}
    driven(url, **shared).get("ext_1")
    driven(other, **shared).get("ext_1")
    with pytest.raises(errors.Unauthorized):
        driven(url, token="dub_another", **shared).get("ext_1")
    assert timeline.slept == []
    driven(url, **shared).get("ext_1")
    assert timeline.slept == pytest.approx([61.0])


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_interrupted_wait_for_a_slot_releases_the_slot(
    driven: Any, limited: Any, timeline: Any, interrupt: Any
) -> None:
    fake, url = limited(None)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(1, 10.0))
    client.get("ext_1")

    def stop() -> None:
        raise interrupt

    timeline.on_sleep = stop
    with pytest.raises(interrupt):
        client.get("ext_1")
    timeline.on_sleep = lambda: None
    timeline.now = 1_000.0
    client.get("ext_1")
    assert timeline.slept == pytest.approx([10.2, 10.2])
    assert len(fake.requests) == 2


def test_limit_above_the_server_limit_is_lowered_with_a_warning(
    driven: Any, limited: Any, timeline: Any, caplog: pytest.LogCaptureFixture
) -> None:
    fake, url = limited(5, 10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(50, per=10.0))
    with caplog.at_level(logging.WARNING, "dub_uplink"):
        for _ in range(26):
            client.get("ext_1")
        for _ in range(3):
            with pytest.raises(errors.NotFound):
                client.get("ext_2")  # its response has the limit of the server
    assert [request.status for request in fake.requests].count(429) == 1
    [message] = caplog.messages
    assert message.startswith(
        "rate limit: the server allows 5 requests in its window, the client is configured with"
    )


def test_server_limit_expires_and_never_exceeds_configured_limit(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(5, 10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(6, per=10.0))
    for _ in range(8):
        client.get("ext_1")
    assert [request.status for request in fake.requests].count(429) == 1
    timeline.now += 700
    before = len(fake.requests)
    for _ in range(6):
        client.get("ext_1")
    assert [request.status for request in fake.requests[before:]].count(429) == 1

    fake, url = limited(500, 10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(2, per=10.0))
    with pytest.raises(errors.NotFound):
        client.get("ext_2")  # the error response has the server's limit of 500
    timeline.slept.clear()
    for _ in range(4):
        client.get("ext_1")
    assert timeline.slept == pytest.approx([10.2, 10.2])


def test_error_headers_show_the_requests_of_other_clients(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(10, 10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(10, per=10.0))
    second = driven(url, clock=timeline.clock())
    for _ in range(7):
        second.get("ext_1")
    with pytest.raises(errors.NotFound):
        client.get("ext_2")
    for _ in range(10):
        client.get("ext_1")
    assert [request.status for request in fake.requests].count(429) == 0
    assert sum(timeline.slept) >= 10


def test_second_client_of_an_api_key_is_detected_after_one_429(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(10, 10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(10, per=10.0))
    second = driven(url, clock=timeline.clock())
    for _ in range(7):
        second.get("ext_1")
    for _ in range(10):
        client.get("ext_1")
    assert [request.status for request in fake.requests].count(429) == 1


def test_rate_limit_headers_do_not_lower_a_correct_limit(
    driven: Any, limited: Any, timeline: Any
) -> None:
    _, url = limited(10, 10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(10, per=10.0))
    for _ in range(30):
        with pytest.raises(errors.NotFound):
            client.get("ext_2")
        timeline.now += 0.3
    assert sum(timeline.slept) == pytest.approx(2 * (10.2 - 10 * 0.3))


REFUSED = '{"error": {"code": "rate_limit_exceeded", "message": "", "doc_url": ""}}'


def test_delayed_request_counts_from_the_time_of_the_response(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(1, 10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=RateLimit(1, per=10.0))
    for lag in (0.0, 3.0, 0.0, 1.0, 0.0):
        timeline.lag = lag
        client.get("ext_1")
    assert [request.status for request in fake.requests] == [200] * 5


ZEROS = dict.fromkeys(("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"), "0")


def test_rate_limit_headers_of_zero_are_ignored(
    driven: Any, timeline: Any, serving: Any, http_response: Any
) -> None:
    refused = http_response(429, "{}", {**ZEROS, "Retry-After": "0"})
    server = serving(raw=[refused, http_response(200)])
    client = driven(server.url, clock=timeline.clock(), rate_limit=RateLimit(10))
    for _ in range(9):
        client.list()
    assert len(timeline.slept) == 1  # the backoff of the first call only
    assert timeline.slept[0] <= 0.5


def test_retry_after_from_a_proxy_pauses_other_clients(
    driven: Any, timeline: Any, serving: Any, http_response: Any
) -> None:
    server = serving(
        raw=[http_response(429, "slow down", {"Retry-After": "7"}), http_response(200)]
    )
    shared = {"clock": timeline.clock(), "rate_limit": RateLimit(100)}
    with pytest.raises(errors.SDKError):  # status 429, but no error of Dub
        driven(server.url, retry_config=None, **shared).list()
    driven(server.url, **shared).list()
    assert timeline.slept == [pytest.approx(7.5, abs=0.5)]


def test_retry_after_of_days_pauses_other_clients_for_an_hour(
    driven: Any, timeline: Any, serving: Any, http_response: Any
) -> None:
    server = serving(
        raw=[http_response(429, REFUSED, {"Retry-After": "9000000"}), http_response(200)]
    )
    client = driven(server.url, clock=timeline.clock(), rate_limit=RateLimit(100))
    for expected in (9_000_000, 3_600):
        with pytest.raises(errors.RateLimitExceeded) as caught:
            client.list()
        assert caught.value.retry_after == pytest.approx(expected, abs=5)
    assert len(server.received) == 1
    timeline.now += 3_602
    client.list()


@pytest.mark.parametrize("wrong", [-5.0, 5.0, 86_400.0])
def test_wrong_wall_clock_does_not_change_the_rate_limit_wait(
    driven: Any, timeline: Any, serving: Any, http_response: Any, wrong: float
) -> None:
    from email.utils import formatdate

    reset = str(round((timeline.unix() + 10) * 1000))
    headers = {"Retry-After": reset, "X-RateLimit-Reset": reset, "X-RateLimit-Limit": "10"}
    headers |= {"X-RateLimit-Remaining": "0", "Date": formatdate(timeline.unix(), usegmt=True)}
    server = serving(raw=[http_response(429, "{}", headers), http_response(200)])
    timeline.wrong = wrong
    client = driven(server.url, clock=timeline.clock(), rate_limit=RateLimit(10, 30.0))
    client.list()
    assert sum(timeline.slept) == pytest.approx(11, abs=2)


def test_rate_limit_reset_is_compared_with_the_date_header(
    driven: Any, timeline: Any, serving: Any, http_response: Any
) -> None:
    from email.utils import formatdate

    reset = str(round((timeline.unix() + 20) * 1000))
    headers = {"X-RateLimit-Limit": "10", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": reset}
    headers["Date"] = formatdate(timeline.unix(), usegmt=True)
    server = serving(raw=[http_response(404, "{}", headers), http_response(200)])
    timeline.wrong = 86_400.0
    client = driven(server.url, clock=timeline.clock(), rate_limit=RateLimit(10, 30.0))
    with pytest.raises(errors.SDKError):
        client.get("ext_1")
    client.list()
    assert sum(timeline.slept) == pytest.approx(20, abs=2)


def test_bulk_calls_reserve_5_percent_for_interactive_calls(
    driven: Any, limited: Any, timeline: Any
) -> None:
    fake, url = limited(40, 10.0)
    limit = RateLimit(40, per=10.0)
    client = driven(url, clock=timeline.clock(), rate_limit=limit)
    results = client.create_many(
        ({"external_id": f"row_{n}", "country": "GB"} for n in range(38)), workers=1
    )
    assert len([result for result in results if not isinstance(result, Exception)]) == 38
    assert timeline.slept == []
    slow = driven(url, clock=timeline.clock(), rate_limit=limit, retry_config=SHORT)
    [refused] = slow.delete_many(["ext_row_0"], workers=1)
    assert isinstance(refused, errors.RateLimitExceeded)
    slow.get("ext_1")
    slow.get("ext_1")
    assert timeline.slept == []
    assert [request.status for request in fake.requests].count(429) == 0


def test_client_with_bulk_priority_keeps_the_interactive_reserve(
    driven: Any, limited: Any, timeline: Any
) -> None:
    _, url = limited(None)
    limit = RateLimit(20, per=10.0, priority="bulk")
    client = driven(url, clock=timeline.clock(), rate_limit=limit)
    for _ in range(20):
        client.get("ext_1")
    assert sum(timeline.slept) == pytest.approx(10.2)


def test_interactive_call_precedes_a_waiting_bulk_call(timeline: Any) -> None:
    from dub_uplink._rate_limit.sliding_window import LimitConfig, SlidingWindowLimiter

    limiter = SlidingWindowLimiter(LimitConfig(1, 10.0))
    assert limiter.reserve(timeline.reservation(), 60) == 0
    bulk, interactive = timeline.reservation(bulk=True), timeline.reservation()
    assert limiter.reserve(bulk, 60) == limiter.reserve(interactive, 60) == pytest.approx(10.2)
    timeline.now += 10.21
    assert limiter.reserve(bulk, 60) == pytest.approx(10.19)
    assert limiter.reserve(interactive, 60) == 0
