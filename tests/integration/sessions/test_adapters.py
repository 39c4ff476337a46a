"""Test sessions with other adapters, and uplink's requests client, as backends."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
import uplink
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

from dub_uplink import BackoffStrategy, CustomersConsumer, RetryConfig, errors
from dub_uplink.testing import FakeDub, NetworkRefused

CUSTOMER = b'{"id": "cus_1", "name": "Ada"}'


class InMemoryAdapter(BaseAdapter):
    """An adapter that returns responses from memory, with different types of raw streams."""

    def __init__(self, fill: Callable[[requests.Response], None], status: int = 200) -> None:
        super().__init__()
        self.fill = fill
        self.status = status
        self.seen: list[requests.PreparedRequest] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        self.seen.append(request)
        response = requests.Response()
        response.status_code = self.status
        response.request = request
        response.url = request.url or ""
        response.headers["Content-Type"] = "application/json"
        self.fill(response)
        return response

    def close(self) -> None: ...


def content_only(response: requests.Response) -> None:
    response._content = CUSTOMER


def bytes_stream(response: requests.Response) -> None:
    response.raw = io.BytesIO(CUSTOMER)  # its read() has no decode_content


def urllib3_stream(response: requests.Response) -> None:
    response.raw = urllib3.HTTPResponse(io.BytesIO(CUSTOMER), preload_content=False)


class OldStream:
    """A raw stream without ``read1``, like that of urllib3 before version 2."""

    stream = None

    def __init__(self) -> None:
        self._stream = io.BytesIO(CUSTOMER)

    def read(self, amt: int | None = None, decode_content: bool | None = None) -> bytes:
        assert decode_content is False
        return self._stream.read(amt)

    def close(self) -> None: ...


def old_stream(response: requests.Response) -> None:
    response.raw = OldStream()  # type: ignore[assignment]


FILLS = pytest.mark.parametrize("fill", [content_only, urllib3_stream, old_stream, bytes_stream])


def client_of(adapter: BaseAdapter, wrap: Any = lambda session: session) -> CustomersConsumer:
    session = requests.Session()
    session.mount("https://", adapter)
    return CustomersConsumer("dub_x", client=wrap(session), retry_config=None)


@FILLS
def test_mounted_adapter_response_is_used(fill: Any, wrap: Any) -> None:
    adapter = InMemoryAdapter(fill)
    customers = client_of(adapter, wrap)
    assert customers.get("cus_1").name == "Ada"
    assert customers.update("cus_1", {"name": "Ada"}).id == "cus_1"
    get, patch = adapter.seen
    assert get.url == "https://api.dub.co/customers/cus_1"
    assert get.headers["Authorization"] == patch.headers["Authorization"] == "Bearer dub_x"
    assert json.loads(patch.body or b"") == {"name": "Ada"}


@FILLS
def test_mounted_adapter_failure_becomes_a_dub_error(fill: Any) -> None:
    with pytest.raises(errors.SDKError, match="418: the response is not an error from Dub"):
        client_of(InMemoryAdapter(fill, status=418)).get("cus_1")


def test_response_of_an_adapter_without_body_is_empty() -> None:
    with pytest.raises(errors.SDKError, match="500: the response has no body"):
        client_of(InMemoryAdapter(lambda _: None, status=500)).get("cus_1")


def test_body_read_by_a_response_hook_is_still_returned(serving: Any, connect: Any) -> None:
    server = serving(200, CUSTOMER)
    with requests.Session() as session:
        read: list[bytes] = []
        session.hooks["response"].append(lambda response, **_: read.append(response.content))
        assert connect(server.url, client=session).get("cus_1").name == "Ada"
        assert read == [CUSTOMER]


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("gone"),
        requests.exceptions.ChunkedEncodingError("gone"),
        requests.exceptions.ContentDecodingError("gone"),
        requests.exceptions.RetryError("gone"),
        requests.exceptions.InvalidURL("gone"),
        requests.exceptions.SSLError("gone"),
        requests.exceptions.ProxyError("gone"),
        urllib3.exceptions.ProtocolError("gone"),
        urllib3.exceptions.DecodeError("gone"),
        ConnectionResetError(104, "gone"),
        OSError("gone"),
        UnicodeError("gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_adapter_library_error_becomes_connection_error(error: Any, wrap: Any) -> None:
    def fail(_: Any) -> None:
        raise error

    with pytest.raises(errors.APIConnectionError, match=r"^GET: .*gone") as caught:
        client_of(InMemoryAdapter(fail), wrap).get("cus_1")
    assert type(caught.value) is errors.APIConnectionError
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "error", [requests.ReadTimeout(), requests.ConnectTimeout(), TimeoutError("timed out")]
)
def test_adapter_timeout_becomes_api_timeout_error(error: Any) -> None:
    def fail(_: Any) -> None:
        raise error

    with pytest.raises(errors.APITimeoutError):
        client_of(InMemoryAdapter(fail)).get("cus_1")


def test_unknown_exception_of_an_adapter_propagates_unchanged() -> None:
    def fail(_: Any) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        client_of(InMemoryAdapter(fail)).get("cus_1")


def test_uplink_client_sends_through_the_given_session(
    fake: FakeDub, served: str, connect: Any
) -> None:
    with requests.Session() as session:
        session.headers["X-Team"] = "growth"
        customers = connect(served, client=uplink.RequestsClient(session))
        created = customers.create({"external_id": "u", "name": "Ada", "country": "GB"})
        assert customers.get("ext_u") == created
        assert customers.list(country="GB") == [created]
        assert customers.delete(created.id).id == created.id
        with pytest.raises(errors.NotFound):
            customers.get(created.id)
    assert {r.headers["x-team"] for r in fake.requests} == {"growth"}


def test_uplink_client_exception_becomes_connection_error() -> None:
    class Failed(Exception):
        pass

    class Exceptions(uplink.clients.exceptions.Exceptions):
        BaseClientException = Failed

    class Failing(uplink.RequestsClient):
        exceptions = Exceptions()

        def send(self, request: Any) -> Any:
            raise Failed("out of order")

    customers = CustomersConsumer("dub_x", client=Failing(), retry_config=None)
    with pytest.raises(errors.APIConnectionError, match="out of order"):
        customers.list()


def test_fake_session_opens_no_socket(token: str) -> None:
    with FakeDub(token) as fake, fake.session() as session:
        customers = CustomersConsumer(token, client=session, retry_config=None)
        created = customers.create({"external_id": "u", "name": "Ada", "country": "GB"})
        assert customers.get("ext_u") == created
        elsewhere = CustomersConsumer(
            token, server_url="https://other.example", client=session, retry_config=None
        )
        with pytest.raises(NetworkRefused):
            elsewhere.list()


def test_adapter_mounted_for_one_host_is_not_used_for_others(serving: Any) -> None:
    server = serving(200, CUSTOMER)
    with requests.Session() as session:
        session.mount(server.url, HTTPAdapter(pool_maxsize=1))
        customers = CustomersConsumer("dub_x", server_url=server.url, client=session)
        assert customers.get("cus_1").name == "Ada"


class BalancingAdapter(BaseAdapter):
    """An adapter that sends through the first of several adapters."""

    def __init__(self, kept: Any, first: HTTPAdapter) -> None:
        super().__init__()
        self.kept = kept
        self.first = first.send

    def send(self, *args: Any, **settings: Any) -> requests.Response:
        return self.first(*args, **settings)

    def close(self) -> None: ...


@pytest.mark.parametrize(
    "keep",
    [lambda one: [one], lambda one: (one,), lambda one: {"a": one}, lambda _: requests.Session()],
    ids=["list", "tuple", "dict", "session"],
)
def test_adapter_around_an_inner_adapter_emits_a_warning(
    wire: Any, step: Any, http_response: Any, connect: Any, keep: Any
) -> None:
    missing = {"error": {"code": "not_found", "message": "No."}}
    server = wire(step(b"", "close"), http_response(404, json.dumps(missing)))
    inner = HTTPAdapter(max_retries=urllib3.Retry(3, allowed_methods=None))
    session = requests.Session()
    session.mount("http://", BalancingAdapter(keep(inner), inner))
    with pytest.warns(UserWarning, match="wraps another adapter"):
        client = connect(server.url, client=session)
    with pytest.raises(errors.APIConnectionError, match="tried to repeat"):
        client.delete("cus_1")
    assert len(server.received) == 1


class OpaqueAdapter(BaseAdapter):
    """An adapter whose attributes do not show its inner adapter."""

    __slots__ = ("slot",)
    slot: HTTPAdapter

    def __init__(self, hide: Callable[[OpaqueAdapter], None]) -> None:
        super().__init__()
        self.choose: Callable[[], Any] = lambda: self.slot
        hide(self)

    def send(self, *args: Any, **settings: Any) -> requests.Response:
        response: requests.Response = self.choose().send(*args, **settings)
        return response

    def close(self) -> None: ...


def retrying_adapter() -> HTTPAdapter:
    return HTTPAdapter(max_retries=urllib3.Retry(3, allowed_methods=None))


def hide_in_slot(adapter: Any) -> None:
    adapter.slot = retrying_adapter()


def hide_in_nested_list(adapter: Any) -> None:
    adapter.nested = {"a": [retrying_adapter()]}
    adapter.choose = lambda: adapter.nested["a"][0]


def hide_in_method(adapter: Any) -> None:
    adapter.method = retrying_adapter().send
    adapter.choose = lambda: adapter.method.__self__


def hide_until_first_request(adapter: Any) -> None:
    adapter.choose = retrying_adapter


@pytest.mark.parametrize(
    "hide", [hide_in_slot, hide_in_nested_list, hide_in_method, hide_until_first_request]
)
def test_hidden_inner_adapter_sends_one_request(
    wire: Any, step: Any, http_response: Any, connect: Any, hide: Any
) -> None:
    missing = {"error": {"code": "not_found", "message": "No."}}
    server = wire(step(b"", "close"), http_response(404, json.dumps(missing)))
    session = requests.Session()
    session.mount("http://", OpaqueAdapter(hide))
    with pytest.raises(errors.APIConnectionError, match="tried to repeat"):
        connect(server.url, client=session).delete("cus_1")
    assert len(server.received) == 1


def test_adapter_timeout_is_a_number_of_seconds(connect: Any) -> None:
    timeouts: list[float] = []

    class Calculating(InMemoryAdapter):
        def send(self, request: Any, *args: Any, timeout: Any = None, **_: Any) -> Any:
            timeouts.append(timeout / 2)
            assert isinstance(timeout, float)
            return super().send(request)

    client_of(Calculating(content_only)).get("cus_1", timeout_ms=3_000)
    assert timeouts == [1.5]


@pytest.mark.parametrize("first", [requests.ConnectionError("refused"), 503])
def test_last_attempt_without_time_raises_the_previous_failure(first: Any) -> None:
    adapter = InMemoryAdapter(lambda _: None, status=503)

    def fail(_: requests.Response) -> None:
        if len(adapter.seen) > 1:
            raise requests.ConnectTimeout("too late")
        if isinstance(first, Exception):
            raise first

    adapter.fill = fail
    session = requests.Session()
    session.mount("https://", adapter)
    retry_config = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 200), True)
    customers = CustomersConsumer("dub_x", client=session, retry_config=retry_config)
    with pytest.raises(errors.DubError, match=r"refused|503") as caught:
        customers.get("cus_1")
    assert not isinstance(caught.value, errors.APITimeoutError)
    assert f"{len(adapter.seen)} attempts" in str(caught.value)
    assert len(adapter.seen) > 1
