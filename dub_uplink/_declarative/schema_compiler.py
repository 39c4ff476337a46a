"""A schema compiled to a plain function from JSON to a model.

The schema stays the only declaration, and its own ``load`` decides wherever a value is not the
plain expected one, so that odd values and errors are marshmallow's.
"""

from __future__ import annotations

import datetime as dt
import inspect
import itertools
import linecache
from collections.abc import Callable
from typing import Any

import marshmallow
import marshmallow.utils
from marshmallow import fields

from .plainness import NotPlain, check_field, check_schema, data_key_of, load_hooks, parameters_of
from .schemas import utc

Load = Callable[[Any], Any]

_MISSING = marshmallow.missing
_numbers = itertools.count(1)


class Unexpected(Exception):
    """A value that the schema itself must look at; never leaves a compiled function."""


def compile_loader(schema: marshmallow.Schema) -> Load:
    """The function that does what ``schema.load`` does, faster on what is usual.

    A schema with hooks, validators, field classes or options that are not known here gets its own
    ``load`` back. A compiled function has its code as ``source``; tracebacks show it.
    """
    return _compile(schema, None, schema.load)


def lazy_loader(schema: marshmallow.Schema) -> Load:
    """:func:`compile_loader`, when it pays: for a list, or for the second record of an endpoint.

    Compiling takes as long as a hundred records by marshmallow, and many a program reads one.
    """
    compiled: Load | None = None
    used = False

    def load(data: Any) -> Any:
        nonlocal compiled, used
        if compiled is None:
            if not used and type(data) is dict:
                used = True
                return schema.load(data)
            compiled = compile_loader(schema)
        return compiled(data)

    return load


def _compile(schema: marshmallow.Schema, unknown: str | None, stock: Load) -> Load:
    """``stock`` is what the compiled function stands in for; ``unknown`` overrides the schema's."""
    try:
        one = _Writer(schema, unknown or schema.unknown).function()
    except NotPlain:
        return stock
    return _list_loader(one, stock) if schema.many else one


def _list_loader(one: Load, stock: Load) -> Load:
    def load_list(data: Any) -> Any:
        if type(data) is list:
            try:
                # An odd item is read by the schema alone; the others do not wait for it.
                return [one(item) for item in data]
            except Exception:  # noqa: BLE001 - whatever it is, the schema says it with an index
                pass
        return stock(data)

    load_list.source = one.source  # type: ignore[attr-defined]
    return load_list


class _Writer:
    """Writes the function for one schema.

    Every field is a variable that holds the raw value, then the loaded one. Anything unusual
    raises, and the schema's own ``load`` has the last word, outside of the ``except``, so that its
    errors carry no context.
    """

    def __init__(self, schema: marshmallow.Schema, unknown: Any) -> None:
        check_schema(schema)
        self._schema = schema
        self._unknown = unknown
        self._is_model = load_hooks(type(schema)) != {}
        self._variables: dict[str, str] = {}
        self._names: dict[str, Any] = {
            "missing": _MISSING,
            "Unexpected": Unexpected,
            "stock": lambda data: schema.load(data, many=False, unknown=unknown),
        }
        keys: list[str] = []
        for number, (name, field) in enumerate(schema.load_fields.items()):
            check_field(name, field, _READERS)
            keys.append(data_key_of(name, field))
            readable = name.isascii() and name.isidentifier()
            self._variables[name] = f"v_{name}" if readable else f"v{number}"
        if len(set(keys)) < len(keys):
            raise NotPlain
        self._known = frozenset(keys)

    def function(self) -> Load:
        """The compiled function."""
        schema = self._schema
        # What a constructor takes decides what becomes of a field that is missing.
        parameters = parameters_of(schema) if self._is_model else {}
        body = self._reading()
        for name, field in schema.load_fields.items():
            body += self._field(name, field, parameters)
        body += self._model(parameters) if self._is_model else self._dict()
        kind = type(schema).__name__
        lines = [
            f"def load_{kind if kind.isidentifier() else 'schema'}(data):",
            "    try:",
            "        if type(data) is not dict:",
            "            raise Unexpected",
            "        absent = 0",
            *("        " + line for line in body),
            "    except Exception:",
            "        pass",
            "    return stock(data)",
        ]
        source = "\n".join(lines) + "\n"
        filename = f"<compiled {type(schema).__module__}.{kind} {next(_numbers)}>"
        exec(compile(source, filename, "exec"), self._names)
        linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
        function: Any = self._names[lines[0][4:].partition("(")[0]]
        function.source = source
        return function  # type: ignore[no-any-return]

    def _reading(self) -> list[str]:
        """Take the raw values: by subscript, which is faster, while only fields at the end of the
        declared order are left out, as it is in what Dub's server writes.
        """
        by_place: list[str] = []
        by_name: list[str] = []
        for place, (name, field) in enumerate(self._schema.load_fields.items()):
            v, key = self._variables[name], data_key_of(name, field)
            always = f"{v} = data[{key!r}]"
            by_place.append(
                always if field.required else f"{always} if size > {place} else missing"
            )
            by_name.append(always if field.required else f"{v} = get({key!r}, missing)")
        if not by_name:
            return []
        attempt = ["try:", *_indented(by_place), "except KeyError:", "    get = data.get"]
        return ["size = len(data)", *attempt, *_indented(by_name)]

    def _field(
        self, name: str, field: fields.Field[Any], parameters: dict[str, inspect.Parameter]
    ) -> list[str]:
        v = self._variables[name]
        wrong, convert = _READERS[type(field)](self, v, field)
        if field.required:
            otherwise = ["raise Unexpected"]
        else:
            otherwise = [f"if {v} is not missing:", "    raise Unexpected"]
            otherwise += self._absent(name, field, parameters)
        null = f" and {v} is not None" if field.allow_none and "missing" not in wrong else ""
        lines = [f"if {wrong}{null}:", *_indented(otherwise)]
        if convert:
            lines += [f"elif {v} is not None:" if field.allow_none else "else:"]
            lines += _indented(convert)
        return lines

    def _absent(
        self, name: str, field: fields.Field[Any], parameters: dict[str, inspect.Parameter]
    ) -> list[str]:
        """What to do where the body does not have the field."""
        v = self._variables[name]
        default = utc(field.load_default) if self._is_model else field.load_default
        counted = ["absent += 1"]
        if default is not _MISSING:
            self._names[f"default_{v}"] = default
            return [f"{v} = default_{v}{'()' if callable(default) else ''}", *counted]
        if not self._is_model:
            return counted
        parameter = parameters[name]
        if parameter.default is parameter.empty:
            return ["raise Unexpected"]
        self._names[f"default_{v}"] = parameter.default
        return [f"{v} = default_{v}", *counted]

    def _beyond(self) -> list[str]:
        """What becomes of keys that are no field's."""
        more = self._if_more()
        loop = ["for key in set(data) - known:", "    result[key] = data[key]"]
        kept = {marshmallow.EXCLUDE: [], marshmallow.INCLUDE: [more, *_indented(loop)]}
        return kept.get(self._unknown, [more, "    raise Unexpected"])

    def _if_more(self) -> str:
        self._names["known"] = self._known
        return f"if len(data) + absent != {len(self._known)}:"

    def _model(self, parameters: dict[str, inspect.Parameter]) -> list[str]:
        arguments: list[str] = []
        by_name = False
        for name, parameter in parameters.items():
            value = "extra" if name == "extra" else self._variables.get(name)
            if value is None:
                by_name = True  # it has a default, and what follows needs its name
                continue
            by_name = by_name or parameter.kind is parameter.KEYWORD_ONLY
            arguments.append(f"{name}={value}" if by_name else value)
        self._names["Model"] = self._schema.model  # type: ignore[attr-defined]
        # A model keeps what it excludes as `extra`; told to include it, the schema decides.
        kept = ["extra = {key: data[key] for key in data if key not in known}"]
        beyond = {marshmallow.EXCLUDE: kept}.get(self._unknown, ["raise Unexpected"])
        build = f"return Model({', '.join(arguments)})"
        return ["extra = {}", self._if_more(), *_indented(beyond), build]

    def _dict(self) -> list[str]:
        lines = ["result = {}"]
        for name, field in self._schema.load_fields.items():
            v = self._variables[name]
            always = field.required or field.load_default is not _MISSING
            lines += [] if always else [f"if {v} is not missing:"]
            lines.append(f"{'' if always else '    '}result[{name!r}] = {v}")
        return [*lines, *self._beyond(), "return result"]

    # How a kind of field is read: the test that tells a value which is not the plain case, null
    # aside where it is allowed, and what is to be done with one that is.

    def text(self, v: str, field: Any) -> tuple[str, list[str]]:
        return f"type({v}) is not str", []

    def integer(self, v: str, field: Any) -> tuple[str, list[str]]:
        return f"type({v}) is not int", []

    def number(self, v: str, field: Any) -> tuple[str, list[str]]:
        # Infinity less itself is not zero, nor is NaN: both are for the schema to judge. A whole
        # number is written without a point by JavaScript.
        wrong = f"type({v}) is not int and (type({v}) is not float or {v} - {v} != 0.0)"
        return wrong, [f"{v} = float({v})"]

    def flag(self, v: str, field: Any) -> tuple[str, list[str]]:
        try:
            plain = field.deserialize(True) is True and field.deserialize(False) is False
        except marshmallow.ValidationError:
            plain = False
        if not plain:
            raise NotPlain
        return f"type({v}) is not bool", []

    def anything(self, v: str, field: Any) -> tuple[str, list[str]]:
        return f"{v} is missing" if field.allow_none else f"({v} is missing or {v} is None)", []

    def moment(self, v: str, field: Any) -> tuple[str, list[str]]:
        read = field.DESERIALIZATION_FUNCS.get(field.format or field.DEFAULT_FORMAT)
        self._names["moment"] = dt.datetime.fromisoformat
        if read == dt.datetime.fromisoformat:
            lines = [f"{v} = moment({v})"]
        elif read is not None and read is getattr(marshmallow.utils, "from_iso_datetime", None):
            # This one is a regular expression: the form that Dub's server writes is told by six
            # characters.
            lines = [
                f"if {v}[4:20:3] != '--T::.' or {v}[23:] != 'Z' or {v}[11:13] == '24':",
                "    raise Unexpected",
                f"{v} = moment({v}[:23] + '+00:00')",
            ]
        else:
            raise NotPlain
        other: list[str] = []
        if type(field) is fields.AwareDateTime:
            other += [f"if {v}.tzinfo is None:", "    raise Unexpected"]
        if self._is_model:
            # What `utc` does, without a call: some releases of marshmallow have a class for UTC.
            self._names["zero"] = dt.timedelta(0)
            other += [
                f"if {v}.utcoffset() == zero:",
                f"    {v} = {v}.replace(tzinfo=timezone_utc)",
            ]
        if other:
            self._names["timezone_utc"] = dt.timezone.utc
            lines += [f"if {v}.tzinfo is not timezone_utc:", *_indented(other)]
        return f"type({v}) is not str", lines

    def nested(self, v: str, field: Any) -> tuple[str, list[str]]:
        name = f"load_{v}"

        def first(value: Any) -> Any:
            # Compiled when it is needed, in place of this: schemas may nest themselves.
            schema = field.schema
            stock = lambda data: schema.load(data, unknown=field.unknown)  # noqa: E731
            self._names[name] = load = _compile(schema, field.unknown, stock)
            return load(value)

        self._names[name] = first
        wrong = f"{v} is missing" if field.allow_none else f"({v} is missing or {v} is None)"
        return wrong, [f"{v} = {name}({v})"]


_READERS: dict[type, Callable[[_Writer, str, Any], tuple[str, list[str]]]] = {
    fields.String: _Writer.text,
    fields.Integer: _Writer.integer,
    fields.Float: _Writer.number,
    fields.Boolean: _Writer.flag,
    fields.Raw: _Writer.anything,
    fields.DateTime: _Writer.moment,
    fields.AwareDateTime: _Writer.moment,
    fields.Nested: _Writer.nested,
}


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]
