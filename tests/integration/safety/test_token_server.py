"""Test that only the server of ``server_url`` receives the token, for any declared path."""

from __future__ import annotations

from typing import Any

import pytest
import uplink

from dub_uplink import AsyncCustomersConsumer, AsyncDubConsumer, CustomersConsumer, DubConsumer
from dub_uplink import declare as d


class Urls(CustomersConsumer):
    @uplink.get(args={"url": uplink.Url})
    def url(self, url: str) -> Any: ...


class AsyncUrls(AsyncCustomersConsumer):
    @uplink.get(args={"url": uplink.Url})
    async def url(self, url: str) -> Any: ...


def literal(path: str, declared_with: Any) -> tuple[type[Any], type[Any]]:
    """Return classes with an endpoint of a literal path."""

    class Sync(DubConsumer):
        @declared_with.get(path)
        def thing(self) -> Any: ...

    class Async(AsyncDubConsumer):
        @declared_with.get(path)
        async def thing(self) -> Any: ...

    return Sync, Async


def elsewhere(form: str, port: int, other: int) -> str:
    """Return a URL of another origin that resembles that of the server."""
    return form.format(port=port, other=other)


@pytest.mark.promise("token-stays-at-its-server")
@pytest.mark.parametrize(
    "form",
    [
        "http://127.0.0.1:{other}/x",
        "//127.0.0.1:{other}/x",
        "HTTP://127.0.0.1:{other}",
        "http://127.0.0.1:{port}@127.0.0.1:{other}/x",
        "http://127.0.0.1:{other}\\@127.0.0.1:{port}/x",
        "http://localhost:{other}/x",
        "https://127.0.0.1:{port}/x",
        " http://127.0.0.1:{other}/x",
        "ftp://127.0.0.1:{port}/x",
    ],
)
def test_url_of_another_origin_raises_before_sending(serving: Any, reach: Any, form: str) -> None:
    server, other = serving(), serving()
    ports = [int(s.url.rpartition(":")[2]) for s in (server, other)]
    customers = reach(server.url, classes=(Urls, AsyncUrls))
    with pytest.raises(ValueError, match="not on the server of server_url") as caught:
        customers.url(elsewhere(form, *ports))
    assert "127.0.0.1" not in str(caught.value)
    assert (server.connections, other.connections) == (0, 0)


@pytest.mark.promise("token-stays-at-its-server")
@pytest.mark.parametrize("declared_with", [d, uplink], ids=["declare", "uplink"])
def test_declared_url_of_another_origin_raises_before_sending(
    serving: Any, reach: Any, declared_with: Any
) -> None:
    server, other = serving(), serving()
    customers = reach(server.url, classes=literal(f"{other.url}/x", declared_with))
    with pytest.raises(ValueError, match="not on the server of server_url"):
        customers.thing()
    assert (server.connections, other.connections) == (0, 0)


@pytest.mark.promise("token-stays-at-its-server")
def test_url_of_the_same_origin_is_sent_with_the_token(
    serving: Any, reach: Any, token: str
) -> None:
    server = serving()
    customers = reach(server.url + "/prefix", classes=(Urls, AsyncUrls))
    customers.url(f"{server.url}/else/x")
    customers.url("tags/1")
    assert [r.target for r in server.received] == ["/else/x", "/prefix/tags/1"]
    assert {r.headers["authorization"] for r in server.received} == {f"Bearer {token}"}


@pytest.mark.promise("id-is-one-segment")
@pytest.mark.parametrize(
    "url", ["..", "a/../b", "a/.", "./b", "a/%2e%2E/b", "a/.\t./b", " ../b", "a\\..\\b", "a/..?q"]
)
def test_url_with_dot_segments_raises_before_sending(serving: Any, reach: Any, url: str) -> None:
    server = serving()
    with pytest.raises(ValueError, match=r"^the URL "):
        reach(server.url + "/a/b", classes=(Urls, AsyncUrls)).url(url)
    assert server.connections == 0


@pytest.mark.promise("id-is-one-segment")
@pytest.mark.parametrize("declared_with", [d, uplink], ids=["declare", "uplink"])
@pytest.mark.parametrize(
    "path", ["x/{id:2}", "{+id}", "x{/id*}", "x{?id}", "x{#id}", "x{.id}", "x/{id*}", "../x/{id}"]
)
@pytest.mark.parametrize("base", [DubConsumer, AsyncDubConsumer])
def test_uri_template_operator_raises_at_class_definition(
    base: type[Any], path: str, declared_with: Any
) -> None:
    def sync(self: Any, id: str) -> Any: ...
    async def awaited(self: Any, id: str) -> Any: ...

    function = sync if base is DubConsumer else awaited
    with pytest.raises(TypeError, match=rf"^{function.__qualname__}: the path "):
        type("Mine", (base,), {"thing": declared_with.get(path)(function)})
