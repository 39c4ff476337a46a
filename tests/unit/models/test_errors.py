"""Test that every failure of a call is a ``DubError`` with a message of one line."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from dub_uplink import errors
from dub_uplink.testing import FakeDub, faults

KNOWN: list[tuple[int, str, type[errors.APIStatusError]]] = [
    (400, "bad_request", errors.BadRequest),
    (401, "unauthorized", errors.Unauthorized),
    (403, "forbidden", errors.Forbidden),
    (403, "exceeded_limit", errors.Forbidden),
    (404, "not_found", errors.NotFound),
    (409, "conflict", errors.Conflict),
    (409, "invite_pending", errors.Conflict),
    (410, "invite_expired", errors.InviteExpired),
    (422, "unprocessable_entity", errors.UnprocessableEntity),
    (429, "rate_limit_exceeded", errors.RateLimitExceeded),
    (500, "internal_server_error", errors.InternalServerError),
    (403, "a_code_of_next_year", errors.Forbidden),
    (402, "payment_required", errors.SDKError),
    (405, "method_not_allowed", errors.SDKError),
    (418, "teapot", errors.SDKError),
    (502, "bad_gateway", errors.SDKError),
    (503, "unavailable", errors.SDKError),
    (599, "whatever", errors.SDKError),
    (308, "moved", errors.SDKError),
]


def body(code: str, message: str = "It went wrong.") -> str:
    url = "https://dub.co/docs/api-reference/errors#" + code.replace("_", "-", 1)
    return json.dumps({"error": {"code": code, "message": message, "doc_url": url}})


@pytest.mark.parametrize(("status", "code", "cls"), KNOWN, ids=[f"{s}-{c}" for s, c, _ in KNOWN])
def test_error_class_depends_on_the_status(
    serving: Any, connect: Any, status: int, code: str, cls: type[Exception]
) -> None:
    server = serving(status, body(code), {"X-Trace": "abc"})
    with pytest.raises(errors.DubError) as caught:
        connect(server.url).list()
    error = caught.value
    assert type(error) is cls
    assert isinstance(error, errors.APIStatusError)
    assert (error.status_code, error.code, error.message) == (status, code, "It went wrong.")
    assert error.doc_url.startswith("https://dub.co/docs/api-reference/errors#")
    assert error.data is not None
    assert (error.data.error.code, error.data.error.message) == (code, "It went wrong.")
    assert error.data.error.doc_url == error.doc_url
    assert str(error) == f"{status} {code}: It went wrong."
    assert error.body == body(code)
    assert error.headers["x-trace"] == error.response.headers["X-TRACE"] == "abc"
    assert (error.attempts, error.retry_after) == (1, None)


FOREIGN: list[tuple[Any, str, str]] = [
    ("", "text/html", "the response has no body"),
    (" \n ", "text/html", "the response has no body"),
    (
        "<html>\n<h1>Bad   gateway</h1>",
        "text/html; charset=utf-8",
        "the response is not an error from Dub (text/html): <html> <h1>Bad gateway</h1>",
    ),
    ("{}", "application/json", "the response is not an error from Dub (application/json): {}"),
    ("[]", "application/json", "the response is not an error from Dub (application/json): []"),
    ('"no"', "application/json", "the response is not an error from Dub (application/json): "),
    ("null", "application/json", "the response is not an error from Dub (application/json): null"),
    ('{"error": "no"}', "application/json", "the response is not an error from Dub "),
    ('{"error": null}', "application/json", "the response is not an error from Dub "),
    ('{"error": ["a"]}', "application/json", "the response is not an error from Dub "),
    ('{"error": {"code": "x"}}', "application/json", "the response is not an error from Dub "),
    (
        '{"error": {"code": 5, "message": "x"}}',
        "x/y",
        "the response is not an error from Dub (x/y)",
    ),
    ('{"error": {"code": "x", "message": null}}', "a", "the response is not an error from Dub (a)"),
    ("{", "application/json", "the response is not an error from Dub (application/json): {"),
    (b"\xff\xfe\xfa", "image/png", "the response is not an error from Dub (image/png): "),
    (
        "[" * 5000,
        "application/json",
        "the response is not an error from Dub (application/json): [[",
    ),
]


@pytest.mark.parametrize(
    ("content", "content_type", "message"), FOREIGN, ids=[f"{f[0]!r:.24}" for f in FOREIGN]
)
def test_error_body_that_is_not_from_dub_raises_sdk_error(
    serving: Any, connect: Any, http_response: Any, content: Any, content_type: str, message: str
) -> None:
    statuses = [400, 404, 500, 502]
    server = serving(
        raw=[http_response(status, content, {"Content-Type": content_type}) for status in statuses]
    )
    customers = connect(server.url)
    for status in statuses:
        with pytest.raises(errors.SDKError) as caught:
            customers.list()
        error = caught.value
        assert type(error) is errors.SDKError
        assert str(error).startswith(f"{status}: {message}")
        assert len(str(error)) < 300
        assert "\n" not in str(error)
        assert (error.status_code, error.code, error.data) == (status, None, None)
        assert error.doc_url is None
        sent = content if isinstance(content, bytes) else content.encode()
        assert error.response.content == sent


def test_multiline_message_is_shown_in_one_line(serving: Any, connect: Any) -> None:
    server = serving(422, body("unprocessable_entity", "one\n  two\r\nthree\u2028four"))
    with pytest.raises(errors.UnprocessableEntity) as caught:
        connect(server.url).list()
    assert str(caught.value) == "422 unprocessable_entity: one two three four"
    assert caught.value.data is not None
    assert caught.value.data.error.message == "one\n  two\r\nthree\u2028four"


def test_error_without_doc_url_has_doc_url_none(serving: Any, connect: Any) -> None:
    for doc_url in ("", ', "doc_url": null', ', "doc_url": 5'):
        server = serving(404, '{"error": {"code": "not_found", "message": "No."' + doc_url + "}}")
        with pytest.raises(errors.NotFound) as caught:
            connect(server.url).get("cus_1")
        assert caught.value.doc_url is None


LOCATIONS = ["/customers", "https://evil.example/", "//", "http://[", "http://[::1:::"]


@pytest.mark.parametrize("location", LOCATIONS)
def test_redirect_raises_and_is_not_followed(
    serving: Any, connect: Any, client: Any, http_response: Any, location: str
) -> None:
    statuses = [301, 302, 303, 307, 308]
    server = serving(raw=[http_response(status, "", {"Location": location}) for status in statuses])
    customers = connect(server.url, client=client)
    for number, status in enumerate(statuses, 1):
        with pytest.raises(errors.SDKError) as caught:
            customers.list()
        assert str(caught.value) == (
            f"{status}: the server redirects to {location!r}; redirects are not followed;"
            " set server_url to the final address"
        )
        assert caught.value.headers["location"] == location
        assert len(server.received) == number


def test_redirect_sends_no_token_to_another_server(serving: Any, connect: Any, client: Any) -> None:
    other = serving(200, "[]")
    server = serving(307, "", {"Location": other.url + "/customers"})
    with pytest.raises(errors.SDKError, match="redirects to"):
        connect(server.url, client=client).create({"external_id": "u"})
    assert other.connections == 0


def test_not_modified_without_location_raises(serving: Any, connect: Any) -> None:
    with pytest.raises(errors.SDKError, match=r"^304: "):
        connect(serving(304, "").url).list()


@pytest.fixture
def unused_port() -> Iterator[int]:
    with socket.socket() as sock:  # bound, but not listening: connections are refused
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_refused_connection_is_reported_as_unsent(
    connect: Any, client: Any, unused_port: int
) -> None:
    with pytest.raises(errors.APIConnectionError) as caught:
        connect(f"http://127.0.0.1:{unused_port}", client=client).create({"external_id": "u"})
    error = caught.value
    assert type(error) is errors.APIConnectionError
    assert error.sent is False
    assert str(error).startswith("POST: no connection: ")
    assert "refused" in str(error)
    assert "\n" not in str(error)


def test_unknown_host_raises_connection_error(
    connect: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with (
        pytest.warns(UserWarning, match="unencrypted"),
        pytest.raises(errors.APIConnectionError, match=r"^GET: no connection: ") as caught,
    ):
        connect("http://nowhere.invalid", client=client).list()
    assert type(caught.value) is errors.APIConnectionError
    assert caught.value.sent is False


BROKEN: dict[str, bytes] = {
    "no response": b"",
    "no HTTP": b"220 smtp ready\r\n\r\n",
    "a status that is none": b"HTTP/1.1 abc\r\n\r\n",
    "a rotten gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello",
    "a rotten chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[]\r\n0\r\n\r\n",
    "too many headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    "a header too long": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("raw", BROKEN.values(), ids=BROKEN)
def test_malformed_response_raises_connection_error(
    serving: Any, connect: Any, client: Any, raw: bytes
) -> None:
    server = serving(raw=raw)
    with pytest.raises(errors.DubError) as caught:
        connect(server.url, client=client).list()
    assert type(caught.value) is errors.APIConnectionError
    assert caught.value.sent is True
    assert str(caught.value).startswith("GET: the connection broke: ")
    assert "\n" not in str(caught.value)


CUT: dict[str, bytes] = {
    "in its body": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n[]",
    "in a chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n[",
    "between chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n[\r\n",
    "in JSON without a length": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[{",
}


@pytest.mark.parametrize("raw", CUT.values(), ids=CUT)
def test_truncated_body_raises_connection_error(
    serving: Any, connect: Any, client: Any, raw: bytes
) -> None:
    server = serving(raw=raw, then="close")
    with pytest.raises(errors.APIConnectionError) as caught:
        connect(server.url, client=client).list()
    assert type(caught.value) is errors.APIConnectionError
    assert caught.value.sent is True


def test_truncated_headers_raise_connection_error(serving: Any, connect: Any) -> None:
    for raw in (b"HTTP/1.1 200 OK\r\nContent-", b"HTTP/1.1 200 OK\r\nX: y\r\n"):
        server = serving(raw=raw, then="close")
        with pytest.raises(errors.APIConnectionError, match="within its headers"):
            connect(server.url).list()


def test_folded_response_header_is_shown_on_one_line(serving: Any, connect: Any) -> None:
    server = serving(502, "<html>", {"Content-Type": "text/html\r\n more", "Location": "a\r\n b"})
    with pytest.raises(errors.SDKError) as caught:
        connect(server.url).list()
    assert "\n" not in str(caught.value)


def test_server_without_tls_raises_connection_error(connect: Any, client: Any) -> None:
    def greet() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = listener.accept()
                with sock:
                    sock.recv(1)
                    sock.sendall(b"220 mail.example ESMTP\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=greet, daemon=True).start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(errors.APIConnectionError, match=r"^GET: TLS failed: ") as caught:
            connect(url, client=client).list()
        listener.shutdown(socket.SHUT_RDWR)
    assert type(caught.value) is errors.APIConnectionError


def test_missing_ca_file_error_names_the_file(connect: Any) -> None:
    with requests.Session() as session:
        session.verify = "/nowhere/ca.pem"
        customers = connect("https://127.0.0.1:9", client=session)
        with pytest.raises(errors.APIConnectionError, match=r"/nowhere/ca\.pem"):
            customers.list()


@pytest.mark.parametrize("fault", [faults.DropBefore(), faults.DropAfter(), faults.Truncate(5)])
def test_fake_drop_fault_raises_connection_error(
    fake: FakeDub, customers: Any, fault: faults.Fault
) -> None:
    fake.faults.add(fault)
    with pytest.raises(errors.APIConnectionError, match=r"^POST: the connection broke"):
        customers.create({"external_id": "user_1", "country": "GB"})


def test_body_above_the_limit_raises_connection_error(
    serving: Any, connect: Any, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dub_uplink._http.decoding.MAX_BODY_BYTES", 3 << 20)
    server = serving(200, b"[" + b" " * (4 << 20) + b"]")
    with pytest.raises(errors.APIConnectionError, match="larger than 3 MB"):
        connect(server.url, client=client).list()


def test_error_classes_have_their_documented_bases() -> None:
    assert issubclass(errors.APITimeoutError, errors.APIConnectionError)
    assert issubclass(errors.APIConnectionError, errors.DubError)
    assert issubclass(errors.ResponseValidationError, errors.DubError)
    assert not issubclass(errors.ResponseValidationError, errors.APIStatusError)
    for cls in (*errors.BY_STATUS.values(), errors.SDKError):
        assert issubclass(cls, errors.APIStatusError)
    assert not issubclass(errors.APIConnectionError, errors.APIStatusError)


def test_control_characters_in_a_message_are_replaced(serving: Any, connect: Any) -> None:
    body = '{"error": {"code": "not_found", "message": "no\\u001b[2J such\\ncustomer"}}'
    with pytest.raises(errors.NotFound) as caught:
        connect(serving(404, body).url).get("cus_1")
    assert str(caught.value) == "404 not_found: no\ufffd[2J such customer"
