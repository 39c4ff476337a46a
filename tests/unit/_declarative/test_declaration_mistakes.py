"""Mistakes in declarations raise ``TypeError`` when the class is created."""

from __future__ import annotations

import functools
import json
import sys
import typing
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import marshmallow
import pytest
import uplink

from dub_uplink import AsyncDubConsumer, DubConsumer, declare, errors

T = typing.TypeVar("T")


def with_wraps(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class Decorated:
    """The result of a decorator that is a class."""

    def __init__(self, function: Any) -> None:
        self.function = function


FOREIGN_DECORATORS: dict[str, Any] = {
    "deprecated": getattr(warnings, "deprecated", lambda _: with_wraps)("use notes()"),
    "cache": functools.cache,
    "with_wraps": with_wraps,
    "class": Decorated,
    "class_twice": lambda function: with_wraps(Decorated(function)),
    "twice": lambda function: functools.cache(with_wraps(function)),
    "partial": functools.partial,
    "property": property,
    "cached_property": functools.cached_property,
    "partialmethod": functools.partialmethod,
    "singledispatchmethod": functools.singledispatchmethod,
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


def test_method_that_mentions_an_endpoint_is_allowed() -> None:
    @declare.get("notes")
    def note(self: Any) -> Any: ...

    class Mine(DubConsumer):
        def describe(self) -> str:
            return repr(note)

    assert Mine.describe.__closure__


class Lazy:
    """An object that loads its attributes, which fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


class LazyAttributes:
    """An object whose ``__dict__`` and ``__wrapped__`` fail."""

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("__dict__")

    @property
    def __wrapped__(self) -> Any:
        raise RuntimeError("__wrapped__")


class LazyClass:
    """An object whose class fails."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("__class__")


@pytest.mark.parametrize("make_value", [Lazy, LazyAttributes, lambda: Decorated(LazyClass())])
def test_attribute_of_a_consumer_is_not_evaluated(make_value: Any) -> None:
    type("Mine", (DubConsumer,), {"value": make_value()})


class Handler:
    def one(self, value: Any) -> Any: ...

    def two(self, call: Any, value: Any) -> Any:
        return value


@pytest.mark.parametrize(
    "handler",
    [lambda value: value, lambda: 1, lambda a, b, c: a, lambda a, b, *, c: a, Handler().one],
)
def test_result_handler_without_two_arguments_is_rejected(handler: Any) -> None:
    with pytest.raises(TypeError, match=r"^declare\.result_handler .* two arguments.*, not "):
        declare.result_handler(handler)


@pytest.mark.parametrize(
    "handler", [lambda *args: args, lambda a, b, c=1: a, Handler().two, dict, max]
)
def test_result_handler_that_accepts_two_arguments_is_allowed(handler: Any) -> None:
    declare.result_handler(handler)


def test_result_handler_without_parentheses_is_rejected() -> None:
    with pytest.raises(TypeError, match=r"^write @declare\.result_handler\(function\)"):

        class Mine(DubConsumer):
            @declare.result_handler  # type: ignore[arg-type]
            @declare.get("notes")
            def note(self) -> Any: ...


def test_result_handler_above_a_class_is_rejected() -> None:
    with pytest.raises(TypeError, match=r"^write @declare\.result_handler above an endpoint, not"):

        @declare.result_handler(lambda _, value: value)
        class Mine(DubConsumer):
            pass


@pytest.mark.parametrize("name", ["get", "post", "put", "patch", "delete"])
def test_request_decorator_without_parentheses_is_rejected(name: str) -> None:
    with pytest.raises(TypeError, match=rf'^write @declare\.{name}\("path"\), with the path'):

        class Mine(DubConsumer):
            @getattr(declare, name)
            def note(self) -> Any: ...


def test_params_decorator_without_parentheses_is_rejected() -> None:
    with pytest.raises(TypeError, match=r"^declare\.params must be a mapping, not "):

        class Mine(DubConsumer):
            @declare.params  # type: ignore[arg-type]
            @declare.get("notes")
            def note(self) -> Any: ...


async def convert(body: Any) -> Any: ...


class AsyncCallable:
    async def __call__(self, body: Any) -> Any: ...


@pytest.mark.parametrize("type_", [convert, AsyncCallable()])
def test_async_function_as_json_type_is_rejected(type_: Any) -> None:
    with pytest.raises(TypeError, match=r"^type must be a function that is not async, not "):
        declare.returns.json(type=type_)


def test_class_with_async_instances_is_allowed_as_json_type() -> None:
    declare.returns.json(type=AsyncCallable)


class Box(typing.Generic[T]):
    def __init__(self, body: Any) -> None:
        self.body = body


UNSUPPORTED_TYPES: list[Any] = [
    int | None,
    list[int] | None,
    tuple[int, ...],
    list[int | None],
    dict[str, tuple[int]],
    Any,
    list[Any],
    typing.List,  # noqa: UP006
    typing.Literal["a"],
    5,
]


@pytest.mark.parametrize("type_", UNSUPPORTED_TYPES, ids=str)
def test_json_type_that_cannot_convert_is_rejected(type_: Any) -> None:
    with pytest.raises(TypeError, match=r"^type must be a marshmallow schema, .*, not "):
        declare.returns.json(type=type_)


@pytest.mark.parametrize(
    ("type_", "body"),
    [(list[int], [1]), (dict[str, list[int]], {"a": [1]}), (set[int], {1}), (tuple, (1,))],
)
def test_json_type_that_can_convert_is_allowed(
    serving: Any, connect: Any, type_: Any, body: Any
) -> None:
    parsed = body if isinstance(body, dict) else list(body)
    server = serving(200, json.dumps({"notes": parsed}))
    assert connect(server.url, return_converted(type_)).notes() == body


def test_generic_class_as_json_type_is_called(serving: Any, connect: Any) -> None:
    server = serving(200, '{"notes": 7}')
    assert connect(server.url, return_converted(Box[int])).notes().body == 7


@pytest.mark.parametrize("annotation", [str, "query", None, 5, declare.json, [declare.Query]])
def test_value_in_args_that_is_no_annotation_is_rejected(annotation: Any) -> None:
    with pytest.raises(TypeError, match=r"Mine\.note: .* argument 'q' .* declare\.Query, not "):

        class Mine(DubConsumer):
            @declare.get("notes", args={"q": annotation})
            def note(self, q: str) -> Any: ...


@pytest.mark.parametrize("args", [[declare.Query], (declare.Query,), "q", declare.Query])
def test_args_that_are_not_a_mapping_are_rejected(args: Any) -> None:
    message = r'Mine\.note: args must be a mapping, such as \{"q": declare\.Query\}, not '
    with pytest.raises(TypeError, match=message):

        class Mine(DubConsumer):
            @declare.get("notes", args=args)
            def note(self, q: str) -> Any: ...


@pytest.mark.parametrize("hint", [declare.Query, "declare.Query", declare.Query("x"), uplink.Query])
@pytest.mark.parametrize("path", ["notes", "notes/{q}"])
def test_annotation_in_the_signature_is_rejected(hint: Any, path: str) -> None:
    def note(self: Any, q: Any) -> Any: ...

    note.__annotations__["q"] = hint
    message = r"\.note: write the annotation of the argument 'q' in args of the request"
    with pytest.raises(TypeError, match=message):
        declare.get(path)(note)


# Without `from __future__ import annotations`, Python 3.14 evaluates the types on demand.
TYPES_FOR_CHECKERS_ONLY = """
def handler(call: OnlyForCheckers, body: OnlyForCheckers) -> OnlyForCheckers:
    return body

class Mine(DubConsumer):
    @declare.result_handler(handler)
    @declare.returns.json
    @declare.get("notes", args={"q": declare.Query})
    def notes(self, q: OnlyForCheckers, **options: Unpack[OnlyForCheckers]) -> OnlyForCheckers:
        ...
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="a name without a value raises NameError")
def test_types_that_only_checkers_know_are_allowed(serving: Any, connect: Any) -> None:
    names = {"DubConsumer": DubConsumer, "Unpack": typing.Unpack, "declare": declare}
    exec(compile(TYPES_FOR_CHECKERS_ONLY, "mine", "exec", dont_inherit=True), names)
    assert connect(serving(200, "7").url, names["Mine"]).notes("a") == 7


@pytest.mark.parametrize("inner", [declare, uplink], ids=["declare", "uplink"])
def test_second_request_decorator_is_rejected(inner: Any) -> None:
    with pytest.raises(TypeError, match=r"Mine\.note: .* one request; remove @declare\.get or"):

        class Mine(DubConsumer):
            @declare.get("notes")
            @inner.post("notes")
            def note(self) -> Any: ...


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
    with pytest.raises(TypeError, match=rf"Mine\.add: .* 'a' and 'b' are both sent as {sent_as}; "):

        class Mine(DubConsumer):
            @declare.json
            @declare.post("notes", args={"a": first, "b": second})
            def add(self, a: Any, b: Any) -> Any: ...


@pytest.mark.parametrize("body", [declare.Body, uplink.Body(type=dict)])
@pytest.mark.parametrize("field", [declare.Field, uplink.Field("x"), uplink.FieldMap])
def test_body_beside_a_field_is_rejected(body: Any, field: Any) -> None:
    with pytest.raises(TypeError, match=r"Mine\.add: .* 'a' is the body, .* 'b' cannot be a field"):

        class Mine(DubConsumer):
            @declare.json
            @declare.post("notes", args={"b": field, "a": body})
            def add(self, b: Any, a: Any) -> Any: ...


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


class NoteSchema(marshmallow.Schema):
    id = marshmallow.fields.String(required=True)


def return_converted(type_: Any) -> Any:
    class Mine(DubConsumer):
        @declare.returns.json(type=type_, key="notes")
        @declare.get("notes")
        def notes(self) -> Any: ...

    return Mine


LISTS = [list[NoteSchema], Sequence[NoteSchema], typing.List[NoteSchema]]  # noqa: UP006
DICTS = [dict[str, NoteSchema], Mapping[str, NoteSchema]]


@pytest.mark.parametrize(
    ("types", "notes", "message"),
    [
        (LISTS, '{"id": "a"}', "the body: must be an array, not dict"),
        (LISTS, '"ab"', "the body: must be an array, not str"),
        (LISTS, "null", "the body: must be an array, not NoneType"),
        (LISTS, "[{}]", "id: Missing data for required field."),
        (DICTS, '[{"id": "a"}]', "the body: must be an object, not list"),
        (DICTS, "null", "the body: must be an object, not NoneType"),
    ],
)
def test_container_type_rejects_a_body_of_another_type(
    serving: Any, connect: Any, types: Any, notes: str, message: str
) -> None:
    server = serving(200, f'{{"notes": {notes}}}')
    for type_ in types:
        with pytest.raises(errors.ResponseValidationError) as caught:
            connect(server.url, return_converted(type_)).notes()
        assert str(caught.value) == f"200: unexpected response body: {message}"


@pytest.mark.parametrize(
    ("types", "notes"),
    [(LISTS, [{"id": "a"}, {"id": "b"}]), (LISTS, []), (DICTS, {"x": {"id": "a"}}), (DICTS, {})],
)
def test_container_type_converts_a_body_of_this_type(
    serving: Any, connect: Any, types: Any, notes: Any
) -> None:
    server = serving(200, json.dumps({"notes": notes}))
    for type_ in types:
        assert connect(server.url, return_converted(type_)).notes() == notes
