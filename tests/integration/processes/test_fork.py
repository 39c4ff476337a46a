"""Test that a client works in both processes after a fork, as in a preforking server.

The child must not use connections and locks of the parent.
"""

from __future__ import annotations

import asyncio
import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import requests
import uplink

from dub_uplink import AsyncDub, CustomersConsumer, DeadlineAdapter, Dub, RetryBudget, map_unordered

if TYPE_CHECKING:
    from .conftest import Child, RecordingServer

    Forked = Callable[[Callable[[], Any]], Child]


@pytest.fixture(autouse=True)
def no_warning_of_threads() -> Iterator[None]:
    # Python 3.12 warns of a fork with threads; the threads of the server are intended.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def with_deadlines() -> requests.Session:
    session = requests.Session()
    session.mount("http://", DeadlineAdapter())
    return session


CLIENTS: dict[str, Callable[[], Any]] = {
    "own": lambda: None,
    "given": requests.Session,
    "given-deadlines": with_deadlines,
}


def count_correct(customers: CustomersConsumer, count: int) -> int:
    """Return the number of calls with the correct result."""
    process = str(os.getpid())
    correct = 0
    for number in range(count):
        customer_id = f"cus_{process}_{number}"
        correct += (
            customers.get(customer_id, timeout_ms=50_000, http_headers={"X-Process": process}).id
            == customer_id
        )
    return correct


@pytest.mark.promise("fork-shares-no-connection")
@pytest.mark.parametrize("variant", CLIENTS)
def test_parent_and_children_never_share_a_connection(
    recording_server: RecordingServer, forked: Forked, connect: Any, variant: str
) -> None:
    customers = connect(recording_server.url, client=CLIENTS[variant]())
    assert count_correct(customers, 2) == 2  # its connection is in the pool
    children = [forked(lambda: count_correct(customers, 30)) for _ in range(3)]
    assert count_correct(customers, 30) == 30
    assert [child.result() for child in children] == [30] * 3
    assert count_correct(customers, 2) == 2
    by_port = recording_server.processes_by_port()
    assert [processes for processes in by_port.values() if len(processes) > 1] == []
    # The parent keeps its connection, because no child has closed it.
    assert (
        len([port for port, processes in by_port.items() if processes == {str(os.getpid())}]) == 1
    )


@pytest.mark.promise("fork-shares-no-connection")
def test_uplink_client_used_before_fork_raises_in_the_child(
    recording_server: RecordingServer, forked: Forked, connect: Any
) -> None:
    fresh, used = (
        connect(recording_server.url, client=uplink.RequestsClient(requests.Session()))
        for _ in range(2)
    )
    count_correct(used, 1)

    def child() -> str:
        with pytest.raises(RuntimeError) as caught:
            count_correct(used, 1)
        return str(caught.value)

    assert "create a client in each process" in forked(child).result()
    assert forked(lambda: count_correct(fresh, 2)).result() == 2
    assert (count_correct(fresh, 2), count_correct(used, 2)) == (2, 2)
    assert all(len(processes) == 1 for processes in recording_server.processes_by_port().values())


def test_grandchild_process_opens_its_own_connections(
    recording_server: RecordingServer, forked: Forked, connect: Any
) -> None:
    customers = connect(recording_server.url)
    count_correct(customers, 1)

    def child() -> int:
        first = count_correct(customers, 2)
        grandchild = forked(lambda: count_correct(customers, 2))
        second = count_correct(customers, 2)
        return first + second + int(grandchild.result())

    assert forked(child).result() == 6
    assert all(len(processes) == 1 for processes in recording_server.processes_by_port().values())


def test_close_in_a_child_keeps_parent_connections_open(
    recording_server: RecordingServer, forked: Forked, connect: Any
) -> None:
    customers = connect(recording_server.url)
    count_correct(customers, 1)
    forked(customers.close).result()
    count_correct(customers, 1)
    assert len(recording_server.processes_by_port()) == 1


def held_by_a_thread(locks: list[Any]) -> ExitStack:
    """Hold locks in another thread until the stack is closed."""
    acquired, release = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            acquired.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    acquired.wait()
    stack = ExitStack()
    stack.callback(thread.join)
    stack.callback(release.set)
    return stack


@pytest.mark.promise("fork-keeps-no-lock")
def test_lock_held_during_fork_does_not_block_the_child(
    recording_server: RecordingServer, forked: Forked, connect: Any
) -> None:
    budget = RetryBudget()
    customers = connect(recording_server.url, retry_budget=budget)
    count_correct(customers, 1)
    assert budget.take()  # so that the next response returns a token
    session = customers._transport._backend._session
    manager = session.get_adapter(recording_server.url).poolmanager
    idle = [manager.pools[key].pool.mutex for key in manager.pools.keys()]  # noqa: SIM118
    locks = [budget._lock, session.cookies._cookies_lock, manager.pools.lock, *idle]

    def child() -> int:
        correct = count_correct(customers, 2)
        customers.close()
        return correct

    with held_by_a_thread(locks):
        assert forked(child).result() == 2


@pytest.mark.parametrize("variant", ["ordered", "unordered"])
def test_batch_started_before_fork_raises_in_the_child(
    recording_server: RecordingServer, forked: Forked, connect: Any, variant: str
) -> None:
    customers = connect(recording_server.url)
    ids = (f"cus_{n}" for n in range(6))
    results: Iterator[Any]
    if variant == "ordered":
        results = customers.delete_many(ids, workers=2)
    else:
        results = (result for _, result in map_unordered(customers.get, ids, workers=2))
    first = next(results).id

    def child() -> str:
        with pytest.raises(RuntimeError) as caught:
            next(results)
        return str(caught.value)

    assert "started in another process" in forked(child).result()
    found = [first, *(result.id for result in results)]
    assert sorted(found) == [f"cus_{n}" for n in range(6)]
    assert found == sorted(found) or variant == "unordered"


def test_async_client_unused_before_fork_works_in_each_process(
    recording_server: RecordingServer, forked: Forked
) -> None:
    dub = AsyncDub("dub_test", server_url=recording_server.url)

    async def main() -> str:
        async with dub:
            return (await dub.customers.get("cus_1")).id

    assert forked(lambda: asyncio.run(main())).result() == "cus_1"
    assert asyncio.run(main()) == "cus_1"


@pytest.mark.promise("fork-shares-no-connection")
def test_async_client_used_before_fork_raises_in_the_child(
    recording_server: RecordingServer, forked: Forked
) -> None:
    dub = AsyncDub("dub_test", server_url=recording_server.url)
    loop = asyncio.new_event_loop()

    async def call() -> str:
        return (await dub.customers.get("cus_1")).id

    def child() -> str:
        try:
            loop.run_until_complete(call())
        except RuntimeError as error:
            loop.run_until_complete(dub.aclose())
            return str(error)
        return ""

    loop.run_until_complete(call())
    assert "create a client in each process" in forked(child).result()
    assert loop.run_until_complete(call()) == "cus_1"
    loop.run_until_complete(dub.aclose())
    loop.close()
    assert len(recording_server.processes_by_port()) == 1


@pytest.mark.parametrize("make", [Dub, AsyncDub, CustomersConsumer])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_client_passed_to_a_spawned_process_raises(make: Any, method: str) -> None:
    import multiprocessing

    with pytest.raises(TypeError, match=r"cannot be pickled.*create one in each process"):
        process = multiprocessing.get_context(method).Process(target=print, args=(make("dub_x"),))
        process.start()


def test_multiprocessing_fork_child_can_use_the_client(
    recording_server: RecordingServer, connect: Any
) -> None:
    import multiprocessing

    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    customers = connect(recording_server.url)
    count_correct(customers, 1)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    process = context.Process(target=lambda: results.put(count_correct(customers, 3)))
    process.start()
    assert results.get() == 3
    process.join()
    assert process.exitcode == 0
    assert all(len(processes) == 1 for processes in recording_server.processes_by_port().values())
