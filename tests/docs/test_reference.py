"""Check that the reference documents every public name with an example, units and errors.

The tests read the pages and the code without Sphinx. The tox environment ``docs`` builds the pages.
"""

from __future__ import annotations

import ast
import dataclasses
import enum
import inspect
import re
import textwrap
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import dub_uplink
from dub_uplink import declare, models, retries, testing, utils
from dub_uplink import types as unset_types
from dub_uplink.models import components, errors, operations
from dub_uplink.testing import faults

PAGES = Path(__file__).parents[2] / "docs" / "reference"
DIRECTIVE = re.compile(
    r"^ *\.\. (?:auto\w+|data|currentmodule):: (?P<names>\S+(?:\n +dub_\S+)*)", re.MULTILINE
)
#: The unit of a number, or the items that it counts.
UNIT = re.compile(
    r"\b(?:milliseconds?|seconds?|cents|per cent|months|bytes|requests|retries|calls|customers"
    r"|numbers?|how many|attempts?|status|window|port)\b|[Ss]ee :meth:",
    re.IGNORECASE,
)

pytestmark = pytest.mark.skipif(not PAGES.exists(), reason="docs/ is missing")


def documented() -> dict[str, str]:
    """Return the documented names by their last part, with the text below each."""
    found: dict[str, str] = {}
    for page in PAGES.glob("*.rst"):
        text = page.read_text(encoding="utf-8")
        entries = list(DIRECTIVE.finditer(text))
        for entry, following in zip(entries, [*entries[1:], None], strict=True):
            body = text[entry.end() : following.start() if following else len(text)]
            for name in entry["names"].split():
                last = name.rpartition(".")[2]
                found[last] = found.get(last, "") + body
    return found


def public() -> Iterator[tuple[str, Any]]:
    """Yield each public class, function and value, without modules."""
    for module in (dub_uplink, models, utils, unset_types, declare, retries, testing):
        for name in module.__all__:
            if not isinstance(value := getattr(module, name), types.ModuleType):
                yield name, value
    for module in (components, operations, errors, faults):
        for name, value in vars(module).items():
            # Skip imported objects, except for the four names of one class.
            own = getattr(value, "__module__", "") == module.__name__ or name.endswith("Body")
            if own and inspect.isclass(value) and not name.startswith("_"):
                yield name, value
    yield "BY_STATUS", errors.BY_STATUS


PUBLIC = dict(public())
CLASSES = {name: one for name, one in PUBLIC.items() if inspect.isclass(one)}
named = pytest.mark.parametrize("name", sorted(PUBLIC))


def callables() -> Iterator[tuple[str, Any, str]]:
    """Yield each public function, method and constructor with its docstring."""
    for name, value in PUBLIC.items():
        if inspect.isfunction(value):
            yield name, value, inspect.getdoc(value) or ""
    for name, cls in CLASSES.items():
        if issubclass(cls, (enum.Enum, BaseException)) or name != cls.__name__:
            continue
        for method in vars(cls):
            function = getattr(cls, method)
            if not inspect.isfunction(function) or "dub_uplink" not in function.__module__:
                continue
            if method == ("__post_init__" if dataclasses.is_dataclass(cls) else "__init__"):
                yield f"{name}.{method}", function, cls.__doc__ or ""
            elif not method.startswith("_"):
                yield f"{name}.{method}", function, inspect.getdoc(function) or ""


CALLABLES = {name: (function, doc) for name, function, doc in callables()}


@named
def test_public_name_is_in_the_reference(name: str) -> None:
    assert name in documented()


@named
def test_public_name_has_an_example(name: str) -> None:
    assert ">>>" in documented()[name]


@named
def test_public_name_has_a_docstring(name: str) -> None:
    value = PUBLIC[name]
    if inspect.isclass(value) or inspect.isfunction(value):
        assert value.__doc__
        # A dataclass without a docstring has its signature as docstring.
        assert not value.__doc__.startswith(f"{value.__name__}(")


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_docstring_names_raised_exceptions(name: str) -> None:
    function, doc = CALLABLES[name]
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    raised = {
        node.exc.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Name)
    }
    assert {error for error in raised if error not in doc} == set()


@pytest.mark.parametrize("name", sorted(CALLABLES))
def test_docstring_gives_a_unit_for_each_number(name: str) -> None:
    function, doc = CALLABLES[name]
    numbers = [
        parameter
        for parameter in inspect.signature(function).parameters.values()
        if re.search(r"\b(int|float)\b", str(parameter.annotation))
    ]
    for parameter in numbers:
        # An argument of every method is documented once, in the class.
        if parameter.name in ("timeout_ms", "page", "page_size") and "timeout_ms, http" in doc:
            continue
        assert UNIT.search(doc), parameter


@pytest.mark.parametrize("name", sorted(CLASSES))
def test_docstring_gives_a_unit_for_each_numeric_field(name: str) -> None:
    fields = inspect.get_annotations(CLASSES[name])
    if any(re.search(r"\b(int|float)\b", str(kind)) for kind in fields.values()):
        assert UNIT.search(CLASSES[name].__doc__ or "")


def argument_lists() -> dict[str, Any]:
    """Return the classes, functions and methods that have an ``Args:`` section."""
    found: dict[str, Any] = dict(PUBLIC)
    for name, cls in CLASSES.items():
        found |= {
            f"{name}.{one}": getattr(cls, one) for one in vars(cls) if not one.startswith("_")
        }
    return {name: one for name, one in found.items() if "Args:" in (inspect.getdoc(one) or "")}


ARGUMENT_LISTS = argument_lists()


@pytest.mark.parametrize("name", sorted(ARGUMENT_LISTS))
def test_docstring_lists_every_argument(name: str) -> None:
    one = ARGUMENT_LISTS[name]
    doc = inspect.getdoc(one) or ""
    arguments = {argument for argument in inspect.signature(one).parameters if argument != "self"}
    if "other arguments are those of" not in doc and not doc.rstrip().count("\nAs :meth:"):
        assert {
            argument for argument in arguments if not re.search(rf"\b{argument}\b", doc)
        } == set()


def documented_members() -> dict[str, set[str]]:
    """Return the documented members of each class; ``*`` stands for all of them."""
    found: dict[str, set[str]] = {}
    for page in PAGES.glob("*.rst"):
        members: set[str] = set()
        for line in page.read_text(encoding="utf-8").splitlines():
            if entry := re.match(r"\.\. auto(?:class|exception):: (\S+)", line):
                members = found.setdefault(entry[1].rpartition(".")[2], set())
            elif option := re.match(r"   :members:(.*)", line):
                members |= set(re.findall(r"\w+", option[1])) or {"*"}
            elif member := re.match(r"   \.\. (?:auto\w+|attribute):: (\w+)", line):
                members.add(member[1])
    for name, cls in CLASSES.items():
        attributes = (inspect.getdoc(cls) or "").partition("Attributes:")[2]
        found.setdefault(name, set()).update(re.findall(r"^ +(\w+):", attributes, re.MULTILINE))
    return found


DOCUMENTED_MEMBERS = documented_members()


def public_members() -> Iterator[tuple[str, str, Any]]:
    """Yield the public methods and properties of a class, without those of base classes."""
    for cls in CLASSES.values():
        for name, value in vars(cls).items():
            function = (
                value.fget if isinstance(value, property) else inspect.unwrap(getattr(cls, name))
            )
            is_field = name in getattr(cls, "__dataclass_fields__", ())
            if name.startswith("_") or is_field or not inspect.isfunction(function):
                continue
            if not any(name in vars(base) for base in cls.__mro__[1:]):
                yield cls.__qualname__, name, function


MEMBERS = {
    f"{cls}.{name}": (DOCUMENTED_MEMBERS.get(cls, set()), name, function)
    for cls, name, function in public_members()
}


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_public_method_is_in_the_reference(member: str) -> None:
    members, name, _ = MEMBERS[member]
    assert members & {name, "*"}


@pytest.mark.parametrize("member", sorted(MEMBERS))
def test_public_method_has_types_and_a_docstring(member: str) -> None:
    function = MEMBERS[member][2]
    signature = inspect.signature(function)
    untyped = [
        parameter.name
        for parameter in list(signature.parameters.values())[1:]
        if parameter.annotation is parameter.empty
    ]
    assert untyped == []
    assert signature.return_annotation is not signature.empty
    assert inspect.getdoc(function)
