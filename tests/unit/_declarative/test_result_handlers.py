"""``declare.result_handler``: endpoints whose result needs the call."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Unpack

import marshmallow
import pytest

from dub_uplink import AsyncDubConsumer, CustomersConsumer, Response, declare, errors
from dub_uplink.declare import CallContext, CallOptions


class TagSchema(marshmallow.Schema):
    name = marshmallow.fields.String(required=True)


class TagPage(list[dict[str, str]]):
    """A page of tags that can fetch the next page."""

    call: CallContext

    def next(self) -> TagPage:
        number = int(self.call.query.get("page", 1))
        page: TagPage = self.call.consumer.tags(page=number + 1, **self.call.options)
        return page


def make_page(call: CallContext, tags: list[dict[str, str]]) -> TagPage:
    page = TagPage(tags)
    page.call = call
    return page


def status_of(call: CallContext, response: Response) -> int:
    return response.status_code


def refuse(call: CallContext, tags: list[Any]) -> None:
    raise ValueError("too few tags")


async def coroutine_function(call: CallContext, tags: Any) -> Any: ...


class Tags(CustomersConsumer):
    @declare.result_handler(make_page)
    @declare.returns.json(type=TagSchema(many=True))
    @declare.get("tags", args={"page": declare.Query, "page_size": declare.Query})
    def tags(
        self, *, page: int = 1, page_size: int | None = None, **options: Unpack[CallOptions]
    ) -> TagPage:
        raise NotImplementedError

    @declare.result_handler(status_of)
    @declare.get("tags")
    def status(self) -> int:
        raise NotImplementedError

    @declare.result_handler(refuse)
    @declare.returns.json
    @declare.get("tags")
    def refused(self) -> None:
        raise NotImplementedError

    @declare.result_handler(lambda _, count: count + 1)
    @declare.result_handler(lambda _, tags: len(tags))
    @declare.returns.json
    @declare.get("tags")
    def one_more(self) -> int:
        raise NotImplementedError


class AsyncTags(AsyncDubConsumer):
    @declare.result_handler(make_page)
    @declare.returns.json(type=TagSchema(many=True))
    @declare.get("tags", args={"page": declare.Query})
    async def tags(self, *, page: int = 1, **options: Unpack[CallOptions]) -> TagPage:
        raise NotImplementedError


@pytest.fixture
def server(serving: Any) -> Any:
    return serving(200, '[{"name": "a"}]')


@pytest.fixture
def tags(server: Any, connect: Any) -> Any:
    return connect(server.url, Tags)


def test_result_handler_makes_a_page_that_fetches_the_next(server: Any, tags: Any) -> None:
    page = tags.tags(page=2, page_size=5, http_headers={"X-A": "b"}, extra_query={"c": "d"})
    assert page == [{"name": "a"}]
    assert page.call.query == {"page": "2", "pageSize": "5"}
    assert page.call.options == {"http_headers": {"X-A": "b"}, "extra_query": {"c": "d"}}
    assert type(page.next()) is TagPage
    assert [request.target for request in server.received] == [
        "/tags?page=2&pageSize=5&c=d",
        "/tags?page=3&c=d",
    ]
    assert server.received[1].headers["x-a"] == "b"


def test_result_handler_of_a_view_receives_the_view(server: Any, tags: Any) -> None:
    tags.with_options(http_headers={"X-A": "b"}).tags().next()
    assert [request.headers.get("x-a") for request in server.received] == ["b", "b"]


def test_result_handler_without_returns_receives_the_response(tags: Any) -> None:
    assert tags.status() == 200


def test_result_handler_below_another_one_is_called_first(tags: Any) -> None:
    assert tags.one_more() == 2


def test_value_error_of_a_result_handler_rejects_the_body(tags: Any) -> None:
    with pytest.raises(errors.ResponseValidationError, match="ValueError: too few tags") as caught:
        tags.refused()
    assert caught.value.response.status_code == 200


def test_result_handler_is_not_called_for_an_error_response(serving: Any, connect: Any) -> None:
    with pytest.raises(errors.SDKError):
        connect(serving(500, "[]").url, Tags).status()


def test_raw_response_parses_to_the_result_of_the_handler(tags: Any) -> None:
    raw = tags.with_raw_response.tags(page=2)
    assert raw.status_code == 200
    assert type(raw.parse().next()) is TagPage
    assert tags.with_raw_response.status().parse() == 200


def test_result_handler_of_a_coroutine_endpoint_is_called(server: Any) -> None:
    async def two_pages() -> Any:
        async with AsyncTags("dub_x", server_url=server.url) as tags:
            page: Any = await tags.tags(page=2)
            return await page.next()

    assert type(asyncio.run(two_pages())) is TagPage
    assert [request.target for request in server.received] == ["/tags?page=2", "/tags?page=3"]


@pytest.mark.parametrize("handler", [None, "make_page", coroutine_function])
def test_result_handler_that_is_no_plain_function_is_rejected(handler: Any) -> None:
    with pytest.raises(TypeError, match=r"^declare\.result_handler must be a function that is not"):
        declare.result_handler(handler)


@pytest.mark.parametrize(
    "error", [KeyError("a"), IndexError(), AttributeError(), OverflowError(), TypeError()]
)
def test_error_of_a_handler_about_the_body_rejects_the_body(
    server: Any, connect: Any, error: Exception
) -> None:
    with pytest.raises(errors.ResponseValidationError, match=type(error).__name__):
        connect(server.url, raising(error)).tags()


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), OSError(), errors.DubError("x"), RecursionError()]
)
def test_other_error_of_a_result_handler_is_unchanged(
    server: Any, connect: Any, error: Exception
) -> None:
    with pytest.raises(type(error)) as caught:
        connect(server.url, raising(error)).tags()
    assert caught.value is error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (json.JSONDecodeError("not the body", "", 0), "JSONDecodeError: not the body: line 1"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "not the body"), "UnicodeDecodeError: 'utf-8'"),
        (KeyError("a"), "KeyError: 'a'"),
    ],
)
def test_error_of_a_result_handler_names_the_handler(
    server: Any, connect: Any, error: Exception, reason: str
) -> None:
    with pytest.raises(errors.ResponseValidationError) as caught:
        connect(server.url, raising(error)).tags()
    message = "the result handler raising.<locals>.handler rejects the response body: " + reason
    assert str(caught.value).startswith("200: " + message)


def test_body_that_is_not_json_has_a_message_about_json(serving: Any, connect: Any) -> None:
    with pytest.raises(errors.ResponseValidationError, match="the response is not JSON"):
        connect(serving(200, "<html>").url, Tags).tags()


@pytest.mark.parametrize("count", [1, 2])
def test_coroutine_as_result_of_a_handler_is_rejected(server: Any, count: int) -> None:
    def get_again(call: CallContext, body: Any) -> Any:
        return call.consumer.other()

    class Mine(AsyncDubConsumer):
        @declare.get("tags")
        async def other(self) -> Any: ...

        @declare.get("tags")
        async def tags(self) -> Any: ...

        for _ in range(count):
            tags = declare.result_handler(get_again)(tags)

    async def call() -> None:
        async with Mine("dub_x", server_url=server.url) as mine:
            await mine.tags()

    with pytest.raises(TypeError, match=r"^the result handler .*get_again returned a coroutine"):
        asyncio.run(call())


def raising(error: Exception) -> Any:
    def handler(call: CallContext, body: Any) -> Any:
        raise error

    class Mine(CustomersConsumer):
        @declare.result_handler(handler)
        @declare.get("tags")
        def tags(self) -> Any: ...

    return Mine


def test_result_handler_below_returns_receives_the_same_value(server: Any, connect: Any) -> None:
    class Mine(CustomersConsumer):
        @declare.returns.json(type=TagSchema(many=True))
        @declare.result_handler(make_page)
        @declare.get("tags")
        def tags(self) -> TagPage:
            raise NotImplementedError

    assert type(connect(server.url, Mine).tags()) is TagPage


def test_return_annotation_alone_does_not_convert(server: Any, connect: Any) -> None:
    class Mine(CustomersConsumer):
        @declare.get("tags")
        def tags(self) -> TagSchema:
            raise NotImplementedError

    assert type(connect(server.url, Mine).tags()) is Response
