"""A requests adapter that a fake answers without a socket, and that lets nothing else through.

Imports requests, urllib3 and the messages.
"""

from __future__ import annotations

import http.client
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from . import clock
from .messages import Answer, Outcome, Request

if TYPE_CHECKING:
    from .fake import FakeDub

_PORTS = {"http": 80, "https": 443}


class NetworkRefused(RuntimeError):
    """A request that a mounted fake does not answer, and that would have gone to the network.

    No exception of requests, so that no client takes it for a failed connection and tries again.
    """


def mounted_session(fake: FakeDub, sleep: Callable[[float], object] | None) -> requests.Session:
    """A session on which nothing but the fake can be reached."""
    session = requests.Session()
    # Neither .netrc nor a proxy of this machine has a say in a test.
    session.trust_env = False
    adapter = FakeAdapter(fake, clock.sleep if sleep is None else sleep)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class FakeAdapter(BaseAdapter):
    """Answers what goes to the fake's ``base_url``; ``sleep`` waits for delays."""

    def __init__(self, fake: FakeDub, sleep: Callable[[float], object]) -> None:
        super().__init__()
        self._fake = fake
        self._sleep = sleep
        base = urlsplit(fake.base_url)
        self._origin = (base.scheme, base.hostname, base.port or _PORTS.get(base.scheme))
        self._prefix = base.path

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: float | tuple[float | None, float | None] | None = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        outcome = self._fake.handle(self._asked(request))
        read_timeout = timeout[1] if isinstance(timeout, tuple) else timeout
        if read_timeout is not None and outcome.delay > read_timeout:
            self._sleep(read_timeout)
            raise requests.ReadTimeout(
                f"Read timed out. (read timeout={read_timeout})", request=request
            )
        if outcome.delay:
            self._sleep(outcome.delay)
        if outcome.answer is None:
            closed = http.client.RemoteDisconnected("Remote end closed connection without response")
            raise requests.ConnectionError(
                urllib3.exceptions.ProtocolError("Connection aborted.", closed), request=request
            )
        return self._response(request, outcome, outcome.answer, stream, read_timeout)

    def close(self) -> None:
        """Nothing is open."""

    def _asked(self, request: requests.PreparedRequest) -> Request:
        url = urlsplit(request.url or "")
        path = url.path or "/"
        origin = (url.scheme, url.hostname, url.port or _PORTS.get(url.scheme))
        if origin != self._origin or not f"{path}/".startswith(f"{self._prefix}/"):
            raise NetworkRefused(
                f"{request.method} {request.url} would have gone to the network: this "
                f"session only reaches a FakeDub at {self._fake.base_url}. Give the client that "
                "server_url, make the fake with FakeDub(base_url=...), or use another session for other hosts."
            )
        return Request(
            method=request.method or "GET",
            path=path[len(self._prefix) :] or "/",
            query_string=url.query,
            headers={name.lower(): _text(value) for name, value in request.headers.items()},
            body=_body(request),
        )

    def _response(
        self,
        request: requests.PreparedRequest,
        outcome: Outcome,
        answer: Answer,
        stream: bool,
        read_timeout: float | None,
    ) -> requests.Response:
        headers = {**answer.headers, "Content-Length": str(len(answer.body))}
        body = answer.body if outcome.cut is None else answer.body[: outcome.cut]
        pause = 0.0 if outcome.bytes_per_second is None else 1 / outcome.bytes_per_second
        response = requests.Response()
        response.status_code = answer.status
        response.reason = http.client.responses.get(answer.status, "")
        response.headers = CaseInsensitiveDict(headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.url = request.url or ""
        response.request = request
        response.connection = self  # type: ignore[assignment]
        response.raw = urllib3.HTTPResponse(
            body=io.BytesIO(body)
            if not pause
            else _Dripping(body, pause, read_timeout, self._sleep),
            headers=headers,
            status=answer.status,
            reason=response.reason,
            version=11,
            preload_content=False,
            enforce_content_length=True,
            request_method=request.method,
        )
        return response


class _Dripping(io.BytesIO):
    """A body that comes a byte at a time, ``pause`` seconds apart."""

    def __init__(
        self, body: bytes, pause: float, timeout: float | None, sleep: Callable[[float], object]
    ) -> None:
        super().__init__(body)
        self._pause = pause
        self._timeout = timeout
        self._sleep = sleep

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if data and self._timeout is not None and self._pause > self._timeout:
            self._sleep(self._timeout)
            raise TimeoutError("timed out")
        self._sleep(len(data) * self._pause)
        return data

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(1 if size else 0)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _body(request: requests.PreparedRequest) -> bytes:
    body: Any = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    if hasattr(body, "read"):
        return _body_bytes(body.read())
    return b"".join(body)


def _body_bytes(read: str | bytes) -> bytes:
    return read.encode() if isinstance(read, str) else read
