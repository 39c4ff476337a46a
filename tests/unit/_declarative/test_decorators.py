"""Paths and arguments of declared endpoints."""

from __future__ import annotations

import pydoc
from typing import Any, Unpack

import pytest

from dub_uplink import DubConsumer, declare
from dub_uplink._declarative.parameters import PathSegment
from dub_uplink.models.unset import UNSET

SEGMENT = PathSegment("id")


class Things(DubConsumer):
    @declare.returns.json
    @declare.get("things/{id}", args={"id": SEGMENT})
    def thing(self, id: str) -> Any: ...

    @declare.returns.json
    @declare.get("others/{id}/parts", args={"id": SEGMENT})
    def parts(self, id: str) -> Any: ...

    @declare.returns.json
    @declare.get("things/{id}/parts/{part}")
    def part(self, id: str, part: str) -> Any: ...

    @declare.returns.json
    @declare.get("only/{id}", args={"options": declare.Options})
    def only(self, id: str, **options: Any) -> Any: ...


@pytest.fixture
def server(serving: Any) -> Any:
    return serving(200, "[]")


@pytest.fixture
def things(server: Any, connect: Any) -> Any:
    return connect(server.url + "/v1", Things)


def test_path_annotation_shared_by_two_endpoints_fills_both(server: Any, things: Any) -> None:
    things.thing("a")
    things.parts("b")
    assert server.seen == ["GET /v1/things/a", "GET /v1/others/b/parts"]


def test_path_with_two_variables_has_both_encoded(server: Any, things: Any) -> None:
    things.part("a/b", "c d")
    assert server.seen == ["GET /v1/things/a%2Fb/parts/c%20d"]


@pytest.mark.parametrize(
    ("id", "sent"), [("a/b?#", "a%2Fb%3F%23"), ("{x}", "%7Bx%7D"), ("ü~", "%C3%BC~"), ("%", "%25")]
)
def test_path_variable_is_percent_encoded(server: Any, things: Any, id: str, sent: str) -> None:
    things.only(id)
    assert server.seen == [f"GET /v1/only/{sent}"]


def test_argument_by_keyword_and_options_are_sent(server: Any, things: Any) -> None:
    things.only(id="a", http_headers={"X-A": "1"})
    things.only("b", http_headers={"X-A": "2"})
    assert server.seen == ["GET /v1/only/a", "GET /v1/only/b"]
    assert [request.headers["x-a"] for request in server.received] == ["1", "2"]


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((), {}, "missing a required argument: 'id'"),
        (("a", "b"), {}, "too many positional arguments"),
        (("a",), {"id": "b"}, "multiple values for argument 'id'"),
        (("a",), {"unknown": 1}, "unexpected keyword argument 'unknown'"),
    ],
)
def test_invalid_arguments_raise_the_type_error_of_a_function(
    server: Any, things: Any, args: Any, options: Any, message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        things.only(*args, **options)
    assert server.seen == []


class Fields(DubConsumer):
    @declare.json
    @declare.post("things", args={"pet_name": declare.Field, "by_age": declare.Query})
    def add(
        self, pet_name: Any, by_age: int | None = None, **options: Unpack[declare.BodyOptions]
    ) -> Any: ...


def test_field_keeps_its_name_and_sends_none_as_null(server: Any, connect: Any) -> None:
    fields = connect(server.url, Fields)
    fields.add("Tom", 7)
    fields.add(None)
    assert [(request.target, request.json) for request in server.received] == [
        ("/things?byAge=7", {"pet_name": "Tom"}),
        ("/things", {"pet_name": None}),
    ]


def test_field_with_unset_is_not_sent(server: Any, connect: Any) -> None:
    fields = connect(server.url, Fields)
    fields.add(UNSET)
    fields.add(UNSET, extra_body={"a": 1})
    assert [request.json for request in server.received] == [{}, {"a": 1}]


def test_keyword_of_query_map_replaces_a_query_argument(server: Any, connect: Any) -> None:
    class Mine(DubConsumer):
        @declare.get("things", args={"page_size": declare.Query, "params": declare.QueryMap})
        def things(self, page_size: int, **params: Any) -> Any: ...

    connect(server.url, Mine).things(1, pageSize=2)
    assert server.seen == ["GET /things?pageSize=2"]


def test_help_of_field_describes_a_field_of_a_json_body() -> None:
    text = pydoc.render_doc(declare.Field, renderer=pydoc.plaintext)  # type: ignore[attr-defined]
    assert "dub_uplink.declare" in text
    assert "form_url_encoded" not in text
    assert "``None`` is sent as ``null``" in text
