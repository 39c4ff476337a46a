"""A compiled schema gives what the schema gives: the same value, or the same error.

Bodies are what a server sends and near-misses of it, for the schemas of the package and for
generated ones.
"""

from __future__ import annotations

import collections
import copy
import dataclasses
import datetime as dt
import inspect
import json
import math
from collections.abc import Callable
from typing import Any

import marshmallow
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from marshmallow import fields

from dub_uplink._declarative import schemas
from dub_uplink._declarative.schema_compiler import compile_loader


def typed(value: Any) -> Any:
    """A value with all its types, such that equal means that nobody can tell two apart."""
    if dataclasses.is_dataclass(value):
        return type(value), [
            (f.name, typed(getattr(value, f.name))) for f in dataclasses.fields(value)
        ]
    if isinstance(value, dict):
        return type(value), [(typed(key), typed(item)) for key, item in value.items()]
    if isinstance(value, list):
        return type(value), [typed(item) for item in value]
    if hasattr(value, "tzinfo"):
        return type(value), value, type(value.tzinfo), value.utcoffset(), value.fold
    return type(value), repr(value)


def outcome(load: Callable[[Any], Any], body: Any) -> Any:
    """What came of it: the value or the error, and that the body was left as it was."""
    before = typed(body)
    try:
        found = ("value", typed(load(body)))
    except marshmallow.ValidationError as error:
        found = ("invalid", typed([error.messages, error.valid_data, error.data]))
    except Exception as error:  # noqa: BLE001 - a dataclass may refuse its arguments
        found = ("raised", typed([type(error).__name__, str(error)]))
    assert typed(body) == before
    return found


DATES = st.datetimes().map(lambda d: d.isoformat(timespec="milliseconds") + "Z")
NEAR_DATES = [
    "2026-08-21T21:14:02Z",
    "2026-08-21T21:14:02.000Zz",
    "2026-08-21T24:00:00.000Z",
    "2026-08-21T23:59:60.000Z",
    "2026-W34-5T21:14:02.000Z",
    "2026-08-21T21:14:02,000Z",
    "2026-08-21t21:14:02.000Z",
    "2026-08-21T21:14:02.0\u06600Z",
    "20260821T211402Z",
    "2026-02-30T00:00:00.000Z",
    "2026-08-21T21:14:02.000",
    "0000-08-21T21:14:02.000Z",
    "2026-08-21T21:14:02.000+02:00",
    "2026-08-21T21:14:02.000Z\n",
    "2026-08-21",
    "",
    "yesterday",
]
ODD_DATES = st.one_of(
    st.datetimes(timezones=st.timezones()).map(lambda d: d.isoformat()),
    st.datetimes().map(lambda d: d.isoformat(sep=" ")),
    st.from_regex(r"\A\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\.\d{3}[Zz]?\Z"),
    st.from_regex(r"\A[0-9W+Z:.,T -]{24}\Z"),
    st.sampled_from(NEAR_DATES),
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**300, max_value=10**310)
    | st.floats()
    | st.text()
    | ODD_DATES,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2),
    max_leaves=4,
)


def rarely(draw: st.DrawFn) -> bool:
    """Once in thirty: a number from the middle, since the ends come up more often."""
    return bool(draw(st.integers(0, 29)) == 17)


def plain(field: fields.Field[Any], depth: int) -> st.SearchStrategy[Any]:
    """What a field expects."""
    if isinstance(field, fields.Nested):
        # A schema that nests itself is followed for a while.
        return st.none() if depth > 2 else bodies(field.schema, depth + 1)
    for kind, strategy in PLAIN.items():
        if isinstance(field, kind):
            return strategy
    return JSON


PLAIN: dict[type, st.SearchStrategy[Any]] = {
    fields.String: st.text(max_size=5),
    fields.Integer: st.integers(),
    fields.Float: st.floats() | st.integers(),
    fields.Boolean: st.booleans(),
    fields.DateTime: DATES,
}


@st.composite
def records(draw: st.DrawFn, schema: Any, depth: int = 0) -> Any:
    """A body of one record, with at most a few things wrong with it."""
    body: dict[str, Any] = {}
    careless = draw(st.sampled_from([0, 0, 1, 5]))  # tenths of the fields that come out odd
    for name, field in schema.fields.items():
        key = name if field.data_key is None else field.data_key
        if not draw(st.integers(0, 9)) and not field.required:
            continue
        if draw(st.integers(0, 9)) < careless:
            if draw(st.booleans()):
                body[key] = draw(JSON)
        elif field.allow_none and not draw(st.integers(0, 3)):
            body[key] = None
        else:
            body[key] = draw(plain(field, depth))
    if draw(st.integers(0, 3)) == 0:
        names = st.text(max_size=3) | st.sampled_from(
            [*schema.fields, "extra", "self", "absent", "createdat", "__class__"]
        )
        body |= draw(st.dictionaries(names, JSON, max_size=3))
    keys = draw(st.permutations(list(body))) if draw(st.booleans()) else list(body)
    return {key: body[key] for key in keys}


def bodies(schema: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    one = records(schema, depth)
    if schema.many:
        one = st.lists(one if depth else st.one_of(one, one, one, JSON), max_size=4)
    return one if depth else st.one_of(one, one, one, one, one, JSON)


def as_json(body: Any) -> Any:
    return json.loads(json.dumps(body))


OWN = [
    schema(many=many)
    for schema in vars(schemas).values()
    if isinstance(schema, type)
    and issubclass(schema, marshmallow.Schema)
    and schema.__module__ == schemas.__name__
    and hasattr(schema, "model")
    for many in (False, True)
]


@pytest.mark.parametrize("schema", OWN, ids=lambda s: f"{type(s).__name__}-{s.many}")
@given(data=st.data())
def test_compiled_and_stock_agree_on_every_schema_of_the_package(
    schema: marshmallow.Schema, data: st.DataObject
) -> None:
    body = as_json(data.draw(bodies(schema)))
    # Compiled anew, since its nested schemas are compiled at their first use.
    assert outcome(compile_loader(schema), body) == outcome(schema.load, body)


class Shouted(fields.String):
    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        return super()._deserialize(value, *args, **kwargs).upper()


OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "allow_none": st.booleans(),
        "required": st.just(True),
        "load_only": st.booleans(),
        "error_messages": st.just({"required": "it must be there"}),
    },
)
DEFAULTS = st.sampled_from([None, 0, "x", [], list, dict, None, "y", lambda: 5])
#: As often as the compiler knows them, and its nearest relations that it must not take for them.
KINDS: dict[str, Callable[..., Any]] = {
    "text": fields.String,
    "integer": fields.Integer,
    "strict": lambda **o: fields.Integer(strict=True, **o),
    "number": fields.Float,
    "any number": lambda **o: fields.Float(allow_nan=True, **o),
    "flag": fields.Boolean,
    "anything": fields.Raw,
    "date": fields.DateTime,
    "aware": fields.AwareDateTime,
    "utc": lambda **o: fields.AwareDateTime("iso", default_timezone=dt.timezone.utc, **o),
}
RELATIONS: dict[str, Callable[..., Any]] = {
    "flag by number": lambda **o: fields.Boolean(truthy={1, "on"}, falsy={0, "off"}, **o),
    "flag by word": lambda **o: fields.Boolean(truthy={"on"}, falsy={"off"}, **o),
    "rfc": lambda **o: fields.DateTime("rfc", **o),
    "timestamp": lambda **o: fields.DateTime("timestamp", **o),
    "naive": fields.NaiveDateTime,
    "email": fields.Email,
    "list": lambda **o: fields.List(fields.Integer(), **o),
    "shouted": Shouted,
    "short": lambda **o: fields.String(validate=marshmallow.validate.Length(max=3), **o),
    "shown": lambda **o: fields.String(**{**o, "required": False}, dump_only=True),
    "elsewhere": lambda **o: fields.String(attribute="more", **o),
}


@st.composite
def field_objects(draw: st.DrawFn, name: str, depth: int) -> Any:
    options = draw(OPTIONS)
    if not options.get("required") and draw(st.integers(0, 3)) == 0:
        options["load_default"] = draw(DEFAULTS)
    if draw(st.booleans()):
        # Of another field's name too, and of what is no word in Python.
        options["data_key"] = draw(st.sampled_from([f"{name}Key"] * 9 + ["", "b", "'\"\\\n"]))
    if rarely(draw):
        return draw(st.sampled_from(list(RELATIONS.values())))(**options)
    if depth < 2 and draw(st.integers(0, 3)) == 0:
        nested = draw(schema_classes(depth=depth + 1))
        if draw(st.booleans()):
            return fields.Nested(nested(many=draw(st.booleans())), **options)
        unknown = draw(st.sampled_from([None, "exclude", "include", "raise"]))
        return fields.Nested(nested, many=draw(st.booleans()), unknown=unknown, **options)
    return draw(st.sampled_from(list(KINDS.values())))(**options)


@st.composite
def schema_classes(draw: st.DrawFn, depth: int = 0) -> Any:
    names = draw(st.lists(st.sampled_from(["a", "b", "id", "get", "data"]), unique=True))
    if rarely(draw):
        names.append(draw(st.sampled_from(["class", "extra", "a.b", "ü"])))
    body = {name: draw(field_objects(name, depth)) for name in names}
    base = draw(st.sampled_from([marshmallow.Schema, schemas.ModelSchema, schemas.ModelSchema]))
    unknown = draw(st.sampled_from(["exclude", "include", "raise"]))
    attributes: dict[str, Any] = {"Meta": type("Meta", (), {"unknown": unknown})}
    if base is schemas.ModelSchema:
        attributes["model"] = draw(models(names))
    if rarely(draw):
        attributes |= draw(st.sampled_from(HOOKS))
    return type("Generated", (base,), {**body, **attributes})


@st.composite
def models(draw: st.DrawFn, names: list[str]) -> Any:
    """A class with a field for most of the names, in any order, with or without defaults."""
    wanted = [n for n in names if n not in ("class", "extra", "a.b") and not rarely(draw)]
    with_default = st.sampled_from(
        [dataclasses.field(default=None), dataclasses.field(default_factory=list)]
    )
    described: list[Any] = [
        (name, Any, draw(with_default)) if draw(st.integers(0, 3)) else (name, Any)
        for name in draw(st.permutations([*wanted, "extra"]))
    ]
    described.append(("more", Any, dataclasses.field(default="more")))
    try:
        return dataclasses.make_dataclass("Model", described, kw_only=draw(st.booleans()))
    except TypeError:  # one without a default after one with: all have one then
        return dataclasses.make_dataclass("Model", [(n, Any, None) for n, *_ in described])


@marshmallow.pre_load
def before(self: Any, data: Any, **_: Any) -> Any:
    return {**data, "id": 7} if isinstance(data, dict) else data


# marshmallow 3 has another word for it.
_PARAMETERS = inspect.signature(marshmallow.post_load).parameters
COLLECTION: Any = {"pass_collection" if "pass_collection" in _PARAMETERS else "pass_many": True}


@marshmallow.post_load(**COLLECTION)
def together(self: Any, data: Any, **_: Any) -> Any:
    return {"items": data}


@marshmallow.validates_schema
def judged(self: Any, data: Any, **_: Any) -> None:
    raise marshmallow.ValidationError("never")


def told(self: Any, error: Any, data: Any, **_: Any) -> None:
    raise LookupError(str(error.messages))


HOOKS: list[dict[str, Any]] = [
    {"before": before},
    {"together": together},
    {"judged": judged},
    {"handle_error": told},
    {"dict_class": collections.OrderedDict},
]


@settings(max_examples=4 * settings.default.max_examples)
@given(data=st.data())
def test_compiled_and_stock_agree_on_generated_schemas(data: st.DataObject) -> None:
    try:
        schema = data.draw(schema_classes())(
            many=data.draw(st.booleans()),
            partial=data.draw(st.sampled_from([None, None, None, False, True, ("id",)])),
        )
        body = as_json(data.draw(bodies(schema)))
    except ValueError:  # two fields of one data_key, which marshmallow refuses
        assume(False)
    compiled = compile_loader(schema)
    # Twice: the first call is the one that compiles what is nested.
    for _ in range(2):
        assert outcome(compiled, body) == outcome(schema.load, body)


ODD = [
    *(None, True, False, 0, 1, 10**400, 0.0, -0.0, 1.5, 1e308, math.nan, math.inf, -math.inf),
    *("", "1", "1.5", "on", "true", "nan", "2026-08-21T21:14:02.000Z", "2026-08-21T21:14:02"),
    *([], [1], {}, {"id": "1"}),
    *NEAR_DATES,
]


@pytest.mark.parametrize("allow_none", [False, True])
@pytest.mark.parametrize("kind", [*KINDS, *RELATIONS])
def test_every_kind_of_field_agrees_on_every_odd_value(kind: str, allow_none: bool) -> None:
    field = (KINDS | RELATIONS)[kind]
    schema = marshmallow.Schema.from_dict({"a": field(allow_none=allow_none)})()
    load = compile_loader(schema)
    for value in ODD:
        assert outcome(load, {"a": value}) == outcome(schema.load, {"a": value}), value


@pytest.mark.parametrize("unknown", ["exclude", "include", "raise"])
@pytest.mark.parametrize("base", [marshmallow.Schema, schemas.ModelSchema])
@pytest.mark.parametrize("default", [None, 0, "x", [], list, dict, lambda: 5, dt.datetime.max])
def test_every_kind_of_default_agrees_on_what_is_missing(
    default: Any, base: Any, unknown: Any
) -> None:
    model = dataclasses.make_dataclass("Model", [("extra", Any), ("a", Any, 7), ("b", Any, 8)])
    declared = {"a": fields.Raw(load_default=default), "b": fields.Raw(), "model": model}
    schema = type("Defaulted", (base,), declared)(unknown=unknown)
    load = compile_loader(schema)
    for body in ({}, {"a": 1}, {"b": 2}, {"c": 3}, {"a": 1, "c": 3}, {"a": 1, "b": 2, "c": 3}):
        assert outcome(load, body) == outcome(schema.load, body), body


INNER = marshmallow.Schema.from_dict({"id": fields.Integer(required=True, strict=True)})
CHECKED = marshmallow.Schema.from_dict(
    {"id": fields.Integer(validate=marshmallow.validate.Range(max=9))}
)
NESTED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "class": lambda o: fields.Nested(INNER, **o),
    "many": lambda o: fields.Nested(INNER, many=True, **o),
    "instance": lambda o: fields.Nested(INNER(), **o),
    "instance of many": lambda o: fields.Nested(INNER(many=True), **o),
    "one of an instance of many": lambda o: fields.Nested(INNER(many=True), many=False, **o),
    "some fields": lambda o: fields.Nested(INNER(), exclude=("id",), **o),
    "partial": lambda o: fields.Nested(INNER(partial=True), **o),
    "include": lambda o: fields.Nested(INNER, unknown="include", **o),
    "include in an instance": lambda o: fields.Nested(INNER(unknown="include"), **o),
    "exclude": lambda o: fields.Nested(INNER(unknown="include"), unknown="exclude", **o),
    "raise": lambda o: fields.Nested(INNER(unknown="exclude"), unknown="raise", **o),
    "left alone": lambda o: fields.Nested(CHECKED, unknown="include", **o),
    "many left alone": lambda o: fields.Nested(CHECKED, unknown="include", many=True, **o),
    "not there": lambda o: fields.Nested("NoSuchSchema", **o),
}
INNERS = [
    None,
    {},
    [],
    1,
    {"id": 1},
    {"id": True},
    {"id": 1, "x": 2},
    [{"id": 1}],
    [{"id": "1", "x": 2}],
]


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("allow_none", [False, True])
@pytest.mark.parametrize("kind", NESTED)
def test_every_kind_of_nesting_agrees_on_every_body(
    kind: str, allow_none: bool, required: bool
) -> None:
    nested = NESTED[kind]({"allow_none": allow_none, "required": required})
    schema = marshmallow.Schema.from_dict({"a": nested})()
    load = compile_loader(schema)
    for body in [{}, *({"a": inner} for inner in INNERS)]:
        assert outcome(load, body) == outcome(schema.load, body), body


@given(ODD_DATES | DATES)
@example("2026-08-21T21:14:02.000Z")
def test_a_date_is_read_as_marshmallow_reads_it(text: str) -> None:
    schema = schemas.CustomerSchema()
    body = {"id": "cus_1", "createdAt": text}
    assert outcome(compile_loader(schema), body) == outcome(schema.load, body)


@given(st.lists(records(schemas.CustomerSchema()), max_size=5), st.data())
def test_an_odd_item_of_a_list_is_told_by_its_index(items: list[Any], data: st.DataObject) -> None:
    schema = schemas.CustomerSchema(many=True)
    body = as_json(items)
    body.insert(data.draw(st.integers(0, len(body))), as_json(data.draw(JSON)))
    assert outcome(compile_loader(schema), body) == outcome(schema.load, body)


def test_the_generated_bodies_are_told_apart_when_they_should_be() -> None:
    """The comparison itself can fail: types, signs of zero and nested values count."""
    assert typed(1) != typed(True)
    assert typed(0.0) != typed(-0.0)
    assert typed({"a": [1]}) != typed({"a": [1.0]})
    assert typed(math.nan) == typed(copy.copy(math.nan))
