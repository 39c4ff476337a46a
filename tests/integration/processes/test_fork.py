"""A client lives on in both processes after a fork, as under a server that loads and then forks.

What belongs to a connection or to a thread does not cross: sockets, and locks that were held.
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
    from .conftest import Child, TellingServer

    Forked = Callable[[Callable[[], Any]], Child]


@pytest.fixture(autouse=True)
def no_warning_of_threads() -> Iterator[None]:
    # Python 3.12 warns of a fork beside threads; here they are the server's, and meant.
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


def ask(customers: CustomersConsumer, count: int) -> int:
    """How many of so many calls were answered with what they asked for."""
    me = str(os.getpid())
    right = 0
    for number in range(count):
        asked = f"cus_{me}_{number}"
        right += customers.get(asked, timeout_ms=50_000, http_headers={"X-Process": me}).id == asked
    return right


@pytest.mark.promise("fork-shares-no-connection")
@pytest.mark.parametrize("kind", CLIENTS)
def test_parent_and_children_never_share_a_connection(
    telling: TellingServer, forked: Forked, connect: Any, kind: str
) -> None:
    customers = connect(telling.url, client=CLIENTS[kind]())
    assert ask(customers, 2) == 2  # and its connection waits in the pool
    children = [forked(lambda: ask(customers, 30)) for _ in range(3)]
    assert ask(customers, 30) == 30
    assert [child.result() for child in children] == [30] * 3
    assert ask(customers, 2) == 2
    by_port = telling.processes_by_port()
    assert [processes for processes in by_port.values() if len(processes) > 1] == []
    # And the parent still has its own: nobody closed it from the other side.
    assert len([port for port, who in by_port.items() if who == {str(os.getpid())}]) == 1


@pytest.mark.promise("fork-shares-no-connection")
def test_uplink_client_used_before_fork_raises_in_the_child(
    telling: TellingServer, forked: Forked, connect: Any
) -> None:
    fresh, used = (
        connect(telling.url, client=uplink.RequestsClient(requests.Session())) for _ in range(2)
    )
    ask(used, 1)

    def child() -> str:
        with pytest.raises(RuntimeError) as caught:
            ask(used, 1)
        return str(caught.value)

    assert "create a client in each process" in forked(child).result()
    assert forked(lambda: ask(fresh, 2)).result() == 2
    assert (ask(fresh, 2), ask(used, 2)) == (2, 2)
    assert all(len(processes) == 1 for processes in telling.processes_by_port().values())


def test_grandchild_process_opens_its_own_connections(
    telling: TellingServer, forked: Forked, connect: Any
) -> None:
    customers = connect(telling.url)
    ask(customers, 1)

    def child() -> int:
        first = ask(customers, 2)
        grandchild = forked(lambda: ask(customers, 2))
        second = ask(customers, 2)
        return first + second + int(grandchild.result())

    assert forked(child).result() == 6
    assert all(len(processes) == 1 for processes in telling.processes_by_port().values())


def test_close_in_a_child_keeps_parent_connections_open(
    telling: TellingServer, forked: Forked, connect: Any
) -> None:
    customers = connect(telling.url)
    ask(customers, 1)
    forked(customers.close).result()
    ask(customers, 1)
    assert len(telling.processes_by_port()) == 1


def held_by_a_thread(locks: list[Any]) -> ExitStack:
    """Take locks in a thread of their own, until the stack is closed."""
    taken, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with ExitStack() as stack:
            for lock in locks:
                stack.enter_context(lock)
            taken.set()
            let_go.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    taken.wait()
    stack = ExitStack()
    stack.callback(thread.join)
    stack.callback(let_go.set)
    return stack


@pytest.mark.promise("fork-keeps-no-lock")
def test_lock_held_during_fork_does_not_block_the_child(
    telling: TellingServer, forked: Forked, connect: Any
) -> None:
    budget = RetryBudget()
    customers = connect(telling.url, retry_budget=budget)
    ask(customers, 1)
    assert budget.take()  # so that the next answer puts one back
    session = customers._transport._backend._session
    manager = session.get_adapter(telling.url).poolmanager
    idle = [manager.pools[key].pool.mutex for key in manager.pools.keys()]  # noqa: SIM118
    locks = [budget._lock, session.cookies._cookies_lock, manager.pools.lock, *idle]

    def child() -> int:
        right = ask(customers, 2)
        customers.close()
        return right

    with held_by_a_thread(locks):
        assert forked(child).result() == 2


@pytest.mark.parametrize("kind", ["ordered", "unordered"])
def test_batch_started_before_fork_raises_in_the_child(
    telling: TellingServer, forked: Forked, connect: Any, kind: str
) -> None:
    customers = connect(telling.url)
    ids = (f"cus_{n}" for n in range(6))
    results: Iterator[Any]
    if kind == "ordered":
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
    assert found == sorted(found) or kind == "unordered"


def test_async_client_unused_before_fork_works_in_each_process(
    telling: TellingServer, forked: Forked
) -> None:
    dub = AsyncDub("dub_test", server_url=telling.url)

    async def main() -> str:
        async with dub:
            return (await dub.customers.get("cus_1")).id

    assert forked(lambda: asyncio.run(main())).result() == "cus_1"
    assert asyncio.run(main()) == "cus_1"


@pytest.mark.promise("fork-shares-no-connection")
def test_async_client_used_before_fork_raises_in_the_child(
    telling: TellingServer, forked: Forked
) -> None:
    dub = AsyncDub("dub_test", server_url=telling.url)
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
    assert len(telling.processes_by_port()) == 1


@pytest.mark.parametrize("make", [Dub, AsyncDub, CustomersConsumer])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_client_passed_to_a_spawned_process_raises(make: Any, method: str) -> None:
    import multiprocessing

    with pytest.raises(TypeError, match=r"cannot be pickled.*create one in each process"):
        process = multiprocessing.get_context(method).Process(target=print, args=(make("dub_x"),))
        process.start()


def test_multiprocessing_fork_child_can_use_the_client(
    telling: TellingServer, connect: Any
) -> None:
    import multiprocessing

    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("this system does not fork")
    customers = connect(telling.url)
    ask(customers, 1)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    process = context.Process(target=lambda: answers.put(ask(customers, 3)))
    process.start()
    assert answers.get() == 3
    process.join()
    assert process.exitcode == 0
    assert all(len(processes) == 1 for processes in telling.processes_by_port().values())
