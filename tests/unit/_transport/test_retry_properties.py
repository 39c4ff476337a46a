"""Test properties of retries for generated inputs."""

from __future__ import annotations

import email.utils
import json
import math
from datetime import datetime, timezone

from hypothesis import example, given
from hypothesis import strategies as st

from dub_uplink import BackoffStrategy, Clock, Response, RetryConfig
from dub_uplink._transport import errors as hooks
from dub_uplink._transport.rate_limit_headers import parse_rate_limit_status
from dub_uplink._transport.retry_after import parse_retry_after
from dub_uplink._transport.retry_state import Outcome, RetryState

NOW = 1_795_333_861.424

_dates = st.datetimes(min_value=datetime(1900, 1, 1)).map(
    lambda moment: email.utils.format_datetime(moment.replace(tzinfo=timezone.utc), usegmt=True)
)
_zones = st.sampled_from(["GMT", "UTC", "EST", "PDT", "Z", "A", "+0000", "-0000", "+2359", "-2400"])
_odd_dates = st.builds("{0} {1}{2}".format, _dates.map(lambda d: d[:-4]), _zones, st.text())
_numbers = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.integers(min_value=0, max_value=10**30).map(str),
    st.decimals().map(str),
)
_headers = st.one_of(
    st.text(),
    st.text(alphabet="0123456789.,:;+-eE GMTnaifSun"),
    _numbers,
    _dates,
    _odd_dates,
    st.lists(st.one_of(_numbers, _dates), min_size=2, max_size=3).map(", ".join),
)


@given(
    text=_headers, now=st.floats(min_value=0, max_value=2**40), status=st.sampled_from([429, 503])
)
@example(text="1" * 5000, now=NOW, status=429)
@example(text="Sun, 22 Nov 2026 07:51:11 +99999999999999999999", now=NOW, status=429)
@example(text="Sun, 22 Nov 99999999999 07:51:11 GMT", now=NOW, status=429)
@example(text="1, 2, 3, 4, 5:6:7 8", now=NOW, status=503)
@example(text="\u0661", now=NOW, status=503)
def test_any_retry_after_header_gives_a_finite_wait(text: str, now: float, status: int) -> None:
    seconds = parse_retry_after(text, now)
    assert seconds is None or (seconds > 0 and math.isfinite(seconds))
    for name in ("Retry-After", "X-RateLimit-Reset"):
        attempts = RetryState(RetryConfig(), Clock(time=lambda: now))
        wait = attempts.compute_wait(attempts.record(Outcome(Response(status, {name: text}))))
        assert math.isfinite(wait)
        assert wait >= 0
        if seconds is not None:
            assert seconds <= wait <= seconds + 1 + 1e-9 * seconds


@given(limit=_headers, remaining=_headers, reset=_headers)
def test_any_rate_limit_headers_parse_or_give_none(limit: str, remaining: str, reset: str) -> None:
    headers = {
        "X-RateLimit-Limit": limit,
        "X-RateLimit-Remaining": remaining,
        "X-RateLimit-Reset": reset,
    }
    for counts in (headers, {**headers, "X-RateLimit-Limit": "6", "X-RateLimit-Remaining": "5"}):
        status = parse_rate_limit_status(counts, NOW)
        assert status is None or (status.limit > 0 and status.remaining >= 0)
        assert status is None or status.reset is None or status.reset.tzinfo is not None


@given(seconds=st.integers(min_value=1, max_value=10**9 - 1))
def test_retry_after_in_seconds_parses_exactly(seconds: int) -> None:
    assert parse_retry_after(str(seconds), NOW) == seconds


@given(ahead=st.integers(min_value=1, max_value=10**11))
def test_retry_after_timestamp_is_never_rounded_down(ahead: int) -> None:
    moment = round(NOW * 1000) + ahead
    milliseconds = parse_retry_after(str(moment), NOW)
    assert milliseconds is not None
    assert abs(milliseconds - ahead / 1000) < 1e-6
    seconds = parse_retry_after(str(moment // 1000 + 1), NOW)
    assert seconds is not None
    assert seconds >= milliseconds - 1e-6


_strategies = st.builds(
    lambda low, factor, exponent: BackoffStrategy(low, low * factor, exponent, 90_000),
    st.integers(min_value=1, max_value=10**12),
    st.integers(min_value=1, max_value=10**6),
    st.floats(min_value=1, max_value=1e300),
)


@given(
    backoff=_strategies,
    attempt=st.integers(min_value=1, max_value=10**6),
    chance=st.floats(min_value=0, max_value=1, exclude_max=True),
)
def test_backoff_wait_stays_within_the_documented_bounds(
    backoff: BackoffStrategy, attempt: int, chance: float
) -> None:
    attempts = RetryState(RetryConfig("backoff", backoff), Clock(random=lambda: chance))
    attempts.attempt_count = attempt - 1
    wait = attempts.compute_wait(attempts.record(Outcome(Response(500))))
    assert 0 < wait <= backoff.max_interval / 1000
    assert backoff.initial_interval / 2000 <= wait * (1 + 1e-9)
    assert backoff.interval(attempt) <= backoff.interval(attempt + 1) <= backoff.max_interval / 1000


@given(
    backoff=_strategies,
    steps=st.lists(
        st.tuples(
            st.floats(min_value=0, max_value=200),  # the duration of an attempt
            st.sampled_from(["", "0", "3", "89", "90", "1795333900424", "3600"]),
            st.floats(min_value=0, max_value=1, exclude_max=True),
        ),
        min_size=1,
        max_size=30,
    ),
)
def test_waits_end_before_the_deadline(
    backoff: BackoffStrategy, steps: list[tuple[float, str, float]]
) -> None:
    ticks = [0.0]
    chances = [0.5]
    clock = Clock(
        monotonic=lambda: ticks[0], time=lambda: NOW + ticks[0], random=lambda: chances[0]
    )
    attempts = RetryState(RetryConfig("backoff", backoff), clock)
    for seconds, header, chances[0] in steps:
        ticks[0] += min(seconds, max(attempts.remaining(), 0.0))
        outcome = attempts.record(Outcome(Response(429, {"Retry-After": header})))
        wait = attempts.compute_wait(outcome)
        if attempts.exceeds_deadline(wait):
            break
        ticks[0] += wait
        assert attempts.elapsed() < backoff.max_elapsed_time / 1000


def is_truncated_json(content: bytes) -> bool:
    return hooks.is_truncated_json(Response(200, None, content))


_json = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=8,
)
_documents = st.one_of(st.lists(_json), st.dictionaries(st.text(), _json))


@given(document=_documents, ascii_only=st.booleans(), data=st.data())
@example(document={"a": "b}"}, ascii_only=True, data=None)
@example(document=[{"a": "]"}], ascii_only=True, data=None)
@example(document={"a": {"b": {}}}, ascii_only=True, data=None)
@example(document={"a\\": '"é"'}, ascii_only=False, data=None)
def test_json_prefix_is_truncated_and_complete_json_is_not(
    document: object, ascii_only: bool, data: st.DataObject | None
) -> None:
    whole = json.dumps(document, ensure_ascii=ascii_only).encode("utf-8", "replace")
    response = Response(200, None, whole)
    assert not hooks.is_truncated_json(response)
    assert response.json() == document
    assert response.json() is not response.json(), "each call must parse again"
    assert not is_truncated_json(b" \n" + whole + b"\r\n")
    assert not is_truncated_json(whole + b"<p>")
    if data is None:
        cuts = list(range(1, len(whole)))
    else:
        cuts = [data.draw(st.integers(min_value=1, max_value=len(whole) - 1))]
    for cut in cuts:
        assert is_truncated_json(whole[:cut]), whole[:cut]


@given(content=st.binary())
def test_is_truncated_json_accepts_any_bytes(content: bytes) -> None:
    assert is_truncated_json(content) in (True, False)
    assert is_truncated_json(b"{" + content) in (True, False)
