"""Test the figures in the log and in the arguments of ``on_retry``."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dub_uplink import BackoffStrategy, Clock, CustomersConsumer, RetryConfig


def test_log_records_show_exact_durations(
    serving: Any, http_response: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = serving(raw=[http_response(503), http_response(200)])
    elapsed = -1_000.0  # a monotonic clock may start at any value
    retries: list[tuple[int, float]] = []

    def monotonic() -> float:
        nonlocal elapsed
        elapsed += 1.0  # one second per reading
        return elapsed

    clock = Clock(monotonic=monotonic, sleep=lambda _: None, random=lambda: 0.5)
    caplog.set_level(logging.DEBUG, "dub_uplink")
    with CustomersConsumer(
        "dub_test",
        server_url=server.url,
        clock=clock,
        retry_config=RetryConfig(backoff=BackoffStrategy(2_000, 8_000, 2.0, 90_000)),
        on_retry=lambda attempt, wait, _: retries.append((attempt, wait)),
    ) as customers:
        assert customers.list() == []
    assert retries == [(1, 1.5)]
    first, again, second = (record.getMessage() for record in caplog.records)
    assert again.endswith("attempt 1; retrying in 1.50 s")
    for line in (first, second):
        milliseconds = float(line.removesuffix(" ms").rpartition(" ")[2])
        assert milliseconds % 1_000 == 0
        assert 0 < milliseconds < 4_000
