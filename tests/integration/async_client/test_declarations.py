"""The asynchronous consumers declare what the synchronous ones do."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
import uplink

from dub_uplink import AsyncCustomersConsumer, AsyncDub, CustomersConsumer, Dub

ENDPOINTS = ["list", "create", "get", "update", "delete"]
METHODS = [*ENDPOINTS, "iterate", "ensure", "create_many", "delete_many"]
#: Names of methods that are awaited in the asynchronous clients.
LIFETIME = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}
#: Results whose asynchronous type has another name.
RESULTS = {
    "CustomerPage": "AsyncCustomerPage",
    "CustomerIterator": "AsyncCustomerIterator",
    r"Generator\[(.+), None, None\]": r"AsyncGenerator[\1, None]",
}


def public(cls: type[Any]) -> set[str]:
    return {name for name in dir(cls) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("sync", "asynchronous"), [(CustomersConsumer, AsyncCustomersConsumer), (Dub, AsyncDub)]
)
def test_asynchronous_class_has_the_same_methods(sync: type[Any], asynchronous: type[Any]) -> None:
    assert {LIFETIME.get(name, name) for name in public(sync)} == public(asynchronous)
    ours, awaited = (
        [(p.name, p.kind, p.default) for p in inspect.signature(cls).parameters.values()]
        for cls in (sync, asynchronous)
    )
    assert ours == awaited


def test_every_public_method_is_compared() -> None:
    methods = {name for name, _ in inspect.getmembers(CustomersConsumer, inspect.isfunction)}
    assert {name for name in methods if not name.startswith("_")} - set(METHODS) == {"close"}


@pytest.mark.parametrize("name", METHODS)
def test_asynchronous_method_has_the_same_parameters(name: str) -> None:
    sync, asynchronous = (
        dict(inspect.signature(getattr(cls, name)).parameters)
        for cls in (CustomersConsumer, AsyncCustomersConsumer)
    )
    if name == "iterate":
        del asynchronous["prefetch"]
    assert [(p.name, p.kind, p.default) for p in asynchronous.values()] == [
        (p.name, p.kind, p.default) for p in sync.values()
    ]
    for ours, awaited in zip(sync.values(), asynchronous.values(), strict=True):
        # A batch takes asynchronous iterables as well.
        annotation = re.sub(r"(Iterable\[(.+?)\]) \| AsyncIterable\[\2\]", r"\1", f"{awaited}")
        assert annotation == f"{ours}"


@pytest.mark.parametrize("name", METHODS)
def test_asynchronous_method_has_the_same_result(name: str) -> None:
    sync, asynchronous = (getattr(cls, name) for cls in (CustomersConsumer, AsyncCustomersConsumer))
    expected = str(inspect.signature(sync).return_annotation)
    for ours, awaited in RESULTS.items():
        expected = re.sub(f"^{ours}$", awaited, expected)
    assert inspect.signature(asynchronous).return_annotation == expected
    is_lazy = expected.startswith(("AsyncCustomerIterator", "AsyncGenerator"))
    assert inspect.iscoroutinefunction(asynchronous) is not is_lazy


@pytest.mark.parametrize("name", ENDPOINTS)
def test_asynchronous_endpoint_sends_the_same_request(name: str) -> None:
    sync, asynchronous = (
        getattr(cls, name).uplink_definition for cls in (CustomersConsumer, AsyncCustomersConsumer)
    )
    assert (asynchronous.method, asynchronous.uri.template) == (sync.method, sync.uri.template)
    assert asynchronous.return_type.type is sync.return_type.type
    ours, awaited = (
        {type(a) for a in d.method_handler_builder.build().annotations} - {uplink.args}
        for d in (sync, asynchronous)
    )
    assert awaited == ours
