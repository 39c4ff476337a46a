"""Test the headers of requests: those of the client, of the caller, and reserved ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dub_uplink import CustomersConsumer, __version__

Call = Callable[[CustomersConsumer, Any], Any]
CALLS: dict[str, Call] = {
    "list": lambda c, h: c.list(http_headers=h),
    "create": lambda c, h: c.create({"external_id": "u"}, http_headers=h),
    "get": lambda c, h: c.get("x", http_headers=h),
    "update": lambda c, h: c.update("x", {"name": "Ada"}, http_headers=h),
    "delete": lambda c, h: c.delete("x", http_headers=h),
}


@pytest.mark.parametrize("name", CALLS)
def test_http_headers_argument_is_sent_by_every_operation(
    serving: Any, connect: Any, client: Any, name: str
) -> None:
    server = serving(200, "[]" if name == "list" else '{"id": "cus_1"}')
    customers = connect(server.url, client=client)
    CALLS[name](customers, {"X-Trace": "abc", "x-tab": "a\tb", "X-Latin": "café", "X-Empty": ""})
    CALLS[name](customers, None)
    first, second = server.received
    names = ("x-trace", "x-tab", "x-latin", "x-empty")
    assert [first.headers[name] for name in names] == ["abc", "a\tb", "café", ""]
    assert not any(name in second.headers for name in names)


def test_request_without_http_headers_sends_default_headers(
    serving: Any, connect: Any, client: Any, token: str
) -> None:
    server = serving()
    connect(server.url, client=client).list()
    headers = server.received[0].headers
    assert headers["authorization"] == f"Bearer {token}"
    assert headers["user-agent"].startswith(f"dub-uplink/{__version__} python-requests/")
    assert headers["accept"] == "application/json"
    assert "gzip" in headers["accept-encoding"]
    assert "content-type" not in headers
    assert "cookie" not in headers


def test_http_headers_replace_default_headers(serving: Any, connect: Any, client: Any) -> None:
    server = serving()
    connect(server.url, client=client).list(
        http_headers={"user-agent": "mine/1", "ACCEPT": "text/json"}
    )
    lines = server.received[0].lines
    headers = server.received[0].headers
    assert (headers["user-agent"], headers["accept"]) == ("mine/1", "text/json")
    assert len([line for line in lines if line.lower().startswith(("accept:", "user-agent:"))]) == 2


REFUSED: list[tuple[Any, type[Exception], str]] = [
    ({"Authorization": "Bearer dub_s3cr3t"}, ValueError, "cannot set Authorization"),
    ({"authorization": "dub_s3cr3t"}, ValueError, "cannot set authorization"),
    ({"Host": "x"}, ValueError, "cannot set Host"),
    ({"Content-Length": "0"}, ValueError, "cannot set Content-Length"),
    ({"Transfer-Encoding": "chunked"}, ValueError, "cannot set Transfer-Encoding"),
    ({"Connection": "close"}, ValueError, "cannot set Connection"),
    ({"X-A": "dub_s3cr3t\r\nX-B: c"}, ValueError, "value of X-A"),
    ({"X-A": "dub_s3cr3t\n"}, ValueError, "value of X-A"),
    ({"X-A": " dub_s3cr3t"}, ValueError, "value of X-A"),
    ({"X-A": "dub_s3cr3t\x00"}, ValueError, "value of X-A"),
    ({"X-A": "€"}, ValueError, "value of X-A"),
    ({"X A": "b"}, ValueError, "not a valid header name"),
    ({"X-A:": "b"}, ValueError, "not a valid header name"),
    ({"": "b"}, ValueError, "not a valid header name"),
    ({"X-Ü": "b"}, ValueError, "not a valid header name"),
    ({"X-A": "b", "x-a": "c"}, ValueError, "twice"),
    ({"X-A": 5}, TypeError, "must be strings, not"),
    ({"X-A": None}, TypeError, "must be strings, not"),
    ({"X-A": b"b"}, TypeError, "must be strings, not"),
    ({5: "b"}, TypeError, "must be strings, not"),
    ([("X-A", "b")], TypeError, "must be a mapping"),
    ("X-A: b", TypeError, "must be a mapping"),
    ([], TypeError, "must be a mapping"),
    ("", TypeError, "must be a mapping"),
]


@pytest.mark.promise("headers-are-checked")
@pytest.mark.parametrize(
    ("headers", "cls", "message"), REFUSED, ids=[f"{r[0]!r:.30}" for r in REFUSED]
)
def test_invalid_http_header_raises_before_sending(
    serving: Any, connect: Any, headers: Any, cls: type[Exception], message: str
) -> None:
    server = serving()
    customers = connect(server.url)
    for call in CALLS.values():
        with pytest.raises(cls, match=message) as caught:
            call(customers, headers)
        assert "s3cr3t" not in str(caught.value)
        assert "\n" not in str(caught.value)
    assert server.connections == 0


@pytest.mark.parametrize("headers", [None, {}])
def test_empty_http_headers_are_accepted(serving: Any, connect: Any, headers: Any) -> None:
    server = serving()
    connect(server.url).list(http_headers=headers)
    assert len(server.received) == 1


def test_http_headers_mapping_is_not_modified(serving: Any, connect: Any, client: Any) -> None:
    headers = {"X-Trace": "abc"}
    connect(serving(200, '{"id": "x"}').url, client=client).create(
        {"external_id": "u"}, http_headers=headers
    )
    assert headers == {"X-Trace": "abc"}
