"""Test the construction, sharing, closing and release of clients."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from dub_uplink import CustomersConsumer, Dub, declare, errors
from dub_uplink.testing import FakeDub


def test_close_closes_the_default_session(serving: Any) -> None:
    server = serving()
    dub = Dub("dub_x", server_url=server.url)
    dub.customers.list()
    session = dub.customers._transport._backend._session
    pools = session.get_adapter(server.url).poolmanager.pools
    assert len(pools) == 1
    dub.close()
    assert len(pools) == 0


def test_close_leaves_a_given_session_open(serving: Any, wrap: Any) -> None:
    server = serving()
    with requests.Session() as session:
        with Dub("dub_x", server_url=server.url, client=wrap(session)) as dub:
            dub.customers.list()
        with Dub("dub_x", server_url=server.url, client=wrap(session)) as dub:
            dub.customers.list()
        assert server.connections == 1, "the pool must keep its connection"
        assert session.get(server.url).text == "[]"


@pytest.mark.parametrize("make", [Dub, CustomersConsumer])
def test_with_block_of_a_client_returns_and_closes_the_client(serving: Any, make: Any) -> None:
    server = serving()
    with make("dub_x", server_url=server.url) as client:
        assert isinstance(client, make)
        customers = client.customers if isinstance(client, Dub) else client
        assert customers.list() == []
    with pytest.raises(RuntimeError, match="the client is closed"):
        customers.list()
    assert len(server.received) == 1


def test_context_manager_propagates_errors(serving: Any) -> None:
    with (
        pytest.raises(errors.SDKError),
        Dub("dub_x", server_url=serving(404, "").url, retry_config=None) as dub,
    ):
        dub.customers.list()
    with pytest.raises(RuntimeError):
        dub.customers.list()


@pytest.mark.promise("closed-client-sends-nothing")
def test_closing_a_client_twice_is_allowed(serving: Any, client: Any) -> None:
    server = serving()
    dub = Dub("dub_x", server_url=server.url, client=client)
    dub.close()
    dub.close()
    with pytest.raises(RuntimeError, match="closed"):
        dub.customers.list()
    assert server.connections == 0


@pytest.mark.promise("clients-do-not-pickle")
@pytest.mark.parametrize("make", [Dub, CustomersConsumer])
def test_pickling_a_client_raises_with_advice(make: Any) -> None:
    for attempt in (pickle.dumps, copy.deepcopy):
        with pytest.raises(
            TypeError, match=r"cannot be pickled.*create one in each process"
        ) as caught:
            attempt(make("dub_s3cr3t"))
        assert "s3cr3t" not in str(caught.value)


def test_unreferenced_client_is_freed_without_garbage_collector(serving: Any) -> None:
    gc.collect()
    gc.disable()  # only the last reference frees the client
    try:
        dub = Dub("dub_x", server_url=serving().url)
        dub.customers.list()
        transport = dub.customers._transport
        parts = [dub.customers, transport, transport._backend, transport._backend._session]
        watched = [weakref.ref(part) for part in parts]
        del dub, transport, parts
        assert [ref() for ref in watched] == [None] * 4
    finally:
        gc.enable()


def test_customers_attribute_of_dub_is_a_customers_consumer() -> None:
    customers = Dub("dub_x").customers
    assert type(customers) is CustomersConsumer


def test_sequential_calls_share_a_connection(serving: Any, connect: Any, client: Any) -> None:
    bodies = ["[]", '{"id": "cus_1"}']
    for body, call in zip(bodies, (lambda c: c.list(), lambda c: c.get("cus_1")), strict=True):
        server = serving(200, body)
        customers = connect(server.url, client=client)
        for _ in range(4):
            call(customers)
        assert (server.connections, len(server.received)) == (1, 4)


def test_connection_is_reused_after_an_error(serving: Any, connect: Any, client: Any) -> None:
    server = serving(404, '{"error": {"code": "not_found", "message": "No."}}')
    customers = connect(server.url, client=client)
    for _ in range(4):
        with pytest.raises(errors.NotFound):
            customers.get("cus_1")
    assert server.connections == 1


@pytest.mark.parametrize("session_type", ["own", "given"])
def test_threads_sharing_a_client_get_their_own_responses(
    fake: FakeDub, served: str, connect: Any, session_type: str
) -> None:
    count, threads = 160, 16
    fake.add_many(count)
    with requests.Session() as session:
        customers = connect(served, client=None if session_type == "own" else session)
        barrier = threading.Barrier(threads)

        def work(thread: int) -> list[tuple[str, str]]:
            barrier.wait()
            found = []
            for number in range(thread + 1, count + 1, threads):
                requested = f"user_{number}"
                if number % 2:
                    received = customers.get(
                        f"ext_{requested}", http_headers={"X-Requested": requested}
                    )
                    found.append((requested, received.external_id))
                else:
                    with pytest.raises(errors.NotFound):
                        customers.get(f"ext_nobody_{number}")
                    page = customers.list(external_id=requested)
                    found.append((requested, page[0].external_id))
            return found

        with ThreadPoolExecutor(threads) as pool:
            results = [pair for found in pool.map(work, range(threads)) for pair in found]
    assert len(results) == count
    assert all(requested == received for requested, received in results)
    for request in fake.requests:
        if "x-requested" in request.headers:
            assert request.path == f"/customers/ext_{request.headers['x-requested']}"


def test_concurrent_first_calls_all_send_the_token(serving: Any, token: str) -> None:
    server = serving()
    threads = 12
    for _ in range(5):
        with CustomersConsumer(token, server_url=server.url) as customers:
            barrier = threading.Barrier(threads)

            def call(_: int, barrier: Any = barrier, customers: Any = customers) -> None:
                barrier.wait()
                customers.list()

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(call, range(threads)))
    assert len(server.received) == 5 * threads
    assert {request.headers["authorization"] for request in server.received} == {f"Bearer {token}"}


def test_clients_do_not_share_state(serving: Any) -> None:
    class Other(CustomersConsumer):
        @declare.returns.json
        @declare.get("other")
        def other(self) -> Any:
            raise NotImplementedError

    one_server, other_server = serving(), serving()
    one = CustomersConsumer("dub_one", server_url=one_server.url)
    other = Other("dub_other", server_url=other_server.url + "/prefix")
    one.list()
    other.list()
    other.other()
    one.list()
    assert {r.headers["authorization"] for r in one_server.received} == {"Bearer dub_one"}
    assert [r.target for r in other_server.received] == ["/prefix/customers", "/prefix/other"]
    one.close()
    assert other.list() == []
