"""Compile a schema of this package to a Python function that converts JSON to a model.

marshmallow takes 30 times as long as the compiled function. If the data is unexpected, the compiled
function calls ``load`` of the schema, so that marshmallow raises every error.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import linecache
import operator
from collections.abc import Callable
from typing import Any

import marshmallow
from marshmallow import fields

from .schemas import ModelSchema, utc

Load = Callable[[Any], Any]
#: Maps each variable of the compiled function to the schema field whose value it holds.
Variables = dict[str, Any]


class UnsupportedSchema(TypeError):
    """A schema uses a feature that the compiler does not know."""


class Fallback(Exception):
    """Raised and caught in a compiled function: the schema itself must load the data."""


def compile_loader(schema: ModelSchema) -> Load:
    """Return a function with the same results as ``schema.load``.

    Args:
        schema: a schema of strings, strict integers, aware datetimes in ISO format and nested
            schemas of such fields. A field that is not required must accept ``None``. The model of
            the schema has the same fields, with the default ``None``, and the field ``extra``.

    Returns:
        The function. Its attribute ``source`` is its code, which tracebacks show.

    Raises:
        UnsupportedSchema: a field has another type or another option.
    """
    one = _compile_one(schema)
    return _list_loader(one, schema.load) if schema.many else one


def _list_loader(one: Load, fallback: Load) -> Load:
    def load_list(data: Any) -> Any:
        if type(data) is list:
            try:
                return [one(item) for item in data]
            except Exception:  # noqa: BLE001 - the schema raises it again, with the item's index
                pass
        return fallback(data)

    load_list.source = one.source  # type: ignore[attr-defined]
    return load_list


def _compile_one(schema: ModelSchema) -> Load:
    name = type(schema).__name__
    parameters = [field.name for field in dataclasses.fields(schema.model)]
    if {*parameters} != {*schema.load_fields, "extra"}:
        raise UnsupportedSchema(f"{name} and {schema.model.__name__} have different fields")
    names: dict[str, Any] = {
        "Fallback": Fallback,
        "Model": schema.model,
        "missing": marshmallow.missing,
        "fallback": lambda data: schema.load(data, many=False),
        "known": frozenset(field.data_key for field in schema.load_fields.values()),
    }
    usual: Variables = {}
    left_out: Variables = {}
    for field_name, field in schema.load_fields.items():
        (left_out if field_name in schema.left_out else usual)[f"v_{field_name}"] = field
    body = _read(usual, names)
    if left_out:
        body += _read_left_out(left_out, names)
    # CPython calls a class faster with positional arguments than with keywords.
    arguments = ", ".join(f"v_{name}" for name in parameters)
    lines = [
        f"def load_{name}(data):",
        "    try:",
        "        if type(data) is not dict:",
        "            raise Fallback",
        "        absent = 0",
        "        get = data.get",
        *_indented(_indented(body)),
        "        v_extra = {}",
        f"        if len(data) + absent != {len(schema.load_fields)}:",
        "            v_extra = {key: data[key] for key in data if key not in known}",
        f"        return Model({arguments})",
        "    except Exception:",
        "        pass",
        # The call is outside `except`, so that marshmallow's error has no `__context__`.
        "    return fallback(data)",
    ]
    source = "\n".join(lines) + "\n"
    filename = f"<compiled {type(schema).__module__}.{name}>"
    exec(compile(source, filename, "exec"), names)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    function: Any = names[f"load_{name}"]
    function.source = source
    return function  # type: ignore[no-any-return]


def _read(variables: Variables, names: dict[str, Any]) -> list[str]:
    """Return the lines of code that assign the value of each field to its variable.

    Nearly all records have every field, so the code first gets all values with one call.
    """
    keys = [str(field.data_key) for field in variables.values()]
    get_all = f"get_{keys[0]}"
    names[get_all] = operator.itemgetter(*keys)
    targets = ", ".join(variables)
    lines = [
        "try:",
        f"    {targets} = {get_all}(data)",
        "except KeyError:",
        f"    {targets} = {', '.join(f'get({key!r}, missing)' for key in keys)}",
    ]
    for variable, field in variables.items():
        lines += _check(variable, field, names)
    return lines


def _read_left_out(variables: Variables, names: dict[str, Any]) -> list[str]:
    """Return the lines of code that read the fields in ``left_out`` of the schema."""
    some = " or ".join(f"{field.data_key!r} in data" for field in variables.values())
    none = [f"{' = '.join(variables)} = None", f"absent += {len(variables)}"]
    return [f"if {some}:", *_indented(_read(variables, names)), "else:", *_indented(none)]


def _check(v: str, field: fields.Field[Any], names: dict[str, Any]) -> list[str]:
    """Return the lines of code that check and convert the value in the variable ``v``."""
    expected, convert = _convert(v, field, names)
    if field.required:
        return [f"if type({v}) is not {expected}:", "    raise Fallback", *convert]
    return [
        f"if type({v}) is not {expected} and {v} is not None:",
        f"    if {v} is not missing:",
        "        raise Fallback",
        f"    {v} = None",
        "    absent += 1",
        *([f"elif {v} is not None:", *_indented(convert)] if convert else []),
    ]


def _convert(v: str, field: fields.Field[Any], names: dict[str, Any]) -> tuple[str, list[str]]:
    """Return the JSON type of the value in ``v``, and the lines of code that convert it."""
    match field:
        case fields.Field(load_default=default, required=required, allow_none=nullable) if (
            field.validators or default is not marshmallow.missing or required is nullable
        ):
            pass
        case fields.String() if type(field) is fields.String:
            return "str", []
        case fields.Integer(strict=True) if type(field) is fields.Integer:
            return "int", []
        case fields.AwareDateTime(format="iso"):
            names["moment"] = moment = field.DESERIALIZATION_FUNCS["iso"]
            names["fromisoformat"] = dt.datetime.fromisoformat
            parse = [f"{v} = moment({v})"]
            if moment != dt.datetime.fromisoformat:  # each access makes a bound method
                # marshmallow 3 uses a slow regular expression, so dates in Dub's format avoid it.
                is_usual = f"{v}[4:20:3] == '--T::.' and {v}[23:] == 'Z'"
                parse = [f"{v} = fromisoformat({v}) if {is_usual} else moment({v})"]
            names["UTC"], names["utc"] = dt.timezone.utc, utc
            return "str", [
                *parse,
                f"if {v}.tzinfo is not UTC:",
                f"    if {v}.tzinfo is None:",
                "        raise Fallback",
                f"    {v} = utc({v})",
            ]
        case fields.Nested(schema=ModelSchema() as nested):
            names[f"load_{v}"] = compile_loader(nested)
            return "dict", [f"{v} = load_{v}({v})"]
    raise UnsupportedSchema(f"{v.removeprefix('v_')}: this field is not compiled: {field!r}")


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]
