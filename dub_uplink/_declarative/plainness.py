"""Which schemas are plain enough for ``codec`` to compile: all that it must know of one.

Every doubt is a reason to leave a schema to marshmallow.
"""

from __future__ import annotations

import abc
import inspect
from collections.abc import Collection
from typing import Any

import marshmallow
from marshmallow import fields

from .schemas import ModelSchema


class NotPlain(Exception):
    """Something in a schema that is not known here."""


#: What a schema may say otherwise than marshmallow's own without a change of how it loads.
_HARMLESS = frozenset(
    {
        "Meta",
        "OPTIONS_CLASS",
        "TYPE_MAPPING",
        "_abc_impl",
        "_declared_fields",
        "_default_error_messages",
        "_hooks",
        "dict_class",  # looked at where it counts
        "error_messages",
        "get_attribute",
        "on_bind_field",
        "opts",
    }
)


def check_schema(schema: marshmallow.Schema) -> None:
    """Refuse a schema that loads in a way of its own.

    Raises:
        NotPlain: it does.
    """
    cls: Any = type(schema)
    hooks = load_hooks(cls)
    if hooks and not (
        isinstance(schema, ModelSchema)
        and hooks == load_hooks(ModelSchema)
        and cls.make is ModelSchema.make
        and "extra" not in schema.fields
    ):
        raise NotPlain
    for base in cls.__mro__[: cls.__mro__.index(marshmallow.Schema)]:
        for name in vars(base):
            special = name.startswith("__") and name not in ("__getattr__", "__getattribute__")
            if hasattr(marshmallow.Schema, name) and not special and name not in _HARMLESS:
                raise NotPlain
    if (
        _is_shadowed(schema)
        or schema.dict_class is not dict
        or schema.partial not in (None, False)
        or "__getattr__" in dir(cls)
    ):
        raise NotPlain


def load_hooks(cls: type[marshmallow.Schema]) -> dict[str, Any]:
    found: Any = getattr(cls, "_hooks", None)
    if not isinstance(found, dict):
        raise NotPlain
    return {tag: list(hooks) for tag, hooks in found.items() if hooks and "dump" not in tag}


def check_field(name: str, field: fields.Field[Any], known: Collection[type]) -> None:
    """Refuse a field of which more is to be known than its class and its options.

    Raises:
        NotPlain: it is of another class, checks or changes values, or goes to another place.
    """
    default: Any = field.load_default
    if (
        type(field) not in known
        or field.validators
        or getattr(field, "pre_load", None)
        or getattr(field, "post_load", None)
        or field.attribute not in (None, name)
        or "." in name
        or _is_shadowed(field)
        # A class makes a default and no more; a function may count how often it is called.
        or (callable(default) and not isinstance(default, type))
    ):
        raise NotPlain


def _is_shadowed(thing: Any) -> bool:
    """Whether a method of its class was set anew on the instance."""
    return any(callable(getattr(type(thing), name, None)) for name in vars(thing))


def data_key_of(name: str, field: fields.Field[Any]) -> str:
    return name if field.data_key is None else field.data_key


def parameters_of(schema: Any) -> dict[str, inspect.Parameter]:
    """The parameters of the model's constructor, if calling it in their order is the same.

    Raises:
        NotPlain: it is not, or a field has no parameter.
    """
    model: Any = schema.model
    init = getattr(model, "__init__", None)
    if (
        type(model) not in (type, abc.ABCMeta)  # another one may make objects its own way
        or model.__new__ is not object.__new__
        or not inspect.isfunction(init)
    ):
        raise NotPlain
    _, *parameters = inspect.signature(init, follow_wrapped=False).parameters.values()
    plain = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    found = {parameter.name: parameter for parameter in parameters}
    wanted = {"extra", *schema.load_fields}
    required = {name for name, p in found.items() if p.default is p.empty}
    if (
        any(parameter.kind not in plain for parameter in parameters)
        or not wanted <= found.keys()
        or not required <= wanted
    ):
        raise NotPlain
    return found
