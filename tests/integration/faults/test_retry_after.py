"""Test that a wait is at least ``Retry-After``, and at most a second longer."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink.models import errors
from dub_uplink.testing import faults


@pytest.mark.parametrize("form", ["seconds", "http_date", "unix", "unix_ms"])
@pytest.mark.parametrize("seconds", [1, 2.5, 30, 60])
@pytest.mark.parametrize("jitter", [0.0, 0.999_999])
def test_429_with_retry_after_waits_the_requested_time(
    fake: Any, on_fake: Any, timeline: Any, form: Any, seconds: float, jitter: float
) -> None:
    timeline.jitter = jitter
    fake.faults.add(faults.RateLimited(seconds, form))
    limited = faults.RateLimited(seconds, form).apply(lambda: None, timeline.unix())
    assert on_fake().list() == []
    [waited] = timeline.slept
    # A date has whole seconds, so the header may name up to one second more.
    rounded = 1.0 if form in ("http_date", "unix") else 0.001
    assert seconds <= waited <= seconds + rounded + 1, limited.response.headers["Retry-After"]
    assert jitter * 0.9 <= waited - seconds


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": ["7", "7"]},
        {"Retry-After": ["7", "9"]},
        {"retry-after": ["Sun, 22 Nov 2026 07:51:11 GMT", "Sun, 22 Nov 2026 07:53:11 GMT"]},
        {"Retry-After": ""},
        {"Retry-After": "\xff\xfe"},
        {"Retry-After": "inf"},
        {"Retry-After": "-7"},
        {"X-RateLimit-Reset": ["1795333871424", "1795333891424"]},
    ],
)
def test_repeated_or_invalid_retry_after_uses_backoff(
    wire: Any, http_response: Any, connect: Any, timeline: Any, headers: dict[str, Any]
) -> None:
    server = wire(http_response(429, {}, headers), http_response(200))
    assert connect(server.url).list() == []
    assert timeline.slept == [0.375]


def test_rate_limit_reset_is_used_without_retry_after(
    wire: Any, http_response: Any, connect: Any, timeline: Any
) -> None:
    reset = str(round(timeline.unix() * 1000) + 12_000)
    server = wire(http_response(429, {}, {"X-RateLimit-Reset": reset}), http_response(200))
    assert connect(server.url).list() == []
    assert timeline.slept == [pytest.approx(12.5)]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_retry_after_is_ignored_except_with_429_and_503(
    fake: Any, on_fake: Any, status: int
) -> None:
    """Dub sends the header with all errors after the check of the rate limit."""
    fake.faults.add(faults.Status(status, {"Retry-After": "30"}))
    with pytest.raises(errors.APIStatusError) as caught:
        on_fake().list()
    assert caught.value.retry_after is None
    assert caught.value.attempts == 1


@pytest.mark.parametrize(
    ("header", "seconds"), [("30", 30), ("0.5", 0.5), ("0", None), ("soon", None), (None, None)]
)
def test_rate_limit_error_has_retry_after(
    fake: Any, on_fake: Any, header: str | None, seconds: float | None
) -> None:
    fake.faults.add(faults.RateLimited(header))
    with pytest.raises(errors.RateLimitExceeded) as caught:
        on_fake(retry_config=None).list()
    assert caught.value.retry_after == seconds


def test_calls_beyond_the_server_limit_wait_and_succeed(timeline: Any, connect: Any) -> None:
    """The server has a real limiter, and rejects no call twice."""
    from dub_uplink.testing import FakeDub

    with FakeDub(now=timeline.unix, rate_limit=5, window=60) as fake:
        client = connect(fake.base_url, client=fake.session())
        for _ in range(23):
            client.list()
        refused = [request for request in fake.requests if request.status == 429]
        assert len(refused) == 4
        assert len(fake.requests) == 23 + len(refused)
        assert client.rate_limit_status is not None
        assert (client.rate_limit_status.limit, client.rate_limit_status.remaining) == (5, 0)
