"""What is as a schema expects it is read without the schema, whatever the kinds of its fields."""

from __future__ import annotations

import dataclasses
import datetime as dt
from typing import Any

import marshmallow
import pytest
from marshmallow import fields

from dub_uplink._declarative.schema_compiler import compile_loader
from dub_uplink._declarative.schemas import CustomerSchema
from dub_uplink.models.components import Customer

MOMENT = "2026-08-21T21:14:02.000Z"
OTHERS = ["1999-12-31T23:59:59.999Z", "2026-01-01T00:00:00.000Z", "2024-02-29T20:04:05.678Z"]


class Inner(marshmallow.Schema):
    word = fields.String()


KINDS: dict[str, tuple[Any, list[Any]]] = {
    "text": (fields.String, ["", "Ada"]),
    "integer": (fields.Integer, [0, -3, 10**30]),
    "number": (fields.Float, [0.0, -1.5, 7, 1e300]),
    "flag": (fields.Boolean, [True, False]),
    "anything": (fields.Raw, ["", 0, [1], {"a": None}]),
    "date": (fields.DateTime, [MOMENT, *OTHERS]),
    "aware date": (fields.AwareDateTime, [MOMENT, *OTHERS]),
    "object": (lambda **options: fields.Nested(Inner, **options), [{"word": "x"}, {}]),
    "objects": (
        lambda **options: fields.Nested(Inner, many=True, **options),
        [[], [{"word": "x"}, {}]],
    ),
}


def unasked(schema: marshmallow.Schema, body: Any) -> Any:
    """What the compiled function makes of it, which must not ask the schema."""
    expected = schema.load(body)
    load = compile_loader(schema)
    load(body)  # what is nested is compiled when it is needed

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("marshmallow was asked")

    schema.load = refuse  # type: ignore[method-assign]
    for field in schema.fields.values():
        if isinstance(field, fields.Nested):
            field.schema.load = refuse  # type: ignore[method-assign]
    found = load(body)
    assert (found, repr(found)) == (expected, repr(expected))
    return found


def of(field: fields.Field[Any], unknown: str = marshmallow.RAISE) -> marshmallow.Schema:
    kind = marshmallow.Schema.from_dict({"f": field, "last": fields.String()})
    return kind(unknown=unknown)


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize("allow_none", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_its_kind(kind: str, allow_none: bool, required: bool) -> None:
    make, values = KINDS[kind]
    for value in [*values, *([None] if allow_none else [])]:
        for rest in ({}, {"last": "x"}):
            body = {"f": value, **rest}
            unasked(of(make(allow_none=allow_none, required=required)), body)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("default", [None, 5, list])
def test_a_value_that_is_left_out(kind: str, default: Any) -> None:
    make, values = KINDS[kind]
    for options in ({}, {"load_default": default}):
        for rest in ({}, {"last": "x"}):
            unasked(of(make(**options)), rest)
        unasked(of(make(**options)), {"f": values[0]})


@pytest.mark.parametrize("unknown", [marshmallow.EXCLUDE, marshmallow.INCLUDE])
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_of_no_field(kind: str, unknown: str) -> None:
    make, values = KINDS[kind]
    for body in ({"f": values[0]}, {}, {"last": "y"}, {"f": values[0], "last": "y"}):
        unasked(of(make(), unknown), {**body, "more": [1]})
        unasked(of(make(), unknown), {"more": 1, **body, "less": 2})


@pytest.mark.parametrize("date", OTHERS)
def test_a_customers_dates(date: str) -> None:
    body = {"id": "c", "createdAt": date, "firstSaleAt": None}
    assert isinstance(unasked(CustomerSchema(), body), Customer)


@pytest.mark.parametrize("many", [1, 3])
def test_a_list(many: int) -> None:
    assert len(unasked(CustomerSchema(many=True), [{"id": f"c{n}"} for n in range(many)])) == many


def test_names_that_are_no_variables() -> None:
    kind = marshmallow.Schema.from_dict({"a-b": fields.String(), "\xe9": fields.String()})
    unasked(kind(), {"a-b": "x", "\xe9": "y"})


def test_arguments_of_a_model_that_have_to_be_named() -> None:
    class Named(CustomerSchema):
        @dataclasses.dataclass
        class model:
            id: str
            name: str | None = dataclasses.field(default=None, kw_only=True)
            extra: dict[str, Any] = dataclasses.field(default_factory=dict)

        class Meta:
            fields = ("id", "name")

    unasked(Named(), {"id": "c", "name": "Ada"})


def test_the_code_is_what_takes_least_time() -> None:
    """By subscript, a size for what may be missing, and arguments by their places."""
    source = compile_loader(CustomerSchema()).source  # type: ignore[attr-defined]
    assert "            v_id = data['id']\n" in source
    assert "v_name = data['name'] if size > 1 else missing\n" in source
    assert "return Model(v_id, v_name, v_email," in source


def test_a_date_in_a_form_of_its_own_is_left_to_marshmallow() -> None:
    schema = of(fields.DateTime(format="%Y"))
    with pytest.raises(marshmallow.ValidationError):
        compile_loader(schema)({"f": MOMENT})


class Zulu(dt.tzinfo):
    """UTC by another class than Python's."""

    def utcoffset(self, _: dt.datetime | None) -> dt.timedelta:
        return dt.timedelta(0)


def test_a_default_of_a_plain_schema_is_given_as_it_is() -> None:
    moment = dt.datetime(2026, 1, 1, tzinfo=Zulu())
    assert unasked(of(fields.AwareDateTime(load_default=moment)), {})["f"] is moment
