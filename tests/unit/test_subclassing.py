"""A subclass adds endpoints, and they get what the five operations have."""

from __future__ import annotations

import datetime as dt
import enum
import inspect
from typing import Any

import marshmallow
import pytest
import uplink

from dub_uplink import Clock, CustomersConsumer, Dub, Response, RetryConfig, endpoint, errors
from dub_uplink.testing import FakeDub


class Tier(enum.Enum):
    GOLD = "gold"


class CountSchema(marshmallow.Schema):
    country = marshmallow.fields.String(required=True)
    total = marshmallow.fields.Integer(required=True, data_key="_count")


class MyCustomers(CustomersConsumer):
    """Endpoints of every kind."""

    @endpoint.get("customers/count", returns=int)
    def count(self, *, country: str | None = None, group_by: str = "country") -> int:
        """How many there are."""
        raise NotImplementedError

    @endpoint.get("/customers/count", returns=CountSchema(many=True))
    def counts(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    @endpoint.get("links/{link_id}/tags/{tag}")
    def tag(self, link_id: str, tag: str, retries: Any = None) -> Any:
        raise NotImplementedError

    @uplink.json
    @endpoint.post("track/lead", args={"body": uplink.Body})
    def track(self, body: Any) -> Any:
        raise NotImplementedError

    @endpoint.get("raw", returns=Response)
    def raw(
        self,
        *,
        since: dt.datetime | None = None,
        tier: Tier | None = None,
        deep: bool | None = None,
        limit: float | None = None,
        ids: Any = None,
        timeout_ms: float | None = None,
        http_headers: Any = None,
    ) -> Response:
        raise NotImplementedError

    @endpoint.put("things/{id}", returns=Response)
    def put(self, id: str) -> Response:
        raise NotImplementedError

    @endpoint.patch("things/{id}", returns=Response)
    def patch(self, id: str) -> Response:
        raise NotImplementedError

    @endpoint.delete("things/{id}", returns=Response)
    def remove(self, id: str) -> Response:
        raise NotImplementedError


@pytest.fixture
def mine(connect: Any) -> Any:
    def make(url: str, cls: Any = MyCustomers, **settings: Any) -> Any:
        return connect(url, cls=cls, **settings)

    return make


def test_an_endpoint_of_a_subclass_has_prefix_token_query_and_headers(
    serving: Any, mine: Any, client: Any, token: str
) -> None:
    server = serving(200, "7")
    assert mine(server.url + "/prefix", client=client).count(country="GB") == 7
    request = server.received[0]
    assert (request.method, request.path) == ("GET", "/prefix/customers/count")
    assert request.query == {"country": "GB", "groupBy": "country"}
    assert request.headers["authorization"] == f"Bearer {token}"
    assert request.headers["accept"] == "application/json"


def test_a_leading_slash_does_not_lose_the_prefix(serving: Any, mine: Any) -> None:
    server = serving(200, '[{"country": "GB", "_count": 2}]')
    assert mine(server.url + "/prefix").counts() == [{"country": "GB", "total": 2}]
    assert server.received[0].path == "/prefix/customers/count"


def test_arguments_in_the_path_are_segments_and_checked(serving: Any, mine: Any) -> None:
    server = serving(200, '{"a": [1]}')
    customers = mine(server.url)
    assert customers.tag("a/b", "c d?") == {"a": [1]}
    assert server.received[0].target == "/links/a%2Fb/tags/c%20d%3F"
    for bad in ("", ".", "..", None, 5, "\ud800"):
        with pytest.raises(ValueError, match=r"^tag "):
            customers.tag("a", bad)
    assert len(server.received) == 1


def test_query_arguments_are_written_as_a_server_reads_them(serving: Any, mine: Any) -> None:
    server = serving()
    customers = mine(server.url)
    since = dt.datetime(2026, 8, 21, 23, 14, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    customers.raw(since=since, tier=Tier.GOLD, deep=False, limit=0.5)
    assert server.received[0].query == {
        "since": "2026-08-21T21:14:02.000Z",
        "tier": "gold",
        "deep": "false",
        "limit": "0.5",
    }
    customers.raw()
    assert server.received[1].target == "/raw"


def test_a_query_argument_that_has_no_one_spelling_is_refused(serving: Any, mine: Any) -> None:
    server = serving()
    customers = mine(server.url)
    for bad in (["a"], ("a",), {"a": 1}, b"a", set(), "\ud800"):
        with pytest.raises(ValueError, match=r"^ids "):
            customers.raw(ids=bad)
    with pytest.raises(ValueError, match=r"^since must be a datetime with a time zone"):
        customers.raw(since=dt.datetime(2026, 1, 1))
    assert server.connections == 0


def test_the_answer_itself_is_given_where_it_is_asked_for(serving: Any, mine: Any) -> None:
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


@pytest.mark.parametrize(
    ("body", "message"),
    [("[]", "TypeError: int"), ('"x"', "ValueError: invalid literal"), ("<", "not JSON")],
)
def test_an_answer_that_a_callable_cannot_read_is_an_error(
    serving: Any, mine: Any, body: str, message: str
) -> None:
    with pytest.raises(errors.ResponseValidationError, match=message):
        mine(serving(200, body).url).count()


def test_an_answer_that_fails_a_schema_of_the_users_names_the_field(
    serving: Any, mine: Any
) -> None:
    with pytest.raises(errors.ResponseValidationError, match=r"promised: 0\._count: Missing"):
        mine(serving(200, '[{"country": "GB"}]').url).counts()


def test_errors_are_mapped_and_attempts_retried_by_kind_of_endpoint(
    serving: Any, mine: Any, said: Any
) -> None:
    clock = Clock(sleep=lambda _: None)
    refusal = '{"error": {"code": "not_found", "message": "No."}}'
    calls: dict[str, tuple[Any, int]] = {
        "get": (lambda c: c.count(), 2),
        "put": (lambda c: c.put("x"), 2),
        "patch": (lambda c: c.patch("x"), 2),
        "delete": (lambda c: c.remove("x"), 2),
        "post": (lambda c: c.track({"a": 1}), 1),  # it may have been carried out
        "by keyword": (lambda c: c.tag("a", "b", retries=None), 1),
    }
    for name, (call, attempts) in calls.items():
        server = serving(raw=[said(503, ""), said(404, refusal)])
        customers = mine(server.url, retry_config=RetryConfig(), clock=clock)
        with pytest.raises(errors.NotFound if attempts == 2 else errors.SDKError):
            call(customers)
        assert len(server.received) == attempts, name


def test_a_post_that_says_so_is_repeated(serving: Any, mine: Any, said: Any) -> None:
    class Mine(CustomersConsumer):
        @endpoint.post("search", returns=int, idempotent=True)
        def search(self) -> int:
            raise NotImplementedError

    server = serving(raw=[said(503, ""), said(200, "3")])
    clock = Clock(sleep=lambda _: None)
    assert mine(server.url, cls=Mine, retry_config=RetryConfig(), clock=clock).search() == 3


def test_an_override_calls_its_super(fake: FakeDub, served: str, mine: Any) -> None:
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


def test_a_declaration_may_be_replaced_by_another(serving: Any, mine: Any) -> None:
    class Mine(MyCustomers):
        @endpoint.get("customers/total", returns=str)
        def count(self) -> str:  # type: ignore[override]
            raise NotImplementedError

    server = serving(200, "7")
    assert mine(server.url, cls=Mine).count() == "7"
    assert mine(server.url).count() == 7
    assert [r.path for r in server.received] == ["/customers/total", "/customers/count"]


def test_what_is_set_on_uplinks_session_is_sent(serving: Any, mine: Any, client: Any) -> None:
    class Mine(MyCustomers):
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


def test_a_subclass_with_a_constructor_of_its_own(serving: Any) -> None:
    server = serving(200, "7")

    class Mine(MyCustomers):
        def __init__(self, region: str, *, shout: bool = False) -> None:
            super().__init__(f"dub_{region}", server_url=server.url, retry_config=None)
            self.shout = shout

    class Further(Mine):
        def __init__(self) -> None:
            super().__init__("eu", shout=True)

    assert Mine("us").count() == 7
    further = Further()
    assert (further.count(), further.shout) == (7, True)
    assert [r.headers["authorization"] for r in server.received] == [
        "Bearer dub_us",
        "Bearer dub_eu",
    ]
    with pytest.raises(TypeError):
        Mine()  # type: ignore[call-arg]


def test_a_constructor_with_annotations_of_uplinks_keeps_them(serving: Any) -> None:
    server = serving()

    class Mine(CustomersConsumer):
        @uplink.args(team=uplink.Query("team"))
        def __init__(self, team: str) -> None:
            super().__init__("dub_x", server_url=server.url)

    Mine("growth").list(page=2)
    assert server.received[0].query == {"team": "growth", "page": "2"}


def test_siblings_and_the_parent_are_left_as_they_were() -> None:
    class One(CustomersConsumer):
        @endpoint.get("one")
        def one(self) -> Any:
            raise NotImplementedError

        @endpoint.get("mine")
        def list(self) -> Any:  # type: ignore[override]
            raise NotImplementedError

    class Two(CustomersConsumer):
        pass

    assert hasattr(One("dub_x"), "one")
    assert not hasattr(Two("dub_x"), "one")
    assert not hasattr(CustomersConsumer("dub_x"), "one")
    assert "page_size" in inspect.signature(Two("dub_x").list).parameters
    assert "page_size" in inspect.signature(Dub("dub_x").customers.list).parameters
    assert "page_size" not in inspect.signature(One("dub_x").list).parameters


def test_a_class_decorator_reaches_its_class_and_no_other(serving: Any, mine: Any) -> None:
    @uplink.headers({"X-Team": "growth"})
    class Mine(MyCustomers):
        pass

    server = serving(200, "7")
    mine(server.url, cls=Mine).count()
    mine(server.url).count()
    assert [r.headers.get("x-team") for r in server.received] == ["growth", None]


def test_an_endpoint_keeps_its_name_its_words_and_its_arguments() -> None:
    count = MyCustomers("dub_x").count
    assert count.__name__ == "count"
    assert count.__doc__ == "How many there are."
    assert list(inspect.signature(count).parameters)[-2:] == ["country", "group_by"]


@pytest.mark.parametrize("returns", [CountSchema, 5, "int", object()])
def test_an_endpoint_that_could_read_no_answer_is_refused_when_declared(returns: Any) -> None:
    with pytest.raises(TypeError, match="returns must be a schema instance or a callable"):
        endpoint.get("x", returns=returns)


def test_an_endpoint_names_its_arguments() -> None:
    def star(self: Any, *ids: str) -> Any: ...

    def stars(self: Any, **filters: str) -> Any: ...

    for function in (star, stars):
        with pytest.raises(TypeError, match=r"names its arguments: not \*"):
            endpoint.get("x")(function)
