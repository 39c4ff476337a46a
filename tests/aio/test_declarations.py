"""The endpoints are declared once: the awaited types say the same, word for word."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest

import dub_uplink
from dub_uplink import AsyncCustomersConsumer, AsyncDub, CustomersConsumer, Dub

SOURCE = Path(dub_uplink.__file__).parent
ENDPOINTS = ["list", "create", "get", "update", "delete"]
#: What the synchronous client closes and enters is awaited under names of its own.
LIFETIME = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}


def methods(module: str, cls: str) -> dict[str, ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse((SOURCE / module).read_text("utf-8"))
    body = next(n.body for n in tree.body if isinstance(n, ast.ClassDef) and n.name == cls)
    found = [*body, *(n for part in body if isinstance(part, ast.If) for n in part.body)]
    return {n.name: n for n in found if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))}


SYNC = methods("_customers/consumer.py", "CustomersConsumer")
ASYNC = methods("_customers/async_consumer.py", "AsyncCustomersConsumer")


def test_neither_has_an_operation_that_the_other_lacks() -> None:
    assert set(SYNC) == set(ASYNC)
    assert set(SYNC) >= set(ENDPOINTS)
    for one, other in [(CustomersConsumer, AsyncCustomersConsumer), (Dub, AsyncDub)]:
        names = {LIFETIME.get(n, n) for n in dir(one) if not n.startswith("_")}
        assert names == {n for n in dir(other) if not n.startswith("_")}


@pytest.mark.parametrize("name", sorted(SYNC))
def test_the_arguments_are_the_same(name: str) -> None:
    ours = ast.unparse(ASYNC[name].args)
    if name == "iterate":
        ours = ours.replace(", prefetch: bool=False", "")
    # A batch of the asynchronous client takes asynchronous iterables as well.
    ours = re.sub(r"(Iterable\[(.+?)\]) \| AsyncIterable\[\2\]", r"\1", ours)
    assert ours == ast.unparse(SYNC[name].args)


@pytest.mark.parametrize("name", sorted(SYNC))
def test_the_awaited_result_is_the_same(name: str) -> None:
    sync, awaited = (ast.unparse(m[name].returns or ast.Constant(None)) for m in (SYNC, ASYNC))
    swaps = {"CustomerPage": "AsyncCustomerPage", "CustomerIterator": "AsyncCustomerIterator"}
    expected = re.sub(r"^Generator\[(.+), None, None\]$", r"AsyncGenerator[\1, None]", sync)
    assert awaited == swaps.get(sync, expected)
    is_iterator = awaited.startswith(("AsyncCustomerIterator", "AsyncGenerator"))
    assert isinstance(ASYNC[name], ast.FunctionDef if is_iterator else ast.AsyncFunctionDef)


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_is_the_very_same_declaration(name: str) -> None:
    sync, awaited = (getattr(c, name) for c in (CustomersConsumer, AsyncCustomersConsumer))
    assert (sync.method, sync.uri.template) == (awaited.method, awaited.uri.template)
    assert inspect.getdoc(awaited) == inspect.getdoc(sync)
    assert inspect.signature(awaited) == inspect.signature(sync)


def test_the_constructors_take_the_same() -> None:
    assert inspect.signature(CustomersConsumer) == inspect.signature(AsyncCustomersConsumer)
    ours, awaited = (list(inspect.signature(c).parameters.values()) for c in (Dub, AsyncDub))
    assert ours[1:] == awaited[1:]
    assert ours[0].name == awaited[0].name == "token"  # AsyncDub takes an async function as well
