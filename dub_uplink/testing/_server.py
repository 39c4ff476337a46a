"""Serve a fake on a socket with ``http.server``, in one thread per connection."""

from __future__ import annotations

import contextlib
import http.server
import ipaddress
import logging
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from ._admin.masking import make_request_redactor
from ._messages import Delivery, FakeClosed, FakeResponse, Request

if TYPE_CHECKING:
    from ._admin.admin import Admin
    from ._fake import FakeDub

logger: logging.Logger = logging.getLogger("dub_uplink.testing")

#: The maximum number of seconds that ``close()`` waits for requests in progress.
_CLOSE_TIMEOUT = 5.0
#: The seconds between two checks of ``close()`` whether requests are in progress.
_CLOSE_INTERVAL = 0.005
#: The seconds between two checks of the listening thread whether ``close()`` was called.
_POLL_INTERVAL = 0.02
#: The maximum number of bytes of a body to read at once.
_READ_SIZE = 65_536
#: The minimum number of seconds between two writes of a slow body.
_THROTTLE_INTERVAL = 0.02


class AdminTokenRequired(ValueError):
    """The admin API needs a token, because other machines can reach the address."""


class _Handler(http.server.BaseHTTPRequestHandler):
    """Read the requests of one connection, and send the fake's responses."""

    server: _Listener  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    timeout = 75.0
    wbufsize = -1  # Buffer writes, so that a response is sent in one packet.
    disable_nagle_algorithm = True

    def __getattr__(self, name: str) -> Any:
        # Accept every method, because the fake decides which methods exist.
        if name.startswith("do_"):
            return self._respond
        raise AttributeError(name)

    def handle_expect_100(self) -> bool:
        expected = super().handle_expect_100()
        self.wfile.flush()
        return expected

    def log_message(self, format: str, *args: Any) -> None:
        """Do not write to stderr."""

    def _respond(self) -> None:
        request = self._read_request()
        if request is None:
            self.send_error(400, "The only supported Transfer-Encoding is chunked")
            return
        admin = self.server.admin
        if admin is not None and admin.serves(request.path):
            response = admin.handle(request)
            is_shutdown = admin.is_shutdown_request(request) and response.status == 200
            self.close_connection |= is_shutdown
            try:
                # Send the response first, because the process may end after a shutdown.
                self._deliver(Delivery(response))
                self.wfile.flush()
            finally:
                # Do not log reads: the admin page sends several every second.
                if request.method not in ("GET", "HEAD"):
                    self.server.log_request(request, f"{response.status}")
                if is_shutdown:
                    self.server.fake_closed.set()
            return
        started = time.perf_counter()
        try:
            delivery = self.server.fake.handle(request)
        except FakeClosed as error:
            # Clients do not retry a 410. They do retry a 500 or a closed connection.
            request.status = 410
            headers = {"Content-Type": "text/plain; charset=utf-8"}
            delivery = Delivery(FakeResponse(410, headers, error.http_message.encode()))

        def record_duration() -> None:
            request.ms = (time.perf_counter() - started) * 1000

        try:
            self._deliver(delivery, record_duration)
            self.wfile.flush()
        finally:
            if request.ms is None:
                record_duration()
            status = "dropped" if request.status is None else request.status
            self.server.log_request(request, f"{status} {request.ms:.1f} ms")

    def _read_request(self) -> Request | None:
        """Read a request. Return ``None`` if the ``Transfer-Encoding`` is not supported."""
        headers: dict[str, str] = {}
        for key, value in self.headers.items():
            name = key.lower()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            return None
        # Do not use self.path, because http.server merges its leading slashes.
        target = self.requestline.split()[1]
        if not target.startswith("/"):  # an absolute URL, as sent to a proxy
            target = "/" + target.partition("://")[2].partition("/")[2]
        if not target.isascii():
            target = quote(target.encode("latin-1"), safe="/%?&=+;:@!$'()*,~#[]")
        path, _, query_string = target.partition("#")[0].partition("?")
        admin = self.server.admin
        max_bytes = admin.max_body if admin is not None and admin.serves(path) else sys.maxsize
        body = self._read_body(headers, max_bytes)
        return Request(self.command, path, query_string, headers, body)

    def _read_body(self, headers: dict[str, str], max_bytes: int) -> bytes:
        """Read the complete body. Return its first ``max_bytes`` + 1 bytes."""
        body = bytearray()
        for part in self._body_parts(headers):
            # Read the rest too. Some clients lose a response that arrives while they send the body.
            body += part[: max(max_bytes + 1 - len(body), 0)]
        return bytes(body)

    def _body_parts(self, headers: dict[str, str]) -> Iterator[bytes]:
        if "transfer-encoding" not in headers:
            yield from self._read_exactly(int(headers.get("content-length", 0)))
            return
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield from self._read_exactly(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass  # trailers

    def _read_exactly(self, size: int) -> Iterator[bytes]:
        while size > 0:
            part = self.rfile.read(min(size, _READ_SIZE))
            if not part:
                raise ConnectionError(
                    "the client closed the connection before it sent the complete body"
                )
            size -= len(part)
            yield part

    def _deliver(self, delivery: Delivery, before_end: Callable[[], object] = lambda: None) -> None:
        """Send a response. After all delays and before the last bytes, call ``before_end``."""
        response = delivery.response
        delay = min(delivery.delay, threading.TIMEOUT_MAX)
        if (delay and self.server.stopping.wait(delay)) or response is None:
            self.close_connection = True
            return
        body = b"" if self.command == "HEAD" else response.body[: delivery.truncate_after]
        self.send_response_only(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        if response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if delivery.bytes_per_second is not None:
            body = self._write_throttled(body, delivery.bytes_per_second)
        before_end()
        self.wfile.write(body)
        if delivery.truncate_after is not None and delivery.truncate_after < len(response.body):
            self.close_connection = True

    def _write_throttled(self, body: bytes, bytes_per_second: float) -> bytes:
        """Send all parts of a body but the last, slowly. Return the last part."""
        started = time.monotonic()
        sent = 0
        end = 0
        while end < len(body):
            self.wfile.write(body[sent:end])
            self.wfile.flush()
            sent = end
            if self.server.stopping.wait(max(_THROTTLE_INTERVAL, 1 / bytes_per_second)):
                self.close_connection = True
                return b""
            # Use the elapsed time, because a wait may take longer than its timeout.
            end = max(int((time.monotonic() - started) * bytes_per_second), sent + 1)
        return body[sent:]


class _Listener(socketserver.ThreadingTCPServer):
    # Do not use http.server.HTTPServer, because HTTPServer looks up the host name in DNS.
    allow_reuse_address = sys.platform != "win32"
    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        fake: FakeDub,
        admin: Admin | None,
        host: str,
        port: int,
        log: Callable[[str], object] | None,
    ) -> None:
        self.fake = fake
        self.admin = admin
        self.stopping = threading.Event()
        self.fake_closed = threading.Event()
        self.connections: set[Any] = set()
        self._log = log
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        super().shutdown_request(request)
        self.connections.discard(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # if OSError, the client has disconnected
            logger.exception("a connection failed")

    def log_request(self, request: Request, outcome: str) -> None:
        if self._log is not None:
            secrets = self.fake._secrets if self.admin is None else self.admin.secrets
            redactor = make_request_redactor(request, secrets)
            line = f"{redactor.text(f'{request.method} {request.path}')} {outcome}"
            self._log(line.encode("ascii", "backslashreplace").decode())


class Server:
    """Serve a fake over HTTP until ``close()`` or the end of a ``with`` block.

    Args:
        fake: The fake that handles the requests.
        host: The address to listen on.
        port: The port; 0 selects a free port.
        admin: Whether to serve the admin API and the admin page under ``/_fake/``.
        admin_token: The token that every request to the admin API needs.
        log: A function to call with one line per request; ``None`` to log nothing.

    Raises:
        OSError: the address is in use.
        ValueError: ``admin_token`` is invalid, or is given although ``admin`` is false.
        AdminTokenRequired: ``admin`` is true without an ``admin_token``, and ``host`` is not a
            loopback address.
    """

    def __init__(
        self,
        fake: FakeDub,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        admin: bool = False,
        admin_token: str | None = None,
        log: Callable[[str], object] | None = None,
    ) -> None:
        admin_api = None
        if admin_token is not None and not admin:
            raise ValueError("admin_token has no effect without admin=True; leave out admin_token")
        if admin:
            from ._admin.admin import Admin  # noqa: PLC0415 - most fakes serve no admin API

            admin_api = Admin(fake, admin_token)
        self._listener = _Listener(fake, admin_api, host, port, log)
        bound_host: str = self._listener.server_address[0]  # type: ignore[assignment]
        if (
            admin_api is not None
            and admin_token is None
            and not ipaddress.ip_address(bound_host).is_loopback
        ):
            self._listener.server_close()
            raise AdminTokenRequired(
                f"the admin API on {bound_host} would be open to other machines; give an"
                " admin_token"
            )
        self.port: int = self._listener.server_address[1]
        self.url: str = (
            f"http://{f'[{bound_host}]' if ':' in bound_host else bound_host}:{self.port}"
        )
        self._thread = threading.Thread(
            target=self._listener.serve_forever,
            args=(_POLL_INTERVAL,),
            name="fake-dub",
            daemon=True,
        )
        self._thread.start()

    def __enter__(self) -> str:
        """Return the URL.

        Raises:
            RuntimeError: the server is closed.
        """
        if self._listener.stopping.is_set():
            raise RuntimeError("the server is closed; call serve() again")
        return self.url

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def wait_for_shutdown(self, timeout: float) -> bool:
        """Wait until the admin API has closed the fake and sent the response.

        Args:
            timeout: The maximum wait in seconds.

        Returns:
            Whether the admin API has closed the fake.
        """
        return self._listener.fake_closed.wait(timeout)

    def close(self) -> None:
        """Close every connection, and wait for requests in progress."""
        listener = self._listener
        listener.stopping.set()
        if self._thread.is_alive():
            listener.shutdown()
        listener.server_close()
        for connection in list(listener.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        # Count the waits. Do not measure time, because a test may freeze the clock.
        for _ in range(round(_CLOSE_TIMEOUT / _CLOSE_INTERVAL)):
            if not listener.connections:
                break
            time.sleep(_CLOSE_INTERVAL)
