"""Test that the adapter caches the pool of the last server correctly."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import requests

from dub_uplink import DeadlineAdapter


@pytest.fixture
def session() -> Any:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", DeadlineAdapter())
    with session:
        yield session


def test_calls_to_one_server_share_a_connection(serving: Any, session: Any) -> None:
    server = serving(body="[]")
    for _ in range(3):
        assert session.get(f"{server.url}/customers").json() == []
    assert server.connections == 1


def test_each_server_gets_its_own_requests(serving: Any, session: Any) -> None:
    servers = [serving(body=f'["{name}"]') for name in "ab"]
    for _ in range(2):
        assert [session.get(f"{s.url}/x").json() for s in servers] == [["a"], ["b"]]


def test_closed_connection_pool_is_not_reused(serving: Any, session: Any) -> None:
    server = serving(body="[]")
    for _ in range(2):
        session.get(server.url)
        session.close()
    assert server.connections == 2


def test_deadline_adapter_with_one_pool_reaches_several_servers(serving: Any) -> None:
    servers = [serving(body=f'["{name}"]') for name in "abc"]
    with requests.Session() as session:
        session.trust_env = False
        session.mount("http://", DeadlineAdapter(pool_connections=1))
        for _ in range(2):
            assert [session.get(s.url).json() for s in servers] == [["a"], ["b"], ["c"]]


def test_session_proxy_set_after_the_first_request_is_used(serving: Any, session: Any) -> None:
    server, proxy = serving(body='["server"]'), serving(body='["proxy"]')
    assert session.get(server.url).json() == ["server"]
    session.proxies = {"http": proxy.url}
    assert session.get(server.url).json() == ["proxy"]
    session.proxies = {}
    assert session.get(server.url).json() == ["server"]


def test_deadline_adapter_can_be_pickled(serving: Any) -> None:
    server = serving(body="[]")
    adapter = DeadlineAdapter()
    for copied in (pickle.loads(pickle.dumps(adapter)), copy.copy(adapter)):
        with requests.Session() as session:
            session.mount("http://", copied)
            assert session.get(server.url).json() == []
