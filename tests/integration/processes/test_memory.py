"""Calls leave nothing behind, and neither do clients once the garbage collector has run.

The figure for 100,000 calls is ``python -m benchmarks.soak memory``.
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
    from .conftest import TellingServer

QUICK = RetryConfig("backoff", BackoffStrategy(1, 2, 1.0, 10_000))
#: What is asked for; see the server.
ENDINGS = ("cus_1", "404", "409", "418", "500", "half", "odd", "drop")
RETRIES = {"retries": QUICK, "none": None}


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def settings(url: str, retries: str) -> dict[str, Any]:
    # The budget has a single token: one retry and no more, where nothing puts it back.
    return {"server_url": url, "retry_config": RETRIES[retries], "retry_budget": RetryBudget(1)}


@pytest.mark.parametrize("retries", RETRIES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_garbage_collected_client_closes_all_sockets(
    telling: TellingServer, ending: str, retries: str
) -> None:
    dub = Dub("dub_x", **settings(telling.url, retries))
    with contextlib.suppress(errors.DubError):
        dub.customers.get(ending)
    del dub
    gc.collect()
    assert telling.none_left()


@pytest.mark.parametrize("retries", RETRIES)
@pytest.mark.parametrize("ending", ENDINGS)
def test_closed_async_client_leaves_no_connection(
    telling: TellingServer, ending: str, retries: str
) -> None:
    pytest.importorskip("aiohttp")

    async def main() -> None:
        async with AsyncDub("dub_x", **settings(telling.url, retries)) as dub:
            with contextlib.suppress(errors.DubError):
                await dub.customers.get(ending)

    asyncio.run(main())
    assert telling.none_left()


def test_caught_error_does_not_keep_the_client_alive(telling: TellingServer) -> None:
    customers = CustomersConsumer("dub_x", **settings(telling.url, "none"))
    kept = []
    for ending in ENDINGS[1:]:
        try:
            customers.get(ending)
        except errors.DubError as error:
            kept.append(error.with_traceback(None))  # which leads to the frames of this test
    assert len(kept) == len(ENDINGS) - 1
    watched = weakref.ref(customers._transport)
    del customers
    gc.collect()
    assert watched() is None


@pytest.mark.promise("calls-leave-no-objects")
@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("retries", RETRIES)
@pytest.mark.skipif("coverage" in sys.modules, reason="what measures coverage keeps objects too")
def test_repeated_calls_leave_no_objects_in_memory(
    telling: TellingServer, retries: str, connect: Any
) -> None:
    def round_of_calls(customers: CustomersConsumer) -> None:
        for ending in ENDINGS:
            with contextlib.suppress(errors.DubError):
                customers.get(ending)

    customers = connect(telling.url, retry_config=RETRIES[retries], retry_budget=RetryBudget(1))
    for _ in range(3):
        round_of_calls(customers)  # what is made once is made
    telling.seen.clear()
    gc.collect()
    before = Counter(type(found).__name__ for found in gc.get_objects())
    for _ in range(40):
        round_of_calls(customers)
    telling.seen.clear()
    gc.collect()
    after = Counter(type(found).__name__ for found in gc.get_objects())
    grown = {name: more for name, more in (after - before).items() if more >= 40}
    assert grown == {}, "40 rounds left these behind"
