"""What is no operation of the customers API: other routes, other methods, other spellings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dub_uplink.testing import FakeDub


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/customer",
        "/Customers",
        "/customers/a/b",
        "/customers/export",
        "/customers/search-stripe",
        "/links",
        "//customers",
    ],
)
def test_unknown_route_with_or_without_api_key_returns_html_404(
    fake: FakeDub, reach: Callable[[FakeDub], Any], path: str
) -> None:
    api = reach(fake)
    for headers in (None, {}):
        answer = api("GET", path, headers=headers)
        assert answer.status_code == 404
        assert answer.headers["Content-Type"].startswith("text/html")
        assert "<html" in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/customers"),
        ("PATCH", "/customers"),
        ("DELETE", "/customers"),
        ("POST", "/customers/cus_1"),
        ("PUT", "/customers/cus_1"),
        ("OPTIONS", "/customers"),
        ("HEAD", "/customers/cus_1"),
        ("BREW", "/customers"),
        ("get", "/customers"),
    ],
)
def test_unsupported_method_returns_empty_405(
    fake: FakeDub, reach: Callable[[FakeDub], Any], method: str, path: str
) -> None:
    api = reach(fake)
    prepared = api.session.prepare_request(_request(api.url + path))
    prepared.method = method
    answer = api.session.send(prepared)
    assert (answer.status_code, answer.content) == (405, b"")


def _request(url: str) -> Any:
    import requests

    return requests.Request("GET", url, headers={"Authorization": "Bearer dub_test"})


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/customers/", "/customers"),
        ("/customers/ext_a/", "/customers/ext_a"),
        ("/customers/?page=1&pageSize=2", "/customers?page=1&pageSize=2"),
        ("/customers///", "/customers"),
        ("/unknown/", "/unknown"),
    ],
)
def test_trailing_slash_is_redirected(
    fake: FakeDub, reach: Callable[[FakeDub], Any], path: str, location: str
) -> None:
    answer = reach(fake)("GET", path, headers={}, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (308, location)


def test_redirect_can_be_followed_with_method_and_body(
    fake: FakeDub, reach: Callable[[FakeDub], Any]
) -> None:
    api = reach(fake)
    answer = api("POST", "/customers/", json={"externalId": "a", "country": "GB"})
    assert answer.status_code == 201
    # The trap: an empty id is the list.
    assert isinstance(api("GET", "/customers/").json(), list)


@pytest.mark.parametrize("dots", ["..", "%2e%2e", ".%2E"])
def test_dot_segments_of_a_path_are_resolved(
    fake: FakeDub, raw: Callable[[bytes], bytes], dots: str
) -> None:
    fake.add(external_id="a")
    head = "GET {} HTTP/1.1\r\nAuthorization: Bearer dub_test\r\nConnection: close\r\n\r\n"
    assert raw(head.format(f"/customers/{dots}").encode()).startswith(b"HTTP/1.1 404")
    assert b"<html" in raw(head.format(f"/customers/{dots}").encode())
    assert raw(head.format("/customers/.").encode()).startswith(b"HTTP/1.1 308")
    assert raw(head.format(f"/x/{dots}/customers").encode()).startswith(b"HTTP/1.1 200")
    assert raw(head.format(f"/{dots}/{dots}/customers").encode()).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", ["/customers/ext_%", "/customers/ext_%2", "/customers/%FF"])
def test_broken_percent_encoding_of_an_id_returns_400(
    fake: FakeDub, raw: Callable[[bytes], bytes], path: str
) -> None:
    head = f"GET {path} HTTP/1.1\r\nAuthorization: Bearer dub_test\r\nConnection: close\r\n\r\n"
    assert raw(head.encode()).startswith(b"HTTP/1.1 400")
