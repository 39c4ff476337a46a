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

from .schemas import ModelSchema, normalize_utc, parse_datetime

Load = Callable[[Any], Any]
#: Maps each variable of the compiled function to its schema field.
Variables = dict[str, Any]


class UnsupportedSchema(TypeError):
    """A schema uses a feature that the compiler does not know."""


class Fallback(Exception):
    """Raised and caught in a compiled function: the schema itself must load the data."""


def compile_loader(schema: ModelSchema) -> Load:
    """Return a function with the same results as ``schema.load``.

    Args:
        schema: a schema of strings, strict integers, aware datetimes in ISO format and nested
            schemas of such fields. Each field is either required or accepts ``None``. The model of
            the schema has the fields of the schema, and the field ``extra``.

    Returns:
        The function. Its attribute ``source`` is its code, which tracebacks show.

    Raises:
        UnsupportedSchema: a field has a type or an option that is not listed above.
    """
    load_record = _compile_record_loader(schema)
    return _make_list_loader(load_record, schema.load) if schema.many else load_record


def _make_list_loader(load_record: Load, fallback: Load) -> Load:
    def load_list(data: Any) -> Any:
        if type(data) is list:
            try:
                return [load_record(item) for item in data]
            except Exception:  # noqa: BLE001 - the schema raises it again, with the item's index
                pass
        return fallback(data)

    load_list.source = load_record.source  # type: ignore[attr-defined]
    return load_list


def _compile_record_loader(schema: ModelSchema) -> Load:
    name = type(schema).__name__
    parameters = [field.name for field in dataclasses.fields(schema.model)]
    if {*parameters} != {*schema.load_fields, "extra"}:
        raise UnsupportedSchema(f"{name} and {schema.model.__name__} have different fields")
    namespace: dict[str, Any] = {
        "Fallback": Fallback,
        "Model": schema.model,
        "missing": marshmallow.missing,
        "fallback": lambda data: schema.load(data, many=False),
        "known": frozenset(field.data_key for field in schema.load_fields.values()),
    }
    usual_variables: Variables = {}
    omitted_variables: Variables = {}
    for field_name, field in schema.load_fields.items():
        is_omitted = field_name in schema.omitted_together
        (omitted_variables if is_omitted else usual_variables)[f"v_{field_name}"] = field
    body = _generate_reads(usual_variables, namespace)
    if omitted_variables:
        body += _generate_omitted_reads(omitted_variables, namespace)
    # CPython calls a class faster with positional arguments than with keywords.
    arguments = ", ".join(f"v_{name}" for name in parameters)
    lines = [
        f"def load_{name}(data):",
        "    try:",
        "        if type(data) is not dict:",
        "            raise Fallback",
        "        absent = 0",
        "        get = data.get",
        *_indent(_indent(body)),
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
    exec(compile(source, filename, "exec"), namespace)
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    function: Any = namespace[f"load_{name}"]
    function.source = source
    return function  # type: ignore[no-any-return]


def _generate_reads(variables: Variables, namespace: dict[str, Any]) -> list[str]:
    """Return the lines of code that assign the value of each field to its variable.

    Nearly all records have every field, so the code first gets all values with one call.
    """
    keys = [str(field.data_key) for field in variables.values()]
    get_all = f"get_{keys[0]}"
    namespace[get_all] = operator.itemgetter(*keys)
    variable_names = ", ".join(variables)
    lines = [
        "try:",
        f"    {variable_names} = {get_all}(data)",
        "except KeyError:",
        f"    {variable_names} = {', '.join(f'get({key!r}, missing)' for key in keys)}",
    ]
    for variable, field in variables.items():
        lines += _generate_check(variable, field, namespace)
    return lines


def _generate_omitted_reads(variables: Variables, namespace: dict[str, Any]) -> list[str]:
    """Return the lines of code that read the fields in ``omitted_together`` of the schema."""
    any_present = " or ".join(f"{field.data_key!r} in data" for field in variables.values())
    set_all_to_none = [f"{' = '.join(variables)} = None", f"absent += {len(variables)}"]
    return [
        f"if {any_present}:",
        *_indent(_generate_reads(variables, namespace)),
        "else:",
        *_indent(set_all_to_none),
    ]


def _generate_check(
    variable: str, field: fields.Field[Any], namespace: dict[str, Any]
) -> list[str]:
    """Return the lines of code that check and convert the value of ``variable``."""
    expected, conversion = _generate_conversion(variable, field, namespace)
    if field.required:
        return [f"if type({variable}) is not {expected}:", "    raise Fallback", *conversion]
    return [
        f"if type({variable}) is not {expected} and {variable} is not None:",
        f"    if {variable} is not missing:",
        "        raise Fallback",
        f"    {variable} = None",
        "    absent += 1",
        *([f"elif {variable} is not None:", *_indent(conversion)] if conversion else []),
    ]


def _generate_conversion(
    variable: str, field: fields.Field[Any], namespace: dict[str, Any]
) -> tuple[str, list[str]]:
    """Return the JSON type of a variable's value, and the lines of code that convert the value."""
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
            namespace["parse_iso"] = parse_iso = field.DESERIALIZATION_FUNCS["iso"]
            namespace["fromisoformat"] = parse_datetime
            parse = f"parse_iso({variable})"
            # `is not` does not work here: each access to `fromisoformat` creates a new object.
            if parse_iso != parse_datetime:
                # marshmallow 3 uses a slow regular expression. Dates in Dub's format skip it.
                is_usual = f"{variable}[4:20:3] == '--T::.' and {variable}[23:] == 'Z'"
                parse = f"fromisoformat({variable}) if {is_usual} else {parse}"
            namespace["UTC"], namespace["normalize_utc"] = dt.timezone.utc, normalize_utc
            return "str", [
                f"{variable} = {parse}",
                f"if {variable}.tzinfo is not UTC:",
                f"    if {variable}.tzinfo is None:",
                "        raise Fallback",
                f"    {variable} = normalize_utc({variable})",
            ]
        case fields.Nested(schema=ModelSchema() as nested):
            namespace[f"load_{variable}"] = compile_loader(nested)
            return "dict", [f"{variable} = load_{variable}({variable})"]
    raise UnsupportedSchema(f"{variable.removeprefix('v_')}: this field is not compiled: {field!r}")


def _indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]
