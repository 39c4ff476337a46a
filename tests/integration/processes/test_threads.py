"""Test threads that share a client, with ``python -m benchmarks.soak`` at a small size."""

from __future__ import annotations

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink import CustomersConsumer
from dub_uplink.testing import FakeDub

if TYPE_CHECKING:
    from .conftest import RecordingServer

# At the end of the path, so that the tests import the installed package.
sys.path.append(str(Path(__file__).parents[3]))

soak: Any = pytest.importorskip("benchmarks.soak")

needs_proc = pytest.mark.skipif(
    not Path("/proc/net/tcp").exists(), reason="needs /proc to count connections"
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
        calls, lines = outcomes(url), []
        soak.memory(calls, 100, lines.append)
        calls.close()
    for name in ("success", "NotFound", "Conflict", "APIConnectionError", "InternalServerError"):
        assert name in lines[-1]
    assert "ResponseValidationError" in lines[-1]


@pytest.mark.promise("connections-are-bounded")
def test_connection_pool_keeps_at_most_pool_size_connections(
    recording_server: RecordingServer,
) -> None:
    """More concurrent calls open more connections, which are closed after their responses."""
    count = 48
    barrier = threading.Barrier(count)
    with CustomersConsumer("dub_test", server_url=recording_server.url) as customers:

        def call(number: int) -> bool:
            barrier.wait()
            return customers.get(f"cus_{number}").id == f"cus_{number}"

        with ThreadPoolExecutor(count) as pool:
            assert all(pool.map(call, range(count)))
        with recording_server.changed:
            assert recording_server.changed.wait_for(
                lambda: recording_server.open_connections <= 32, 5
            )
    assert recording_server.wait_until_closed()


def test_close_in_another_thread_ends_calls_with_a_clear_error(
    recording_server: RecordingServer,
) -> None:
    for _ in range(10):
        customers = CustomersConsumer("dub_test", server_url=recording_server.url)
        customers.get("cus_0")
        ended: list[str] = []

        def work(customers: Any = customers, ended: Any = ended) -> None:
            number = 0
            while not ended or not ended[-1]:
                number += 1
                try:
                    correct = customers.get(f"cus_{number}").id == f"cus_{number}"
                    ended += [] if correct else ["mixed up"]
                except RuntimeError as error:
                    ended.append(str(error))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        customers.close()
        for thread in threads:
            thread.join()
        assert all("the client is closed" in end for end in ended)
        assert recording_server.wait_until_closed()


@pytest.mark.promise("closed-client-keeps-no-connection")
def test_close_during_a_call_leaves_no_connection(
    recording_server: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    customers = CustomersConsumer("dub_test", server_url=recording_server.url)
    resolve = socket.getaddrinfo

    def close_and_resolve(*args: Any, **options: Any) -> Any:
        customers.close()
        return resolve(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", close_and_resolve)
    assert customers.get("cus_1").id == "cus_1"
    assert recording_server.wait_until_closed(2.0)
