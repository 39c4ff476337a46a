"""Test that calls leave no objects in memory, and garbage-collected clients no sockets.

``python -m benchmarks.soak memory`` measures 100,000 calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink import (
    AsyncDub,
    BackoffStrategy,
    CustomersConsumer,
    Dub,
    RetryBudget,
    RetryConfig,
    errors,
)

if TYPE_CHECKING:
    from .conftest import RecordingServer

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 2, 1.0, 10_000))
#: The requested ids; the server defines their responses.
ENDINGS = ("cus_1", "404", "409", "418", "500", "half", "odd", "drop")
RETRIES = {"retries": SHORT_RETRIES, "none": None}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def settings(url: str, retries: str) -> dict[str, Any]:
    # The budget has a single token, so that a test has at most one retry without a success.
    return {"server_url": url, "retry_config": RETRIES[retries], "retry_budget": RetryBudget(1)}


@pytest.mark.parametrize("retries", RETRIES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_garbage_collected_client_closes_all_sockets(
    recording_server: RecordingServer, ending: str, retries: str
) -> None:
    dub = Dub("dub_x", **settings(recording_server.url, retries))
    with contextlib.suppress(errors.DubError):
        dub.customers.get(ending)
    del dub
    gc.collect()
    assert recording_server.wait_until_closed()


@pytest.mark.parametrize("retries", RETRIES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_closed_async_client_leaves_no_connection(
    recording_server: RecordingServer, ending: str, retries: str
) -> None:
    pytest.importorskip("aiohttp")

    async def main() -> None:
        async with AsyncDub("dub_x", **settings(recording_server.url, retries)) as dub:
            with contextlib.suppress(errors.DubError):
                await dub.customers.get(ending)

    asyncio.run(main())
    assert recording_server.wait_until_closed()


def test_caught_error_does_not_keep_the_client_alive(recording_server: RecordingServer) -> None:
    customers = CustomersConsumer("dub_x", **settings(recording_server.url, "none"))
    kept = []
    for ending in ENDINGS[1:]:
        try:
            customers.get(ending)
        except errors.DubError as error:
            kept.append(error.with_traceback(None))  # it has frames of this test
    assert len(kept) == len(ENDINGS) - 1
    reference = weakref.ref(customers._transport)
    del customers
    gc.collect()
    assert reference() is None


@pytest.mark.promise("calls-leave-no-objects")
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("retries", RETRIES)
@pytest.mark.skipif("coverage" in sys.modules, reason="the measurement of coverage keeps objects")
def test_repeated_calls_leave_no_objects_in_memory(
    recording_server: RecordingServer, retries: str, connect: Any
) -> None:
    def round_of_calls(customers: CustomersConsumer) -> None:
        for ending in ENDINGS:
            with contextlib.suppress(errors.DubError):
                customers.get(ending)

    customers = connect(
        recording_server.url, retry_config=RETRIES[retries], retry_budget=RetryBudget(1)
    )
    for _ in range(3):
        round_of_calls(customers)  # objects that are created once
    recording_server.seen.clear()
    gc.collect()
    before = Counter(type(item).__name__ for item in gc.get_objects())
    for _ in range(40):
        round_of_calls(customers)
    recording_server.seen.clear()
    gc.collect()
    after = Counter(type(item).__name__ for item in gc.get_objects())
    increase = {name: more for name, more in (after - before).items() if more >= 40}
    assert increase == {}, "objects that 40 rounds left"
