"""Wrong declarations raise when the class is created, and name the endpoint."""

from __future__ import annotations

import asyncio
from typing import Any, Unpack

import marshmallow
import pytest
import uplink

from dub_uplink import (
    AsyncCustomersConsumer,
    AsyncDubConsumer,
    CustomersConsumer,
    DubConsumer,
    Response,
    declare,
    errors,
)
from dub_uplink.declare import CallOptions

BOTH = pytest.mark.parametrize("declared_with", [declare, uplink], ids=["declare", "uplink"])


class Filters(CallOptions, total=False):
    author: str


class Mixin:
    """Endpoints of a class that is no consumer."""

    @declare.returns.json
    @declare.get("tags/{id}")
    def tag(self, id: str) -> Any:
        raise NotImplementedError

    @uplink.returns.json
    @uplink.get("teams/{id}")
    def team(self, id: Any) -> Any: ...


class AsyncMixin:
    @declare.returns.json
    @declare.get("tags/{id}")
    async def tag(self, id: str) -> Any:
        raise NotImplementedError


def test_extra_keywords_with_options_raise_at_definition() -> None:
    with pytest.raises(TypeError, match=r"Mine\.notes: .* also has 'author'; .* declare\.QueryMap"):

        class Mine(CustomersConsumer):
            @declare.get("notes", args={"options": declare.Options})
            def notes(self, **options: Unpack[Filters]) -> Response:
                raise NotImplementedError


def test_undeclared_options_with_other_keywords_are_refused() -> None:
    with pytest.raises(TypeError, match=r"Mine\.notes: .* also has 'author'; .* declare\.QueryMap"):

        class Mine(CustomersConsumer):
            @declare.get("notes")
            def notes(self, **options: Unpack[Filters]) -> Response:
                raise NotImplementedError


def test_options_without_annotation_accept_call_options(serving: Any, connect: Any) -> None:
    class Mine(CustomersConsumer):
        @declare.returns.json
        @declare.get("notes")
        def notes(self, **options: Unpack[CallOptions]) -> Any:
            raise NotImplementedError

    server = serving(200, "7")
    notes: Any = connect(server.url, Mine).notes
    assert notes(extra_query={"a": "b"}) == 7
    assert [request.target for request in server.received] == ["/notes?a=b"]
    with pytest.raises(TypeError, match=r"^notes\(\) got an unexpected keyword argument 'colour'"):
        notes(colour=1)


def test_uplink_ratelimit_on_an_endpoint_limits_calls(serving: Any, connect: Any) -> None:
    class Mine(CustomersConsumer):
        @uplink.returns.json
        @uplink.ratelimit(calls=1, period=60, raise_on_limit=LookupError)
        @uplink.get("notes")
        def notes(self) -> Any: ...

    customers = connect(serving(200, "7").url, Mine)
    assert customers.notes() == 7
    with pytest.raises(LookupError):
        customers.notes()


@BOTH
def test_coroutine_endpoint_on_a_sync_class_is_rejected(declared_with: Any) -> None:
    with pytest.raises(TypeError, match=r"Mine\.notes: the class is not asynchronous"):

        class Mine(DubConsumer):
            @declared_with.get("notes")
            async def notes(self) -> Any: ...


@BOTH
def test_sync_endpoint_on_an_async_class_is_rejected(declared_with: Any) -> None:
    with pytest.raises(TypeError, match=r"Mine\.notes: the class is asynchronous"):

        class Mine(AsyncDubConsumer):
            @declared_with.get("notes")
            def notes(self) -> Any: ...


@BOTH
@pytest.mark.parametrize("name", ["session", "exceptions", "close", "aclose", "with_options"])
def test_endpoint_named_like_a_client_attribute_is_rejected(declared_with: Any, name: str) -> None:
    def endpoint(self: Any) -> Any: ...

    with pytest.raises(TypeError, match=f"every consumer has an attribute '{name}'"):
        type("Mine", (CustomersConsumer,), {name: declared_with.get("notes")(endpoint)})


def test_mixin_endpoints_work_on_each_subclass(serving: Any, connect: Any, token: str) -> None:
    server = serving(200, "7")
    for _ in range(2):

        class Mine(Mixin, CustomersConsumer):
            pass

        class Further(Mine):
            pass

        for cls in (Mine, Further):
            assert connect(server.url, cls).tag("a/b") == 7
            assert connect(server.url, cls).team("x") == 7
            with pytest.raises(ValueError, match=r"^id must"):
                connect(server.url, cls).team("..")
    assert {r.target for r in server.received} == {"/tags/a%2Fb", "/teams/x"}
    assert {r.headers["authorization"] for r in server.received} == {f"Bearer {token}"}


def test_mixin_class_is_unchanged_by_subclasses() -> None:
    class Fresh:
        @uplink.get("tags")
        def tags(self): ...  # type: ignore[no-untyped-def]

    def decorators() -> list[Any]:
        return list(vars(Fresh)["tags"].method_handler_builder.build().annotations)

    before = decorators()
    type("Mine", (Fresh, DubConsumer), {})
    assert decorators() == before


def test_mixin_of_coroutine_functions_works_when_awaited(serving: Any) -> None:
    class Mine(AsyncMixin, AsyncCustomersConsumer):
        pass

    async def tag(url: str) -> Any:
        async with Mine("dub_x", server_url=url) as mine:
            return await mine.tag("x")

    assert asyncio.run(tag(serving(200, "7").url)) == 7


def test_sync_mixin_on_an_async_class_is_rejected() -> None:
    for _ in range(2):
        with pytest.raises(TypeError, match=r"^Mixin\.ta"):
            type("Mine", (Mixin, AsyncDubConsumer), {})


def test_invalid_arguments_error_names_the_method(serving: Any, connect: Any) -> None:
    class Mine(Mixin, CustomersConsumer):
        @declare.get("notes", args={"options": declare.Options})
        def notes(self, **options: Any) -> Response:
            raise NotImplementedError

    server = serving()
    mine = connect(server.url, Mine)
    with pytest.raises(TypeError, match=r"^tag\(\) missing a required argument: 'id'"):
        mine.tag()
    with pytest.raises(TypeError, match=r"^team\(\) too many positional arguments"):
        mine.team(1, 2)
    with pytest.raises(TypeError, match=r"^notes\(\) got an unexpected keyword argument 'colour'"):
        mine.notes(colour=1)
    assert server.connections == 0


@pytest.mark.parametrize("value", ["..", "."])
def test_custom_path_annotation_rejects_dot_segments(
    serving: Any, connect: Any, value: str
) -> None:
    class Slug(uplink.Path):  # type: ignore[misc]
        pass

    class Mine(CustomersConsumer):
        @uplink.get("tags/{slug}/x", args={"slug": Slug})
        def tag(self, slug: Any) -> Any: ...

    server = serving()
    with pytest.raises(ValueError, match=r"^the URL has a segment"):
        connect(server.url, Mine).tag(value)
    connect(server.url, Mine).tag("a/b")
    assert [request.target for request in server.received] == ["/tags/a%2Fb/x"]


def test_options_argument_accepts_none(serving: Any, connect: Any) -> None:
    class Mine(CustomersConsumer):
        @declare.get("tags", args={"options": declare.Options})
        def tags(self, options: Any = None) -> Response:
            raise NotImplementedError

    server = serving()
    connect(server.url, Mine).tags()
    connect(server.url, Mine).tags({"http_headers": {"X-A": "b"}})
    assert [request.headers.get("x-a") for request in server.received] == [None, "b"]


def test_type_error_in_a_response_handler_keeps_the_cause(serving: Any, connect: Any) -> None:
    cause = LookupError("mine")

    def refuse(response: Any) -> Any:
        raise TypeError("handler") from cause

    class Mine(CustomersConsumer):
        @uplink.response_handler(refuse)
        @uplink.get("notes")
        def notes(self) -> Any: ...

    with pytest.raises(TypeError, match=r"^handler$") as caught:
        connect(serving().url, Mine).notes()
    assert caught.value.__cause__ is cause


@pytest.mark.parametrize(
    ("name", "decorator"),
    [
        ("returns.json", declare.returns.json),
        ("returns.json", declare.returns.json(type=len)),
        ("json", declare.json),
        ("idempotent", declare.idempotent),
        ("headers", declare.headers({"X-Team": "growth"})),
        ("params", declare.params({"version": "2"})),
        ("timeout", declare.timeout(1)),
        ("result_handler", declare.result_handler(lambda _, value: value)),
    ],
)
def test_decorator_below_the_request_decorator_is_rejected(name: str, decorator: Any) -> None:
    message = rf"Mine\.note: write @declare\.{name} above .* such as @declare\.get$"
    with pytest.raises(TypeError, match=message):

        class Mine(CustomersConsumer):
            @declare.post("notes")
            @decorator
            def note(self) -> Any: ...


@pytest.mark.parametrize(
    ("seconds", "error"),
    [
        ("x", TypeError),
        (None, TypeError),
        (True, TypeError),
        (0, ValueError),
        (-1, ValueError),
        (float("nan"), ValueError),
    ],
)
def test_timeout_decorator_rejects_an_invalid_timeout(seconds: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match=r"declare\.timeout must be .*, not "):
        declare.timeout(seconds)


@pytest.mark.parametrize(
    ("annotation", "value"),
    [(declare.Body, {"a": 1}), (declare.Body, [1]), (declare.Body, 5), (declare.Field, "x")],
)
def test_body_that_is_not_json_must_be_bytes_or_text(
    serving: Any, connect: Any, annotation: Any, value: Any
) -> None:
    class Mine(CustomersConsumer):
        @declare.post("notes", args={"body": annotation})
        def add(self, body: Any) -> Any: ...

    server = serving()
    with pytest.raises(TypeError, match=r"^the body must be bytes or text .* @declare\.json above"):
        connect(server.url, Mine).add(value)
    assert server.connections == 0


def test_body_with_a_declared_form_is_sent_as_a_form(serving: Any, connect: Any) -> None:
    class Mine(CustomersConsumer):
        @uplink.form_url_encoded
        @declare.post("notes", args={"body": declare.Body})
        def add(self, body: Any) -> Any: ...

    server = serving()
    connect(server.url, Mine).add({"a": "1"})
    assert server.received[0].body == b"a=1"


@pytest.mark.parametrize("annotation", [declare.Options, declare.QueryMap])
@pytest.mark.parametrize("value", ["x", "", 5, []])
def test_options_that_are_not_a_mapping_raise_type_error(
    serving: Any, connect: Any, annotation: Any, value: Any
) -> None:
    class Mine(CustomersConsumer):
        @declare.get("notes", args={"o": annotation})
        def notes(self, o: Any) -> Any: ...

    server = serving()
    with pytest.raises(TypeError, match=rf"must be a mapping, not {type(value).__name__}$"):
        connect(server.url, Mine).notes(value)
    assert server.connections == 0


class NoteSchema(marshmallow.Schema):
    id = marshmallow.fields.String(required=True)


@pytest.mark.parametrize(
    "hint", [Any, dict[str, Any], list[dict[str, Any]], dict[str, int] | None, "dict[str, Any]"]
)
@pytest.mark.parametrize("body", ['{"id": "x"}', "[1]", "null"])
def test_return_annotation_without_schema_returns_parsed_json(
    serving: Any, connect: Any, hint: Any, body: str
) -> None:
    def note(self: Any) -> Any: ...

    note.__annotations__["return"] = hint
    cls = type("Mine", (CustomersConsumer,), {"note": uplink.returns.json(uplink.get("n")(note))})
    expected = {"[1]": [1], "null": None}.get(body, {"id": "x"})
    assert connect(serving(200, body).url, cls).note() == expected


def test_schema_as_return_annotation_converts_the_body(serving: Any, connect: Any) -> None:
    def note(self: Any) -> Any: ...

    note.__annotations__["return"] = NoteSchema
    cls = type("Mine", (CustomersConsumer,), {"note": uplink.returns.json(uplink.get("n")(note))})
    assert connect(serving(200, '{"id": "x"}').url, cls).note() == {"id": "x"}
    with pytest.raises(errors.ResponseValidationError, match="Missing data"):
        connect(serving(200, "{}").url, cls).note()


@pytest.mark.parametrize("converter", [None, len, NoteSchema])
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("[]", "data: the key of returns.json is missing in this list"),
        ("{}", "data: the key of returns.json is missing in this dict"),
        ('{"data": 1}', "data.note: the key of returns.json is missing in this int"),
    ],
)
def test_missing_json_key_in_a_response_body_is_named(
    serving: Any, connect: Any, converter: Any, body: str, message: str
) -> None:
    class Mine(CustomersConsumer):
        @declare.returns.json(type=converter, key=("data", "note"))
        @declare.get("notes")
        def notes(self) -> Any: ...

    with pytest.raises(errors.ResponseValidationError) as caught:
        connect(serving(200, body).url, Mine).notes()
    assert str(caught.value) == f"200: unexpected response body: {message}"
