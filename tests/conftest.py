"""What several rooms of tests share: a plain environment, and a server that sends what it is told.

The server is a socket and a few lines, not the fake: it can send what no server of Dub's would.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
import uplink
from hypothesis import HealthCheck, settings

from dub_uplink import CustomersConsumer
from dub_uplink.testing import FakeDub

# No test depends on the machine's speed; `thorough` is for a long look by hand.
_CALM = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=_CALM)
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True, print_blob=True)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=2_000)
settings.load_profile("quick")

SETTINGS = ("DUB_API_KEY", "DUB_SERVER_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
SETTINGS += ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of whoever runs the tests has a say: no key, no server, no proxy, no .netrc."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", os.devnull)


@dataclass
class Received:
    """A request as it came over the socket; ``headers`` has lower-case names."""

    method: str
    target: str
    headers: dict[str, str]
    lines: list[str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def answer(
    status: int = 200,
    body: bytes | str = b"[]",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """The bytes of an answer, JSON unless ``headers`` say otherwise."""
    content = body.encode() if isinstance(body, str) else body
    lines = {"Content-Type": "application/json", **(headers or {})}
    head = f"HTTP/1.1 {status} Said\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content


@dataclass
class RawServer:
    """Sends its answers in turn, the last one again and again, and keeps what it was sent.

    ``drip`` is how many seconds pass between two bytes of an answer, from its byte ``drip_from``
    on. With ``silent`` it reads and never answers, with ``hang_up`` it closes after each answer.
    """

    answers: list[bytes]
    drip: float = 0.0
    drip_from: int = 0
    silent: bool = False
    hang_up: bool = False
    received: list[Received] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), sock.makefile("rb") as stream:
            while (request := self._read(stream)) is not None:
                with self._lock:
                    self.received.append(request)
                    said = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
                if self.silent:
                    self._stop.wait()
                    return
                self._send(sock, said)
                if not said or self.hang_up:  # an empty answer is a dropped connection
                    sock.shutdown(socket.SHUT_RDWR)
                    return

    def _read(self, stream: Any) -> Received | None:
        lines = []
        while (line := stream.readline().rstrip(b"\r\n").decode("latin-1")) or not lines:
            if not line:
                return None
            lines.append(line)
        method, target, _ = lines[0].split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines[1:])
        }
        body = stream.read(int(headers.get("content-length", 0)))
        return Received(method, target, headers, lines, body)

    def _send(self, sock: socket.socket, said: bytes) -> None:
        if not self.drip:
            sock.sendall(said)
            return
        sock.sendall(said[: self.drip_from])
        for position in range(self.drip_from, len(said)):
            if self._stop.wait(self.drip):
                return
            sock.sendall(said[position : position + 1])


Serving = Callable[..., RawServer]


@pytest.fixture
def serving() -> Iterator[Serving]:
    """Start servers: ``serving(status, body, headers)``, or ``serving(raw=…)`` for exact bytes.

    ``raw`` may be a list, of what is sent in turn.
    """
    with contextlib.ExitStack() as stack:

        def start(
            status: int = 200,
            body: bytes | str = b"[]",
            headers: Mapping[str, str] | None = None,
            *,
            raw: bytes | list[bytes] | None = None,
            **behaviour: Any,
        ) -> RawServer:
            if raw is None:
                raw = answer(status, body, headers)
            server = RawServer(raw if isinstance(raw, list) else [raw], **behaviour)
            stack.callback(server.close)
            return server

        yield start


@pytest.fixture
def said() -> Callable[..., bytes]:
    """The bytes of an answer: ``said(status, body, headers)``."""
    return answer


TOKEN = "dub_s3cr3tT0k3n"


@pytest.fixture
def token() -> str:
    """A token that is found wherever it has no business to be."""
    return TOKEN


@pytest.fixture
def connect(token: str) -> Iterator[Callable[..., CustomersConsumer]]:
    """Make clients of a URL, without retries unless told otherwise; closed after the test."""
    with contextlib.ExitStack() as stack:

        def make(url: str, cls: Any = CustomersConsumer, **settings: Any) -> Any:
            settings = {"retry_config": None, **settings}
            return stack.enter_context(
                cls(settings.pop("token", token), server_url=url, **settings)
            )

        yield make


BACKENDS: dict[str, Callable[[], Any]] = {
    "own session": lambda: None,
    "given session": requests.Session,
    "uplink client": lambda: uplink.RequestsClient(requests.Session()),
}


@pytest.fixture(params=BACKENDS, ids=[name.replace(" ", "-") for name in BACKENDS])
def client(request: pytest.FixtureRequest) -> Any:
    """Each of the three kinds of ``client=`` in turn."""
    return BACKENDS[request.param]()


@pytest.fixture
def fake() -> Iterator[FakeDub]:
    with FakeDub(TOKEN) as fake:
        yield fake


@pytest.fixture
def served(fake: FakeDub) -> Iterator[str]:
    """The URL of ``fake`` on a real socket."""
    with fake.serve() as url:
        yield url


@pytest.fixture
def customers(served: str, connect: Callable[..., CustomersConsumer]) -> CustomersConsumer:
    """A client without retries on ``fake``."""
    return connect(served)
