"""A server that knows by which connection each request came, and children that are forked off."""

from __future__ import annotations

import json
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest

#: Seconds after which a forked child is taken to hang.
PATIENCE = 60  # seconds; a hanging process exceeds any limit


@dataclass(frozen=True)
class Seen:
    """A request: the port that it came from, the process that it names, and its method."""

    port: int
    process: str
    method: str


class TellingServer(ThreadingHTTPServer):
    """Answers each request with a customer of the id that it asks for, and closes no connection.

    An id of digits is answered with that status; ``drop`` with the end of the connection, ``half``
    with half of its JSON, ``odd`` with what is no customer.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[Seen] = []
        self.open = 0  # connections
        self.most = 0
        self.counting = threading.Condition()

    def count(self, more: int) -> None:
        with self.counting:
            self.open += more
            self.most = max(self.most, self.open)
            self.counting.notify_all()

    def none_left(self, seconds: float = 5.0) -> bool:
        """Whether every connection was closed; waits so long for the last of them."""
        with self.counting:
            return self.counting.wait_for(lambda: self.open == 0, seconds)

    def processes_by_port(self) -> dict[int, set[str]]:
        found: dict[int, set[str]] = {}
        for request in self.seen:
            found.setdefault(request.port, set()).add(request.process)
        return found


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: TellingServer
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.count(1)

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.server.count(-1)

    def do_GET(self) -> None:
        sender = self.headers.get("X-Process", "")
        self.server.seen.append(Seen(self.client_address[1], sender, self.command))
        asked = unquote(self.path.rpartition("/")[2])
        if asked == "drop":
            self.close_connection = True
            return
        status = int(asked) if asked.isdigit() else 200
        body: Any = [] if asked == "odd" else {"id": asked}
        if status >= 400:
            body = {"error": {"code": "said", "message": f"I said {asked}."}}
        content = json.dumps(body).encode()
        if asked == "half":
            content = content[:4]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_DELETE = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def telling() -> Iterator[TellingServer]:
    server = TellingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Child:
    """A process that was forked off, and what comes of the function that it runs."""

    def __init__(self, function: Callable[[], Any]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            signal.alarm(PATIENCE)  # ends it, should it hang
            os.close(reading)
            try:
                came: Any = function()
            except BaseException:  # noqa: BLE001 - the parent raises it
                came = AssertionError(f"in the child:\n{traceback.format_exc()}")
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(came, pipe)
            os._exit(0)
        os.close(writing)
        self._pipe = os.fdopen(reading, "rb")

    def result(self) -> Any:
        """What the function returned; a failed assertion where it raised, or did not end."""
        with self._pipe as pipe:
            written = pipe.read()
        os.waitpid(self.pid, 0)
        assert written, f"the child did not end within {PATIENCE} s"
        came = pickle.loads(written)
        if isinstance(came, AssertionError):
            raise came
        return came


@pytest.fixture
def forked() -> Callable[[Callable[[], Any]], Child]:
    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    return Child
