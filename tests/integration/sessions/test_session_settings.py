"""Test the guarantees of the client with different settings of the caller's session.

Each guarantee is tested with each setting, over real sockets, for both clients.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
import requests
import urllib3
import yarl
from requests.adapters import HTTPAdapter

from dub_uplink import BackoffStrategy, DeadlineAdapter, RetryConfig, errors
from dub_uplink.testing import FakeDub, faults

RETRY = urllib3.Retry(
    3, status_forcelist=[429, 503, 404], allowed_methods=None, backoff_factor=0.01
)
#: The retries of the client, with short waits.
SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 3_000), True)
CUSTOMER = {"external_id": "user_1", "name": "Ada", "country": "GB"}


class HookError(Exception):
    """An exception class of the caller."""


def raise_for_status(response: requests.Response, *_: Any, **__: Any) -> None:
    response.raise_for_status()


def raise_own(response: requests.Response, *_: Any, **__: Any) -> None:
    if response.status_code >= 400:
        raise HookError(response.status_code)


def raise_for_json(response: requests.Response, *_: Any, **__: Any) -> None:
    if "error" in response.json():
        raise ValueError("an error")


class RetryingAdapter(HTTPAdapter):
    """An adapter with a retry loop."""

    def send(self, *args: Any, **settings: Any) -> requests.Response:
        for _ in range(2):
            try:
                response = super().send(*args, **settings)
            except requests.RequestException:
                continue
            if response.status_code < 500:
                return response
        return super().send(*args, **settings)


class TimeoutAdapter(HTTPAdapter):
    """An adapter that sets another timeout."""

    def send(self, request: Any, **settings: Any) -> requests.Response:
        return super().send(request, **{**settings, "timeout": 60})


class RedirectingSession(requests.Session):
    """A session that always follows redirects and never streams."""

    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        return super().send(request, **{**settings, "allow_redirects": True, "stream": False})


class Raising(requests.Session):
    def send(self, request: requests.PreparedRequest, **settings: Any) -> requests.Response:
        response = super().send(request, **settings)
        response.raise_for_status()
        return response


class Slotted(requests.Session):
    __slots__ = ("team",)


def mounting(adapter: Callable[[], Any]) -> Callable[[], requests.Session]:
    def make() -> requests.Session:
        session = requests.Session()
        session.mount("http://", adapter())
        return session

    return make


def having(**attributes: Any) -> Callable[[], requests.Session]:
    def make() -> requests.Session:
        session = requests.Session()
        for name, value in attributes.items():
            setattr(session, name, copy.copy(value))
        return session

    return make


def hooked(hook: Any) -> Callable[[], requests.Session]:
    return having(hooks={"response": [hook]})


SESSIONS: dict[str, Callable[[], requests.Session]] = {
    "plain": requests.Session,
    "retries": mounting(lambda: HTTPAdapter(max_retries=3)),
    "retries of statuses": mounting(lambda: HTTPAdapter(max_retries=RETRY)),
    "retries of a deadline adapter": mounting(lambda: DeadlineAdapter(max_retries=RETRY)),
    "retry loop": mounting(RetryingAdapter),
    "timeout of its own": mounting(TimeoutAdapter),
    "blocking pool": mounting(lambda: HTTPAdapter(pool_maxsize=1, pool_block=True)),
    "no pool": mounting(lambda: HTTPAdapter(pool_maxsize=0)),
    "hook raises for status": hooked(raise_for_status),
    "hook raises its own": hooked(raise_own),
    "hook raises a ValueError": hooked(raise_for_json),
    "hook closes": hooked(lambda response, **_: None if response.content else response.close()),
    "raises for status": Raising,
    "follows redirects": RedirectingSession,
    "slots": Slotted,
    "auth": having(auth=("user", "password")),
    "digest auth": having(auth=requests.auth.HTTPDigestAuth("user", "password")),
    "headers": having(headers={"accept-encoding": "br", "authorization": "Bearer other"}),
    "params": having(params={"team": "growth"}),
    "cookies": having(cookies=requests.cookies.cookiejar_from_dict({"mine": "1"})),
    "no environment": having(trust_env=False, stream=False, max_redirects=0),
    "verify": having(verify=False, proxies={"https": "http://127.0.0.1:9"}),
}

AIOHTTP: dict[str, Callable[[], aiohttp.ClientSession]] = {}


def aio(name: str) -> Callable[[Any], Any]:
    def add(make: Any) -> Any:
        AIOHTTP[name] = make
        return make

    return add


aio("plain")(aiohttp.ClientSession)
aio("raises for status")(lambda: aiohttp.ClientSession(raise_for_status=True))
aio("timeout of its own")(
    lambda: aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60, sock_read=60))
)
aio("one connection")(lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)))
aio("closing connector")(
    lambda: aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
)
aio("headers")(
    lambda: aiohttp.ClientSession(
        headers={"Accept-Encoding": "br", "Authorization": "Bearer other", "X-Team": "growth"}
    )
)
aio("cookies")(lambda: aiohttp.ClientSession(cookies={"mine": "1"}))
aio("environment")(lambda: aiohttp.ClientSession(trust_env=True))
aio("no decompression")(lambda: aiohttp.ClientSession(auto_decompress=False, read_bufsize=64))


@aio("raises by a function")
def _raising() -> aiohttp.ClientSession:
    async def check(response: aiohttp.ClientResponse) -> None:
        if not response.ok:
            raise HookError(response.status)

    return aiohttp.ClientSession(raise_for_status=check)


@aio("retry middleware")
def _retrying() -> aiohttp.ClientSession:
    async def retry(request: Any, handler: Any) -> aiohttp.ClientResponse:
        for _ in range(3):
            response: aiohttp.ClientResponse = await handler(request)
            if response.ok:
                break
        return response

    return aiohttp.ClientSession(middlewares=(retry,))


@aio("trace")
def _tracing() -> aiohttp.ClientSession:
    config = aiohttp.TraceConfig()

    async def ignore(*_: Any) -> None:
        await asyncio.sleep(0)

    config.on_request_start.append(ignore)
    config.on_request_end.append(ignore)
    config.on_request_exception.append(ignore)
    return aiohttp.ClientSession(trace_configs=[config])


@aio("auth")
def _authenticating() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(auth=aiohttp.BasicAuth("user", "password"))


SETTINGS = [("sync", name) for name in SESSIONS] + [("async", name) for name in AIOHTTP]


@pytest.fixture(params=SETTINGS, ids=["-".join(pair).replace(" ", "-") for pair in SETTINGS])
def client(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Make clients of a URL with a session of each setting."""
    kind, name = request.param
    if kind == "async":
        connect_async = request.getfixturevalue("connect_async")
        return lambda url, **settings: connect_async(url, client=AIOHTTP[name], **settings)
    connect = request.getfixturevalue("connect")
    return lambda url, **settings: connect(url, client=SESSIONS[name](), **settings)


pytestmark = pytest.mark.filterwarnings("ignore:.*auth.*:DeprecationWarning")


def test_session_with_retries_sends_one_request_on_a_503(client: Any, serving: Any) -> None:
    server = serving(503, '{"error": {"code": "x", "message": "Later."}}')
    with pytest.raises(errors.SDKError) as caught:
        client(server.url).delete("cus_1")
    assert caught.value.status_code == 503
    assert len(server.received) == 1


def test_session_with_retries_sends_one_request_on_a_drop(
    client: Any, serving: Any, http_response: Any
) -> None:
    server = serving(raw=[http_response(200, "[]"), b""])
    customers = client(server.url)
    customers.list()  # so that the next request uses a pooled connection
    with pytest.raises(errors.APIConnectionError) as caught:
        customers.delete("cus_1")
    assert caught.value.sent is True
    assert server.seen.count("DELETE /customers/cus_1") == 1 or any(
        "?team=growth" in seen for seen in server.seen
    )
    assert len(server.received) == 2


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 900, b"HTTP/1.1 503 X\r\n"])
def test_slow_response_in_a_given_session_times_out(client: Any, serving: Any, raw: bytes) -> None:
    server = serving(raw=raw, drip=0.01, then="hold")
    customers = client(server.url, timeout_ms=200)
    started = time.monotonic()
    with pytest.raises(errors.APITimeoutError):
        customers.list()
    assert time.monotonic() - started < 5


def test_session_with_retries_does_not_wait_for_retry_after(client: Any, serving: Any) -> None:
    server = serving(429, "", {"Retry-After": "3600"})
    started = time.monotonic()
    with pytest.raises(errors.APIStatusError):
        client(server.url, timeout_ms=2_000).list()
    assert time.monotonic() - started < 5


def test_404_raises_not_found_without_retry(client: Any, serving: Any) -> None:
    server = serving(404, '{"error": {"code": "not_found", "message": "No."}}')
    with pytest.raises(errors.NotFound, match=r"No\."):
        client(server.url, retry_config=SHORT_RETRIES).get("cus_1")
    assert len(server.received) == 1


def test_redirect_is_not_followed(client: Any, serving: Any) -> None:
    server = serving(302, "", {"Location": "/elsewhere"})
    with pytest.raises(errors.SDKError, match="redirects"):
        client(server.url).list()
    assert len(server.received) == 1


def test_token_and_accept_encoding_are_sent(client: Any, serving: Any, token: str) -> None:
    server = serving()
    client(server.url).list()
    headers = server.received[0].headers
    assert headers["authorization"] == f"Bearer {token}"
    assert headers["accept-encoding"] == "gzip, deflate"


def test_create_with_a_lost_response_returns_the_customer(
    client: Any, fake: FakeDub, served: str
) -> None:
    fake.faults.add(faults.DropAfter(), method="POST", times=1)
    assert client(served, retry_config=SHORT_RETRIES).create(CUSTOMER).external_id == "user_1"
    assert len(fake.customers) == 1


def test_delete_with_a_lost_response_succeeds(client: Any, fake: FakeDub, served: str) -> None:
    fake.add(**CUSTOMER)
    fake.faults.add(faults.DropAfter(), method="DELETE", times=1)
    client(served, retry_config=SHORT_RETRIES).delete("ext_user_1")
    assert len(fake.customers) == 0


@pytest.mark.parametrize("name", SESSIONS)
def test_given_requests_session_is_unchanged_after_calls(
    name: str, serving: Any, connect: Any
) -> None:
    def state(session: requests.Session) -> Any:
        adapters = {
            prefix: [
                adapter,
                *(getattr(adapter, name) for name in (*HTTPAdapter.__attrs__, "poolmanager")),
            ]
            for prefix, adapter in session.adapters.items()
        }
        names = ("auth", "verify", "cert", "proxies", "stream", "trust_env", "max_redirects")
        hooks = {key: list(value) for key, value in session.hooks.items()}
        kept = [getattr(session, name) for name in names]
        return adapters, dict(session.headers), dict(session.params), hooks, kept  # type: ignore[arg-type]

    session = SESSIONS[name]()
    before = state(session)
    customers = connect(serving(404, "{}").url, client=session)
    for _ in range(2):
        with pytest.raises(errors.APIStatusError):
            customers.get("x")
    customers.close()
    assert state(session) == before


@pytest.mark.parametrize("name", AIOHTTP)
def test_given_aiohttp_session_is_unchanged_after_calls(
    name: str, serving: Any, connect_async: Any
) -> None:
    created: list[aiohttp.ClientSession] = []

    def make() -> aiohttp.ClientSession:
        created.append(AIOHTTP[name]())
        return created[0]

    customers = connect_async(serving(404, "{}").url, client=make)
    session = created[0]
    before = [dict(session.headers), session.auth, session.timeout, list(session.trace_configs)]
    with pytest.raises(errors.APIStatusError):
        customers.get("x")
    customers.aclose()
    assert not session.closed
    after = [dict(session.headers), session.auth, session.timeout, list(session.trace_configs)]
    assert after == before


def test_base_url_of_an_aiohttp_session_is_ignored(serving: Any, connect_async: Any) -> None:
    server = serving()
    customers = connect_async(
        server.url, client=lambda: aiohttp.ClientSession(yarl.URL("http://other.example/api/"))
    )
    assert customers.list() == []


@pytest.mark.parametrize("value", ["s3cret\n", " s3cret", "s3\rcret", ["s3cret"]], ids=repr)
def test_invalid_session_header_value_is_not_shown(serving: Any, connect: Any, value: Any) -> None:
    server = serving()
    session = requests.Session()
    session.headers["X-Gateway-Key"] = value
    with pytest.raises(
        errors.APIConnectionError, match=r"(?i)the request is invalid: .*header"
    ) as caught:
        connect(server.url, client=session).list()
    assert "s3" not in str(caught.value)
    assert caught.value.sent is False


class Configured(requests.Session):
    """A session whose environment also has settings that the client sets."""

    def merge_environment_settings(self, *args: Any, **settings: Any) -> Any:
        merged = super().merge_environment_settings(*args, **settings)
        return {**merged, "timeout": 9, "allow_redirects": True, "stream": False}


def test_settings_of_the_client_override_merged_settings(serving: Any, connect: Any) -> None:
    server = serving(307, "", {"Location": "/elsewhere"}, drip=0.02)
    with pytest.raises(errors.APITimeoutError):
        connect(server.url, client=Configured(), timeout_ms=200).list()
    server.play(server._steps[0].send)
    with pytest.raises(errors.SDKError, match="redirects to '/elsewhere'"):
        connect(server.url, client=Configured()).list()
    assert len(server.received) == 2
