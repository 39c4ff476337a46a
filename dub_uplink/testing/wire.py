"""HTTP/1.1 on a socket: requests read, however broken, and answers written in one piece.

Imports the messages.
"""

from __future__ import annotations

import http.client
import re
import socket
from urllib.parse import quote

from .messages import Answer, Request

MAX_HEAD = 64 * 1024
MAX_BODY = 64 * 1024 * 1024
_CHUNK = 64 * 1024

_HEAD_END = re.compile(rb"\r?\n\r?\n")
_REQUEST_LINE = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) (\S+) HTTP/(1\.[01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*", re.DOTALL)
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ONCE = ("authorization", "content-type", "host", "user-agent")
_LIKE_A_METHOD = re.compile(rb"[\r\n]*[!#$%&'*+.^_`|~0-9A-Za-z-]")


class BadRequest(Exception):
    """Bytes that are no request: the status to close the connection with."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} {http.client.responses[status]}")
        self.status = status


class Closed(Exception):
    """The other side went away."""


class Connection:
    """One client's connection: its requests in turn, pipelined ones too.

    ``keep_alive`` says whether the connection stays open after the request that was read last.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray()
        self.keep_alive = True

    def read_request(self) -> Request:
        """The next request, its body whole.

        Raises:
            BadRequest: it is none.
            Closed: the client has closed, or broke off.
        """
        method, target, version, headers = _parse_head(self._read_head())
        connection = headers.get("connection", "").lower()
        self.keep_alive = (
            "keep-alive" in connection if version == "1.0" else "close" not in connection
        )
        path, query_string = _split_target(target)
        return Request(method, path, query_string, headers, self._read_body(headers))

    def send(self, data: bytes) -> None:
        """Send bytes. ``Closed`` where the client is gone."""
        try:
            self._sock.sendall(data)
        except OSError as error:
            raise Closed from error

    def _receive(self) -> None:
        try:
            data = self._sock.recv(_CHUNK)
        except OSError as error:
            raise Closed from error
        if not data:
            raise Closed
        self._buffer += data

    def _read_head(self) -> bytes:
        while (end := _HEAD_END.search(self._buffer)) is None or end.start() == 0:
            if end is not None:
                # Blank lines before a request are to be ignored (RFC 9112, 2.2).
                del self._buffer[: end.end()]
                continue
            if len(self._buffer) > MAX_HEAD:
                raise BadRequest(431)
            if self._buffer and not _LIKE_A_METHOD.match(self._buffer) and self._buffer.strip():
                raise BadRequest(400)
            self._receive()
        if end.start() > MAX_HEAD:
            raise BadRequest(431)
        head = bytes(self._buffer[: end.start()])
        del self._buffer[: end.end()]
        return head

    def _read_body(self, headers: dict[str, str]) -> bytes:
        coding = headers.get("transfer-encoding")
        length = headers.get("content-length")
        if coding is None and length is None:
            return b""
        if coding is not None and (length is not None or coding.lower() != "chunked"):
            raise BadRequest(400)
        if length is not None and not _LENGTH.fullmatch(length):
            raise BadRequest(400)
        if length is not None and int(length) > MAX_BODY:
            raise BadRequest(413)
        if headers.get("expect", "").lower() == "100-continue" and not self._buffer:
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._read_chunks() if length is None else self._read_exactly(int(length))

    def _read_exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._receive()
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return data

    def _read_line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_HEAD:
                raise BadRequest(400)
            self._receive()
        return self._read_exactly(end + 1).rstrip(b"\r\n")

    def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            size = _CHUNK_SIZE.fullmatch(self._read_line())
            if size is None:
                raise BadRequest(400)
            length = int(size[1], 16)
            if len(body) + length > MAX_BODY:
                raise BadRequest(413)
            if length == 0:
                break
            body += self._read_exactly(length)
            if self._read_line():
                raise BadRequest(400)
        while self._read_line():
            pass
        return bytes(body)


def _parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    lines = head.lstrip(b"\r\n").decode("latin-1").replace("\r\n", "\n").split("\n")
    first = _REQUEST_LINE.fullmatch(lines[0])
    if first is None:
        raise BadRequest(505 if re.fullmatch(r"\S+ \S+ HTTP/[0-9.]+", lines[0]) else 400)
    headers: dict[str, str] = {}
    for line in lines[1:]:
        header = _HEADER.fullmatch(line)
        if header is None or _CONTROLS.search(line):
            raise BadRequest(400)
        name, value = header[1].lower(), header[2]
        if name not in headers:
            headers[name] = value
        elif name == "content-length" and headers[name] != value:
            raise BadRequest(400)
        elif name not in _ONCE and name != "content-length":
            # Of a repeated header Dub's server sees the values joined, but the first of these
            # alone.
            headers[name] += f", {value}"
    return first[1], first[2], first[3], headers


def _split_target(target: str) -> tuple[str, str]:
    if not target.startswith("/"):
        # A proxy's form names the server too.
        scheme, separator, rest = target.partition("://")
        target = "/" + rest.partition("/")[2] if separator and scheme.isalpha() else "/" + target
    if not target.isascii():
        target = quote(target.encode("latin-1"), safe="/%?&=+;:@!$'()*,~#[]")
    path, _, query_string = target.partition("#")[0].partition("?")
    return path, query_string


def head_bytes(answer: Answer, *, close: bool = False) -> bytes:
    """The status line and the headers, with the length of the whole body."""
    lines = [f"HTTP/1.1 {answer.status} {http.client.responses.get(answer.status, 'Unknown')}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    if answer.status not in (204, 304):
        lines.append(f"Content-Length: {len(answer.body)}")
    if close:
        lines.append("Connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace")
