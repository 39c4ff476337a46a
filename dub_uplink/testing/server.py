"""A fake on a real socket: HTTP/1.1, kept alive, a thread a connection.

Imports the wire and the messages.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from .messages import Answer, Outcome, Request
from .wire import BadRequest, Closed, Connection, head_bytes

if TYPE_CHECKING:
    from .fake import FakeDub

logger = logging.getLogger("dub_uplink.testing")

_IDLE = 75.0  # seconds without a byte, after which a connection is closed
_LINGER = 1.0  # seconds in which a client that is still sending may read why it was refused
_STOP = 5.0  # seconds that the end waits for requests that are still being carried out
_DRIP_INTERVAL = 0.02


class Server:
    """A server on a fake, running within ``with`` and until then only listening.

    ``with`` gives its URL.

    ``log`` is called with a line for each request. Raises ``OSError`` where the address is taken.
    """

    def __init__(
        self,
        fake: FakeDub,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        log: Callable[[str], object] | None = None,
    ) -> None:
        self._fake = fake
        self._log = log
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._connections: dict[threading.Thread, socket.socket] = {}
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=128)
        bound: str = self._listener.getsockname()[0]
        self.port: int = self._listener.getsockname()[1]
        self.url = f"http://{f'[{bound}]' if ':' in bound else bound}:{self.port}"
        self._thread = threading.Thread(target=self._accept, name="fake-dub", daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return self.url

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop: close every connection, and wait for what is being carried out.

        Calling it again does nothing.
        """
        self._stopping.set()
        with contextlib.suppress(OSError):
            # Wakes the thread that waits for a connection; closing alone does not everywhere.
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._thread.is_alive():
            self._thread.join(timeout=_STOP)
        with self._lock:
            connections = list(self._connections.items())
        for _, sock in connections:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _STOP
        for thread, _ in connections:
            thread.join(timeout=max(deadline - time.monotonic(), 0))

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                if self._stopping.wait(0.05):  # out of file descriptors, maybe: they come back
                    return
                continue
            thread = threading.Thread(
                target=self._serve, args=(sock,), name="fake-dub", daemon=True
            )
            with self._lock:
                self._connections[thread] = sock
            try:
                thread.start()
            except RuntimeError:
                # More connections than threads can be had: this one is refused, and not all.
                with self._lock:
                    del self._connections[thread]
                sock.close()

    def _serve(self, sock: socket.socket) -> None:
        try:
            with sock:
                sock.settimeout(_IDLE)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection = Connection(sock)
                try:
                    while not self._stopping.is_set() and self._answer_one(connection):
                        pass
                except BadRequest as bad:
                    connection.send(head_bytes(Answer(bad.status, {}, b""), close=True))
                    self._say("-", "-", bad.status, 0.0)
                    _linger(sock)
        except (Closed, OSError):
            pass
        except Exception:
            logger.exception("a connection failed")
        finally:
            with self._lock:
                self._connections.pop(threading.current_thread(), None)

    def _answer_one(self, connection: Connection) -> bool:
        """Read and answer a request; whether another may follow."""
        request = connection.read_request()
        started = time.perf_counter()
        outcome = self._fake.handle(request)
        try:
            return self._send(connection, request, outcome)
        finally:
            self._say(request.method, request.path, request.status, time.perf_counter() - started)

    def _send(self, connection: Connection, request: Request, outcome: Outcome) -> bool:
        answer = outcome.answer
        if outcome.delay and self._stopping.wait(outcome.delay):
            return False
        if answer is None:
            return False
        head = head_bytes(answer, close=not connection.keep_alive)
        body = b"" if request.method == "HEAD" else answer.body
        if outcome.cut is not None and outcome.cut < len(body):
            connection.send(head + body[: outcome.cut])
            return False
        if outcome.bytes_per_second is None:
            connection.send(head + body)
            return connection.keep_alive
        connection.send(head)
        return self._drip(connection, body, outcome.bytes_per_second) and connection.keep_alive

    def _drip(self, connection: Connection, body: bytes, bytes_per_second: float) -> bool:
        started = time.monotonic()
        sent = 0
        while sent < len(body):
            # By the clock and not by the sleep, which is never as short as it was asked to be.
            if self._stopping.wait(max(_DRIP_INTERVAL, 1 / bytes_per_second)):
                return False
            due = int((time.monotonic() - started) * bytes_per_second)
            connection.send(body[sent : max(due, sent + 1)])
            sent = max(due, sent + 1)
        return True

    def _say(self, method: str, path: str, status: int | None, seconds: float) -> None:
        if self._log is not None:
            said = "dropped" if status is None else status
            printable = path.encode("ascii", "backslashreplace").decode()
            self._log(f"{method} {printable} {said} {seconds * 1000:.1f} ms")


def _linger(sock: socket.socket) -> None:
    """Let a client that is still sending read its answer, which a reset would take from it."""
    sock.shutdown(socket.SHUT_WR)
    sock.settimeout(_LINGER)
    deadline = time.monotonic() + _LINGER
    while time.monotonic() < deadline and sock.recv(65536):
        pass


def serve_forever(
    fake: FakeDub,
    host: str = "127.0.0.1",
    port: int = 8000,
    *,
    log: Callable[[str], object] = print,
    ready: Callable[[str], object] | None = None,
) -> None:
    """Serve until Ctrl-C, then return.

    ``log`` is called with a line for each request, ``ready`` with the URL once connections are
    taken. Raises ``OSError`` where the address is taken.
    """
    server = Server(fake, host, port, log=log)
    with contextlib.suppress(KeyboardInterrupt), server as url:
        if ready is not None:
            ready(url)
        while True:
            # Not without a timeout: where a wait cannot be interrupted, Ctrl-C is seen in between.
            time.sleep(1)
