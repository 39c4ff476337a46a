"""Test that classes belong to public modules, and that their types can be evaluated."""

from __future__ import annotations

import importlib
import inspect
import pickle
import typing
from collections.abc import Iterator
from typing import Any

import pytest

import dub_uplink
from dub_uplink import declare, models, retries, testing, types, utils
from dub_uplink.models import components, errors, operations
from dub_uplink.testing import faults


def public_classes() -> Iterator[type[Any]]:
    for module in (dub_uplink, declare, models, retries, testing, types, utils):
        yield from (one for name in module.__all__ if inspect.isclass(one := getattr(module, name)))
    for module in (components, errors, operations, faults):
        for name, one in vars(module).items():
            if inspect.isclass(one) and one.__module__ == module.__name__ and name[0] != "_":
                yield one


CLASSES = {
    f"{one.__module__}.{one.__qualname__}": one
    for one in public_classes()
    if not one.__module__.startswith("uplink")
}


@pytest.mark.parametrize("name", CLASSES)
def test_public_class_has_a_public_module(name: str) -> None:
    cls = CLASSES[name]
    assert not any(part.startswith("_") for part in cls.__module__.split("."))
    assert getattr(importlib.import_module(cls.__module__), cls.__qualname__) is cls


@pytest.mark.parametrize("name", CLASSES)
def test_public_class_pickles_by_the_public_name(name: str) -> None:
    assert pickle.loads(pickle.dumps(CLASSES[name])) is CLASSES[name]


# Classes with annotations from imports for type checkers only.
NOT_EVALUATED = {"dub_uplink.DeadlineAdapter"}


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - NOT_EVALUATED))
def test_public_class_type_hints_resolve(name: str) -> None:
    typing.get_type_hints(CLASSES[name])
    typing.get_type_hints(CLASSES[name].__init__)
