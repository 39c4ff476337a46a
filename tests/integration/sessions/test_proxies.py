"""Test proxies of the environment and of sessions with both clients."""

from __future__ import annotations

import itertools
import re
import time
from base64 import b64encode
from typing import Any

import aiohttp
import pytest
import requests

from dub_uplink import BackoffStrategy, RetryBudget, RetryConfig, errors

SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 2, 1.5, 300), True)
#: Parts of the proxy URLs that no output may contain.
SECRETS = ("us3r", "pa55w0rd")

pytestmark = pytest.mark.filterwarnings("ignore:the token goes unencrypted")


@pytest.fixture
def proxied(connect_both: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call through a proxy of the environment and return the error."""

    def call(proxy: str, url: str = "https://dub.internal", **settings: Any) -> Any:
        monkeypatch.setenv("HTTPS_PROXY", proxy)
        monkeypatch.setenv("HTTP_PROXY", proxy)
        settings = {"retry_config": SHORT_RETRIES, **settings}
        with pytest.raises(errors.APIConnectionError) as caught:
            connect_both(url, **settings).list()
        assert not [secret for secret in SECRETS if secret in str(caught.value)]
        return caught.value

    return call


def test_environment_proxy_without_a_scheme_is_used(
    serving: Any, connect_both: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serving()
    monkeypatch.setenv("HTTP_PROXY", proxy.url.removeprefix("http://"))
    assert connect_both("http://dub.internal").list() == []
    assert proxy.seen == ["GET http://dub.internal/customers"]


@pytest.mark.parametrize("source", ["environment", "session", "session's environment"])
def test_proxy_login_without_a_scheme_is_used(
    serving: Any, connect: Any, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    server = serving()
    proxy = server.url.replace("http://", "us3r:pa%40s@")
    session = None if source == "environment" else requests.Session()
    if source == "session":
        session.proxies = {"http": proxy}  # type: ignore[union-attr]
    else:
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("NO_PROXY", "other.internal")
    assert connect("http://dub.internal", client=session).list() == []
    assert server.seen == ["GET http://dub.internal/customers"]
    sent = server.received[0].headers.get("proxy-authorization")
    assert sent == f"Basic {b64encode(b'us3r:pa@s').decode()}"


def test_session_hosts_without_a_proxy_stay_unchanged(serving: Any, connect: Any) -> None:
    received: list[Any] = []

    class Adapter(requests.adapters.HTTPAdapter):
        def send(self, *args: Any, **settings: Any) -> requests.Response:
            received.append(settings["proxies"])
            return super().send(*args, **settings)

    session = requests.Session()
    session.mount("http://", Adapter())
    hosts = {"no": "a.internal,b.internal", "no_proxy": "a.internal,b.internal"}
    session.proxies = {"https": "squid:3128", **hosts}
    assert connect(serving().url, client=session).list() == []
    assert received == [{"https": "http://squid:3128", **hosts}]


@pytest.mark.parametrize("login", ["", "us3r:pa%40s@"])
def test_async_proxy_of_environment_without_scheme_is_used(
    serving: Any, connect_async: Any, monkeypatch: pytest.MonkeyPatch, login: str
) -> None:
    server = serving()
    monkeypatch.setenv("HTTP_PROXY", server.url.replace("http://", login))
    assert connect_async("http://dub.internal").list() == []
    sent = server.received[0].headers.get("proxy-authorization")
    assert sent == (f"Basic {b64encode(b'us3r:pa@s').decode()}" if login else None)


@pytest.mark.parametrize("prefix", ["", "//", "us3r:pa%40s@", "//us3r:pa%40s@"])
def test_environment_proxy_on_a_one_word_host_is_used(
    serving: Any, connect_both: Any, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    server = serving()
    monkeypatch.setenv("HTTP_PROXY", server.url.replace("http://127.0.0.1", f"{prefix}localhost"))
    assert connect_both("http://dub.internal").list() == []
    assert server.seen == ["GET http://dub.internal/customers"]
    assert ("proxy-authorization" in server.received[0].headers) is ("@" in prefix)


@pytest.mark.parametrize("prefix", ["", "//", "us3r:pa%40s@"])
def test_session_proxy_on_a_one_word_host_is_used(
    serving: Any, connect: Any, connect_async: Any, prefix: str
) -> None:
    server = serving()
    proxy = server.url.replace("http://127.0.0.1", f"{prefix}localhost")
    session = requests.Session()
    session.proxies = {"http": proxy}
    assert connect("http://dub.internal", client=session).list() == []
    dub = connect_async("http://dub.internal", client=lambda: aiohttp.ClientSession(proxy=proxy))
    assert dub.list() == []
    assert server.seen == ["GET http://dub.internal/customers"] * 2


INVALID_PROXIES = ["squid:port", "squid:99999", "http:squid:3128", "http://:3128", "mailto:us3r"]


@pytest.mark.parametrize("proxy", INVALID_PROXIES)
@pytest.mark.parametrize("source", ["environment", "session"])
def test_invalid_proxy_is_named_in_the_error(
    connect: Any, connect_async: Any, monkeypatch: pytest.MonkeyPatch, proxy: str, source: str
) -> None:
    session, make_session = None, lambda: None
    if source == "session":
        session = requests.Session()
        session.proxies = {"http": proxy}
        make_session = lambda: aiohttp.ClientSession(proxy=proxy)  # noqa: E731
    else:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    for make, client in (connect, session), (connect_async, make_session):
        with pytest.raises(errors.APIConnectionError, match=r"the proxy's URL") as caught:
            make("http://dub.internal", client=client, retry_config=SHORT_RETRIES).list()
        assert (caught.value.sent, caught.value.attempts) == (False, 1)


@pytest.mark.parametrize("login", ["", "us3r:pa%40s@"])
@pytest.mark.parametrize("is_environment", [True, False])
def test_aiohttp_session_proxy_without_scheme_is_used(
    serving: Any,
    connect_async: Any,
    monkeypatch: pytest.MonkeyPatch,
    is_environment: bool,
    login: str,
) -> None:
    server = serving()
    proxy = server.url.replace("http://", login)
    if is_environment:
        monkeypatch.setenv("HTTP_PROXY", proxy)
    session = {"trust_env": True} if is_environment else {"proxy": proxy}
    client = connect_async("http://dub.internal", client=lambda: aiohttp.ClientSession(**session))
    assert client.list() == []
    assert server.seen == ["GET http://dub.internal/customers"]
    sent = server.received[0].headers.get("proxy-authorization")
    assert sent == (f"Basic {b64encode(b'us3r:pa@s').decode()}" if login else None)


@pytest.mark.parametrize("status", [400, 403, 407, 429])
def test_proxy_4xx_response_to_connect_is_not_retried(
    serving: Any, proxied: Any, status: int
) -> None:
    proxy = serving(status, "", {"Proxy-Authenticate": "Basic"})
    url = proxy.url.replace("//", "//us3r:pa55w0rd@")
    error = proxied(url)
    assert str(error).startswith(f"GET: the proxy failed: Tunnel connection failed: {status}")
    assert (error.attempts, error.sent) == (1, False)
    assert len(proxy.received) == 1


def test_proxy_5xx_response_to_connect_is_retried(serving: Any, proxied: Any) -> None:
    proxy = serving(503, "")
    # The budget ends the call: an attempt at the deadline could end while the proxy responds.
    long_deadline = RetryConfig("backoff", BackoffStrategy(1, 2, 1.5, 30_000), True)
    error = proxied(proxy.url, retry_config=long_deadline, retry_budget=RetryBudget(3))
    assert error.attempts == 4
    assert error.sent is False
    assert len(proxy.received) == 4


@pytest.mark.parametrize("raw", [b"", b"SSH-2.0 x\r\n", b"HTTP/1.1 20"], ids=["", "ssh", "cut"])
def test_broken_proxy_response_to_connect_is_reported_as_unsent(
    serving: Any, proxied: Any, raw: bytes
) -> None:
    proxy = serving(raw=raw, then="close")
    error = proxied(proxy.url.replace("//", "//us3r:pa55w0rd@"), retry_config=None)
    assert error.sent is False
    assert "RawResponseMessage" not in str(error)
    assert "127.0.0.1" not in str(error)
    assert [received.method for received in proxy.received] == ["CONNECT"]


def test_proxy_that_closes_after_connect_is_reported_as_unsent(serving: Any, proxied: Any) -> None:
    proxy = serving(200, "<p>Login</p>", {"Content-Type": "text/html"}, then="close")
    error = proxied(proxy.url, retry_config=None)
    assert error.sent is False
    assert re.search(r"EOF occurred|closed during the TLS handshake", str(error))


def test_proxy_407_to_a_plain_request_names_the_proxy(
    serving: Any, connect_both: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serving(407, "<p>Login</p>", {"Content-Type": "text/html"})
    monkeypatch.setenv("HTTP_PROXY", proxy.url)
    with pytest.raises(errors.SDKError, match=r"^407: the proxy rejected .* proxy's URL") as caught:
        connect_both("http://dub.internal", retry_config=SHORT_RETRIES).list()
    assert caught.value.status_code == 407
    assert len(proxy.received) == 1


def test_unreachable_proxy_is_named_in_the_error(serving: Any, proxied: Any) -> None:
    proxy = serving()
    proxy.close()
    error = proxied(proxy.url.replace("//", "//us3r:pa55w0rd@"), retry_config=None)
    assert str(error).startswith("GET: the proxy failed: ")
    assert error.sent is False


MALFORMED = [
    "http://us3r:pa55w0rd@",
    "http://us3r:pa55w0rd@:3128",
    "http://us3r:pa55w0rd@[::1",
    "http://us3r:pa55w0rd@127.0.0.1:port",
    "http://us3r:pa55w0rd@127.0.0.1:99999",
    "http://us3r:pa55w0rd/x@127.0.0.1:9",
    "http://us3r:pa55w0rd#x@127.0.0.1:9",
    "http://us3r:x@pa55w0rd@127.0.0.1:9",
    "http://us3r:a pa55w0rd@127.0.0.1:9",
    "http://us3r:pa55w0rd@a b",
    "http:us3r:pa55w0rd@127.0.0.1:9",
    "http:/us3r:pa55w0rd@127.0.0.1:9",
    "us3r:pa55w0rd@127.0.0.1:9",
    "us3r:a pa55w0rd@127.0.0.1:port",
    "ftp://us3r:pa55w0rd@127.0.0.1:9",
    "socks5://us3r:pa55w0rd@127.0.0.1:9",
    "http://us3r:pa55w0rd@xn--\xfc.example",
    "http://us3r:pa55w0rd@" + "x" * 70 + ".example",
]


@pytest.mark.promise("errors-show-no-credentials")
@pytest.mark.parametrize("proxy", MALFORMED)
@pytest.mark.parametrize("server", ["http://dub.internal", "https://dub.internal"])
def test_proxy_error_hides_credentials(proxied: Any, proxy: str, server: str) -> None:
    assert proxied(proxy, server, retry_config=None).sent is False


@pytest.mark.parametrize("scheme", ["socks4", "socks5", "socks5h"])
def test_async_client_rejects_socks_proxy_with_advice(
    connect_async: Any, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", f"{scheme}://us3r:pa55w0rd@127.0.0.1:9")
    proxy = f"{scheme}://127.0.0.1:9"
    sessions: list[Any] = [
        lambda: None,
        lambda: aiohttp.ClientSession(proxy=proxy),
    ]
    for session in sessions:
        with pytest.raises(errors.APIConnectionError, match="aiohttp-socks") as caught:
            connect_async("https://dub.internal", client=session, retry_config=SHORT_RETRIES).list()
        assert (caught.value.attempts, caught.value.sent) == (1, False)


def test_aiohttp_socks_session_is_used(connect_async: Any, serving: Any) -> None:
    aiohttp_socks = pytest.importorskip("aiohttp_socks")
    proxy = serving(raw=b"\x05\xff", unread=True, then="close")
    connector = aiohttp_socks.ProxyConnector
    address = proxy.url.replace("http", "socks5")
    with pytest.raises(errors.APIConnectionError) as caught:
        connect_async(
            "https://dub.internal",
            client=lambda: aiohttp.ClientSession(connector=connector.from_url(address)),
        ).list()
    assert proxy.connections == 1
    assert "aiohttp-socks" not in str(caught.value)


def test_session_proxy_error_hides_credentials(serving: Any, connect: Any) -> None:
    proxy = serving(407, "")
    for adapter, verify in itertools.product((0, 3), (True, False)):
        with requests.Session() as session:
            session.mount("https://", requests.adapters.HTTPAdapter(max_retries=adapter))
            session.verify = verify
            session.proxies = {"https": proxy.url.replace("//", "//us3r:pa55w0rd@")}
            with pytest.raises(errors.APIConnectionError, match="407") as caught:
                connect("https://dub.internal", client=session, retry_config=SHORT_RETRIES).list()
        assert "pa55w0rd" not in str(caught.value)
        assert caught.value.attempts == 1
    assert len(proxy.received) == 4


def test_slow_proxy_response_to_connect_times_out(
    serving: Any, connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serving(raw=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 900, drip=0.01)
    monkeypatch.setenv("HTTPS_PROXY", proxy.url)
    started = time.monotonic()
    for client in (None, requests.Session()):
        customers = connect("https://dub.internal", client=client, timeout_ms=200)
        with pytest.raises(errors.APITimeoutError) as caught:
            customers.list()
        assert caught.value.sent is False
    assert time.monotonic() - started < 6


def test_unknown_proxy_host_is_named_in_the_error(proxied: Any) -> None:
    error = proxied("http://us3r:pa55w0rd@proxy.invalid:3128", retry_config=None)
    assert str(error).startswith("GET: the proxy failed: ")
    assert error.sent is False


def test_aiohttp_socks_4xx_to_connect_is_not_retried(connect_async: Any, serving: Any) -> None:
    aiohttp_socks = pytest.importorskip("aiohttp_socks")
    proxy = serving(407, "", then="close")
    connector = aiohttp_socks.ProxyConnector
    with pytest.raises(errors.APIConnectionError, match="Tunnel connection failed: 407") as caught:
        connect_async(
            "https://dub.internal",
            client=lambda: aiohttp.ClientSession(connector=connector.from_url(proxy.url)),
            retry_config=SHORT_RETRIES,
        ).list()
    assert (caught.value.attempts, caught.value.sent) == (1, False)


#: Replies of a SOCKS5 proxy that rejects the login.
SOCKS_REFUSALS = [b"\x05\xff", b"\x05\x02\x01\x01"]


@pytest.mark.parametrize("refusal", SOCKS_REFUSALS, ids=["method", "password"])
def test_async_socks_login_failure_is_not_retried(
    connect_async: Any, serving: Any, refusal: bytes
) -> None:
    aiohttp_socks = pytest.importorskip("aiohttp_socks")
    proxy = serving(raw=refusal, unread=True, then="hold")
    address = proxy.url.replace("http://", "socks5://us3r:pa55w0rd@")
    connector = aiohttp_socks.ProxyConnector
    with pytest.raises(errors.APIConnectionError) as caught:
        connect_async(
            "https://dub.internal",
            client=lambda: aiohttp.ClientSession(connector=connector.from_url(address)),
            retry_config=SHORT_RETRIES,
        ).list()
    assert (caught.value.attempts, caught.value.sent) == (1, False)


@pytest.mark.parametrize("refusal", SOCKS_REFUSALS, ids=["method", "password"])
def test_socks_login_failure_is_not_retried(connect: Any, serving: Any, refusal: bytes) -> None:
    pytest.importorskip("socks")
    proxy = serving(raw=refusal, unread=True, then="hold")
    session = requests.Session()
    session.proxies = {"https": proxy.url.replace("http://", "socks5h://us3r:pa55w0rd@")}
    with pytest.raises(errors.APIConnectionError) as caught:
        connect("https://dub.internal", client=session, retry_config=SHORT_RETRIES).list()
    assert (caught.value.attempts, caught.value.sent) == (1, False)
