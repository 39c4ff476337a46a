"""What the tests of the fake share: a fake, and one way to ask it, mounted or on a socket."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import requests

from dub_uplink.testing import FakeDub
from dub_uplink.testing.plugin import dub, fake_dub

__all__ = ["dub", "fake_dub"]


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
