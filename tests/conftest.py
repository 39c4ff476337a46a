"""Provide fixtures for all tests: a plain environment, and a server with scripted responses.

The server is a plain socket, because the fake cannot send responses that Dub never sends.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import pytest
import requests
import uplink
from hypothesis import HealthCheck, settings

from dub_uplink import CustomersConsumer
from dub_uplink.testing import FakeDub

# No test depends on the speed of the machine. `thorough` is for long runs by hand.
_SUPPRESS = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
settings.register_profile("quick", max_examples=30, deadline=None, suppress_health_check=_SUPPRESS)
settings.register_profile("ci", settings.get_profile("quick"), derandomize=True, print_blob=True)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=2_000)
settings.load_profile("quick")

# A shell starts background processes with SIGINT ignored, and child processes inherit this.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

#: The structure has two short integers on Windows.
LINGER = "hh" if os.name == "nt" else "ii"

SETTINGS = ("DUB_API_KEY", "DUB_SERVER_URL", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
SETTINGS += ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")


def pytest_configure(config: pytest.Config) -> None:
    """Ignore connections that aiohttp 3.12 leaves open for the shutdown of TLS.

    It does not wait for the shutdown when a session is closed, so the loop of a test may end first:
    https://docs.aiohttp.org/en/stable/client_advanced.html#graceful-shutdown
    """
    if find_spec("aiohttp") and version("aiohttp").startswith("3.12."):
        for name in ("socket.socket fd", "function _SelectorTransport.__del__"):
            line = f"ignore:Exception ignored in. <{name}:pytest.PytestUnraisableExceptionWarning"
            config.addinivalue_line("filterwarnings", line)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Start more workers than there are cores, because the tests wait for a third of their time."""
    return max(2, round(1.5 * (os.cpu_count() or 1)))


def pytest_collection_finish() -> None:
    """Exclude the collected tests from garbage collections, which then take a tenth of the time."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the settings of the developer: API key, server, proxies and .netrc."""
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("NETRC", os.devnull)


@pytest.fixture(autouse=True, scope="session")
def unmeasured_processes() -> Iterator[None]:
    """Turn off coverage in the processes that tests start; it takes 0.35 s of CPU time in each."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("COVERAGE_PROCESS")]:
            patch.delenv(name)
        yield


T = TypeVar("T")


@pytest.fixture
def repeat_measurement() -> Callable[[Callable[[], T], Callable[[T], object]], T]:
    """Repeat a measurement that a busy machine may spoil: ``repeat_measurement(call, is_good)``.

    For example, a pause of the machine may delay a request beyond its timeout of 0.2 s. The
    result of the third attempt counts. Assertions inside ``call`` must hold in every attempt.
    """

    def measure(call: Callable[[], T], is_good: Callable[[T], object]) -> T:
        for _ in range(2):
            if is_good(result := call()):
                return result
        return call()

    return measure


@dataclass
class Received:
    """A request from the socket; ``headers`` has lower-case names.

    ``connection`` is the number of its connection, from 1.
    """

    method: str
    target: str
    headers: dict[str, str]
    lines: list[str]
    body: bytes
    connection: int

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def make_response(
    status: int = 200,
    body: bytes | str = b"[]",
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Return the bytes of a response, by default of JSON."""
    content = body.encode() if isinstance(body, str) else body
    lines = {"Content-Type": "application/json", **(headers or {})}
    head = f"HTTP/1.1 {status} Scripted\r\n" + "".join(f"{k}: {v}\r\n" for k, v in lines.items())
    return f"{head}Content-Length: {len(content)}\r\n\r\n".encode("latin-1") + content


@dataclass(frozen=True)
class Step:
    """The bytes that are sent for one request, and the state of the connection afterwards.

    ``then`` is ``keep``, ``close``, ``reset`` (RST instead of FIN) or ``hold`` (open without data).
    ``drip`` is the number of seconds between two bytes, starting with byte ``drip_from``.
    With ``unread`` the request is not read first.
    """

    send: bytes = b""
    then: str = "keep"
    drip: float = 0.0
    drip_from: int = 0
    unread: bool = False


class RawServer:
    """A server that follows a script of one step per request, and then repeats the last step.

    It records the requests; ``connections`` counts the accepted connections.
    """

    def __init__(self, *steps: Step | bytes, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.connections = 0
        self.play(*steps)
        self._tls = tls
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._address = self._listener.getsockname()
        self._reserved = socket.socket()  # bound after the listener is closed
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._address[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def play(self, *steps: Step | bytes) -> None:
        """Replace the script; bytes are a response on a connection that stays open."""
        self._steps = [step if isinstance(step, Step) else Step(step) for step in steps]

    @property
    def seen(self) -> list[str]:
        """Return the method and the target of each request."""
        return [f"{request.method} {request.target}" for request in self.received]

    @property
    def by(self) -> list[int]:
        """Return the connection number of each request."""
        return [request.connection for request in self.received]

    def close(self) -> None:
        """Refuse connections. Until the end of the test, no other process gets the port."""
        self._stop.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()
        with contextlib.suppress(OSError):  # a closed connection still uses the port
            self._reserved.bind(self._address)

    def release(self) -> None:
        """Close the server and release its port."""
        self.close()
        self._reserved.close()

    def drop(self) -> None:
        """Close all connections, as a server closes idle ones."""
        with self._lock:
            sockets, self._open = self._open, []
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError, ValueError), sock:
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with self._lock:
                self._open.append(sock)
            with sock, sock.makefile("rb") as stream:
                while self._run_step(sock, stream, number):
                    pass

    def _run_step(self, sock: socket.socket, stream: Any, number: int) -> bool:
        """Run a step and return whether the connection stays open."""
        step = self._steps[0]
        if not step.unread:
            request = _read(stream, number)
            if request is None:
                return False
            with self._lock:
                self.received.append(request)
                step = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if step.drip:
            self._drip(sock, step)
        else:
            sock.sendall(step.send)
        if step.then == "hold":
            self._stop.wait()
        elif step.then == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(LINGER, 1, 0))
        elif step.then == "close":
            sock.shutdown(socket.SHUT_RDWR)
        return step.then == "keep"

    def _drip(self, sock: socket.socket, step: Step) -> None:
        sock.sendall(step.send[: step.drip_from])
        for position in range(step.drip_from, len(step.send)):
            if self._stop.wait(step.drip):
                return
            sock.sendall(step.send[position : position + 1])


def _read(stream: Any, number: int) -> Received | None:
    """Read a request of connection ``number``; return ``None`` at the end of the connection."""
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
    return Received(method, target, headers, lines, body, number)


Serving = Callable[..., RawServer]


@pytest.fixture
def wire() -> Iterator[Callable[..., RawServer]]:
    """Start scripted servers: ``wire(step, step, …)``, over TLS with ``tls=``."""
    with contextlib.ExitStack() as stack:

        def start(*steps: Step | bytes, tls: ssl.SSLContext | None = None) -> RawServer:
            server = RawServer(*steps, tls=tls)
            stack.callback(server.release)
            return server

        yield start


@pytest.fixture
def step() -> type[Step]:
    return Step


@pytest.fixture
def serving(wire: Callable[..., RawServer]) -> Serving:
    """Start servers: ``serving(status, body, headers)``, or ``serving(raw=…)`` for exact bytes.

    ``raw`` may be a list of consecutive responses; empty bytes drop the connection. Other
    arguments are those of :class:`Step`, for every response.
    """

    def start(
        status: int = 200,
        body: bytes | str = b"[]",
        headers: Mapping[str, str] | None = None,
        *,
        raw: bytes | list[bytes] | None = None,
        **behaviour: Any,
    ) -> RawServer:
        if raw is None:
            raw = make_response(status, body, headers)
        sent = raw if isinstance(raw, list) else [raw]
        return wire(
            *(Step(one, **{"then": "keep" if one else "close", **behaviour}) for one in sent)
        )

    return start


@pytest.fixture
def http_response() -> Callable[..., bytes]:
    """Return a function for the bytes of a response: ``http_response(status, body, headers)``."""
    return make_response


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Create a self-signed certificate for 127.0.0.1, valid for two days, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command makes the certificate")
    home = tmp_path_factory.mktemp("tls")
    subprocess.run(
        f"{openssl} req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
        " -keyout key.pem -out cert.pem -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1",
        shell=True,
        cwd=home,
        check=True,
        capture_output=True,
    )
    return home / "cert.pem", home / "key.pem"


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Return a TLS context for a server with this certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


TOKEN = "dub_s3cr3tT0k3n"


@pytest.fixture
def token() -> str:
    """Return a token with a value that tests can search for."""
    return TOKEN


@pytest.fixture
def connect(token: str) -> Iterator[Callable[..., CustomersConsumer]]:
    """Make clients of a URL, by default without retries; they are closed after the test."""
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
    """Return each of the three types of ``client=``."""
    return BACKENDS[request.param]()


@pytest.fixture(params=[lambda session: session, uplink.RequestsClient], ids=["session", "uplink"])
def wrap(request: pytest.FixtureRequest) -> Any:
    """Return the two functions that pass a session: as it is, or in an uplink client."""
    return request.param


@pytest.fixture
def fake() -> Iterator[FakeDub]:
    with FakeDub(TOKEN) as fake:
        yield fake


@pytest.fixture
def served(fake: FakeDub) -> Iterator[str]:
    """Serve ``fake`` on a real socket and return its URL."""
    with fake.serve() as url:
        yield url


@pytest.fixture
def customers(served: str, connect: Callable[..., CustomersConsumer]) -> CustomersConsumer:
    """Return a client of ``fake`` without retries."""
    return connect(served)
