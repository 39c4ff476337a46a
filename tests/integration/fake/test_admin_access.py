"""Who may use the admin API, and what it does with wrong requests."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import http.client
import json
import logging
import math
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

import pytest

from dub_uplink.testing import FakeDub, Request, faults
from dub_uplink.testing._server import AdminTokenRequired, Server

JSON = {"Content-Type": "application/json"}


def connect(url: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)


def send(
    url: str,
    method: str,
    path: str,
    body: str | bytes | None = None,
    headers: Mapping[str, str] = JSON,
) -> tuple[int, Any, http.client.HTTPResponse]:
    """Send a request as given; return the status, the body as JSON if it is, and the response."""
    with contextlib.closing(connect(url)) as connection:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        text = response.read().decode()
    is_json = text and response.headers.get("Content-Type") == "application/json"
    return response.status, json.loads(text) if is_json else text, response


@pytest.fixture
def url(fake: FakeDub) -> Iterator[str]:
    with fake.serve(admin=True) as url:
        yield url


ENTRIES = [
    ("GET", "state"),
    ("POST", "reset"),
    ("POST", "shutdown"),
    ("DELETE", "requests"),
    ("GET", ""),
]


@pytest.mark.parametrize(("method", "path"), [*ENTRIES[:-1], ("GET", "customers/seed")])
def test_disabled_admin_api_returns_dub_404(fake: FakeDub, method: str, path: str) -> None:
    with fake.serve() as url:
        status, body, response = send(url, method, f"/_fake/{path}")
        unknown = send(url, method, "/unknown/route")
    assert (status, body) == (404, unknown[1])
    assert response.headers["Content-Type"].startswith("text/html")
    assert len(fake.requests) == 2


def test_disabled_admin_page_returns_404(fake: FakeDub) -> None:
    with fake.serve() as url:
        status, _, response = send(url, "GET", "/_fake/")
        assert (status, response.headers["Location"]) == (308, "/_fake")
        assert send(url, "GET", "/_fake")[0] == 404


def test_fake_session_has_no_admin_api(fake: FakeDub) -> None:
    assert fake.session().get(f"{fake.base_url}/_fake/state").status_code == 404


def test_admin_requests_are_not_recorded_and_get_no_faults(fake: FakeDub, url: str) -> None:
    send(url, "POST", "/_fake/faults", '{"fault": "Status", "code": 503, "times": null}')
    send(url, "PATCH", "/_fake/settings", '{"rateLimit": 0, "latency": 100}')
    assert [send(url, "GET", "/_fake/state")[0] for _ in range(3)] == [200, 200, 200]
    assert fake.requests == []


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1:80", "127.9.9.9", "[::1]"])
def test_admin_request_with_loopback_host_header_is_accepted(url: str, host: str) -> None:
    assert send(url, "POST", "/_fake/reset", headers={**JSON, "Host": host})[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "example.com",
        "localhost.example.com",
        "127.0.0.1.example.com",
        "example.com:127",
        "127.0.0.1@example.com",
        "192.168.1.5",
        "0.0.0.0",
        "",
        "localhost, example.com",
        "[::1",
        "1",
    ],
)
@pytest.mark.parametrize(("method", "path"), ENTRIES)
def test_admin_request_with_another_host_header_is_rejected(
    fake: FakeDub, url: str, host: str, method: str, path: str
) -> None:
    fake.add_many(1)
    status, body, _ = send(url, method, f"/_fake/{path}", headers={**JSON, "Host": host})
    assert status == 403
    assert "loopback" in body["error"]["message"]
    assert fake.customer_count == 1


WRITES = [
    ("POST", "reset", None),
    ("DELETE", "customers", None),
    ("POST", "customers", "{}"),
    ("PATCH", "settings", '{"role": "viewer"}'),
    ("POST", "shutdown", None),
]
FORMS = [
    {},
    {"Content-Type": "text/plain"},
    {"Content-Type": "text/plain; application/json"},
    {"Content-Type": "application/x-www-form-urlencoded"},
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "application/json-patch"},
]


@pytest.mark.parametrize("headers", FORMS)
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_admin_write_without_json_content_type_is_rejected(
    fake: FakeDub, url: str, method: str, path: str, body: str | None, headers: dict[str, str]
) -> None:
    fake.add_many(1)
    status, received, _ = send(url, method, f"/_fake/{path}", body, headers)
    assert (status, "Content-Type" in received["error"]["message"]) == (415, True)
    assert (fake.customer_count, fake.settings.role) == (1, "owner")


@pytest.mark.parametrize(
    "origin", ["null", "", "https://example.com", "http://127.0.0.1:1", "http://127.0.0.1"]
)
@pytest.mark.parametrize(("method", "path", "body"), WRITES)
def test_admin_write_from_another_origin_is_rejected(
    fake: FakeDub, url: str, method: str, path: str, body: str | None, origin: str
) -> None:
    fake.add_many(1)
    headers = {**JSON, "Origin": origin}
    status, received, _ = send(url, method, f"/_fake/{path}", body, headers)
    assert (status, "Origin" in received["error"]["message"]) == (403, True)
    assert (fake.customer_count, fake.settings.role) == (1, "owner")


@pytest.mark.parametrize("scheme", ["http", "https", "HTTP"])
def test_admin_write_from_the_same_origin_is_accepted(url: str, scheme: str) -> None:
    headers = {**JSON, "Origin": url.replace("http", scheme)}
    assert send(url, "POST", "/_fake/reset", headers=headers)[0] == 200


def test_admin_write_accepts_json_content_type_with_charset(url: str) -> None:
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert send(url, "POST", "/_fake/reset", headers=headers)[0] == 200


def test_admin_response_has_no_cors_headers(url: str) -> None:
    origin = {"Origin": "https://example.com"}
    preflight = {**origin, "Access-Control-Request-Method": "POST"}
    status, _, response = send(url, "OPTIONS", "/_fake/reset", headers=preflight)
    assert status == 405
    for received in (response, send(url, "GET", "/_fake/state", headers=origin)[2]):
        assert not [name for name in received.headers if name.lower().startswith("access-control")]


@pytest.mark.parametrize("path", ["", "state", "requests?after=1"])
def test_admin_head_returns_the_headers_of_get_without_body(
    fake: FakeDub, url: str, path: str
) -> None:
    fake.clock.freeze()
    status, _, got = send(url, "GET", f"/_fake/{path}")
    assert status == 200
    status, body, response = send(url, "HEAD", f"/_fake/{path}")
    assert (status, body) == (200, "")
    assert response.headers.items() == got.headers.items()
    assert int(response.headers["Content-Length"]) > 0


def test_admin_page_headers_forbid_external_content_and_frames(url: str) -> None:
    status, page, response = send(url, "GET", "/_fake/")
    assert (status, response.headers["X-Frame-Options"]) == (200, "DENY")
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "connect-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in " ".join(policy)
    assert "http:" not in page
    assert "https:" not in page
    assert "innerHTML" not in page


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_admin_api_beyond_loopback_without_token_raises(fake: FakeDub, host: str) -> None:
    with pytest.raises(AdminTokenRequired, match="admin_token"):
        fake.serve(host, admin=True)
    fake.serve(host).close()
    fake.serve(host, admin=True, admin_token="secret").close()


def test_admin_token_without_admin_raises_value_error(fake: FakeDub) -> None:
    with pytest.raises(ValueError, match="admin_token has no effect without admin=True"):
        fake.serve(admin_token="s3cret")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "::1"])
def test_admin_api_on_loopback_needs_no_token(fake: FakeDub, host: str) -> None:
    fake.serve(host, admin=True).close()


@pytest.mark.parametrize("token", [" ", "a b", "ä", "a\n"])
def test_admin_token_invalid_in_a_header_raises_value_error(fake: FakeDub, token: str) -> None:
    with pytest.raises(ValueError, match="admin_token must consist of"):
        fake.serve(admin=True, admin_token=token)


def basic(password: str) -> str:
    return f"Basic {base64.b64encode(f'user:{password}'.encode()).decode()}"


@pytest.mark.parametrize("authorization", ["Bearer s3cret", "bearer s3cret", basic("s3cret")])
def test_admin_token_is_accepted_with_any_host_header(fake: FakeDub, authorization: str) -> None:
    headers = {**JSON, "Host": "fake:8000", "Authorization": authorization}
    with fake.serve(admin=True, admin_token="s3cret") as url:
        assert send(url, "GET", "/_fake/", headers=headers)[0] == 200
        assert send(url, "POST", "/_fake/reset", headers=headers)[0] == 200


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer ", "Bearer s3cre", "Bearer dub_test", "s3cret", "Basic %", basic("x"), "Bearer ä"],
)
@pytest.mark.parametrize(("method", "path"), [*ENTRIES, ("GET", "unknown")])
def test_wrong_admin_token_returns_401(
    fake: FakeDub, authorization: str, method: str, path: str
) -> None:
    headers = {**JSON, "Authorization": authorization} if authorization else JSON
    with fake.serve(admin=True, admin_token="s3cret") as url:
        status, body, response = send(url, method, f"/_fake/{path}", headers=headers)
    assert (status, "admin token" in body["error"]["message"]) == (401, True)
    assert response.headers["WWW-Authenticate"].startswith("Basic ")


def test_recorded_requests_in_admin_api_contain_no_token(fake: FakeDub) -> None:
    secret = {"Authorization": "Bearer s3cret"}
    with fake.serve(admin=True, admin_token="s3cret") as url:
        for headers in (
            {"Authorization": "Bearer dub_test", "X-Copy": "dub_test", "Cookie": "dub_test"},
            {"Authorization": "Bearer dub_of_another_workspace"},
            {"Authorization": "Bearer dub_expired", "X-Copy": "s3cret"},
        ):
            body = json.dumps({"dub_test": ["a dub_test", {"b": "dub_expired"}]})
            send(url, "POST", "/customers/dub_test?key=%64ub_test", body, headers)
        shown = json.dumps(send(url, "GET", "/_fake/requests", headers=secret)[1])
        shown += json.dumps(send(url, "GET", "/_fake/state", headers=secret)[1])
    assert "[token]" in shown
    for token in ("dub_test", "dub_expired", "dub_of_another_workspace", "s3cret"):
        assert token not in shown


SPELLINGS = ["dub_{0}", "xdub_{0}x", "dub%5F{0}", "%64ub%5f{0}", "dub%255F{0}", "DUB_{0}"]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("word", ["test", "rejected"])
def test_percent_encoded_or_escaped_token_is_masked(
    fake: FakeDub, word: str, spelling: str
) -> None:
    shown = spelling.format(word)
    headers = {"Authorization": f"Bearer dub_{word}", "X-Copy": shown}
    lines: list[str] = []
    fake.faults.add(faults.Status(503, {"X-Copy": shown}, body={shown: shown}))
    with Server(fake, admin=True, log=lines.append) as url:
        send(url, "POST", f"/customers/{shown}?key={shown}", json.dumps([shown]), headers)
        (request,) = send(url, "GET", "/_fake/requests")[1]
    assert request["fault"]["fault"] == "Status"
    assert request["path"] == f"/customers/{'x[token]x' if shown[0] == 'x' else '[token]'}"
    assert word not in json.dumps([request, lines]).lower()


def test_escaped_token_in_an_invalid_json_body_is_masked(url: str) -> None:
    send(url, "POST", "/customers", '["\\u0064ub\\u005Ftest"')
    (request,) = send(url, "GET", "/_fake/requests")[1]
    assert request["body"] == '["[token]"'
    assert base64.b64decode(request["bodyBase64"]) == b'["[token]"'


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be", "utf-32-le"])
def test_token_in_a_utf_16_or_utf_32_body_is_masked(url: str, encoding: str) -> None:
    send(url, "POST", "/customers", '["dub_test"]'.encode(encoding))
    (request,) = send(url, "GET", "/_fake/requests")[1]
    assert "[token]" in request["body"]
    for text in (request["body"], base64.b64decode(request["bodyBase64"]).decode("latin-1")):
        assert "dub_test" not in text.replace("\0", "")


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
def test_token_in_base64_is_masked(before: str, encode: Callable[[bytes], bytes]) -> None:
    token = "dub_?>~?>~_123"
    encoded = encode(f"{before}{token} and more".encode()).decode()
    lines: list[str] = []
    with FakeDub(token) as fake, Server(fake, admin=True, log=lines.append) as url:
        send(url, "POST", f"/customers/{encoded}", json.dumps([encoded]), {"X-Copy": encoded})
        (request,) = send(url, "GET", "/_fake/requests")[1]
    shown = [request["path"], *request["body"], request["headers"]["x-copy"], lines[0]]
    shown.append(base64.b64decode(request["bodyBase64"]).decode())
    assert all("[token]" in text for text in shown)
    assert not [text for text in shown if encoded[4:-14] in text]


def test_json_escaped_token_is_masked_in_the_body_bytes() -> None:
    token = 'a/"\\b'
    escaped = json.dumps(token, ensure_ascii=False).replace("/", r"\/")
    with FakeDub(token) as fake, fake.serve(admin=True) as url:
        send(url, "POST", "/customers", f"[{escaped}, 1]".encode())
        (request,) = send(url, "GET", "/_fake/requests")[1]
    assert request["body"] == ["[token]", 1]
    assert base64.b64decode(request["bodyBase64"]) == b'["[token]", 1]'


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_token_in_a_listed_fault_is_masked(fake: FakeDub, url: str, spelling: str) -> None:
    text = spelling.format("test")
    fault = {"fault": "Status", "code": 503, "headers": {"A": text, text: "b"}, "body": [text]}
    in_bytes = {
        "fault": "Garbage",
        "bodyBase64": base64.b64encode(text.encode()).decode(),
        "contentType": text,
    }
    sent = [
        {**fault, "path": f"/customers/{text}"},
        in_bytes,
        {"fault": "RateLimited", "retryAfter": text},
        {"random": [{**fault, "share": 0}, {**in_bytes, "share": 0.1}], "seed": text},
    ]
    spelled = [text.lower(), text.upper(), base64.b64encode(text.encode()).decode()]
    for body in sent if "%" not in text else sent[1:3]:
        status, shown, _ = send(url, "POST", "/_fake/faults", json.dumps(body))
        assert status == 200, shown
        shown = [shown, *(send(url, "GET", f"/_fake/{path}")[1] for path in ("faults", "state"))]
        assert not [one for one in spelled if one in json.dumps(shown)]
    assert fake.faults.queue[0].fault != faults.Garbage()


def test_non_json_values_in_faults_are_shown_and_masked(fake: FakeDub, url: str) -> None:
    body = {"a": ("dub_test", b"dub_test"), "b": math.nan, "c": MappingProxyType({"dub_test": 1})}
    fake.faults.add(faults.Status(503, body=body))
    fake.faults.add(faults.RateLimited(dt.datetime(2026, 8, 21, tzinfo=dt.timezone.utc)))
    first, second = send(url, "GET", "/_fake/faults")[1]["queued"]
    assert first["body"] == {"a": ["[token]", "b'[token]'"], "b": "nan", "c": {"[token]": 1}}
    assert second["retryAfter"] == "Fri, 21 Aug 2026 00:00:00 GMT"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"k": 12345678901}', {"k": "[token]"}),
        ('{"k": [12345678901.0]}', {"k": ["[token].0"]}),
        ("12345678901", "[token]"),
        ('{"k": 1.2345678901e10, "n": 1234567890}', {"k": "[token].0", "n": 1234567890}),
    ],
)
def test_token_of_digits_in_a_json_number_is_masked(body: str, shown: object) -> None:
    token = "12345678901"
    headers = {"Authorization": f"Bearer {token}", **JSON}
    with FakeDub(token) as fake, fake.serve(admin=True) as url:
        fault = {"fault": "Status", "code": 503, "body": json.loads(body)}
        assert send(url, "POST", "/_fake/faults", json.dumps(fault))[0] == 200
        assert send(url, "GET", "/_fake/faults")[1]["queued"][0]["body"] == shown
        send(url, "POST", "/customers", body, headers)
        listed = send(url, "GET", "/_fake/requests")[1]
    assert listed[0]["body"] == listed[0]["fault"]["body"] == shown
    assert listed[0]["fault"]["code"] == 503
    assert token not in json.dumps(listed)


@pytest.mark.parametrize(
    ("token", "query", "body"),
    [
        # The first characters of the token follow an escape, and look like a part of it.
        ("41abcdef-x", "%2541abcdef%2dx", "%2541abcdef%2dx"),
        ("u0041-x", "%5cu0041-%78", "\\u0041-%78"),
        # An escape is itself escaped.
        ("dub_test", "%5Cu0064ub_test", '{"k": "\\u005cu0064ub_test"}'),
    ],
)
def test_token_beside_other_escapes_is_masked(token: str, query: str, body: str) -> None:
    with FakeDub(token) as fake, fake.serve(admin=True) as url:
        send(url, "POST", f"/customers?q={query}", body)
        request = send(url, "GET", "/_fake/requests")[1][0]
    assert request["query"]["q"].endswith("[token]")
    assert "[token]" in json.dumps(request["body"])


def test_requests_with_1000_tokens_are_listed_quickly() -> None:
    with FakeDub(token="dub_test") as fake, fake.serve(admin=True) as url:
        for number in range(1000):
            headers = {"authorization": f"Bearer key_{number:012}"}
            fake.handle(Request("GET", "/customers", headers=headers))
        started = time.monotonic()
        assert len(send(url, "GET", "/_fake/requests")[1]) == 1000
        fake.configure(tokens=[f"key_{number:012}" for number in range(1000)])
        assert send(url, "GET", "/_fake/state")[0] == 200
        assert len(send(url, "GET", "/_fake/requests")[1]) == 1000
        assert time.monotonic() - started < 8  # about 1 s


def test_tokens_before_and_after_configure_are_masked(fake: FakeDub) -> None:
    lines: list[str] = []
    with Server(fake, admin=True, log=lines.append) as url:
        send(url, "GET", "/customers/dub_test-dub_new")
        body = json.dumps({"tokens": ["dub_new", "dub_newer"], "expired": ["dub_old"]})
        changed = send(url, "PATCH", "/_fake/settings", body)[1]
        send(url, "GET", "/customers/dub_newer-dub_old-dub_expired")
        shown = [changed, *(send(url, "GET", f"/_fake/{path}") for path in ("state", "settings"))]
        shown.append(send(url, "GET", "/_fake/requests")[1])
    assert changed["tokens"] == ["[token]", "[token]"]
    assert lines[0].startswith("GET /customers/[token]-dub_new 401")
    assert lines[2].startswith("GET /customers/[token]-[token]-[token] 401")
    assert "dub_" not in str([changed, shown[1][1], shown[2][1], shown[3]])
    assert "dub_" not in repr(fake.settings)


WRONG_TOKENS: list[tuple[str, Any]] = [
    ("tokens", []),
    ("tokens", "dub_secret"),
    ("tokens", {"dub_secret": 1}),
    ("tokens", ["dub_secret", "dub_secret"]),
    ("tokens", ["dub_secret", ""]),
    ("tokens", ["dub secret"]),
    ("tokens", ["dub_secret\ud800"]),
    ("tokens", [["dub_secret"]]),
    ("expired", None),
    ("expired", [1, "dub_secret"]),
]


@pytest.mark.parametrize(("field", "value"), WRONG_TOKENS)
def test_invalid_tokens_of_requests_are_not_shown(
    fake: FakeDub, url: str, field: str, value: Any
) -> None:
    status, received, _ = send(url, "PATCH", "/_fake/settings", json.dumps({field: value}))
    assert (status, received["error"]["field"]) == (422, field)
    assert received["error"]["message"].startswith(f"'{field}' must ")
    assert "secret" not in received["error"]["message"]
    assert fake.settings.tokens == ("dub_test",)


def test_token_in_an_unknown_field_is_masked(url: str) -> None:
    wrong = '{"dub_test": 1}', '{"role": "dub_test"}', '{"role": "dub_test'
    errors = [send(url, "PATCH", "/_fake/settings", body)[1] for body in wrong]
    assert errors[0]["error"]["field"] == "[token]"
    assert "dub_test" not in str([*errors, send(url, "GET", "/_fake/dub_test")[1]])


def test_short_token_does_not_damage_field_names_and_url() -> None:
    tokens = ["role", "1", "0", "state", "owner", "unix", "GET"]
    fault = {"fault": "RateLimited", "retryAfter": 10, "form": "unix", "times": 1, "method": "GET"}
    with FakeDub(tokens) as fake, fake.serve(admin=True) as url:
        fake.base_url = url
        assert send(url, "GET", "/_fake/state")[1]["baseUrl"] == url
        error = send(url, "PATCH", "/_fake/settings", '{"role": "1"}')[1]["error"]
        assert error["field"] == "role"
        message = "'role' must be one of owner, member, viewer, billing; got \"[token]\""
        assert error["message"] == message
        faults = send(url, "POST", "/_fake/faults", json.dumps(fault))[1]
        assert faults["queued"] == [{**fault, "path": None}]
        message = send(url, "GET", "/_fake/state1")[1]["error"]["message"]
        assert "/_fake/[token][token] does not exist; use one of" in message
        assert message.endswith(", state")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("state?dub_test=1", None),
        ("dub_test", None),
        ("faults", {"fault": "Status", "code": 503, "headers": {"dub_test": "\n"}}),
        ("faults", {"fault": "Status", "code": "dub_test"}),
        ("faults", {"fault": "dub_test"}),
        ("customers", {"d\0ub_test": 1}),
    ],
)
def test_token_in_an_error_message_is_masked(
    url: str, path: str, body: dict[str, Any] | None
) -> None:
    method = "GET" if body is None else "POST"
    status, received, _ = send(url, method, f"/_fake/{path}", json.dumps(body) if body else None)
    assert status in (404, 422)
    assert "dub_test" not in json.dumps(received)
    assert "[token]" in received["error"]["message"]


def test_token_in_the_bytes_of_a_fault_is_masked(fake: FakeDub, url: str) -> None:
    fake.faults.add(faults.Status(503, body=b"a dub_test \xc3\xa4"))
    send(url, "GET", "/customers")
    (request,) = send(url, "GET", "/_fake/requests")[1]
    assert base64.b64decode(request["fault"]["bodyBase64"]) == b"a [token] \xc3\xa4"


def test_deeply_nested_fault_is_not_shown(fake: FakeDub, url: str) -> None:
    body: list[Any] = []
    for _ in range(200):
        body = [body]
    fake.faults.add(faults.Status(503, body=body))
    send(url, "GET", "/customers")
    (request,) = send(url, "GET", "/_fake/requests")[1]
    assert request["fault"]["body"] == "nested too deeply"


@pytest.mark.parametrize(
    "nested",
    [
        *("[" * levels + "]" * levels for levels in (100, 985, 990, 995, 5000, 100_000)),
        '{"a":' * 100 + "1" + "}" * 100,
        '[{"a":' * 50 + "1" + "}]" * 50,
        '["\\"]", ' * 100 + "1" + "]" * 100,
        "[" * 100_000,
    ],
    ids=len,
)
def test_body_with_more_than_100_nested_levels_returns_400(
    fake: FakeDub, url: str, nested: str
) -> None:
    body = f'{{"fault": "Status", "code": 503, "body": {nested}}}'
    status, received, _ = send(url, "POST", "/_fake/faults", body)
    message = "the body has more than 100 nested levels; send at most 100"
    assert (status, received["error"]) == (400, {"message": message, "field": None})
    assert fake.faults.queue == []


@pytest.mark.parametrize(
    "nested",
    [
        "[" * 99 + "]" * 99,
        json.dumps(["[" * 200, '"' + "{" * 200]),
        "[[], {}," * 49 + "1" + "]" * 49,
    ],
    ids=len,
)
def test_fault_body_with_100_nested_levels_is_queued_and_shown(
    fake: FakeDub, url: str, nested: str
) -> None:
    body = f'{{"fault": "Status", "code": 503, "body": {nested}}}'
    assert send(url, "POST", "/_fake/faults", body)[0] == 200
    assert send(url, "GET", "/customers")[1] == json.loads(nested)
    (request,) = send(url, "GET", "/_fake/requests")[1]
    assert request["fault"]["body"] == json.loads(nested)


def test_unterminated_json_body_is_rejected_in_linear_time(url: str) -> None:
    started = time.perf_counter()
    assert send(url, "POST", "/_fake/faults", '"' + r"\"" * 200_000)[0] == 400
    assert time.perf_counter() - started < 5


@pytest.mark.parametrize("levels", [101, 985, 990, 995, 100_000])
def test_deeply_nested_body_is_shown_as_text(url: str, levels: int) -> None:
    body = "[" * levels + '"dub_test"' + "]" * levels
    send(url, "POST", "/customers", body)
    status, requests, _ = send(url, "GET", "/_fake/requests")
    assert (status, requests[0]["body"]) == (200, body.replace("dub_test", "[token]"))


def test_server_log_shows_admin_writes_without_token(
    fake: FakeDub, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    lines: list[str] = []
    with Server(fake, admin=True, admin_token="s3cret", log=lines.append) as url:
        headers = {**JSON, "Authorization": "Bearer s3cret"}
        send(url, "GET", "/_fake/state", headers=headers)
        send(url, "POST", "/_fake/reset?token=s3cret", headers=headers)
        send(url, "POST", "/_fake/reset", headers={**JSON, "Authorization": "Bearer wrong"})
    assert lines == ["POST /_fake/reset 422", "POST /_fake/reset 401"]
    assert "s3cret" not in caplog.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "unknown", 404),
        ("GET", "state/", 404),
        ("GET", "faults/1", 404),
        ("POST", "state", 405),
        ("PUT", "faults", 405),
        ("HEAD", "reset", 405),
        ("POST", "", 405),
    ],
)
def test_unknown_admin_route_or_method_returns_404_or_405(
    url: str, method: str, path: str, status: int
) -> None:
    assert send(url, method, f"/_fake/{path}")[0] == status


@pytest.mark.parametrize(
    "body",
    ["{", "nothing", b"\xff{}", '{"count": NaN}'],
)
def test_body_that_is_not_json_returns_400(url: str, body: str | bytes) -> None:
    status, received, _ = send(url, "POST", "/_fake/customers/seed", body)
    assert status == 400
    assert received["error"]["message"].startswith("the body is not JSON")


@pytest.mark.parametrize("is_chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(10 * 2**20, 200), (10 * 2**20 + 1, 413)])
def test_body_above_10_mib_returns_413(
    fake: FakeDub, url: str, size: int, status: int, is_chunked: bool
) -> None:
    start = b'{"fault": "Status", "code": 503, "body": "'
    body = start + b"a" * (size - len(start) - 2) + b'"}'
    with contextlib.closing(connect(url)) as connection:
        parts = (body[at : at + 1_000_000] for at in range(0, len(body), 1_000_000))
        connection.request("POST", "/_fake/faults", parts if is_chunked else body, JSON)
        response = connection.getresponse()
        received = json.loads(response.read())
        assert response.status == status
        assert len(fake.faults.queue) == (status == 200)
        if status == 413:
            message = "the body is too large; send at most 10,485,760 bytes"
            assert received["error"] == {"message": message, "field": None}
        # The connection is still usable.
        connection.request("GET", "/_fake/state")
        assert connection.getresponse().status == 200


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"fault": "Delay", "seconds": 1, "seconds": 9}', "seconds"),
        ('{"fault": "Status", "code": 503, "body": [{"dub_test": 1, "dub_test": 2}]}', "[token]"),
    ],
)
def test_duplicate_name_in_a_json_body_is_rejected(
    fake: FakeDub, url: str, body: str, name: str
) -> None:
    status, received, _ = send(url, "POST", "/_fake/faults", body)
    assert (status, received["error"]["field"]) == (422, name)
    assert received["error"]["message"].startswith(f"'{name}' occurs twice in one object")
    assert fake.faults.pending == []


@pytest.mark.parametrize("body", ["[]", "null", '"a"', "1"])
def test_admin_body_that_is_not_an_object_returns_422(url: str, body: str) -> None:
    status, received, _ = send(url, "POST", "/_fake/customers/seed", body)
    assert (status, received["error"]["message"]) == (
        422,
        "the body is not a JSON object; send one, such as {}",
    )


LONE = "\ud800"
WRONG: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "customers", {"external_id": "a"}, "external_id"),
    ("POST", "customers", {"externalId": 1}, "externalId"),
    ("POST", "customers", {"externalId": LONE}, "externalId"),
    ("POST", "customers", {"id": ""}, "id"),
    ("POST", "customers", {"name": ["a"]}, "name"),
    ("POST", "customers", {"sales": -1}, "sales"),
    ("POST", "customers", {"sales": 1.5}, "sales"),
    ("POST", "customers", {"sales": True}, "sales"),
    ("POST", "customers", {"saleAmount": 2**63}, "saleAmount"),
    ("POST", "customers", {"createdAt": "2020-01-01"}, "createdAt"),
    ("POST", "customers", {"createdAt": "2020-01-01T00:00:00"}, "createdAt"),
    ("POST", "customers", {"createdAt": "yesterday"}, "createdAt"),
    ("POST", "customers", {"createdAt": 0}, "createdAt"),
    ("POST", "customers", {"createdAt": "0001-01-01T00:00:00+14:00"}, "createdAt"),
    ("POST", "customers", {"link": "a"}, "link"),
    ("POST", "customers", {"link": {"id": 1}}, "link"),
    ("POST", "customers", {"partner": {"name": LONE}}, "partner"),
    ("POST", "customers/seed", {}, "count"),
    ("POST", "customers/seed", {"count": -1}, "count"),
    ("POST", "customers/seed", {"count": 10**9}, "count"),
    ("POST", "customers/seed", {"count": "10"}, "count"),
    ("POST", "faults", {}, "fault"),
    ("POST", "faults", {"fault": "Fire"}, "fault"),
    ("POST", "faults", {"fault": ["Status"]}, "fault"),
    ("POST", "faults", {"fault": "Status"}, "code"),
    ("POST", "faults", {"fault": "Status", "code": 199}, "code"),
    ("POST", "faults", {"fault": "Status", "code": "503"}, "code"),
    ("POST", "faults", {"fault": "Status", "code": 503, "seconds": 1}, "seconds"),
    ("POST", "faults", {"fault": "Status", "code": 503, "times": 0}, "times"),
    ("POST", "faults", {"fault": "Status", "code": 503, "times": 1.5}, "times"),
    ("POST", "faults", {"fault": "Status", "code": 503, "method": 1}, "method"),
    ("POST", "faults", {"fault": "Status", "code": 503, "method": "FOO"}, "method"),
    ("POST", "faults", {"fault": "Status", "code": 503, "path": ""}, "path"),
    ("POST", "faults", {"fault": "Status", "code": 503, "path": "customers"}, "path"),
    ("POST", "faults", {"fault": "Status", "code": 503, "path": "/customers?country=GB"}, "path"),
    ("POST", "faults", {"fault": "Status", "code": 503, "headers": {"A": "b\r\nC: d"}}, "headers"),
    ("POST", "faults", {"fault": "Status", "code": 503, "headers": {"A:": "b"}}, "headers"),
    ("POST", "faults", {"fault": "Status", "code": 503, "headers": {"A": 1}}, "headers"),
    ("POST", "faults", {"fault": "Status", "code": 503, "headers": {"Connection": ""}}, "headers"),
    ("POST", "faults", {"fault": "Status", "code": 503, "carriedOut": 1}, "carriedOut"),
    ("POST", "faults", {"fault": "Status", "code": 503, "bodyBase64": "?"}, "bodyBase64"),
    (
        "POST",
        "faults",
        {"fault": "Status", "code": 503, "body": 1, "bodyBase64": ""},
        "bodyBase64",
    ),
    ("POST", "faults", {"fault": "RateLimited", "retryAfter": [1]}, "retryAfter"),
    ("POST", "faults", {"fault": "RateLimited", "retryAfter": "a\nb"}, "retryAfter"),
    ("POST", "faults", {"fault": "RateLimited", "retryAfter": 1, "form": "minutes"}, "form"),
    ("POST", "faults", {"fault": "RateLimited", "form": "seconds"}, "retryAfter"),
    (
        "POST",
        "faults",
        {"fault": "RateLimited", "retryAfter": 1e15, "form": "http_date"},
        "retryAfter",
    ),
    ("POST", "faults", {"fault": "Truncate", "bytes": -1}, "bytes"),
    ("POST", "faults", {"fault": "Truncate", "bytes": None}, "bytes"),
    ("POST", "faults", {"fault": "Delay", "seconds": -1}, "seconds"),
    ("POST", "faults", {"fault": "Delay", "seconds": 10**400}, "seconds"),
    ("POST", "faults", {"fault": "Drip", "bytesPerSecond": 0}, "bytesPerSecond"),
    ("POST", "faults", {"fault": "Garbage", "body": {}}, "body"),
    ("POST", "faults", {"fault": "Garbage", "contentType": "a\r\nb"}, "contentType"),
    ("POST", "faults", {"fault": "Garbage", "status": 500}, "status"),
    ("POST", "faults", {"random": {}}, "seed"),
    ("POST", "faults", {"random": {}, "seed": 1}, "random"),
    ("POST", "faults", {"random": [1], "seed": 1}, "random"),
    ("POST", "faults", {"random": [], "seed": None}, "seed"),
    ("POST", "faults", {"random": [{"fault": "DropAfter"}], "seed": 1}, "share"),
    ("POST", "faults", {"random": [{"fault": "DropAfter", "share": 2}], "seed": 1}, "share"),
    ("POST", "faults", {"random": [{"fault": "DropAfter", "share": 0.6}] * 2, "seed": 1}, "share"),
    ("POST", "faults", {"random": [], "seed": 1, "fault": "DropAfter"}, "fault"),
    ("POST", "clock", {}, "advance"),
    ("POST", "clock", {"advance": 1, "set": "2020-01-01T00:00:00Z"}, "advance"),
    ("POST", "clock", {"advance": -1}, "advance"),
    ("POST", "clock", {"advance": 1e300}, "advance"),
    ("POST", "clock", {"advance": "1"}, "advance"),
    ("POST", "clock", {"set": 0}, "set"),
    ("POST", "clock", {"set": "1969-01-01T00:00:00Z"}, "set"),
    ("POST", "clock", {"set": "9999-12-31T23:59:59Z"}, "set"),
    ("PATCH", "settings", {"role": "king"}, "role"),
    ("PATCH", "settings", {"role": None}, "role"),
    ("PATCH", "settings", {"plan": 1}, "plan"),
    ("PATCH", "settings", {"plan": ["pro"]}, "plan"),
    ("PATCH", "settings", {"rateLimit": -1}, "rateLimit"),
    ("PATCH", "settings", {"rateLimit": "60"}, "rateLimit"),
    ("PATCH", "settings", {"rateLimit": 1_000_001}, "rateLimit"),
    ("PATCH", "settings", {"window": 0}, "window"),
    ("PATCH", "settings", {"latency": -0.1}, "latency"),
    ("PATCH", "settings", {"defaultProgram": 1}, "defaultProgram"),
    ("PATCH", "settings", {"token": "dub_new"}, "token"),
    ("PATCH", "settings", {"keepRequests": -1}, "keepRequests"),
    ("PATCH", "settings", {"keepRequests": None}, "keepRequests"),
    ("PATCH", "settings", {"role": "viewer", "tokens": []}, "tokens"),
    ("POST", "ids", {}, "ids"),
    ("POST", "ids", {"ids": "cus_1"}, "ids"),
    ("POST", "ids", {"ids": [""]}, "ids"),
    ("POST", "ids", {"ids": [1]}, "ids"),
    ("POST", "ids", {"ids": ["cus_1", "ext_1"]}, "ids"),
    ("POST", "customers", {"id": "ext_7"}, "id"),
    ("POST", "ids", {"ids": ["cus_1", "cus_1"]}, "ids"),
    ("POST", "clock", {"frozen": 1}, "frozen"),
    ("POST", "clock", {"frozen": True, "set": "1969-01-01T00:00:00Z"}, "set"),
    ("POST", "clock", {"frozen": False, "advance": 1e300}, "advance"),
    ("DELETE", "clock", {"frozen": False}, "frozen"),
    ("POST", "reset", {"all": True}, "all"),
    ("DELETE", "faults", {"fault": "Status"}, "fault"),
    ("GET", "requests?after=-1", {}, "after"),
    ("GET", "requests?after=x", {}, "after"),
    ("GET", f"requests?after={'9' * 5000}", {}, "after"),
    ("GET", "requests?limit=0", {}, "limit"),
    ("GET", "customers?limit=1001", {}, "limit"),
    ("GET", "customers?page=1", {}, "page"),
    ("GET", "state?x=1", {}, "x"),
    ("PATCH", "settings?role=viewer", {}, "role"),
    ("DELETE", "customers?limit=1", {}, "limit"),
]


@pytest.mark.parametrize(("method", "path", "body", "field"), WRONG)
def test_invalid_admin_field_is_named_and_changes_nothing(
    fake: FakeDub, url: str, method: str, path: str, body: dict[str, Any], field: str
) -> None:
    status, received, _ = send(url, method, f"/_fake/{path}", json.dumps(body))
    assert status == 422, received
    assert received["error"]["field"] == field
    assert f"'{field}'" in received["error"]["message"]
    assert (fake.customer_count, fake.faults.pending, fake.faults.shares) == (0, [], {})
    assert (fake.clock.frozen, fake.settings.role, fake.next_ids) == (False, "owner", [])
    # Frozen for a moment before a wrong time is rejected.
    assert fake.clock.offset == pytest.approx(0, abs=1)


MESSAGES: list[tuple[str, str, dict[str, Any], str]] = [
    ("POST", "clock", {"advance": -1}, "must be a number of 0 or more; got -1"),
    ("POST", "clock", {"advance": 1e300}, "must be a number above -1e300 and below 1e300; got"),
    ("POST", "clock", {"advance": 10**400}, "must be a number above -1e300 and below 1e300; got"),
    ("POST", "customers", {"sales": 10**30}, f"must be an integer from 0 to {2**63 - 1}, or null;"),
    ("POST", "customers", {"sales": -1}, "must be an integer of 0 or more, or null; got -1"),
    ("POST", "customers", {"id": ""}, "'id' must not be empty; got"),
    ("GET", f"requests?after={'9' * 40}", {}, f"must be an integer from 0 to {2**63 - 1}; got"),
    ("GET", "requests?after=x", {}, "must be an integer of 0 or more; got"),
    ("PATCH", "settings", {"defaultProgram": ""}, "'defaultProgram' must not be empty; got"),
]
HEADER_MESSAGES: list[tuple[Any, str]] = [
    (1, "'headers' must be an object of headers, or null; got 1"),
    ({"X": 1}, "'headers' is invalid: 'X' must be a string; got"),
    ({"X": "a\n"}, "'headers' is invalid: 'X' must be a valid header value"),
    ({"X Y": "1"}, "'headers' contains a name that HTTP does not allow in a header; got"),
    ({"Content-Length": "3"}, "because the server sets this header; got"),
]
MESSAGES += [
    ("POST", "faults", {"fault": "Status", "code": 503, "headers": value}, message)
    for value, message in HEADER_MESSAGES
]
MESSAGES += [
    ("POST", "faults", {"fault": "Status"}, "'code' is missing; add it to the fault"),
    (
        "POST",
        "faults",
        {"random": [{"fault": "Status", "share": 0.1}], "seed": 1},
        "'code' is missing; add it to the fault",
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "message"), MESSAGES)
def test_invalid_admin_field_error_describes_the_problem(
    url: str, method: str, path: str, body: dict[str, Any], message: str
) -> None:
    status, received, _ = send(url, method, f"/_fake/{path}", json.dumps(body))
    assert (status, message in received["error"]["message"]) == (422, True), received


def test_admin_api_exception_returns_500_and_is_logged(
    fake: FakeDub, caplog: pytest.LogCaptureFixture
) -> None:
    with fake.serve(admin=True) as url:
        fake._store._db.close()
        status, received, _ = send(url, "GET", "/_fake/state")
    assert (status, received["error"]["message"][:15]) == (500, "the fake failed")
    assert "GET /_fake/state" in caplog.text


@pytest.mark.skipif(not os.path.exists("/proc/self/fd"), reason="/proc is not there")
def test_rejected_listen_address_leaves_no_open_socket(fake: FakeDub) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(AdminTokenRequired):
        fake.serve("0.0.0.0", admin=True)
    assert len(os.listdir("/proc/self/fd")) == before


def test_admin_add_with_invalid_id_of_ids_function_returns_422() -> None:
    with FakeDub(ids=lambda: "ext_1") as fake, fake.serve(admin=True) as url:
        for path, body in (("customers", "{}"), ("customers/seed", '{"count": 2}')):
            status, received, _ = send(url, "POST", f"/_fake/{path}", body)
            assert (status, received["error"]["field"]) == (422, "id")
            assert "begin with ext_" in received["error"]["message"]
        assert fake.customer_count == 0


@pytest.mark.parametrize("path", ["state", "customers", "settings", "reset"])
def test_admin_api_of_a_closed_fake_returns_410(fake: FakeDub, path: str) -> None:
    with fake.serve(admin=True) as url:
        fake.close()
        method = "POST" if path == "reset" else "GET"
        status, received, _ = send(
            url, method, f"/_fake/{path}", "{}" if method == "POST" else None
        )
    assert status == 410
    assert received["error"]["message"].startswith("the fake is closed; start it again")


@pytest.mark.parametrize("path", ["/customers", "/_fake/state", "/_fake/requests"])
def test_request_waiting_during_the_shutdown_returns_410_or_200(fake: FakeDub, path: str) -> None:
    statuses: list[int] = []
    headers = {"Authorization": "Bearer dub_test"}
    with fake.serve(admin=True) as url:
        waiting = threading.Thread(
            target=lambda: statuses.append(send(url, "GET", path, headers=headers)[0])
        )
        with fake._lock:  # as long as another request is executed
            waiting.start()
            time.sleep(0.2)
            fake.close()
        waiting.join()
    assert statuses == [200 if path == "/_fake/requests" else 410]


def test_shutdown_response_closes_the_connection(url: str) -> None:
    status, received, response = send(url, "POST", "/_fake/shutdown")
    assert (status, received) == (200, {"closed": True})
    assert response.headers["Connection"] == "close"
    assert send(url, "POST", "/_fake/shutdown")[0] == 410


def test_shutdown_is_reported_after_the_response_is_sent() -> None:
    request = b"POST /_fake/shutdown HTTP/1.1\r\nHost: localhost\r\n"
    request += b"Content-Type: application/json\r\n\r\n"
    for _ in range(20):
        server = Server(FakeDub(), admin=True)
        with server, socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(request)
            assert server.wait_for_shutdown(20)
            connection.setblocking(False)
            assert connection.recv(65_536).endswith(b'{"closed": true}')


def test_shutdown_by_a_client_that_resets_is_reported(fake: FakeDub) -> None:
    server = Server(fake, admin=True)
    with server, socket.create_connection(("127.0.0.1", server.port)) as connection:
        with fake._lock:  # as long as another request is executed
            connection.sendall(
                b"POST /_fake/shutdown HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\n\r\n"
            )
            time.sleep(0.2)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        assert server.wait_for_shutdown(5)


def test_rejected_request_is_not_reported_as_shutdown(fake: FakeDub) -> None:
    server = Server(fake, admin=True)
    with server as url:
        fake.close()
        assert send(url, "GET", "/_fake/state")[0] == 410
        assert not server.wait_for_shutdown(0.1)
