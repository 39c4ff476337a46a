"""Test the functions that make errors from exceptions and responses."""

from __future__ import annotations

import json
import ssl
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import urllib3
from urllib3.exceptions import MaxRetryError, NewConnectionError, ProtocolError

from dub_uplink import Response, errors
from dub_uplink._http import connection_errors
from dub_uplink._transport import errors as hooks

_ANY: Any = None
TLS = ssl.SSLError(1, "wrong version number")


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (requests.ConnectionError("reset"), True),
        (requests.ReadTimeout("late"), True),
        (requests.ConnectTimeout("late"), True),
        (ConnectionResetError(), True),
        (TimeoutError(), True),
        (urllib3.exceptions.ProtocolError("broken"), True),
        (requests.exceptions.ChunkedEncodingError("broken"), True),
        (requests.exceptions.ProxyError("no"), True),
        (connection_errors.ConnectError("refused"), True),
        (connection_errors.IncompleteResponse(200, TimeoutError()), True),
        (requests.exceptions.SSLError(TLS), False),
        (TLS, False),
        (
            requests.ConnectionError(MaxRetryError(_ANY, "/", urllib3.exceptions.SSLError(TLS))),
            False,
        ),
        (requests.exceptions.SSLError(ssl.SSLEOFError(8, "EOF")), True),
        (ssl.SSLZeroReturnError(6, "closed"), True),
        (
            connection_errors.IncompleteResponse(200, connection_errors.BodyTooLarge("too long")),
            False,
        ),
        (connection_errors.BodyTooLarge("too long"), False),
        (requests.exceptions.InvalidURL("no host"), False),
        (requests.exceptions.InvalidHeader("no"), False),
        (requests.exceptions.MissingSchema("no"), False),
        (ValueError("no"), False),
        (OSError("no file with certificates"), False),
        (PermissionError("no"), False),
    ],
    ids=repr,
)
def test_exception_is_classified_as_transient(error: Exception, transient: bool) -> None:
    assert connection_errors.is_transient(error) is transient


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (requests.ConnectTimeout("x"), "GET: no connection within 5 s"),
        (urllib3.exceptions.ConnectTimeoutError(_ANY, "x"), "GET: no connection within 5 s"),
        (requests.ReadTimeout("x"), "GET: no complete response within 30 s"),
        (
            connection_errors.IncompleteResponse(200, TimeoutError("x")),
            "GET: no complete response within 30 s",
        ),
        (
            connection_errors.IncompleteResponse(404, TimeoutError("x")),
            "GET: no complete response within 30 s",
        ),
        (
            requests.ConnectionError(MaxRetryError(_ANY, "/", NewConnectionError(_ANY, "refused"))),
            "GET: no connection: ",
        ),
        (connection_errors.ConnectError("refused"), "GET: no connection: refused"),
        (requests.exceptions.ProxyError("gone"), "GET: the proxy failed: gone"),
        (urllib3.exceptions.ProxyError("gone", TLS), "GET: the proxy failed: "),
        (connection_errors.BodyTooLarge("32 MB"), "GET: the response was not read: 32 MB"),
        (ssl.SSLEOFError(8, "EOF"), "GET: the connection broke: "),
        (requests.exceptions.SSLError("bad"), "GET: TLS failed: bad"),
        (ValueError("no port"), "GET: the request is invalid: no port"),
        (ConnectionResetError(104, "reset"), "GET: the connection broke: [Errno 104] reset"),
        (ProtocolError("aborted", ConnectionResetError(104, "reset")), "[Errno 104] reset"),
        (ConnectionResetError(), "GET: the connection broke: ConnectionResetError"),
        (
            requests.ConnectionError("<urllib3.connection.HTTPConnection object at 0x7f00>: down"),
            "GET: the connection broke: down",
        ),
        (ConnectionResetError("one\r\n\x1b[31mtwo"), "one \ufffd[31mtwo"),
    ],
    ids=repr,
)
def test_connection_error_message_is_one_line(error: Exception, message: str) -> None:
    converted = connection_errors.make_connection_error(error, "GET", 30.0)
    assert isinstance(converted, errors.APITimeoutError) is ("within" in message)
    assert message in str(converted)
    assert str(converted).startswith("GET: ")
    assert "\n" not in str(converted)
    assert converted.__cause__ is None


def test_connect_timeout_message_names_the_shorter_timeout() -> None:
    converted = connection_errors.make_connection_error(requests.ConnectTimeout("x"), "PATCH", 0.25)
    assert str(converted).startswith("PATCH: no connection within 0.25 s")


def test_cyclic_exception_chain_has_a_message() -> None:
    one, other = requests.ConnectionError("one"), requests.ConnectionError("other")
    one.__cause__, other.__cause__ = other, one
    assert "the connection broke: other" in str(
        connection_errors.make_connection_error(one, "GET", 1.0)
    )
    chain: Exception = ConnectionResetError("the first of all")
    for number in range(30):
        chain = requests.ConnectionError(number, chain)
    assert "the connection broke" in str(connection_errors.make_connection_error(chain, "GET", 1.0))


@pytest.mark.parametrize(
    ("body", "broken"),
    [
        ('{"id": "cus_1"}', False),
        ("[]", False),
        ("[1, 2", True),
        ('{"id": "cus_', True),
        ('{"id": "cus_1"', True),
        ('{"id":', True),
        ('{"id": tru', True),
        ('{"id": -Infinit', True),
        ('{"id', True),
        ("{", True),
        (" [ ", True),
        ("", False),
        ("<html>", False),
        ('"cut', False),  # neither an object nor an array
        ("tru", False),
        ('{"id": nonsense that goes on}', False),
        ('{"id": nonsense that goes on', False),
        ('{"id": "cus_1"} and more', False),
        ('{"id": 1} {', False),
        ("{a}", False),
        ('{"a": }', False),
        ("[1,]", False),
        ("{nope", False),
        ("[nope", False),
        ("{'a", False),
        ("{tru", False),
        ("[1 t", False),
        ("[tru ", False),
        ("[\u00a0", False),
        ('{"a": truX', False),
        ('{"a": xxxxxxxx', False),
        ("{} tru", False),
        ("[1.", True),
        ("[1.5e+", True),
        ("[-", True),
        ("[1.5.", False),
        ("[1 .", False),
        ('["a"e', False),
        ('["\\u00f', True),
        ('["\\u001f', True),
        ('["\\u00f ', False),
        ('["\\x', False),
        ('[{"a": 1}', True),
        ('[{"a": 1]', False),
    ],
)
def test_truncated_json_is_distinguished_from_invalid_json(body: str, broken: bool) -> None:
    assert hooks.is_truncated_json(Response(200, {}, body.encode())) is broken


@pytest.mark.parametrize(
    ("content", "broken"),
    [
        ('{"name": "ü'.encode()[:-1], True),
        (b'{"name": "\xff"}', False),
        (b'{"name": "\xff and so on', False),
        (b'{"name": "\xff', False),
        (b"{nope\xc3", False),
        (b"[" * 100_000, True),
        (b"[" * 100_000 + b"]" * 100_000, False),
    ],
    ids=[
        "within a character",
        "no UTF-8",
        "no UTF-8, open",
        "no UTF-8 at the end",
        "invalid before a character",
        "deep",
        "deep, closed",
    ],
)
def test_json_with_invalid_bytes_is_truncated_if_unclosed(content: bytes, broken: bool) -> None:
    assert hooks.is_truncated_json(Response(200, {}, content)) is broken


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("  two\n lines\t", "two lines"),
        ("\x1b[31mred", "\ufffd[31mred"),
        ("a\x00b", "a\ufffdb"),
        ("", ""),
        ("ü 漢", "ü 漢"),
    ],
)
def test_one_line_function_replaces_line_breaks_with_spaces(text: str, line: str) -> None:
    assert hooks.one_line(text) == line


@pytest.mark.parametrize(
    ("body", "read"),
    [
        ('{"error": {"code": "c", "message": "m", "doc_url": "d"}}', ("c", "m", "d")),
        ('{"error": {"code": "c", "message": "m"}}', ("c", "m", None)),
        ('{"error": {"code": "c", "message": "m", "doc_url": 7}}', ("c", "m", None)),
        ('{"error": {"code": 1, "message": "m"}}', None),
        ('{"error": {"code": "c", "message": null}}', None),
        ('{"error": {"code": "c"}}', None),
        ('{"error": []}', None),
        ('{"error": "no"}', None),
        ("[]", None),
        ("[1]", None),
        ("null", None),
        ("", None),
        ("[" * 100_000, None),
    ],
)
def test_error_data_is_parsed_only_from_the_dub_error_format(body: str, read: Any) -> None:
    data = hooks.parse_error_data(Response(400, {}, body.encode()))
    found = data and (data.error.code, data.error.message, data.error.doc_url)
    assert found == read


@pytest.mark.parametrize(
    ("status", "headers", "body", "message"),
    [
        (302, {"Location": "https://u:pw@x.example/"}, b"", "redirects to '***@x.example/'"),
        (302, {"Location": "/x"}, b"", "the server redirects to '/x'; redirects are not followed"),
        (300, {"Location": "/x"}, b"", "the server redirects to '/x'"),
        (399, {"Location": "/x"}, b"", "the server redirects to '/x'"),
        (302, {}, b"", "the response has no body"),
        (400, {}, b"", "the response has no body; is server_url that of Dub's API?"),
        (400, {"Location": "/x"}, b"", "the response has no body; is server_url that of Dub's"),
        (404, {"Location": "/x"}, b"", "the response has no body; is server_url"),
        (499, {}, b"", "the response has no body; is server_url"),
        (299, {"Location": "/x"}, b"", "the response has no body"),
        (500, {}, b"  ", "the response has no body"),
        (502, {"Content-Type": "text/html; charset=x"}, b"<b>", "error from Dub (text/html): <b>"),
        (502, {}, b"<b>", "error from Dub (no content type): <b>"),
    ],
)
def test_error_body_that_is_not_from_dub_is_described(
    status: int, headers: dict[str, str], body: bytes, message: str
) -> None:
    converted = hooks.make_status_error(Response(status, headers, body))
    assert type(converted) is errors.SDKError
    assert message in str(converted)


@pytest.mark.parametrize("status", [500, 501, 599])
def test_empty_server_error_does_not_mention_server_url(status: int) -> None:
    assert "the response has no body" in str(hooks.make_status_error(Response(status, {}, b"")))
    assert "server_url" not in str(hooks.make_status_error(Response(status, {}, b"")))


@pytest.mark.parametrize(("letters", "shown"), [(119, 119), (120, 120), (121, 120), (9_999, 120)])
def test_long_text_of_the_server_is_truncated_in_messages(letters: int, shown: int) -> None:
    foreign = hooks.make_status_error(
        Response(502, {"Content-Type": "K" * letters}, b"Z" * letters)
    )
    assert (str(foreign).count("K"), str(foreign).count("Z")) == (shown, shown)
    assert str(foreign).count("…") == (2 if letters > shown else 0)
    moved = hooks.make_status_error(Response(302, {"Location": "L" * letters}, b""))
    assert str(moved).count("L") == shown
    broken = connection_errors.make_connection_error(
        ConnectionResetError("Z" * letters), "GET", 1.0
    )
    assert str(broken).count("Z") == shown


@pytest.mark.parametrize(("letters", "shown"), [(2_000, 2_000), (2_001, 2_000)])
def test_dub_message_is_truncated_at_2000_characters(letters: int, shown: int) -> None:
    body = json.dumps({"error": {"code": "c", "message": "Z" * letters}}).encode()
    assert str(hooks.make_status_error(Response(400, {}, body))).count("Z") == shown


def test_body_after_leading_whitespace_is_shown() -> None:
    foreign = hooks.make_status_error(Response(502, {}, b" " * 5_000 + b"<b>"))
    assert str(foreign).endswith(": <b>")
    gaps = hooks.make_status_error(Response(502, {}, b"Z" + b" " * 900 + b"Z" + b" " * 900 + b"Z"))
    assert str(gaps).count("Z") == 2  # only the start of a body is searched


@pytest.mark.parametrize(
    ("status", "refused"), [(200, False), (399, False), (400, True), (499, True), (500, False)]
)
def test_incomplete_4xx_response_counts_as_rejected_request(status: int, refused: bool) -> None:
    assert connection_errors.IncompleteResponse(status, TimeoutError()).is_rejected is refused


def test_raise_for_status_returns_or_raises_the_response() -> None:
    good, bad = Response(204, {}, b""), Response(404, {}, b"")
    call: Any = SimpleNamespace(options={})
    good.call = bad.call = call
    assert hooks.raise_for_status(good) is good
    assert good.call is call
    with pytest.raises(errors.SDKError) as caught:
        hooks.raise_for_status(bad)
    assert caught.value.response is bad
    assert bad.call is None


def test_json_or_none_returns_none_for_invalid_json() -> None:
    assert hooks.json_or_none(Response(200, {}, b'{"a": 1}')) == {"a": 1}
    for content in (b"", b"<b>", b"\xff", b"[" * 100_000):
        assert hooks.json_or_none(Response(200, {}, content)) is None


@pytest.mark.parametrize(("links", "found"), [(19, True), (20, False)])
def test_exception_chain_is_searched_to_a_fixed_depth(links: int, found: bool) -> None:
    chain: Exception = ConnectionRefusedError()
    for _ in range(links):
        chain = requests.ConnectionError(chain)
    assert connection_errors.make_connection_error(chain, "GET", 1.0).sent is not found


def test_dub_error_body_with_status_below_400_is_an_sdk_error() -> None:
    body = b'{"error": {"code": "not_found", "message": "No."}}'
    assert type(hooks.make_status_error(Response(302, {}, body))) is errors.SDKError
    assert type(hooks.make_status_error(Response(400, {}, body))) is errors.BadRequest
    assert type(hooks.make_status_error(Response(404, {}, body))) is errors.NotFound
    assert type(hooks.make_status_error(Response(418, {}, body))) is errors.SDKError
