"""Which fields of truth values are compiled: those that take JSON's own two for what they are."""

from __future__ import annotations

from typing import Any

import marshmallow
import pytest
from marshmallow import fields

from dub_uplink._declarative.schema_compiler import compile_loader


def schema_of(**options: Any) -> marshmallow.Schema:
    return marshmallow.Schema.from_dict({"shown": fields.Boolean(**options)})()


@pytest.mark.parametrize("value", [True, False])
def test_a_plain_flag_is_compiled(value: bool) -> None:
    load = compile_loader(schema_of())
    assert "type(v_shown) is not bool" in load.source  # type: ignore[attr-defined]
    assert load({"shown": value}) == {"shown": value}


@pytest.mark.parametrize(
    ("options", "loaded"),
    [
        ({"truthy": {False}, "falsy": {True}}, (False, True)),
        ({"truthy": {True, False}, "falsy": {"no"}}, (True, True)),
        ({"truthy": {"yes"}, "falsy": {True, False}}, (False, False)),
    ],
)
def test_a_flag_that_takes_them_for_something_else_is_left_to_marshmallow(
    options: dict[str, Any], loaded: tuple[bool, bool]
) -> None:
    load = compile_loader(schema_of(**options))
    assert not hasattr(load, "source")
    assert (load({"shown": True})["shown"], load({"shown": False})["shown"]) == loaded


@pytest.mark.parametrize("options", [{"truthy": {"yes"}}, {"falsy": {"no"}}])
def test_a_flag_that_refuses_one_of_them_is_left_to_marshmallow(options: dict[str, Any]) -> None:
    load = compile_loader(schema_of(**options))
    assert not hasattr(load, "source")
    with pytest.raises(marshmallow.ValidationError):
        load({"shown": "truthy" in options})
