"""Test that netrc, auth or headers do not replace the token, and that it goes to no other host."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from dub_uplink import AsyncDub, CustomersConsumer, errors


def authorizations(request: Any) -> list[str]:
    lines = [line for line in request.lines if line.lower().startswith("authorization:")]
    return [line.partition(":")[2].strip() for line in lines]


@pytest.mark.promise("token-is-not-replaced")
@pytest.mark.parametrize("where", ["NETRC", "HOME"])
def test_netrc_does_not_replace_the_token(
    serving: Any,
    reach: Any,
    token: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    netrc.chmod(0o600)
    if where == "HOME":
        monkeypatch.delenv("NETRC")
        monkeypatch.setenv("HOME", str(tmp_path))
    else:
        monkeypatch.setenv("NETRC", str(netrc))
    server = serving()
    customers = reach(server.url)
    customers.list()
    customers.list()
    assert [authorizations(r) for r in server.received] == [[f"Bearer {token}"]] * 2


@pytest.mark.promise("token-is-not-replaced")
def test_aiohttp_session_auth_does_not_replace_the_token(
    serving: Any, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login other password other\n")
    monkeypatch.setenv("NETRC", str(netrc))
    server = serving()

    async def run() -> None:
        headers = {"authorization": "Bearer other"}
        for settings in ({"headers": headers}, {"trust_env": True}, {"headers": headers}):
            async with (
                aiohttp.ClientSession(**settings) as session,
                AsyncDub(token, server_url=server.url, client=session) as dub,
            ):
                await dub.customers.list()

    asyncio.run(run())
    assert [authorizations(r) for r in server.received] == [[f"Bearer {token}"]] * 3


@pytest.mark.promise("token-is-not-replaced")
def test_requests_session_auth_does_not_replace_the_token(serving: Any, token: str) -> None:
    server = serving()
    with requests.Session() as session:
        session.auth = ("other", "other")
        session.headers["authorization"] = "Bearer other"
        session.params = {"token": "other"}
        with CustomersConsumer(token, server_url=server.url, client=session) as customers:
            customers.list()
    assert [authorizations(r) for r in server.received] == [[f"Bearer {token}"]]


@pytest.mark.promise("redirects-are-not-followed")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "target", ["{other}/customers", "//127.0.0.2/x", "https://[x", "/customers"]
)
def test_redirects_are_not_followed_with_the_token(
    serving: Any, reach: Any, status: int, target: str
) -> None:
    other = serving()
    location = target.format(other=other.url)
    server = serving(status, "", {"Location": location, "Refresh": f"0; url={location}"})
    customers = reach(server.url)
    calls: list[Callable[[], Any]] = [
        customers.list,
        lambda: customers.create({"external_id": "u"}),
        lambda: customers.delete("cus_1"),
    ]
    for call in calls:
        with pytest.raises(errors.SDKError, match="redirects are not followed"):
            call()
    assert len(server.received) == 3
    assert other.connections == 0


class Tunnel:
    """A proxy that opens tunnels and records the unencrypted bytes."""

    def __init__(self) -> None:
        self.heads: list[bytes] = []
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(client)
            threading.Thread(target=self._tunnel, args=(client,), daemon=True).start()

    def _tunnel(self, client: socket.socket) -> None:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        self.heads.append(head)
        host, _, port = head.split(b" ")[1].decode().partition(":")
        server = socket.create_connection((host, int(port)))
        self._sockets.append(server)
        client.sendall(b"HTTP/1.1 200 Connected\r\n\r\n")
        for source, sink in ((client, server), (server, client)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        for sock in (self._listener, *self._sockets):
            sock.close()


@pytest.fixture
def tunnel() -> Iterator[Tunnel]:
    proxy = Tunnel()
    yield proxy
    proxy.close()


@pytest.mark.promise("proxies-see-no-token")
def test_environment_proxy_is_used(
    serving: Any, reach_own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serving()
    monkeypatch.setenv("http_proxy", proxy.url)
    with pytest.warns(UserWarning, match="unencrypted"):
        customers = reach_own("http://dub.internal/v1")
    assert customers.list() == []
    assert [request.target for request in proxy.received] == ["http://dub.internal/v1/customers"]


@pytest.mark.promise("proxies-see-no-token")
@pytest.mark.parametrize("is_async", [False, True])
def test_https_proxy_sees_the_host_but_not_the_token(
    wire: Any,
    http_response: Any,
    tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
    tunnel: Tunnel,
    token: str,
    monkeypatch: pytest.MonkeyPatch,
    is_async: bool,
) -> None:
    server = wire(http_response(), tls=tls)
    monkeypatch.setenv("https_proxy", tunnel.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate[0]))

    async def run() -> None:
        trusting = ssl.create_default_context(cafile=certificate[0])
        connector = aiohttp.TCPConnector(ssl=trusting)
        async with (
            aiohttp.ClientSession(trust_env=True, connector=connector) as session,
            AsyncDub(token, server_url=server.url, client=session) as dub,
        ):
            await dub.customers.list()

    if is_async:
        asyncio.run(run())
    else:
        with CustomersConsumer(token, server_url=server.url) as customers:
            customers.list()
    assert [authorizations(r) for r in server.received] == [[f"Bearer {token}"]]
    (head,) = tunnel.heads
    assert head.startswith(b"CONNECT 127.0.0.1:")
    assert token.encode() not in head


HEADERS = st.dictionaries(
    st.sampled_from(["X-A", "x-a", "Authorization", "AUTHORIZATION", "Host", "X-\u0130"])
    | st.text(st.sampled_from("aA-:\r\n \0é"), max_size=3),
    st.text(st.sampled_from("ab :,\t\r\n\0é€\x85"), max_size=4),
    max_size=3,
)


@pytest.mark.promise("headers-are-checked")
def test_http_headers_are_sent_unchanged_or_rejected(serving: Any, reach: Any, token: str) -> None:
    """A header cannot inject a line, replace the token, or occur twice."""
    server = serving()
    customers = reach(server.url)
    customers.list()
    usual = {line.partition(":")[0].lower() for line in server.received[0].lines[1:]}

    @given(HEADERS)
    @example({"X-A": "b\r\nAuthorization: other"})
    @example({"X-A\r\nAuthorization": "other"})
    @example({"authorization ": "other"})
    @example({"X-A": "é"})
    def check(headers: dict[str, str]) -> None:
        before = len(server.received)
        try:
            customers.list(http_headers=headers)
        except ValueError:
            assert headers
            assert len(server.received) == before
            return
        (sent,) = server.received[before:]
        names = [line.partition(":")[0].lower() for line in sent.lines[1:]]
        assert sorted(names) == sorted(usual | {name.lower() for name in headers})
        assert authorizations(sent) == [f"Bearer {token}"]
        for name, value in headers.items():
            # aiohttp encodes header values in UTF-8.
            arrived = sent.headers[name.lower()]
            assert value in (arrived, arrived.encode("latin-1").decode("utf-8", "replace"))

    check()
