"""Compare the figures of ``dub-uplink retries`` with those of a real client."""

from __future__ import annotations

import itertools
import textwrap
from typing import Any

import pytest
import requests
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from dub_uplink import Clock, CustomersConsumer, errors
from dub_uplink._cli.commands import cli
from dub_uplink._cli.retries.timeline import compute_timeline
from dub_uplink.utils import BackoffStrategy, RetryConfig

SHORT_DEADLINE = RetryConfig("backoff", BackoffStrategy(1_000, 4_000, 2.0, 10_000), True)

END = "The next wait, 2 to 4 s, would end after the deadline: the error is raised at once."


class FailingAdapter(requests.adapters.BaseAdapter):
    """An adapter that returns one status after a fixed time, and advances its own clock."""

    def __init__(
        self, seconds: float, status: int, headers: dict[str, str], deadline: float
    ) -> None:
        super().__init__()
        self.now = 0.0
        self.started: list[float] = []
        self._seconds, self._status, self._headers = seconds, status, headers
        self._deadline = deadline

    def send(self, request: Any, *_: Any, timeout: Any = None, **__: Any) -> requests.Response:
        self.started.append(self.now)
        # The timeout of an attempt is in real time, a part of which has passed.
        remaining = self._deadline - self.now
        assert remaining - 1 < timeout <= remaining + 1e-9
        self.now += min(self._seconds, remaining)
        if self._seconds >= remaining:
            raise requests.ReadTimeout("timed out", request=request)
        response = requests.Response()
        response.status_code = self._status
        response.headers.update(self._headers)
        response._content = b"{}"
        return response

    def close(self) -> None:
        pass

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def call_client(
    config: RetryConfig | None, seconds: float, status: int, retry_after: str | None, random: float
) -> tuple[list[float], list[float], float]:
    """Return the start times of the attempts of a client, its waits, and the time of its error."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    retried = config is not None and config.strategy == "backoff"
    deadline = config.backoff.max_elapsed_time / 1000 if config and retried else 86_400
    adapter = FailingAdapter(seconds, status, headers, deadline)
    session = requests.Session()
    session.mount("https://", adapter)
    clock = Clock(
        monotonic=lambda: adapter.now, random=lambda: random, sleep=adapter.sleep, time=lambda: 1e9
    )
    waits: list[float] = []
    customers = CustomersConsumer(
        "dub_test",
        client=session,
        retry_config=config,
        timeout_ms=86_400_000,
        clock=clock,
        on_retry=lambda _, wait, __: waits.append(wait),
    )
    with pytest.raises(errors.DubError):
        customers.list()
    return adapter.started, waits, adapter.now


intervals = st.integers(1, 20_000)


@given(
    initial=intervals,
    longest=intervals,
    exponent=st.floats(1, 8),
    elapsed=st.integers(1_000, 200_000),
    seconds=st.sampled_from([0.0, 0.2, 3.0, 70.0]),
    status=st.sampled_from([429, 500, 503, 404]),
    retry_after=st.sampled_from([None, "0", "1", "7", "3600", "soon"]),
)
def test_retry_timeline_matches_the_attempts_of_a_client(
    initial: int,
    longest: int,
    exponent: float,
    elapsed: int,
    seconds: float,
    status: int,
    retry_after: str | None,
) -> None:
    strategy = BackoffStrategy(initial, max(initial, longest), exponent, elapsed)
    config = RetryConfig("backoff", strategy)
    timeline = compute_timeline(
        config, attempt_seconds=seconds, status=status, retry_after=retry_after
    )
    started, waits, ended = call_client(config, seconds, status, retry_after, 0.5)
    assert [one.started for one in timeline.attempts] == pytest.approx(started)
    assert timeline.elapsed == pytest.approx(ended)
    pairs = itertools.pairwise(timeline.attempts)
    assert [after.started - before.ended for before, after in pairs] == pytest.approx(waits)
    for one, wait in zip(timeline.attempts, waits, strict=False):
        assert one.shortest_wait is not None
        assert one.longest_wait is not None
        assert one.shortest_wait <= wait <= one.longest_wait + 1e-9


@pytest.mark.parametrize("retry_after", [None, "2"])
def test_shown_wait_bounds_are_the_extremes_of_the_jitter(retry_after: str | None) -> None:
    first = compute_timeline(SHORT_DEADLINE, attempt_seconds=0, retry_after=retry_after).attempts[0]
    for random, expected in ((0.0, first.shortest_wait), (1.0, first.longest_wait)):
        assert call_client(SHORT_DEADLINE, 0, 503, retry_after, random)[1][0] == expected


def test_retry_timeline_ends_when_the_budget_is_used_up() -> None:
    config = RetryConfig("backoff", BackoffStrategy(1, 1, 1.0, 10**6))
    timeline = compute_timeline(config, attempt_seconds=0)
    assert len(timeline.attempts) == len(call_client(config, 0, 503, None, 0.5)[0]) == 101
    assert (
        timeline.end_reason == "The client's budget of 100 retries is used up: the error is raised."
    )


def test_retry_timeline_without_retries_has_one_attempt() -> None:
    for config in (None, RetryConfig("none")):
        assert (
            len(compute_timeline(config).attempts)
            == len(call_client(config, 0.2, 503, None, 0.5)[0])
            == 1
        )
        assert compute_timeline(config).summary() == (
            "1 attempt in 0.20 s. Retries are off: the first error is raised."
        )


def test_retries_command_prints_a_table() -> None:
    arguments = ["retries", "--initial-interval", "1000", "--max-interval", "4000"]
    done = CliRunner().invoke(cli, [*arguments, "--max-elapsed-time", "10000"])
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        'RetryConfig("backoff", BackoffStrategy(1000, 4000, 2, 10000), True)',
        "Each attempt gets the status 503 after 0.2 s.",
        "",
        "attempt    starts at             waits after it",
        "      1       0.00 s           0.50 s to 1.00 s",
        "      2       0.95 s           1.00 s to 2.00 s",
        "      3       2.65 s           2.00 s to 4.00 s",
        "      4       5.85 s           2.00 s to 4.00 s",
        "      5       9.05 s",
        "",
        *textwrap.wrap(f"5 attempts in 9.25 s. {END}", 80),
    ]


def test_retries_command_shortens_a_long_table() -> None:
    done = CliRunner().invoke(cli, ["retries", "--max-interval", "500"])
    rows = done.output.split("\n\n")[1].splitlines()[1:]
    assert [row.split()[0] for row in rows] == [*map(str, range(1, 23)), "...", "101"]


def test_retries_command_reports_retry_after_past_deadline() -> None:
    done = CliRunner().invoke(cli, ["retries", "--retry-after", "3600", "--status", "429"])
    assert done.exit_code == 0
    assert "Each attempt gets the status 429" in done.output
    assert "1 attempt in 0.20 s. Retry-After requests 3,600.0 s and 89.8 s" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--exponent", "0.5"], "--exponent must be 1 or more"),
        (["--max-interval", "1"], "--max-interval must be at least --initial-interval"),
        (["--max-elapsed-time", "0"], "--max-elapsed-time must be above 0"),
        (["--attempt-seconds", "-1"], "--attempt-seconds must be 0 or more"),
        (["--attempt-seconds", "inf"], "--attempt-seconds must be 0 or more and finite"),
        (["--status", "200"], "--status"),
    ],
)
def test_retries_command_value_out_of_range_names_the_option(
    arguments: list[str], message: str
) -> None:
    done = CliRunner().invoke(cli, ["retries", *arguments])
    assert done.exit_code == 2
    assert message in done.output
