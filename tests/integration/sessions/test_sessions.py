"""Test the settings of a given session, of the default session, and of the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from dub_uplink import CustomersConsumer
from dub_uplink.testing import FakeDub


@pytest.fixture
def session() -> Any:
    with requests.Session() as session:
        yield session


def test_session_headers_params_and_cookies_are_sent(
    serving: Any, connect: Any, session: requests.Session, wrap: Any
) -> None:
    server = serving(200, "[]", {"Set-Cookie": "seen=1"})
    session.headers["X-Team"] = "growth"
    session.params = {"team": "growth"}
    session.cookies.set("mine", "2")
    customers = connect(server.url, client=wrap(session))
    customers.list(page=2)
    customers.list()
    session.headers["X-Team"] = "sales"
    customers.list()
    first, second, third = server.received
    assert first.query == {"team": "growth", "page": "2"}
    assert [r.headers["x-team"] for r in (first, second, third)] == ["growth", "growth", "sales"]
    assert first.headers["cookie"] == "mine=2"
    assert "seen=1" in second.headers["cookie"]


PAGING = [
    {"page": "2"},
    {"pageSize": "1"},
    {"startingAfter": "cus_x"},
    {"endingBefore": "cus_x"},
    {"sortBy": "saleAmount", "sortOrder": "asc"},
    {"groupBy": "country"},
]


@pytest.mark.parametrize("params", PAGING, ids="-".join)
def test_session_paging_params_change_no_result(
    fake: FakeDub, served: str, connect: Any, session: requests.Session, wrap: Any, params: Any
) -> None:
    fake.add_many(250)
    plain = connect(served)
    session.params = {**params, "team": "growth"}
    customers = connect(served, client=wrap(session))
    fake.clear_requests()
    assert len(list(customers.iterate())) == 250
    assert customers.count() == 250
    assert customers.list() == plain.list()
    assert customers.list(page_size=3, page=2) == plain.list(page_size=3, page=2)
    assert "team=growth" in fake.requests[0].query_string
    assert session.params == {**params, "team": "growth"}


def test_session_filter_params_apply_to_every_call(
    fake: FakeDub, served: str, connect: Any, session: requests.Session, wrap: Any
) -> None:
    for number in range(40):
        fake.add(external_id=f"user_{number}", country=("GB", "FR")[number % 2])
    session.params = {"country": "GB"}
    customers = connect(served, client=wrap(session))
    assert len(list(customers.iterate(page_size=8))) == customers.count() == 20
    assert {customer.country for customer in customers.iterate(country="FR")} == {"FR"}


def test_session_user_agent_is_kept(serving: Any, connect: Any, session: requests.Session) -> None:
    server = serving()
    session.headers["User-Agent"] = "mine/1"
    session.headers["Accept"] = "application/vnd.mine+json"
    connect(server.url, client=session).list()
    connect(server.url, client=session).list(http_headers={"User-Agent": "call/1"})
    first, second = server.received
    assert (first.headers["user-agent"], second.headers["user-agent"]) == ("mine/1", "call/1")
    assert first.headers["accept"] == "application/vnd.mine+json"


def test_session_auth_and_header_do_not_replace_the_token(
    serving: Any, connect: Any, session: requests.Session, wrap: Any, token: str
) -> None:
    server = serving()
    session.auth = ("user", "password")
    session.headers["Authorization"] = "Bearer other"
    connect(server.url, client=wrap(session)).list()
    request = server.received[0]
    assert request.headers["authorization"] == f"Bearer {token}"
    assert len([line for line in request.lines if line.lower().startswith("authorization")]) == 1
    assert session.headers["Authorization"] == "Bearer other"
    assert session.auth == ("user", "password")


def test_netrc_does_not_replace_the_token(
    serving: Any,
    connect: Any,
    client: Any,
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\ndefault login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serving(200, "[]")
    customers = connect(server.url, client=client)
    customers.list()
    customers.list()
    assert {r.headers["authorization"] for r in server.received} == {f"Bearer {token}"}
    # requests uses the file without the client, so the file is valid.
    requests.get(server.url, timeout=5)
    assert server.received[-1].headers["authorization"].startswith("Basic ")


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "all_proxy"])
def test_environment_proxy_is_used(
    serving: Any,
    connect: Any,
    client: Any,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
) -> None:
    proxy = serving(200, "[]")
    monkeypatch.setenv(variable, proxy.url)
    with pytest.warns(UserWarning, match="unencrypted"):
        customers = connect("http://dub.internal", client=client)
    assert customers.list(page=1) == []
    assert customers.list() == []
    assert [r.target for r in proxy.received] == [
        "http://dub.internal/customers?page=1",
        "http://dub.internal/customers",
    ]
    assert proxy.received[0].headers["authorization"] == f"Bearer {token}"


def test_no_proxy_variable_is_respected(
    serving: Any, connect: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy, server = serving(500, ""), serving(200, "[]")
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert connect(server.url, client=client).list() == []
    assert proxy.connections == 0


def test_unreachable_environment_proxy_raises_connection_error(
    serving: Any, connect: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dub_uplink import errors

    proxy = serving()
    proxy.close()
    monkeypatch.setenv("http_proxy", proxy.url)
    with (
        pytest.warns(UserWarning, match="unencrypted"),
        pytest.raises(errors.APIConnectionError, match=r"^GET: ") as caught,
    ):
        connect("http://dub.internal", client=client).list()
    assert type(caught.value) is errors.APIConnectionError
    assert caught.value.sent is False


def test_default_session_stores_no_cookies(serving: Any, connect: Any) -> None:
    server = serving(200, "[]", {"Set-Cookie": "seen=1; Path=/"})
    customers = connect(server.url)
    for _ in range(3):
        customers.list()
    assert not any("cookie" in r.headers for r in server.received)
    assert list(customers._transport._backend._session.cookies) == []


def test_default_session_stores_no_token(serving: Any) -> None:
    customers = CustomersConsumer(lambda: "dub_once", server_url=serving().url)
    customers.list()
    kept = vars(customers._transport._backend)
    assert "Authorization" not in dict(kept["_template"]._headers)
    assert "Authorization" not in kept["_session"].headers


def test_session_argument_is_unchanged_after_calls(
    serving: Any, connect: Any, session: requests.Session, wrap: Any
) -> None:
    before = (dict(session.headers), session.auth, dict(session.adapters), session.hooks)
    customers = connect(serving().url, client=wrap(session))
    customers.list()
    customers.close()
    assert (dict(session.headers), session.auth, dict(session.adapters), session.hooks) == before
    assert session.hooks == {"response": []}


def test_session_hooks_see_every_response(
    serving: Any, connect: Any, session: requests.Session, wrap: Any, http_response: Any
) -> None:
    seen: list[int] = []
    session.hooks["response"].append(lambda response, **_: seen.append(response.status_code))
    server = serving(raw=[http_response(200, "[]"), http_response(302, "", {"Location": "/x"})])
    customers = connect(server.url, client=wrap(session))
    customers.list()
    with pytest.raises(Exception, match=r"redirects to '/x'"):
        customers.list()
    assert seen == [200, 302]


def test_gzip_response_is_decoded(serving: Any, connect: Any, client: Any) -> None:
    import gzip

    packed = gzip.compress(b'[{"id": "cus_1"}]' + b" " * 100_000)
    server = serving(200, packed, {"Content-Encoding": "gzip"})
    assert [c.id for c in connect(server.url, client=client).list()] == ["cus_1"]


def test_two_clients_with_one_session_use_their_own_tokens(
    serving: Any, session: requests.Session
) -> None:
    server = serving()
    one = CustomersConsumer("dub_1", server_url=server.url, client=session)
    two = CustomersConsumer("dub_2", server_url=server.url, client=session)
    for customers in (one, two, one):
        customers.list()
    one.close()
    two.list()
    sent = [r.headers["authorization"].removeprefix("Bearer ") for r in server.received]
    assert sent == ["dub_1", "dub_2", "dub_1", "dub_2"]
