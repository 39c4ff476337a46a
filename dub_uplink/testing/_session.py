"""An adapter of ``requests`` that passes requests to a fake, and blocks requests to others."""

from __future__ import annotations

import functools
import http.client
import io
import math
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

import requests
import urllib3
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from . import _clock as clock
from ._messages import Delivery, FakeResponse, Request

if TYPE_CHECKING:
    from ._fake import FakeDub

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


Timeout: TypeAlias = float | tuple[float | None, float | None] | urllib3.Timeout | None


class NetworkRefused(RuntimeError):
    """A request of a mounted session was not for the fake, and would have used the network.

    This is not an exception of ``requests``, so that clients do not retry the request.
    """

    __module__ = "dub_uplink.testing"


def mounted_session(fake: FakeDub, sleep: Callable[[float], object] | None) -> requests.Session:
    """Create a session that can reach only the fake."""
    session = requests.Session()
    # Ignore .netrc and the proxy settings of the machine, which could change a test.
    session.trust_env = False
    adapter = FakeAdapter(fake, clock.sleep if sleep is None else sleep)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class FakeAdapter(BaseAdapter):
    """Send requests for ``fake.base_url`` to the fake, and call ``sleep`` for its delays."""

    def __init__(self, fake: FakeDub, sleep: Callable[[float], object]) -> None:
        super().__init__()
        self._fake = fake
        self._sleep = sleep
        self._base_url = _normalize_url(fake.base_url)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Timeout = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        recorded = self._to_request(request)
        started = time.perf_counter()
        delivery = self._fake.handle(recorded)
        # Add the delays instead of measuring them, because ``sleep`` may skip them.
        ms = (time.perf_counter() - started + delivery.seconds) * 1000
        try:
            return self._deliver(delivery, request, stream, _split_timeout(timeout))
        finally:
            recorded.ms = ms

    def _deliver(
        self,
        delivery: Delivery,
        request: requests.PreparedRequest,
        stream: bool,
        timeouts: tuple[float | None, float | None],
    ) -> requests.Response:
        read_timeout, total = timeouts
        if read_timeout is not None and delivery.delay > read_timeout:
            self._sleep(read_timeout)
            raise requests.ReadTimeout(
                f"Read timed out. (read timeout={read_timeout})", request=request
            )
        if delivery.delay:
            self._sleep(delivery.delay)
        if delivery.response is None:
            closed = http.client.RemoteDisconnected("Remote end closed connection without response")
            raise requests.ConnectionError(
                urllib3.exceptions.ProtocolError("Connection aborted.", closed), request=request
            )
        is_complete = delivery.truncate_after is None and delivery.bytes_per_second is None
        body = io.BytesIO(delivery.response.body[: delivery.truncate_after])
        if delivery.bytes_per_second is not None:
            body = _SlowBody(
                body.read(), delivery.bytes_per_second, read_timeout, total, self._sleep
            )
        if is_complete and not stream:
            body.seek(0, io.SEEK_END)
        response = self._make_response(
            request, delivery.response, body, enforce_length=not is_complete
        )
        if is_complete and not stream:
            # Set the content directly, because reading it takes a fifth of the time of a call.
            response._content = delivery.response.body
            response._content_consumed = True  # type: ignore[attr-defined]
        elif not stream:
            _ = response.content
        return response

    def close(self) -> None:
        """Do nothing, because no socket is open."""

    def _to_request(self, request: requests.PreparedRequest) -> Request:
        url = _normalize_url(request.url or "")
        target = url.removeprefix(self._base_url)
        if target == url or target[:1] not in ("/", "?", ""):
            raise NetworkRefused(
                f"{request.method} {request.url} would use the network, but this session only"
                f" reaches the FakeDub at {self._fake.base_url}. Give the client this server_url,"
                " set FakeDub(base_url=...), or use another session for other hosts."
            )
        path, _, query_string = target.partition("#")[0].partition("?")
        return Request(
            method=request.method or "GET",
            path=path or "/",
            query_string=query_string,
            headers={name.lower(): _to_text(value) for name, value in request.headers.items()},
            body=_read_body(request),
        )

    def _make_response(
        self,
        request: requests.PreparedRequest,
        delivered: FakeResponse,
        body: io.BytesIO,
        *,
        enforce_length: bool,
    ) -> requests.Response:
        headers = {**delivered.headers, "Content-Length": str(len(delivered.body))}
        response = requests.Response()
        response.status_code = delivered.status
        response.reason = http.client.responses.get(delivered.status, "")
        response.headers = CaseInsensitiveDict(headers)
        response.encoding = _guess_encoding(delivered.headers.get("Content-Type"))
        response.url = request.url or ""
        response.request = request
        response.connection = self  # type: ignore[assignment]
        response.raw = urllib3.HTTPResponse(
            body=body,
            headers=headers,
            status=delivered.status,
            reason=response.reason,
            version=11,
            preload_content=False,
            enforce_content_length=enforce_length,
            request_method=request.method,
        )
        return response


def _split_timeout(timeout: Timeout) -> tuple[float | None, float | None]:
    """Return the read timeout and the total timeout, both in seconds.

    Only an ``urllib3.Timeout`` has a total. It limits the body too, as in the client's adapter.
    """
    if isinstance(timeout, urllib3.Timeout):
        started = timeout.clone()
        started.start_connect()
        read_timeout = started.read_timeout
        total = timeout.total
        return _to_seconds(read_timeout), _to_seconds(total)
    return (timeout[1] if isinstance(timeout, tuple) else timeout), None


def _to_seconds(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _normalize_url(url: str) -> str:
    """Lower-case the scheme and host of a URL, and remove the scheme's default port."""
    scheme, separator, rest = url.partition("://")
    end = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
    host = rest[:end].lower().removesuffix(_DEFAULT_PORTS.get(scheme.lower(), "/"))
    return f"{scheme.lower()}{separator}{host}{rest[end:]}"


@functools.lru_cache(maxsize=64)
def _guess_encoding(content_type: str | None) -> str | None:
    headers = {} if content_type is None else {"content-type": content_type}
    return get_encoding_from_headers(CaseInsensitiveDict(headers))


class _SlowBody(io.BytesIO):
    """A body that arrives at ``bytes_per_second``.

    A read raises ``TimeoutError`` if one byte takes longer than ``timeout`` seconds, or all reads
    together take longer than ``total`` seconds.
    """

    def __init__(
        self,
        body: bytes,
        bytes_per_second: float,
        timeout: float | None,
        total: float | None,
        sleep: Callable[[float], object],
    ) -> None:
        super().__init__(body)
        self._seconds_per_byte = 1 / bytes_per_second
        self._timeout = math.inf if timeout is None else timeout
        self._remaining = math.inf if total is None else total
        self._sleep = sleep

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        seconds = len(data) * self._seconds_per_byte
        if data and (self._seconds_per_byte > self._timeout or seconds > self._remaining):
            self._sleep(min(self._timeout, self._remaining))
            raise TimeoutError("timed out")
        self._remaining -= seconds
        self._sleep(seconds)
        return data

    def read1(self, size: int | None = -1, /) -> bytes:
        return self.read(1 if size else 0)


def _to_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("latin-1")


def _read_body(request: requests.PreparedRequest) -> bytes:
    body: Any = request.body
    if body is None:
        return b""
    if isinstance(body, str):
        return body.encode()
    if isinstance(body, (bytes, bytearray)):
        return bytes(body)
    if hasattr(body, "read"):
        return _to_bytes(body.read())
    return b"".join(body)


def _to_bytes(read: str | bytes) -> bytes:
    return read.encode() if isinstance(read, str) else read
