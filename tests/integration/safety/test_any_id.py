"""Test that any id is rejected, or sent as one path segment that decodes to it."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dub_uplink import Dub

REFUSED = {"", ".", "..", "count", "export", "search-stripe"}
#: Mostly characters with a meaning in URLs, in HTTP or in templates.
IDS = st.text(st.sampled_from("./?#%\\ \n\r\0;:@&=+{}~_e2E\ud800ü🦊") | st.characters())
#: A path segment of RFC 3986.
SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2})+")
CALLS = [
    ("GET", lambda c, x: c.get(x)),
    ("PATCH", lambda c, x: c.update(x, {"name": "Ada"})),
    ("DELETE", lambda c, x: c.delete(x)),
]


@pytest.mark.promise("id-is-one-segment")
@pytest.mark.parametrize("prefix", ["", "/prefix", "/a%2Fb/c/"])
def test_any_id_is_rejected_or_sent_as_one_path_segment(
    serving: Any, reach: Any, prefix: str
) -> None:
    server = serving(200, '{"id": "cus_1"}')
    customers = reach(server.url + prefix)
    base = f"{prefix.rstrip('/')}/customers/"

    @settings(max_examples=20)
    @given(IDS, st.sampled_from(CALLS))
    @example("../links/l1", CALLS[2])
    @example("ext_a?b", CALLS[0])
    @example("%2e%2e", CALLS[0])
    @example("/", CALLS[1])
    @example("ext_\n\x00\x7f\u2028", CALLS[1])
    def check(customer_id: str, method_and_call: tuple[str, Any]) -> None:
        method, call = method_and_call
        before = len(server.received)
        try:
            call(customers, customer_id)
        except ValueError:
            assert customer_id in REFUSED or any("\ud800" <= c <= "\udfff" for c in customer_id)
            assert len(server.received) == before
            return
        assert len(server.received) == before + 1
        sent = server.received[-1]
        segment = sent.target.removeprefix(base)
        assert sent.lines[0] == f"{method} {base}{segment} HTTP/1.1"
        assert SEGMENT.fullmatch(segment)
        assert segment not in (".", "..")
        assert unquote_to_bytes(segment) == customer_id.encode()

    check()


#: URLs of valid and invalid parts.
URLS = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["https://", "http://", "HTTPS://", "ftp://", "file://", "//", "", "https:"]),
    st.sampled_from(["", "u:p@", "u@", ":@", "@"]),
    st.sampled_from(["api.dub.co", "127.0.0.1:80", "[::1]:80", "x:99999", "", "a b", "ü.example"]),
    st.sampled_from(["", "/", "/v1", "/?", "?a=b", "/#", "#x", "/v1?a#b", "/\n", "/\u200b", "\\"]),
)


#: The client encodes the Unicode host as ``xn--tda.example``.
PLAIN_URL = re.compile(r"https?://(?:[a-z0-9.ü]+|\[::1\])(?::80)?(?:/|/v1)?", re.IGNORECASE)


@pytest.mark.promise("server-url-is-plain")
@given(URLS)
@example("https://u:p@dub\u2100.example")
@example("https://u:p@[x")
@example("https://ü.example/v1")
@example("https://ü.example\\")
@pytest.mark.filterwarnings("ignore:the token goes unencrypted")
def test_any_server_url_is_valid_or_rejected_at_construction(server_url: str) -> None:
    if PLAIN_URL.fullmatch(server_url.strip()):
        Dub("dub_x", server_url=server_url).close()
        return
    with pytest.raises(ValueError, match=r"^server_url ") as caught:
        Dub("dub_x", server_url=server_url)
    assert "u:p" not in str(caught.value)
    assert caught.value.__cause__ is None
