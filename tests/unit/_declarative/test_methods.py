"""Consumer classes have plain methods: for ``inspect``, ``help`` and test doubles."""

from __future__ import annotations

import inspect
import pydoc
import traceback
import typing
from typing import Any
from unittest import mock

import pytest

from dub_uplink import (
    AsyncCustomersConsumer,
    AsyncDub,
    Customer,
    CustomerPage,
    CustomersConsumer,
    Dub,
    RetryConfig,
    Unset,
    declare,
    errors,
)

ENDPOINTS = ["list", "create", "get", "update", "delete"]
OPTIONS = ["retries", "timeout_ms", "http_headers", "extra_query"]
SEND_A_BODY = ["create", "update", "ensure", "create_many"]
BOTH = pytest.mark.parametrize("cls", [CustomersConsumer, AsyncCustomersConsumer])


@BOTH
@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoint_is_a_plain_function_with_the_declared_name(cls: type[Any], name: str) -> None:
    function = getattr(cls, name)
    assert inspect.isfunction(function)
    assert inspect.iscoroutinefunction(function) is (cls is AsyncCustomersConsumer)
    assert function.__qualname__ == f"{cls.__name__}.{name}"
    assert function.__doc__


@BOTH
@pytest.mark.parametrize("name", [*ENDPOINTS, "iterate", "ensure", "create_many", "delete_many"])
def test_signature_names_each_option_with_type_and_default(cls: type[Any], name: str) -> None:
    parameters = inspect.signature(getattr(cls, name)).parameters
    options = [*OPTIONS, "extra_body"] if name in SEND_A_BODY else OPTIONS
    assert list(parameters)[-len(options) :] == options
    assert {parameters[option].kind for option in options} == {inspect.Parameter.KEYWORD_ONLY}
    assert parameters["retries"].annotation == RetryConfig | Unset | None
    defaults = [repr(parameters[option].default) for option in options]
    assert defaults == ["UNSET", *["None"] * (len(options) - 1)]


def test_signature_of_list_names_each_filter() -> None:
    assert list(inspect.signature(CustomersConsumer("dub_x").list).parameters) == [
        "request",
        "email",
        "external_id",
        "search",
        "country",
        "link_id",
        "program_id",
        "partner_id",
        "include_expanded_fields",
        "sort_by",
        "sort_order",
        "page_size",
        "page",
        "starting_after",
        "ending_before",
        *OPTIONS,
    ]


def test_help_shows_the_options_of_an_endpoint() -> None:
    text = pydoc.render_doc(CustomersConsumer, renderer=pydoc.plaintext)
    assert "starting_after: str | None = None" in text
    assert "_definition" not in text


@pytest.mark.parametrize("cls", [CustomersConsumer, AsyncCustomersConsumer, Dub, AsyncDub])
def test_type_hints_of_each_method_resolve(cls: type[Any]) -> None:
    assert isinstance(typing.get_type_hints(cls), dict)
    for name, function in inspect.getmembers(cls, inspect.isfunction):
        assert isinstance(typing.get_type_hints(function), dict), name
    assert typing.get_type_hints(CustomersConsumer.get)["return"] is Customer


def test_async_dub_has_type_hints_of_async_customers_consumer() -> None:
    client_hints = typing.get_type_hints(AsyncDub.__init__)
    assert typing.get_type_hints(AsyncCustomersConsumer.__init__) == client_hints
    assert inspect.signature(AsyncCustomersConsumer) == inspect.signature(AsyncDub)


def test_subclass_does_not_change_parent_or_sibling_classes() -> None:
    class One(CustomersConsumer):
        @declare.get("one")
        def one(self) -> Any:
            raise NotImplementedError

        @declare.get("mine")
        def list(self) -> Any:  # type: ignore[override]
            raise NotImplementedError

    class Two(CustomersConsumer):
        pass

    assert hasattr(One, "one")
    assert not hasattr(Two, "one")
    assert "page_size" in inspect.signature(Two.list).parameters
    assert "page_size" not in inspect.signature(One.list).parameters


def test_customers_attribute_of_dub_class_is_the_consumer_class() -> None:
    assert Dub.customers is CustomersConsumer
    assert AsyncDub.customers is AsyncCustomersConsumer
    assert type(Dub("dub_x").customers) is CustomersConsumer


def test_autospec_of_a_client_rejects_invalid_calls() -> None:
    dub = mock.create_autospec(Dub, instance=True)
    dub.customers.get.return_value = Customer("cus_1")
    assert dub.customers.get("x", include_expanded_fields=True).id == "cus_1"
    with pytest.raises(TypeError, match="colour"):
        dub.customers.get("x", colour=1)
    with pytest.raises(TypeError, match="request"):
        dub.customers.get()
    with pytest.raises(AttributeError):
        dub.customers.fetch("x")


def test_autospec_of_list_accepts_the_filters() -> None:
    customers = mock.create_autospec(CustomersConsumer, instance=True)
    customers.list(country="GB", retries=None)
    customers.list.assert_called_once_with(country="GB", retries=None)
    with pytest.raises(TypeError):
        customers.iterate(page=2)


async def awaited(double: Any) -> Any:
    return await double.get("cus_1")


@pytest.mark.parametrize("cls", [AsyncCustomersConsumer, AsyncDub])
def test_autospec_of_an_async_class_is_awaitable(cls: type[Any]) -> None:
    import asyncio

    double = mock.create_autospec(cls, instance=True)
    customers = double.customers if cls is AsyncDub else double
    customers.get.return_value = Customer("cus_1")
    assert asyncio.run(awaited(customers)).id == "cus_1"
    with pytest.raises(TypeError):
        customers.get("cus_1", colour=1)


def test_patched_method_is_called_and_restored(serving: Any) -> None:
    server = serving()
    customers = CustomersConsumer("dub_x", server_url=server.url)
    with mock.patch.object(CustomersConsumer, "list", autospec=True) as double:
        double.return_value = ["patched"]
        assert customers.list(country="GB") == ["patched"]
        with pytest.raises(TypeError):
            customers.list(colour=1)  # type: ignore[call-arg]
    double.assert_called_once_with(customers, country="GB")
    assert isinstance(customers.list(), CustomerPage)


def test_error_of_a_call_has_a_short_traceback(serving: Any) -> None:
    customers = CustomersConsumer("dub_x", server_url=serving(404, "{}").url)
    with pytest.raises(errors.SDKError) as caught:
        customers.get("cus_1")
    frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert frames[1:] == ["call"]
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_error_of_an_awaited_call_has_a_short_traceback(serving: Any) -> None:
    import asyncio

    async def call() -> None:
        async with AsyncCustomersConsumer("dub_x", server_url=serving(404, "{}").url) as customers:
            await customers.get("cus_1")

    with pytest.raises(errors.SDKError) as caught:
        asyncio.run(call())
    frames = [frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    assert frames[-2:] == ["call", "call_async"]
