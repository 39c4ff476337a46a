"""Threads that share one client: ``python -m benchmarks.soak`` at a size for the tests."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink import CustomersConsumer
from dub_uplink.testing import FakeDub

if TYPE_CHECKING:
    from .conftest import TellingServer

# At the end, so that it is the installed package that is tested.
sys.path.append(str(Path(__file__).parents[3]))

soak: Any = pytest.importorskip("benchmarks.soak")

needs_proc = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="connections are counted in /proc"
)


@pytest.mark.promise("threads-share-a-client")
@needs_proc
def test_threads_with_injected_faults_get_their_own_responses() -> None:
    fake = FakeDub(keep_requests=1)
    for number in range(1, soak.CUSTOMERS + 1):
        fake.add(external_id=f"user_{number}", country="GB")
    fake.faults.randomly(soak.SHARES, seed=9)
    with fake, fake.serve() as url:
        tally = soak.threads(url, seconds=1.5)
    assert tally.clean, tally
    assert tally.calls > soak.THREADS


def test_thread_soak_benchmark_detects_a_wrong_result() -> None:
    assert soak.Tally(1, peak_connections=1).clean
    for name in ("wrong_responses", "other_exceptions", "open_connections"):
        assert not soak.Tally(1, peak_connections=1, **{name: 1}).clean
    assert not soak.Tally(1, peak_connections=soak.THREADS + 1).clean


@needs_proc
@pytest.mark.parametrize("outcomes", [soak.synchronous, soak.asynchronous], ids=["sync", "async"])
def test_memory_soak_benchmark_raises_every_error_class(outcomes: Any) -> None:
    fake = FakeDub()
    fake.add(external_id="user_1", country="GB")
    fake.faults.randomly(soak.SHARES, seed=9)
    with fake, fake.serve() as url:
        calls, said = outcomes(url), []
        soak.memory(calls, 100, said.append)
        calls.close()
    for name in ("success", "NotFound", "Conflict", "APIConnectionError", "InternalServerError"):
        assert name in said[-1]
    assert "ResponseValidationError" in said[-1]


@pytest.mark.promise("connections-are-bounded")
def test_connection_pool_keeps_at_most_pool_size_connections(telling: TellingServer) -> None:
    """Calls of more threads than that get connections, which are closed after their answers."""
    count = 48
    barrier = threading.Barrier(count)
    with CustomersConsumer("dub_test", server_url=telling.url) as customers:

        def call(number: int) -> bool:
            barrier.wait()
            return customers.get(f"cus_{number}").id == f"cus_{number}"

        with ThreadPoolExecutor(count) as pool:
            assert all(pool.map(call, range(count)))
        with telling.counting:
            assert telling.counting.wait_for(lambda: telling.open <= 32, 5)
    assert telling.none_left()


def test_close_in_another_thread_ends_calls_with_a_clear_error(
    telling: TellingServer,
) -> None:
    for _ in range(10):
        customers = CustomersConsumer("dub_test", server_url=telling.url)
        customers.get("cus_0")
        ended: list[str] = []

        def work(customers: Any = customers, ended: Any = ended) -> None:
            number = 0
            while not ended or not ended[-1]:
                number += 1
                try:
                    right = customers.get(f"cus_{number}").id == f"cus_{number}"
                    ended += [] if right else ["mixed up"]
                except RuntimeError as error:
                    ended.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        customers.close()
        for thread in threads:
            thread.join()
        assert all("the client is closed" in end for end in ended)
        assert telling.none_left()


@pytest.mark.promise("closed-client-keeps-no-connection")
def test_close_during_a_call_leaves_no_connection(
    telling: TellingServer,
) -> None:
    clients: list[CustomersConsumer] = []

    def token() -> str:
        clients[0].close()
        return "dub_test"

    clients.append(CustomersConsumer(token, server_url=telling.url))
    assert clients[0].get("cus_1").id == "cus_1"
    assert telling.none_left(2.0)
