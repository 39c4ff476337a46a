"""Endpoints of subclasses that are declared with uplink alone, on every type of client."""

from __future__ import annotations

from typing import Any

import marshmallow
import pytest
import uplink

from dub_uplink import Clock, CustomersConsumer, RetryConfig, errors


@pytest.fixture
def mine(connect: Any) -> Any:
    def make(url: str, cls: Any, **settings: Any) -> Any:
        return connect(url, cls=cls, **settings)

    return make


def test_uplink_declarations_send_the_declared_requests(
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


def test_uplink_declarations_raise_dub_errors_and_retry(
    serving: Any, mine: Any, http_response: Any
) -> None:
    class Mine(CustomersConsumer):
        @uplink.returns.json
        @uplink.get("things")
        def things(self) -> Any: ...

        @uplink.post("things")
        def make(self) -> Any: ...

    refusal = '{"error": {"code": "forbidden", "message": "No."}}'
    server = serving(
        raw=[http_response(503, ""), http_response(403, refusal), http_response(503, "")]
    )
    clock = Clock(sleep=lambda _: None)
    customers = mine(server.url, cls=Mine, retry_config=RetryConfig(), clock=clock)
    with pytest.raises(errors.Forbidden) as caught:
        customers.things()
    assert caught.value.attempts == 2
    with pytest.raises(errors.SDKError, match="503"):
        customers.make()
    assert len(server.received) == 3


def test_uplink_timeout_limits_each_attempt(serving: Any, connect: Any) -> None:
    class Hasty(CustomersConsumer):
        @uplink.timeout(0.2)
        @uplink.get("customers")
        def hasty(self) -> Any: ...

    server = serving(raw=b"", then="hold")
    with pytest.raises(errors.APITimeoutError, match=r"within 0\.2 s"):
        connect(server.url, Hasty).hasty()


class Tag(marshmallow.Schema):
    id = marshmallow.fields.String(required=True)


class Tags(CustomersConsumer):
    """Endpoints declared with uplink alone."""

    @uplink.returns.json(type=Tag)
    @uplink.get("tags/{id}")
    def tag(self, id: uplink.Path) -> Any: ...

    @uplink.returns.json(key=("data", 0))
    @uplink.get("teams/{team}/tags")
    def tags(self, team: Any) -> Any: ...


@pytest.mark.parametrize("body", ["<html>", "{}", '{"id": 7}', "null"])
def test_uplink_endpoint_with_invalid_body_raises_with_response(
    serving: Any, connect: Any, body: str
) -> None:
    with pytest.raises(errors.ResponseValidationError) as caught:
        connect(serving(200, body).url, Tags).tag("1")
    assert caught.value.response.text == body


@pytest.mark.parametrize("body", ["{}", '{"data": []}', '{"data": 5}', "[]"])
def test_uplink_endpoint_with_missing_json_key_raises(
    serving: Any, connect: Any, body: str
) -> None:
    with pytest.raises(errors.ResponseValidationError, match="unexpected response body"):
        connect(serving(200, body).url, Tags).tags("growth")


@pytest.mark.parametrize("tag", ["", ".", "..", None, b"1"])
def test_uplink_endpoint_rejects_an_id_that_changes_the_route(
    serving: Any, connect: Any, tag: Any
) -> None:
    server = serving(200, '{"id": "1"}')
    with pytest.raises(ValueError, match=r"^id must"):
        connect(server.url, Tags).tag(tag)
    assert server.connections == 0


@pytest.mark.parametrize(("tag", "path"), [("a/../b?c", "/tags/a%2F..%2Fb%3Fc"), (7, "/tags/7")])
def test_uplink_endpoint_sends_valid_ids_as_one_path_segment(
    serving: Any, connect: Any, tag: Any, path: str
) -> None:
    server = serving(200, '{"id": "1"}')
    assert connect(server.url, Tags).tag(tag) == {"id": "1"}
    assert server.received[0].target == path


def test_uplink_endpoint_with_url_argument_logs_no_path_template(
    serving: Any, connect: Any, caplog: pytest.LogCaptureFixture
) -> None:
    class Mine(CustomersConsumer):
        @uplink.get(args={"url": uplink.Url})
        def any(self, url: str) -> Any: ...

    server = serving(200, "7")
    with caplog.at_level("DEBUG", logger="dub_uplink"):
        assert connect(server.url + "/prefix", Mine).any("tags/1").content == b"7"
    assert server.received[0].target == "/prefix/tags/1"
    assert "GET /…: 200" in caplog.text


def test_endpoint_of_an_uplink_base_class_raises_dub_errors(
    serving: Any, connect: Any, token: str
) -> None:
    class Foreign(uplink.Consumer):
        @uplink.returns.json
        @uplink.get("tags/{id}")
        def foreign(self, id: Any) -> Any: ...

    class Mine(CustomersConsumer, Foreign):
        pass

    server = serving(200, "<")
    customers = connect(server.url, Mine)
    with pytest.raises(errors.ResponseValidationError):
        customers.foreign("1")
    with pytest.raises(ValueError, match=r"^id must"):
        customers.foreign("..")
    assert [r.headers["authorization"] for r in server.received] == [f"Bearer {token}"]


def test_exception_of_an_uplink_response_handler_is_unchanged(serving: Any, connect: Any) -> None:
    def refuse(response: Any) -> Any:
        raise ValueError("mine")

    class Mine(CustomersConsumer):
        @uplink.response_handler(refuse)
        @uplink.returns.json
        @uplink.get("tags")
        def tags(self) -> Any: ...

    with pytest.raises(ValueError, match=r"^mine$"):
        connect(serving().url, Mine).tags()


def test_authorization_of_uplink_headers_is_ignored(serving: Any, connect: Any, token: str) -> None:
    @uplink.headers({"Authorization": "Bearer x", "X-Team": "growth"})
    class Mine(CustomersConsumer):
        @uplink.headers({"authorization": "Bearer y"})
        @uplink.get("tags")
        def tags(self) -> Any: ...

    server = serving()
    connect(server.url, Mine).tags()
    headers = server.received[0].headers
    assert (headers["authorization"], headers["x-team"]) == (f"Bearer {token}", "growth")
