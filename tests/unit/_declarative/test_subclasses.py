"""Endpoints that a subclass declares with ``dub_uplink.declare``."""

from __future__ import annotations

import datetime as dt
import enum
from typing import Any, Unpack

import marshmallow
import pytest
import uplink

from dub_uplink import Clock, CustomersConsumer, Response, RetryConfig, declare, errors
from dub_uplink.declare import CallOptions
from dub_uplink.testing import FakeDub


class Tier(enum.Enum):
    GOLD = "gold"


class NoteSchema(marshmallow.Schema):
    author = marshmallow.fields.String(required=True)
    size = marshmallow.fields.Integer(required=True, data_key="_size")


class NoteParams(CallOptions, total=False):
    since: dt.datetime | None
    tier: Tier | None
    page_size: float | None
    is_deep: bool | None
    ids: Any


class Notes(CustomersConsumer):
    """Endpoints of every type."""

    @declare.returns.json(type=len)
    @declare.get("customers/{id}/notes", args={"author": declare.Query, "group_by": declare.Query})
    def size(self, id: str, *, author: str | None = None, group_by: str = "day") -> int:
        """Return how many notes there are."""
        raise NotImplementedError

    @declare.returns.json(type=NoteSchema(many=True))
    @declare.get("/customers/notes")
    def notes(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    @declare.returns.json
    @declare.get("links/{link_id}/tags/{tag}", args={"options": declare.Options})
    def tag(self, link_id: str, tag: str, **options: Unpack[CallOptions]) -> Any:
        raise NotImplementedError

    @declare.json
    @declare.returns.json
    @declare.post("notes", args={"body": declare.Body})
    def add(self, body: Any) -> Any:
        raise NotImplementedError

    @declare.json
    @declare.post(
        "notes/form", args={"text": declare.Field("noteText"), "id": declare.Header("X-Id")}
    )
    def add_text(self, text: str, id: str) -> Response:
        raise NotImplementedError

    @declare.get("raw", args={"params": declare.QueryMap})
    def raw(self, **params: Unpack[NoteParams]) -> Response:
        raise NotImplementedError

    @declare.put("notes/{id}")
    def put(self, id: str) -> Response:
        raise NotImplementedError

    @declare.patch("notes/{id}")
    def patch(self, id: str) -> Response:
        raise NotImplementedError

    @declare.delete("notes/{id}")
    def remove(self, id: str) -> Response:
        raise NotImplementedError


@pytest.fixture
def mine(connect: Any) -> Any:
    def make(url: str, cls: Any = Notes, **settings: Any) -> Any:
        return connect(url, cls=cls, **settings)

    return make


def test_subclass_endpoint_sends_base_path_token_and_query(
    serving: Any, mine: Any, client: Any, token: str
) -> None:
    server = serving(200, "[1, 2]")
    assert mine(server.url + "/prefix", client=client).size("c/1", author="Ada") == 2
    request = server.received[0]
    assert (request.method, request.path) == ("GET", "/prefix/customers/c%2F1/notes")
    assert request.query == {"author": "Ada", "groupBy": "day"}
    assert request.headers["authorization"] == f"Bearer {token}"
    assert request.headers["accept"] == "application/json"


def test_endpoint_path_with_leading_slash_keeps_the_base_path(serving: Any, mine: Any) -> None:
    server = serving(200, '[{"author": "Ada", "_size": 2}]')
    assert mine(server.url + "/prefix").notes() == [{"author": "Ada", "size": 2}]
    assert server.received[0].path == "/prefix/customers/notes"


def test_path_argument_is_encoded_as_one_segment_or_rejected(serving: Any, mine: Any) -> None:
    server = serving(200, '{"a": [1]}')
    customers = mine(server.url)
    assert customers.tag("a/b", "c d?") == {"a": [1]}
    assert server.received[0].target == "/links/a%2Fb/tags/c%20d%3F"
    for bad in ("", ".", "..", None, 5, "\ud800"):
        with pytest.raises(ValueError, match=r"^tag "):
            customers.tag("a", bad)
    assert len(server.received) == 1


def test_query_map_formats_dates_enums_and_booleans(serving: Any, mine: Any) -> None:
    server = serving()
    customers = mine(server.url)
    since = dt.datetime(2026, 8, 21, 23, 14, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    customers.raw(since=since, tier=Tier.GOLD, is_deep=False, page_size=0.5)
    assert server.received[0].query == {
        "since": "2026-08-21T21:14:02.000Z",
        "tier": "gold",
        "isDeep": "false",
        "pageSize": "0.5",
    }
    customers.raw(since=None)
    assert server.received[1].target == "/raw"


def test_query_map_rejects_an_ambiguous_value(serving: Any, mine: Any) -> None:
    server = serving()
    customers = mine(server.url)
    for bad in (["a"], ("a",), {"a": 1}, b"a", set(), "\ud800"):
        with pytest.raises(ValueError, match=r"^ids "):
            customers.raw(ids=bad)
    with pytest.raises(ValueError, match=r"^since must be a datetime with a time zone"):
        customers.raw(since=dt.datetime(2026, 1, 1))
    assert server.connections == 0


def test_unknown_keyword_raises_type_error(serving: Any, mine: Any) -> None:
    server = serving()
    customers = mine(server.url)
    with pytest.raises(TypeError, match=r"^raw\(\) got an unexpected keyword argument 'colour'"):
        customers.raw(colour=1)
    with pytest.raises(TypeError, match=r"^tag\(\) got an unexpected keyword argument 'since'"):
        customers.tag("a", "b", since=None)
    assert server.connections == 0


def test_untyped_options_argument_rejects_unknown_keyword(serving: Any, mine: Any) -> None:
    class Loose(CustomersConsumer):
        @declare.get("notes", args={"options": declare.Options})
        def notes(self, **options: Any) -> Response:
            raise NotImplementedError

    server = serving()
    with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
        mine(server.url, cls=Loose).notes(colour=1)
    assert server.connections == 0


def test_body_and_fields_are_sent_as_json(serving: Any, mine: Any) -> None:
    server = serving(200, "{}")
    mine(server.url).add({"text": "é", "tags": [1]})
    mine(server.url).add_text("x", id="7")
    assert [r.json for r in server.received] == [{"text": "é", "tags": [1]}, {"noteText": "x"}]
    assert {r.headers["content-type"] for r in server.received} == {"application/json"}
    assert server.received[1].headers["x-id"] == "7"


def test_endpoint_without_returns_gives_the_response(serving: Any, mine: Any) -> None:
    server = serving(201, "not JSON", {"X-Next": "2"})
    response = mine(server.url).raw(http_headers={"X-A": "b"}, timeout_ms=5000)
    assert isinstance(response, Response)
    assert (response.status_code, response.reason, response.ok) == (201, "Created", True)
    assert (response.text, response.headers["x-next"]) == ("not JSON", "2")
    assert repr(response) == "<Response [201]>"
    assert Response(299).reason == ""
    with pytest.raises(ValueError, match="Expecting value"):
        response.json()
    assert server.received[0].headers["x-a"] == "b"


def test_static_decorators_are_sent_with_each_request(serving: Any, mine: Any) -> None:
    class Mine(CustomersConsumer):
        @declare.headers({"X-Team": "growth"})
        @declare.params({"fixed": "1"})
        @declare.timeout(30)
        @declare.get("notes", args={"more": declare.HeaderMap})
        def notes(self, more: Any) -> Response:
            raise NotImplementedError

    server = serving()
    mine(server.url, cls=Mine).notes({"X-More": "2"})
    request = server.received[0]
    assert (request.headers["x-team"], request.headers["x-more"]) == ("growth", "2")
    assert request.query == {"fixed": "1"}


def test_subclass_endpoint_maps_errors_and_retries(
    serving: Any, mine: Any, http_response: Any
) -> None:
    clock = Clock(sleep=lambda _: None)
    refusal = '{"error": {"code": "not_found", "message": "No."}}'
    calls: dict[str, tuple[Any, int]] = {
        "get": (lambda c: c.size("x"), 2),
        "put": (lambda c: c.put("x"), 2),
        "patch": (lambda c: c.patch("x"), 2),
        "delete": (lambda c: c.remove("x"), 2),
        "post": (lambda c: c.add({"a": 1}), 1),  # it may have been applied
        "by keyword": (lambda c: c.tag("a", "b", retries=None), 1),
    }
    for name, (call, attempts) in calls.items():
        server = serving(raw=[http_response(503, ""), http_response(404, refusal)])
        customers = mine(server.url, retry_config=RetryConfig(), clock=clock)
        with pytest.raises(errors.NotFound if attempts == 2 else errors.SDKError):
            call(customers)
        assert len(server.received) == attempts, name


def test_post_declared_idempotent_is_retried_after_a_503(
    serving: Any, mine: Any, http_response: Any
) -> None:
    class Mine(CustomersConsumer):
        @declare.idempotent
        @declare.returns.json(type=int)
        @declare.post("search")
        def search(self) -> int:
            raise NotImplementedError

    server = serving(raw=[http_response(503, ""), http_response(200, "3")])
    clock = Clock(sleep=lambda _: None)
    assert mine(server.url, cls=Mine, retry_config=RetryConfig(), clock=clock).search() == 3


def test_overriding_method_can_call_super(fake: FakeDub, served: str, mine: Any) -> None:
    class Mine(CustomersConsumer):
        def list(self, *args: Any, **filters: Any) -> Any:
            return super().list(*args, **{"page_size": 2, **filters})

        def get(self, request: Any, **options: Any) -> Any:
            return super().get(f"ext_{request}", **options)

    fake.add_many(5)
    customers = mine(served, cls=Mine)
    assert [c.external_id for c in customers.list()] == ["user_5", "user_4"]
    assert len(customers.list(page_size=4)) == 4
    assert customers.get("user_3").external_id == "user_3"


def test_redeclared_endpoint_does_not_change_the_parent_class(serving: Any, mine: Any) -> None:
    class Mine(Notes):
        @declare.returns.json(type=str)
        @declare.get("customers/{id}/summary")
        def size(self, id: str) -> str:  # type: ignore[override]
            raise NotImplementedError

        def parents(self) -> int:
            return super().size("1")

    server = serving(200, "[7]")
    assert mine(server.url, cls=Mine).size("1") == "[7]"
    assert mine(server.url, cls=Mine).parents() == 1
    assert mine(server.url).size("1") == 1
    paths = ["/customers/1/summary", "/customers/1/notes", "/customers/1/notes"]
    assert [r.path for r in server.received] == paths


def test_headers_and_params_of_uplink_session_are_sent(
    serving: Any, mine: Any, client: Any
) -> None:
    class Mine(Notes):
        def __init__(self, *args: Any, team: str, **settings: Any) -> None:
            super().__init__(*args, **settings)
            self.session.headers["X-Team"] = team
            self.session.params["team"] = team

    server = serving()
    mine(server.url, cls=Mine, client=client, team="growth").list(page=2)
    mine(server.url, cls=Mine, client=client, team="sales").list()
    assert [r.headers["x-team"] for r in server.received] == ["growth", "sales"]
    assert [r.query for r in server.received] == [
        {"team": "growth", "page": "2"},
        {"team": "sales"},
    ]


def test_subclass_constructor_passes_settings_to_the_client(serving: Any) -> None:
    server = serving(200, "[7]")

    class Mine(Notes):
        def __init__(self, region: str, *, shout: bool = False) -> None:
            super().__init__(f"dub_{region}", server_url=server.url, retry_config=None)
            self.shout = shout

    class Further(Mine):
        def __init__(self) -> None:
            super().__init__("eu", shout=True)

    assert Mine("us").size("1") == 1
    further = Further()
    assert (further.size("1"), further.shout) == (1, True)
    assert [r.headers["authorization"] for r in server.received] == [
        "Bearer dub_us",
        "Bearer dub_eu",
    ]
    with pytest.raises(TypeError):
        Mine()  # type: ignore[call-arg]


def test_uplink_args_decorator_of_a_constructor_is_applied(serving: Any) -> None:
    server = serving()

    class Mine(CustomersConsumer):
        @uplink.args(team=uplink.Query("team"))
        def __init__(self, team: str) -> None:
            super().__init__("dub_x", server_url=server.url)

    Mine("growth").list(page=2)
    assert server.received[0].query == {"team": "growth", "page": "2"}


def test_uplink_class_decorator_does_not_affect_other_classes(serving: Any, mine: Any) -> None:
    @uplink.headers({"X-Team": "growth"})
    class Mine(Notes):
        pass

    server = serving(200, "[]")
    mine(server.url, cls=Mine).size("1")
    mine(server.url, cls=Mine).list()
    mine(server.url).size("1")
    assert [r.headers.get("x-team") for r in server.received] == ["growth", "growth", None]


@pytest.mark.parametrize(
    ("body", "message"),
    [("5", "TypeError: object of type 'int'"), ("<", "not JSON")],
)
def test_converter_that_fails_raises_with_the_response(
    serving: Any, mine: Any, body: str, message: str
) -> None:
    with pytest.raises(errors.ResponseValidationError, match=message) as caught:
        mine(serving(200, body).url).size("1")
    assert caught.value.response.text == body


def test_schema_validation_error_names_the_field(serving: Any, mine: Any) -> None:
    with pytest.raises(errors.ResponseValidationError, match=r"body: 0\._size: Missing"):
        mine(serving(200, '[{"author": "Ada"}]').url).notes()


@pytest.mark.parametrize("schema", [NoteSchema, NoteSchema()], ids=["class", "instance"])
def test_returns_json_accepts_a_schema_class_or_instance(
    serving: Any, mine: Any, schema: Any
) -> None:
    class Mine(CustomersConsumer):
        @declare.returns.json(type=schema, key="note")
        @declare.get("notes/1")
        def note(self) -> Any:
            raise NotImplementedError

    server = serving(200, '{"note": {"author": "Ada", "_size": "2"}}')
    assert mine(server.url, cls=Mine).note() == {"author": "Ada", "size": 2}


def test_pydantic_model_parses_a_body_or_raises_with_response(serving: Any, mine: Any) -> None:
    pydantic = pytest.importorskip("pydantic")
    note_type = pydantic.create_model("Note", author=(str, ...))

    class Mine(CustomersConsumer):
        @declare.returns.json(type=note_type)
        @declare.get("notes/1")
        def note(self) -> Any:
            raise NotImplementedError

    assert mine(serving(200, '{"author": "Ada"}').url, cls=Mine).note().author == "Ada"
    with pytest.raises(errors.ResponseValidationError, match="author"):
        mine(serving(200, "{}").url, cls=Mine).note()


@pytest.mark.parametrize("type_", [5, "int", object()])
def test_returns_json_with_an_unsupported_type_is_rejected(type_: Any) -> None:
    with pytest.raises(TypeError, match="type must be a marshmallow schema, a pydantic model"):
        declare.returns.json(type=type_)


def test_argument_without_annotation_is_rejected_by_uplink() -> None:
    with pytest.raises(Exception, match=r"Missing annotation for argument\(s\): 'colour'"):

        class Mine(CustomersConsumer):
            @declare.get("notes")
            def notes(self, colour: str) -> Response:
                raise NotImplementedError


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("declared_with", [declare, uplink], ids=["declare", "uplink"])
def test_body_that_json_cannot_represent_is_rejected(
    serving: Any, mine: Any, client: Any, declared_with: Any, number: float
) -> None:
    class Mine(CustomersConsumer):
        @declared_with.json
        @declared_with.post("notes", args={"body": uplink.Body})
        def add(self, body: Any) -> Any: ...

    server = serving()
    with pytest.raises(ValueError, match=r"^the body cannot be sent as JSON: Out of range"):
        mine(server.url, cls=Mine, client=client).add({"size": [number]})
    with pytest.raises(TypeError, match=r"^the body cannot be sent as JSON: Object of type"):
        mine(server.url, cls=Mine, client=client).add({"size": object()})
    assert server.connections == 0


def test_declared_content_type_of_a_json_body_is_kept(serving: Any, mine: Any) -> None:
    class Mine(CustomersConsumer):
        @declare.headers({"content-type": "application/merge-patch+json"})
        @declare.json
        @declare.patch("notes", args={"body": declare.Body})
        def change(self, body: Any) -> Response:
            raise NotImplementedError

    server = serving()
    mine(server.url, cls=Mine).change({"a": None})
    assert server.received[0].headers["content-type"] == "application/merge-patch+json"
    assert server.received[0].json == {"a": None}
