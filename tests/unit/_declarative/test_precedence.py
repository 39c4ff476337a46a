"""Arguments of a call replace what its endpoint declares; wrong headers are never sent."""

from __future__ import annotations

import asyncio
from typing import Any, Unpack

import pytest
import uplink

from dub_uplink import UNSET, AsyncCustomersConsumer, CustomersConsumer, Response, declare
from dub_uplink.declare import CallOptions


@uplink.headers({"X-Class": "declared"})
@uplink.params({"country": "FR"})
class Mine(CustomersConsumer):
    @declare.headers({"X-Team": "declared"})
    @declare.params({"q": "declared", "fixed": "1"})
    @declare.get(
        "things",
        args={
            "q": declare.Query,
            "team": declare.Header("X-Team"),
            "more": declare.HeaderMap,
            "options": declare.Options,
        },
    )
    def things(
        self, *, q: Any = None, team: Any = None, more: Any = None, **options: Unpack[CallOptions]
    ) -> Response:
        raise NotImplementedError

    @uplink.headers({"X-Plain": "declared"})
    @uplink.get("plain", args={"plain": uplink.Header("X-Plain"), "more": uplink.HeaderMap})
    def plain(self, plain: Any = None, more: Any = None) -> Any: ...


class AsyncMine(AsyncCustomersConsumer):
    @declare.get("things", args={"team": declare.Header("X-Team"), "more": declare.HeaderMap})
    async def things(self, *, team: Any = None, more: Any = None) -> Response:
        raise NotImplementedError

    @uplink.get("plain", args={"plain": uplink.Header("X-Plain"), "more": uplink.HeaderMap})
    async def plain(self, plain: Any = None, more: Any = None) -> Any: ...


def test_declared_headers_and_parameters_are_sent_by_default(serving: Any, connect: Any) -> None:
    server = serving()
    connect(server.url, Mine).things()
    request = server.received[0]
    assert (request.headers["x-team"], request.headers["x-class"]) == ("declared", "declared")
    assert request.query == {"q": "declared", "fixed": "1", "country": "FR"}


@pytest.mark.parametrize("header", ["X-Team", "x-team", "X-CLASS"])
def test_http_headers_of_a_call_replace_declared_ones(
    serving: Any, connect: Any, client: Any, header: str
) -> None:
    server = serving()
    mine = connect(server.url, Mine, client=client)
    mine.things(team="argument", http_headers={header: "call"})
    lines = [line for line in server.received[0].lines if line.lower().startswith(header.lower())]
    assert lines == [f"{header}: call"]


def test_http_headers_of_a_call_replace_class_and_option_headers(
    serving: Any, connect: Any
) -> None:
    server = serving()
    mine = connect(server.url, Mine).with_options(http_headers={"X-Class": "view", "X-View": "v"})
    mine.list(http_headers={"x-class": "call", "x-view": "call"})
    assert server.received[0].headers["x-class"] == "call"
    assert server.received[0].headers["x-view"] == "call"


def test_header_arguments_replace_declared_headers(serving: Any, connect: Any) -> None:
    server = serving()
    mine = connect(server.url, Mine)
    mine.things(team=7, more={"x-class": "argument", "X-None": None})
    mine.plain("argument", {"X-CLASS": "argument"})
    first, second = (request.headers for request in server.received)
    assert (first["x-team"], first["x-class"]) == ("7", "argument")
    assert "x-none" not in first
    assert (second["x-plain"], second["x-class"]) == ("argument", "argument")


def test_query_arguments_replace_declared_parameters(serving: Any, connect: Any) -> None:
    server = serving()
    mine = connect(server.url, Mine)
    mine.things(q="argument")
    mine.list(country="GB")
    queries = [request.query for request in server.received]
    assert queries == [{"q": "argument", "fixed": "1", "country": "FR"}, {"country": "GB"}]


def test_arguments_unset_and_none_are_not_sent(serving: Any, connect: Any) -> None:
    class Bare(CustomersConsumer):
        @declare.get(
            "things",
            args={
                "q": declare.Query,
                "team": declare.Header("X-Team"),
                "more": declare.HeaderMap,
                "params": declare.QueryMap,
            },
        )
        def things(self, q: Any, team: Any, more: Any, **params: Any) -> Response:
            raise NotImplementedError

    server = serving()
    for absent in (None, UNSET):
        connect(server.url, Bare).things(absent, absent, absent, size=absent)
    assert [request.target for request in server.received] == ["/things", "/things"]
    assert all("x-team" not in request.headers for request in server.received)


WRONG = ["a\r\nb: c", "Ж", " a", "\0"]


@pytest.mark.parametrize("value", WRONG)
def test_invalid_header_argument_raises_before_sending(
    serving: Any, connect: Any, client: Any, value: str
) -> None:
    server = serving()
    mine = connect(server.url, Mine, client=client)
    for call in (
        lambda: mine.things(team=value),
        lambda: mine.things(more={"X-A": value}),
        lambda: mine.things(more={"Authorization": "mine"}),
        lambda: mine.plain(value),
        lambda: mine.plain(None, {"X-A": value}),
    ):
        with pytest.raises(ValueError, match=r"^a Header(Map)? argument"):
            call()
    assert server.connections == 0


@pytest.mark.parametrize("value", WRONG)
def test_async_invalid_header_argument_raises_before_sending(serving: Any, value: str) -> None:
    server = serving()

    async def refuse(method: str, **arguments: Any) -> None:
        async with AsyncMine("dub_x", server_url=server.url) as mine:
            with pytest.raises(ValueError, match=r"^a Header(Map)? argument"):
                await getattr(mine, method)(**arguments)

    for method, name in (("things", "team"), ("plain", "plain")):
        asyncio.run(refuse(method, **{name: value}))
        asyncio.run(refuse(method, more={"X-A": value}))
    assert server.connections == 0


def test_invalid_declared_header_is_rejected_at_declaration() -> None:
    with pytest.raises(ValueError, match=r"^declare\.headers: the value of X-A"):
        declare.headers({"X-A": "a\r\nb: c"})
    with pytest.raises(ValueError, match=r"^declare\.headers cannot set Authorization"):
        declare.headers({"Authorization": "Bearer mine"})
