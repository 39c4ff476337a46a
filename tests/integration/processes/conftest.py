"""Provide a server that records the connection of each request, and forked child processes."""

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

TIMEOUT = 60  # seconds; a hanging process exceeds any limit


@dataclass(frozen=True)
class ReceivedRequest:
    """A request: its source port, the process in its header, and its method."""

    port: int
    process: str
    method: str


class RecordingServer(ThreadingHTTPServer):
    """A server that responds with the requested customer and keeps connections open.

    An id of digits is the status of the response. ``drop`` closes the connection, ``half`` sends a
    part of the JSON, and ``odd`` sends JSON that is not a customer.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.seen: list[ReceivedRequest] = []
        self.open_connections = 0  # open connections
        self.peak_connections = 0
        self.changed = threading.Condition()

    def count(self, more: int) -> None:
        with self.changed:
            self.open_connections += more
            self.peak_connections = max(self.peak_connections, self.open_connections)
            self.changed.notify_all()

    def wait_until_closed(self, seconds: float = 5.0) -> bool:
        """Wait until all connections are closed; return whether they were closed in time."""
        with self.changed:
            return self.changed.wait_for(lambda: self.open_connections == 0, seconds)

    def processes_by_port(self) -> dict[int, set[str]]:
        processes: dict[int, set[str]] = {}
        for request in self.seen:
            processes.setdefault(request.port, set()).add(request.process)
        return processes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: RecordingServer
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
        self.server.seen.append(ReceivedRequest(self.client_address[1], sender, self.command))
        requested = unquote(self.path.rpartition("/")[2])
        if requested == "drop":
            self.close_connection = True
            return
        status = int(requested) if requested.isdigit() else 200
        body: Any = [] if requested == "odd" else {"id": requested}
        if status >= 400:
            body = {"error": {"code": "scripted", "message": f"Status {requested}."}}
        content = json.dumps(body).encode()
        if requested == "half":
            content = content[:4]
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_DELETE = do_GET

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def recording_server() -> Iterator[RecordingServer]:
    server = RecordingServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


class Child:
    """A forked process that runs a function."""

    def __init__(self, function: Callable[[], Any]) -> None:
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            signal.alarm(TIMEOUT)  # kills a child that hangs
            os.close(reading)
            try:
                outcome: Any = function()
            except BaseException:  # noqa: BLE001 - the parent raises it
                outcome = AssertionError(f"in the child:\n{traceback.format_exc()}")
            with os.fdopen(writing, "wb") as pipe:
                pickle.dump(outcome, pipe)
            os._exit(0)
        os.close(writing)
        self._pipe = os.fdopen(reading, "rb")

    def result(self) -> Any:
        """Return the result of the function, or raise its exception as an AssertionError."""
        with self._pipe as pipe:
            data = pipe.read()
        os.waitpid(self.pid, 0)
        assert data, f"the child did not end within {TIMEOUT} s"
        outcome = pickle.loads(data)
        if isinstance(outcome, AssertionError):
            raise outcome
        return outcome


@pytest.fixture
def forked() -> Callable[[Callable[[], Any]], Child]:
    if not hasattr(os, "fork"):
        pytest.skip("this system does not fork")
    return Child
