"""Mistakes in declarations raise ``TypeError`` when the class is created."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import uplink

from dub_uplink import AsyncDubConsumer, DubConsumer, declare


def with_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


def without_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


FOREIGN_DECORATORS: dict[str, Any] = {
    "deprecated": getattr(warnings, "deprecated", lambda _: with_wraps)("use notes()"),
    "cache": functools.cache,
    "with_wraps": with_wraps,
    "without_wraps": without_wraps,
    "twice": lambda function: functools.cache(with_wraps(function)),
    "partial": functools.partial,
    "property": property,
    "cached_property": functools.cached_property,
    "classmethod": classmethod,
    "staticmethod": staticmethod,
}


@pytest.mark.parametrize("declared_with", [declare, uplink], ids=["declare", "uplink"])
@pytest.mark.parametrize("decorator", FOREIGN_DECORATORS.values(), ids=FOREIGN_DECORATORS)
@pytest.mark.parametrize("base", [DubConsumer, AsyncDubConsumer])
def test_foreign_decorator_of_an_endpoint_is_rejected(
    declared_with: Any, decorator: Any, base: Any
) -> None:
    with pytest.raises(TypeError, match=r"Mine\.note: .* write a method that calls the endpoint"):

        class Mine(base):  # type: ignore[misc]
            @decorator
            @declared_with.get("notes")
            def note(self) -> Any: ...


def test_foreign_decorator_in_a_mixin_is_rejected() -> None:
    class Mixin:
        @with_wraps
        @declare.get("notes")
        def note(self) -> Any: ...

    with pytest.raises(TypeError, match=r"Mixin\.note: .* write a method that calls the endpoint"):

        class Mine(Mixin, DubConsumer):
            pass


def test_decorated_method_that_calls_an_endpoint_works(serving: Any, connect: Any) -> None:
    class Mine(DubConsumer):
        @declare.returns.json
        @declare.get("notes")
        def note(self) -> Any: ...

        @with_wraps
        def decorated(self) -> Any:
            return self.note()

        @property
        def value(self) -> Any:
            return later

    later = 7
    server = serving(200, "7")
    assert connect(server.url, Mine).decorated() == connect(server.url, Mine).value
    assert server.seen == ["GET /notes"]


@pytest.mark.parametrize(
    ("first", "second", "sent_as"),
    [
        (declare.Body, declare.Body, "the body"),
        (declare.Body(type=dict), uplink.Body, "the body"),
        (declare.Query("x"), declare.Query("x"), "the query parameter 'x'"),
        (uplink.Query("x"), declare.Query("x"), "the query parameter 'x'"),
        (declare.Query("b"), declare.Query, "the query parameter 'b'"),
        (declare.Field("x"), declare.Field("x"), "the field 'x'"),
        (declare.Header("X-A"), uplink.Header("x-a"), "the header 'x-a'"),
    ],
)
def test_two_arguments_sent_as_one_part_are_rejected(first: Any, second: Any, sent_as: str) -> None:
    with pytest.raises(TypeError, match=rf"Mine\.add: .* 'a' and 'b' are both {sent_as}; "):

        class Mine(DubConsumer):
            @declare.json
            @declare.post("notes", args={"a": first, "b": second})
            def add(self, a: Any, b: Any) -> Any: ...


def test_arguments_with_one_name_in_different_parts_work(serving: Any, connect: Any) -> None:
    class Mine(DubConsumer):
        @declare.json
        @declare.post(
            "notes/{a}",
            args={"q": declare.Query("a"), "f": declare.Field("a"), "h": declare.Header("a")},
        )
        def add(self, a: Any, q: Any, f: Any, h: Any) -> Any: ...

    server = serving()
    connect(server.url, Mine).add("1", "2", "3", "4")
    (request,) = server.received
    assert (request.target, request.json, request.headers["a"]) == ("/notes/1?a=2", {"a": "3"}, "4")
