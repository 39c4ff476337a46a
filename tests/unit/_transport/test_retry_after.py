"""Test the parsing of ``Retry-After``, and the wait before the next attempt."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from dub_uplink import Clock, Response, RetryConfig
from dub_uplink._transport.rate_limit_headers import parse_rate_limit_status
from dub_uplink._transport.retry_after import parse_retry_after, requested_delay
from dub_uplink._transport.retry_state import Outcome, RetryState

NOW = 1_795_333_861.0  # Sunday, 22 November 2026, 07:51:01 GMT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1", 1),
        ("120", 120),
        ("0.25", 0.25),
        ("5.", 5),
        ("  7\t", 7),
        ("31536000", 31_536_000),  # a year
        ("999999999", 999_999_999),  # seconds; as Unix time it would be September 2001
        ("1795333871", 10),
        ("1795333871.5", 10.5),
        ("1795333871424", 10.424),
        ("Sun, 22 Nov 2026 07:51:11 GMT", 10),
        ("Sunday, 22-Nov-26 07:51:11 GMT", 10),  # RFC 850
        ("Sun Nov 22 07:51:11 2026", 10),  # asctime
        ("Sun, 22 Nov 2026 07:51:11", 10),
        ("Sun, 22 Nov 2026 07:51:11 -0000", 10),
        ("Sun, 22 Nov 2026 07:51:11 UT", 10),
        ("Sun, 22 Nov 2026 09:51:11 +0200", 10),
        ("Sun, 22 Nov 2026 13:36:11 +0545", 10),
        ("Sun, 22 Nov 2026 02:51:11 EST", 10),
        ("Sat, 21 Nov 2026 23:51:11 PST", 10),
        ("22 Nov 2026 07:51:11 GMT", 10),
    ],
)
def test_retry_after_formats_are_parsed(text: str, seconds: float) -> None:
    assert parse_retry_after(text, NOW) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "0",
        "0.0",
        "-1",
        "-0",
        "+5",
        "1e3",
        "0x10",
        "1_000",
        "\u0665",  # a Unicode digit, which HTTP does not permit
        "5s",
        "inf",
        "-inf",
        "Infinity",
        "nan",
        "soon",
        "5, 7",
        "1795333871424, 1795333872424",
        "120, Sun, 22 Nov 2026 07:51:11 GMT",
        "Sun, 22 Nov 2026 07:51:11 GMT, Sun, 22 Nov 2026 07:52:11 GMT",
        "Sun, 22 Nov 2026 07:51:11 GMT, 120",
        "1795333860",  # in the past
        "1795333860999",
        "1795333861000",  # the present time
        "Sun, 22 Nov 2026 07:51:01 GMT",
        "Sun, 22 Nov 2026 07:51:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 +2359",
        "Sun, 32 Nov 2026 07:51:11 GMT",
        "Sun, 22 Nov 2026 25:51:11 GMT",
        "Sun, 22 Nov 2026 07:51:11 +9999",
        "2026-11-22T07:51:11Z",
        "9" * 25,
        "9" * 5000,
        "0." + "9" * 5000,
        "\x00",
        "Sun, 22 Nov 2026 07:51:\udcff GMT",
    ],
)
def test_past_or_invalid_retry_after_is_ignored(text: str) -> None:
    assert parse_retry_after(text, NOW) is None


def _wait(
    status: int, headers: dict[str, str], *, chance: float = 0.0, remaining: float = 90.0
) -> float:
    ticks = [0.0]
    clock = Clock(monotonic=lambda: ticks[0], time=lambda: NOW, random=lambda: chance)
    attempts = RetryState(RetryConfig(), clock)
    ticks[0] = 90.0 - remaining
    return attempts.compute_wait(attempts.record(Outcome(Response(status, headers))))


BACKOFF = 0.25  # the shortest first wait of the default strategy


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "10"},
        {"retry-after": "10"},
        {"Retry-After": "1795333871000"},
        {"X-RateLimit-Reset": "1795333871000"},
        {"Retry-After": "10", "X-RateLimit-Reset": "1795333861999"},
    ],
)
def test_retry_after_wait_adds_at_most_one_second(status: int, headers: dict[str, str]) -> None:
    assert _wait(status, headers, chance=0.0) == 10
    assert 10.9 < _wait(status, headers, chance=0.999) <= 11


@pytest.mark.parametrize("status", [500, 502, 504])
def test_retry_after_applies_only_to_429_and_503(status: int) -> None:
    headers = {"Retry-After": "10", "X-RateLimit-Reset": "1795333871000"}
    assert _wait(status, headers) == BACKOFF
    assert requested_delay(Response(404, headers), NOW) is None
    assert requested_delay(Response(200, headers), NOW) is None


@pytest.mark.parametrize("text", ["0", "-5", "nan", "inf", "rubbish", "5, 7", "1795333860000", ""])
def test_invalid_retry_after_falls_back_to_backoff(text: str) -> None:
    # With an invalid Retry-After, X-RateLimit-Reset is ignored.
    assert _wait(429, {"Retry-After": text, "X-RateLimit-Reset": "1795333871000"}) == BACKOFF
    assert _wait(429, {"X-RateLimit-Reset": text}) == BACKOFF


@pytest.mark.parametrize("remaining", [10.001, 10.5, 11.0, 12.0, 90.0])
def test_retry_after_jitter_uses_at_most_half_the_remaining_time(remaining: float) -> None:
    wait = _wait(429, {"Retry-After": "10"}, chance=0.999_999, remaining=remaining)
    assert 10 <= wait <= 11
    assert remaining - wait >= (remaining - 10) / 2


def test_rate_limit_status_is_parsed_from_headers() -> None:
    headers = {
        "X-RateLimit-Limit": "600",
        "x-ratelimit-remaining": "0",
        "X-RateLimit-Reset": "1795333921424",
    }
    status = parse_rate_limit_status(Response(429, headers).headers, NOW)
    moment = datetime(2026, 11, 22, 7, 52, 1, 424_000, tzinfo=timezone.utc)
    assert status is not None
    assert (status.limit, status.remaining) == (600, 0)
    assert status.reset is not None
    assert abs((status.reset - moment).total_seconds()) < 0.001


@pytest.mark.parametrize(
    ("limit", "remaining", "reset"),
    [
        ("", "", ""),
        ("0", "0", "0"),  # the store of the limiter did not respond in time
        ("600", "", "1795333921424"),
        ("-1", "5", "1795333921424"),
        ("six", "5", "1795333921424"),
        ("6, 6", "5, 5", "1795333921424"),
        ("9" * 5000, "5", "1795333921424"),
        ("\u0666", "\u0665", "1795333921424"),
    ],
)
def test_invalid_rate_limit_headers_give_none(limit: str, remaining: str, reset: str) -> None:
    headers = {
        "X-RateLimit-Limit": limit,
        "X-RateLimit-Remaining": remaining,
        "X-RateLimit-Reset": reset,
    }
    assert parse_rate_limit_status(headers, NOW) is None


@pytest.mark.parametrize("reset", ["", "0", "soon", "1", "9" * 24, "1795333860000"])
def test_invalid_reset_keeps_limit_and_remaining(reset: str) -> None:
    headers = {
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "59",
        "X-RateLimit-Reset": reset,
    }
    status = parse_rate_limit_status(headers, NOW)
    assert status is not None
    assert (status.limit, status.remaining) == (60, 59)
