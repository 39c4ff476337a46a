"""What a subclass declares with uplink alone works as well, on every kind of client."""

from __future__ import annotations

from typing import Any

import pytest
import uplink

from dub_uplink import Clock, CustomersConsumer, RetryConfig, endpoint, errors


@pytest.fixture
def mine(connect: Any) -> Any:
    def make(url: str, cls: Any, **settings: Any) -> Any:
        return connect(url, cls=cls, **settings)

    return make


def test_raw_declarations_of_uplink_work_as_well(
    serving: Any, mine: Any, client: Any, token: str
) -> None:
    class Mine(CustomersConsumer):
        @uplink.returns.json
        @uplink.headers({"X-Team": "growth"})
        @uplink.params({"fixed": "1"})
        @uplink.get("things/{id}", args={"id": uplink.Path, "q": uplink.Query})
        def thing(self, id: str, q: str | None = None) -> Any: ...

        @uplink.get("things")
        def response(self) -> Any: ...

        @uplink.returns.json
        @uplink.json
        @uplink.post("things", args={"name": uplink.Field("fullName"), "tags": uplink.Field})
        def fields(self, name: str, tags: list[str]) -> Any: ...

        @uplink.json
        @uplink.put("things", args={"body": uplink.Body})
        def body(self, body: Any) -> Any: ...

        @uplink.form_url_encoded
        @uplink.post("forms", args={"a": uplink.Field})
        def form(self, a: str) -> Any: ...

        @uplink.multipart
        @uplink.post("files", args={"file": uplink.Part})
        def upload(self, file: Any) -> Any: ...

    server = serving(200, '{"ok": true}')
    customers = mine(server.url + "/p", cls=Mine, client=client)
    assert customers.thing("a b", q="c") == {"ok": True}
    assert customers.response().json() == {"ok": True}
    assert customers.fields("Ada", ["x"]) == {"ok": True}
    customers.body({"b": None})
    customers.form("ü")
    customers.upload(("a.txt", b"hello"))
    assert customers.thing("again", q="d") == {"ok": True}
    got = server.received
    assert [(r.method, r.path) for r in got] == [
        ("GET", "/p/things/a%20b"),
        ("GET", "/p/things"),
        ("POST", "/p/things"),
        ("PUT", "/p/things"),
        ("POST", "/p/forms"),
        ("POST", "/p/files"),
        ("GET", "/p/things/again"),
    ]
    assert got[0].query == {"fixed": "1", "q": "c"}
    assert got[0].headers["x-team"] == "growth"
    assert (got[2].json, got[3].json) == ({"fullName": "Ada", "tags": ["x"]}, {"b": None})
    assert got[2].headers["content-type"] == "application/json"
    assert got[4].body == b"a=%C3%BC"
    assert b"hello" in got[5].body
    assert got[5].headers["content-type"].startswith("multipart/form-data")
    assert {r.headers["authorization"] for r in got} == {f"Bearer {token}"}


def test_raw_declarations_have_mapped_errors_and_retries(
    serving: Any, mine: Any, said: Any
) -> None:
    class Mine(CustomersConsumer):
        @uplink.returns.json
        @uplink.get("things")
        def things(self) -> Any: ...

        @uplink.post("things")
        def make(self) -> Any: ...

    refusal = '{"error": {"code": "forbidden", "message": "No."}}'
    server = serving(raw=[said(503, ""), said(403, refusal), said(503, "")])
    clock = Clock(sleep=lambda _: None)
    customers = mine(server.url, cls=Mine, retry_config=RetryConfig(), clock=clock)
    with pytest.raises(errors.Forbidden) as caught:
        customers.things()
    assert caught.value.attempts == 2
    with pytest.raises(errors.SDKError, match="503"):
        customers.make()
    assert len(server.received) == 3


def test_uplinks_own_timeout_bounds_an_endpoint(serving: Any, connect: Any) -> None:
    class Hasty(CustomersConsumer):
        @uplink.timeout(0.2)
        @uplink.get("customers")
        def hasty(self) -> Any: ...

    server = serving(raw=b"", then="hold")
    with pytest.raises(errors.APITimeoutError, match=r"within 0\.2 s"):
        connect(server.url, Hasty).hasty()


def test_an_endpoint_that_promises_nothing_takes_an_empty_answer(
    serving: Any, connect: Any
) -> None:
    class Mine(CustomersConsumer):
        @endpoint.delete("customers/{id}/note")
        def forget(self, id: str) -> None:
            raise NotImplementedError

    assert connect(serving(204, b"").url, Mine).forget("cus_1") is None
