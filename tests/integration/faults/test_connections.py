"""Test retries after connection failures and incomplete responses, over real sockets."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from dub_uplink import CustomersConsumer
from dub_uplink.models import errors
from dub_uplink.testing import faults

CUSTOMER = {"id": "cus_1", "externalId": "user_1", "name": "Ada"}
LISTED = json.dumps([CUSTOMER]).encode()


def chunks(*parts: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + end


def cut(whole: bytes, missing: int = 5) -> bytes:
    return whole[:-missing]


FAILURES = [
    pytest.param(b"", "close", id="closed without a response"),
    pytest.param(b"", "reset", id="reset"),
    pytest.param(b"HTTP/1.1 200 O", "close", id="cut in the status line"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", "reset", id="reset in the headers"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "close", id="headers alone"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n[", "close", id="a length cut"),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n[", "reset", id="a length reset"),
    pytest.param(cut(chunks(LISTED)), "close", id="chunks without their end"),
    pytest.param(chunks(end=b"5\r\n[{"), "close", id="cut within a chunk"),
    pytest.param(chunks(b"[", end=b"5"), "close", id="cut within the size of a chunk"),
    pytest.param(chunks(b"[", end=b""), "close", id="no further chunk"),
    pytest.param(chunks(b"[", end=b""), "reset", id="reset between chunks"),
    pytest.param(b"nonsense\r\n\r\n", "close", id="no HTTP"),
    pytest.param(b"HTTP/1.1 503 No\r\nContent-Length: 90\r\n\r\n<", "close", id="a cut 503"),
    pytest.param(b"HTTP/1.1 404 No\r\nContent-Length: 90\r\n\r\n{", "close", id="a cut 404"),
]


@pytest.mark.parametrize(("send", "then"), FAILURES)
def test_incomplete_response_is_retried(
    wire: Any, step: Any, http_response: Any, connect: Any, timeline: Any, send: bytes, then: str
) -> None:
    server = wire(step(send, then), http_response(200, [CUSTOMER]))
    assert [customer.id for customer in connect(server.url).list()] == ["cus_1"]
    assert server.seen == ["GET /customers"] * 2
    assert timeline.slept == [0.375]


@pytest.mark.parametrize(("send", "then"), FAILURES)
def test_incomplete_response_without_retries_raises(
    wire: Any, step: Any, connect: Any, send: bytes, then: str
) -> None:
    server = wire(step(send, then))
    with pytest.raises(errors.APIConnectionError) as caught:
        connect(server.url, retry_config=None).list()
    assert not isinstance(caught.value, errors.APITimeoutError)
    assert str(caught.value).startswith("GET: ")
    assert [caught.value.__cause__, caught.value.__context__] == [None, None]


@pytest.mark.parametrize("length", [1, 10, len(LISTED) - 1])
@pytest.mark.parametrize("framed", ["length", "chunks", "close"])
def test_success_with_truncated_json_is_retried(
    wire: Any, step: Any, http_response: Any, connect: Any, framed: str, length: int
) -> None:
    part = LISTED[:length]
    broken = {
        "length": step(http_response(200, part)),  # a proxy that recomputed the length
        "chunks": step(chunks(part)),
        "close": step(b"HTTP/1.1 200 OK\r\n\r\n" + part, "close"),
    }[framed]
    server = wire(broken, http_response(200, [CUSTOMER]))
    assert len(connect(server.url).list()) == 1
    assert len(server.seen) == 2


@pytest.mark.parametrize(
    "body",
    [b"<html>Sign in</html>", b"", b"null", b'{"a": 1} <p>', b"{ color: red }", b"{nope", b"[nope"],
)
def test_success_with_invalid_json_is_not_retried(
    wire: Any, http_response: Any, connect: Any, body: bytes
) -> None:
    server = wire(http_response(200, body))
    with pytest.raises(errors.ResponseValidationError):
        connect(server.url).list()
    assert len(server.seen) == 1


def test_truncated_gzip_body_is_retried(
    wire: Any, step: Any, http_response: Any, connect: Any
) -> None:
    packed = gzip.compress(LISTED)
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    server = wire(step(head + packed[:-10], "close"), step(head + packed))
    assert len(connect(server.url).list()) == 1
    assert len(server.seen) == 2


def test_refused_connection_is_retried(http_response: Any, wire: Any, connect: Any) -> None:
    server = wire(http_response(200, [CUSTOMER]))
    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = f"http://127.0.0.1:{closed.getsockname()[1]}"
    seen = []
    client = connect(refusing, on_retry=lambda *args: seen.append(args))
    with pytest.raises(errors.APIConnectionError) as caught:
        client.list()
    assert caught.value.attempts > 10
    assert caught.value.sent is False
    assert "no connection" in str(caught.value)
    assert [number for number, *_ in seen] == list(range(1, caught.value.attempts))
    assert server.seen == []


def test_unknown_host_is_retried(connect: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(
        errors.APIConnectionError, match=r"no connection.*name resolution"
    ) as caught:
        connect("https://api.dub.invalid").list()
    assert caught.value.attempts > 10
    assert caught.value.sent is False


@contextlib.contextmanager
def full_queue() -> Iterator[str]:
    """Run a server with a full accept queue, so that connecting takes until the timeout."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_connect_timeout_is_retried_and_reported_as_unsent(
    connect: Any, policy: Any, timeline: Any
) -> None:
    with full_queue() as url:
        client = connect(url, timeout_ms=40, retry_config=policy(max_elapsed_time=900))
        with pytest.raises(errors.APITimeoutError, match=r"no connection within 0\.04 s") as caught:
            client.list()
    assert caught.value.attempts == 2
    assert caught.value.sent is False


@pytest.mark.parametrize("send", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n["])
def test_read_timeout_is_retried(
    wire: Any, step: Any, http_response: Any, connect: Any, repeat_measurement: Any, send: bytes
) -> None:
    def call() -> Any:
        server = wire(step(send, "hold"), http_response(200, [CUSTOMER]))
        started = time.monotonic()
        assert len(connect(server.url, timeout_ms=60).list()) == 1
        assert time.monotonic() - started > 0.05
        return server

    server = repeat_measurement(call, lambda server: len(server.received) == 2)
    assert len(set(server.by)) == 2, (
        "a late response on the old connection must not match the new request"
    )


def test_read_timeout_raises_api_timeout_error(
    wire: Any, step: Any, connect: Any, repeat_measurement: Any
) -> None:
    server = wire(step(b"", "hold"))

    def timed_out_error() -> errors.APITimeoutError:
        with pytest.raises(errors.APITimeoutError) as caught:
            connect(server.url, timeout_ms=50, retry_config=None).list()
        return caught.value

    error = repeat_measurement(timed_out_error, lambda error: error.sent)
    assert str(error) == "GET: no complete response within 0.05 s"
    assert error.sent is True


def test_stale_pooled_connection_is_replaced(
    wire: Any, http_response: Any, connect: Any, timeline: Any
) -> None:
    server = wire(http_response(200, [CUSTOMER]), http_response(201, CUSTOMER))
    client = connect(server.url)
    client.list()
    server.drop()  # like a server that closes idle connections
    time.sleep(0.01)
    assert client.create({"external_id": "user_1", "country": "GB"}, retries=None).id == "cus_1"
    assert server.by == [1, 2]
    assert timeline.slept == []


@pytest.mark.parametrize("then", ["close", "reset"])
def test_pooled_connection_closed_in_use_is_retried(
    wire: Any, step: Any, http_response: Any, connect: Any, then: str
) -> None:
    """Drop the connection while the request is on its way, so that the client cannot notice."""
    server = wire(http_response(200, [CUSTOMER]), step(b"", then), http_response(201, CUSTOMER))
    client = connect(server.url)
    client.list()
    assert client.create({"external_id": "user_1", "country": "GB"}).id == "cus_1"
    assert server.seen == ["GET /customers", "POST /customers", "POST /customers"]
    assert server.by == [1, 1, 2]


@pytest.mark.parametrize("own", [True, False])
def test_given_session_and_default_session_are_retried(
    wire: Any, step: Any, http_response: Any, connect: Any, own: bool
) -> None:
    server = wire(step(b"", "reset"), http_response(503), http_response(200, [CUSTOMER]))
    with requests.Session() as session:
        client: CustomersConsumer = connect(server.url, client=None if own else session)
        assert len(client.list()) == 1
    assert len(server.seen) == 3


def test_response_body_above_the_size_limit_is_not_retried(
    wire: Any, http_response: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dub_uplink._http.decoding.MAX_BODY_BYTES", 10)
    server = wire(http_response(200, LISTED))
    with pytest.raises(errors.APIConnectionError, match="larger than"):
        connect(server.url).list()
    assert len(server.seen) == 1


def test_redirect_to_a_malformed_url_is_not_followed(
    wire: Any, http_response: Any, connect: Any
) -> None:
    server = wire(http_response(307, b"", {"Location": "http://[nowhere"}))
    with pytest.raises(errors.SDKError, match="redirects"):
        connect(server.url).delete("cus_1")
    assert len(server.seen) == 1


def test_extreme_retry_config_values_do_not_overflow(
    fake: Any, on_fake: Any, policy: Any, timeline: Any
) -> None:
    """Use a time limit near infinity and a Retry-After of many digits."""
    fake.faults.add(faults.Status(429, {"Retry-After": "999999999999999999999999"}), times=1)
    client = on_fake(retry_config=policy(max_elapsed_time=10**300))
    with pytest.raises(errors.RateLimitExceeded):
        client.list()
    assert timeline.slept == []
    assert client.list() == []


class RaisingAdapter(requests.adapters.BaseAdapter):
    """An adapter that raises an error and counts the attempts."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.sent = 0

    def send(self, *_: Any, **__: Any) -> requests.Response:
        self.sent += 1
        raise self.error

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    "error",
    [
        requests.exceptions.InvalidURL("no host"),
        requests.exceptions.MissingSchema("no scheme"),
        requests.exceptions.InvalidSchema("no adapter"),
        requests.exceptions.InvalidHeader("a line break"),
        requests.exceptions.InvalidProxyURL("no proxy"),
        ValueError("Invalid IPv6 URL"),
        UnicodeError("label too long"),
        OSError("Could not find a suitable TLS CA certificate bundle, invalid path: /none"),
        FileNotFoundError(2, "No such file"),
        PermissionError(13, "Permission denied"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_permanent_connection_error_is_not_retried(connect: Any, error: Exception) -> None:
    session, adapter = requests.Session(), RaisingAdapter(error)
    session.mount("https://", adapter)
    with pytest.raises(errors.APIConnectionError):
        connect("https://api.dub.co", client=session).list()
    assert adapter.sent == 1


def test_missing_ca_bundle_is_not_retried(connect: Any, timeline: Any) -> None:
    session = requests.Session()
    session.trust_env = False
    session.verify = "/no/such/bundle.pem"
    with pytest.raises(errors.APIConnectionError, match="bundle"):
        connect("https://127.0.0.1:9", client=session).list()
    assert timeline.slept == []


@pytest.mark.parametrize("error", [RuntimeError("a bug"), KeyError("x"), AssertionError()])
def test_unknown_exception_of_an_adapter_is_not_retried(connect: Any, error: Exception) -> None:
    session, adapter = requests.Session(), RaisingAdapter(error)
    session.mount("https://", adapter)
    with pytest.raises(type(error)):
        connect("https://api.dub.co", client=session).list()
    assert adapter.sent == 1
