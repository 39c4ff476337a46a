"""A compiled schema and the schema itself return the same value or raise the same error.

Bodies are those that a server sends, and bodies that differ from them in a few places.
"""

from __future__ import annotations

import copy
import dataclasses
import json
import math
from collections.abc import Callable
from typing import Any

import marshmallow
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from marshmallow import fields

from dub_uplink._customers import schemas
from dub_uplink._declarative.schema_compiler import compile_loader
from dub_uplink._declarative.schemas import ModelSchema


def typed(value: Any) -> Any:
    """Return a value with the types of all its parts, for an exact comparison."""
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
    """Return the value or the error; check that the body did not change."""
    before = typed(body)
    try:
        result = ("value", typed(load(body)))
    except marshmallow.ValidationError as error:
        result = ("invalid", typed([error.messages, error.valid_data, error.data]))
    except Exception as error:  # noqa: BLE001 - a dataclass may refuse its arguments
        result = ("raised", typed([type(error).__name__, str(error)]))
    assert typed(body) == before
    return result


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
    if isinstance(schema, type) and issubclass(schema, ModelSchema) and schema is not ModelSchema
    for many in (False, True)
]


@pytest.mark.parametrize("schema", OWN, ids=lambda s: f"{type(s).__name__}-{s.many}")
@given(data=st.data())
def test_compiled_schema_and_marshmallow_agree_on_any_body(
    schema: ModelSchema, data: st.DataObject
) -> None:
    body = as_json(data.draw(bodies(schema)))
    assert outcome(compile_loader(schema), body) == outcome(schema.load, body)


@given(ODD_DATES | DATES)
@example("2026-08-21T21:14:02.000Z")
def test_compiled_date_field_and_marshmallow_agree(text: str) -> None:
    schema = schemas.CustomerSchema()
    body = {"id": "cus_1", "createdAt": text}
    assert outcome(compile_loader(schema), body) == outcome(schema.load, body)


@given(st.lists(records(schemas.CustomerSchema()), max_size=5), st.data())
def test_compiled_list_error_names_the_index_of_an_invalid_item(
    items: list[Any], data: st.DataObject
) -> None:
    schema = schemas.CustomerSchema(many=True)
    body = as_json(items)
    body.insert(data.draw(st.integers(0, len(body))), as_json(data.draw(JSON)))
    assert outcome(compile_loader(schema), body) == outcome(schema.load, body)


def test_comparison_helper_distinguishes_types() -> None:
    assert typed(1) != typed(True)
    assert typed(0.0) != typed(-0.0)
    assert typed({"a": [1]}) != typed({"a": [1.0]})
    assert typed(math.nan) == typed(copy.copy(math.nan))
