"""What the tests of the fake share: a fake, and one way to ask it, mounted or on a socket."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests

from dub_uplink.testing import FakeDub
from dub_uplink.testing.plugin import dub, fake_dub

__all__ = ["dub", "fake_dub"]

CURL = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]


class Api:
    """Asks a fake as a plain client does, with its key unless other headers are given."""

    def __init__(self, session: requests.Session, url: str) -> None:
        self.session = session
        self.url = url

    def __call__(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | str | None = None,
        *,
        json: Any = None,
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> requests.Response:
        if headers is None:
            headers = {"Authorization": "Bearer dub_test"}
        settings.setdefault("timeout", 60)
        return self.session.request(
            method,
            self.url + path,
            params=query,
            json=json,
            data=body,
            headers=dict(headers),
            **settings,
        )

    def create(self, external_id: str, **fields: Any) -> dict[str, Any]:
        """Create a customer, in Dub's own keys; it must succeed."""
        body = {"externalId": external_id, "country": "GB", **fields}
        answer = self("POST", "/customers", json=body)
        assert answer.status_code == 201, answer.text
        created: dict[str, Any] = answer.json()
        return created

    def listed(self, query: Mapping[str, str] | str | None = None) -> list[str]:
        """The externalIds of a list; it must succeed."""
        answer = self("GET", "/customers", query)
        assert answer.status_code == 200, answer.text
        return [customer["externalId"] for customer in answer.json()]

    def message(self, method: str, path: str, *args: Any, **kwargs: Any) -> str:
        """The status and the message of a refusal."""
        answer = self(method, path, *args, **kwargs)
        return f"{answer.status_code} {answer.json()['error']['message']}"


@pytest.fixture
def fake() -> Iterator[FakeDub]:
    with FakeDub() as fake:
        yield fake


@pytest.fixture
def api(fake: FakeDub) -> Api:
    return mounted(fake)


def mounted(fake: FakeDub) -> Api:
    return Api(fake.session(), fake.base_url)


@pytest.fixture
def mount() -> Callable[[FakeDub], Api]:
    """Ask another fake than the test's ``fake``."""
    return mounted


@pytest.fixture(params=["mounted", "served"])
def reach(request: pytest.FixtureRequest) -> Iterator[Callable[[FakeDub], Api]]:
    """Ask a fake either way, where the way could make a difference."""
    with contextlib.ExitStack() as stack:

        def connect(fake: FakeDub) -> Api:
            if request.param == "mounted":
                return mounted(fake)
            url = stack.enter_context(fake.serve())
            session = stack.enter_context(requests.Session())
            session.trust_env = False
            return Api(session, url)

        yield connect


@pytest.fixture
def raw(fake: FakeDub) -> Iterator[Callable[[bytes], bytes]]:
    """Send bytes to the served fake on a connection of their own; all that it answers."""
    with fake.serve() as url:
        address = ("127.0.0.1", int(url.rpartition(":")[2]))

        def exchange(data: bytes) -> bytes:
            with socket.create_connection(address, timeout=20) as sock:
                # Refused early, the rest of what was to be sent may find the connection closed.
                with contextlib.suppress(ConnectionError):
                    sock.sendall(data)
                    sock.shutdown(socket.SHUT_WR)
                answer = bytearray()
                with contextlib.suppress(ConnectionError):
                    while chunk := sock.recv(65536):
                        answer += chunk
                return bytes(answer)

        yield exchange


class Curl:
    """Call a served fake with curl: Dub's API by ``api``, the admin API by ``admin``."""

    def __init__(self, url: str, *options: str) -> None:
        self.url = url
        self._options = options

    def at(self, url: str, *options: str) -> Curl:
        """Return a caller of another URL, with further options of curl."""
        return Curl(url, *options)

    def admin(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        data = [] if body is None else ["--data-binary", json.dumps(body)]
        options = ["--request", method, "--header", "Content-Type: application/json", *data]
        received, text = self._run(*options, f"{self.url}/_fake/{path}")
        assert received == status, text
        return json.loads(text)

    def api(
        self, method: str, path: str, body: Any = None, *, token: str = "dub_test"
    ) -> tuple[int, Any]:
        data = [] if body is None else ["--data-binary", json.dumps(body)]
        key = ["--header", f"Authorization: Bearer {token}"]
        status, text = self._run("--request", method, *key, *data, self.url + path)
        return status, json.loads(text) if text[:1] in ("{", "[") else text

    def statuses(self, count: int, method: str = "GET", path: str = "/customers") -> list[int]:
        return [self.api(method, path)[0] for _ in range(count)]

    def _run(self, *options: str) -> tuple[int, str]:
        """Return the status, 0 if the connection was closed without one, and the body."""
        command = [*CURL, *self._options, "--write-out", "\n%{http_code}", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        body, _, status = done.stdout.rpartition("\n")
        return int(status), body


@pytest.fixture
def curl_at() -> Callable[[str], Curl]:
    """Return a caller of the fake at a URL."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    return Curl


@pytest.fixture
def curl(fake: FakeDub, curl_at: Callable[[str], Curl]) -> Iterator[Curl]:
    with fake.serve(admin=True) as url:
        yield curl_at(url)
