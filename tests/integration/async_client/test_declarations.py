"""Compare the declarations of the asynchronous consumers with those of the synchronous ones."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import Any, Unpack

import pytest
import uplink

from dub_uplink import (
    AsyncCustomersConsumer,
    AsyncDub,
    CustomersConsumer,
    Dub,
    declare,
    errors,
)
from dub_uplink.declare import CallOptions

ENDPOINTS = ["list", "count", "create", "get", "update", "delete"]
BATCHES = ["create_many", "update_many", "upsert_many", "delete_many"]
METHODS = [*ENDPOINTS, "iterate", "ensure", "upsert", *BATCHES]
#: Methods with another name in the asynchronous clients.
LIFETIME = {"close": "aclose", "__enter__": "__aenter__", "__exit__": "__aexit__"}
#: Result types with another name in the asynchronous clients.
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
def test_async_class_has_the_methods_of_the_sync_class(
    sync: type[Any], asynchronous: type[Any]
) -> None:
    assert {LIFETIME.get(name, name) for name in public(sync)} == public(asynchronous)
    ours, awaited = (
        [(p.name, p.kind, p.default) for p in inspect.signature(cls).parameters.values()]
        for cls in (sync, asynchronous)
    )
    assert ours == awaited


def test_sync_async_comparison_covers_every_public_method() -> None:
    methods = {name for name, _ in inspect.getmembers(CustomersConsumer, inspect.isfunction)}
    assert {name for name in methods if not name.startswith("_")} - set(METHODS) == {
        "close",
        "with_options",
    }


@pytest.mark.parametrize("name", METHODS)
def test_async_method_has_the_parameters_of_the_sync_method(name: str) -> None:
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
        # Asynchronous batches also accept asynchronous iterables.
        annotation = re.sub(r"(Iterable\[(.+?)\]) \| AsyncIterable\[\2\]", r"\1", f"{awaited}")
        assert annotation == f"{ours}"


@pytest.mark.parametrize("name", METHODS)
def test_async_method_has_the_return_type_of_the_sync_method(name: str) -> None:
    sync, asynchronous = (getattr(cls, name) for cls in (CustomersConsumer, AsyncCustomersConsumer))
    expected = str(inspect.signature(sync).return_annotation)
    for ours, awaited in RESULTS.items():
        expected = re.sub(f"^{ours}$", awaited, expected)
    assert inspect.signature(asynchronous).return_annotation == expected
    is_lazy = expected.startswith(("AsyncCustomerIterator", "AsyncGenerator"))
    assert inspect.iscoroutinefunction(asynchronous) is not is_lazy


@pytest.mark.parametrize("name", ENDPOINTS)
def test_async_endpoint_sends_the_request_of_the_sync_one(name: str) -> None:
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


class Tags(AsyncCustomersConsumer):
    """Endpoints of a subclass, with and without types."""

    @declare.returns.json(type=int)
    @declare.get("customers/{id}/notes", args={"options": declare.Options})
    async def count_notes(self, id: str, **options: Unpack[CallOptions]) -> int:
        raise NotImplementedError

    @uplink.returns.json
    @uplink.get("tags/{id}")
    async def tag(self, id: Any) -> Any: ...


async def call(url: str, method: str, *args: Any, **kwargs: Any) -> Any:
    async with Tags("dub_x", server_url=url, retry_config=None) as tags:
        return await getattr(tags, method)(*args, **kwargs)


def test_async_subclass_endpoints_are_coroutine_functions() -> None:
    assert inspect.iscoroutinefunction(Tags.count_notes)
    assert inspect.iscoroutinefunction(Tags.tag)
    assert "timeout_ms" in inspect.signature(Tags.count_notes).parameters


def test_async_subclass_endpoints_convert_the_response_body(serving: Any) -> None:
    server = serving(200, "7")
    assert asyncio.run(call(server.url, "count_notes", "c/1", timeout_ms=5_000)) == 7
    assert asyncio.run(call(server.url, "tag", 3)) == 7
    assert [r.target for r in server.received] == ["/customers/c%2F1/notes", "/tags/3"]


@pytest.mark.parametrize("method", ["count_notes", "tag"])
def test_async_endpoint_with_invalid_response_body_raises(serving: Any, method: str) -> None:
    with pytest.raises(errors.ResponseValidationError) as caught:
        asyncio.run(call(serving(200, "<").url, method, "1"))
    assert caught.value.response.text == "<"


@pytest.mark.parametrize("method", ["count_notes", "tag"])
def test_async_invalid_argument_raises_before_sending(serving: Any, method: str) -> None:
    server = serving(200, "7")
    with pytest.raises(ValueError, match=r"^id must"):
        asyncio.run(call(server.url, method, ".."))
    with pytest.raises(TypeError):
        asyncio.run(call(server.url, method, "1", colour=1))
    assert server.connections == 0


@pytest.mark.parametrize("declared_with", [declare, uplink], ids=["declare", "uplink"])
def test_async_body_with_nan_raises_before_sending(serving: Any, declared_with: Any) -> None:
    class Mine(AsyncCustomersConsumer):
        @declared_with.json
        @declared_with.post("notes", args={"body": uplink.Body})
        async def add(self, body: Any) -> Any: ...

    async def add(url: str) -> None:
        async with Mine("dub_x", server_url=url) as client:
            await client.add({"size": float("nan")})

    server = serving()
    with pytest.raises(ValueError, match="cannot be sent as JSON"):
        asyncio.run(add(server.url))
    assert server.connections == 0
