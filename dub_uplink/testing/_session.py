"""A ``requests`` adapter that passes requests to a fake, and rejects all other requests."""

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
    """A session of :meth:`FakeDub.session` rejected a request to a server other than the fake.

    Clients do not retry the request, because this class is not an exception of ``requests``.
    """

    __module__ = "dub_uplink.testing"


def make_session(fake: FakeDub, sleep: Callable[[float], object] | None) -> requests.Session:
    """Create a session that can reach only the fake."""
    session = requests.Session()
    # Ignore .netrc and proxy settings, so that test results do not depend on the machine.
    session.trust_env = False
    adapter = FakeAdapter(fake, clock.sleep if sleep is None else sleep)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class FakeAdapter(BaseAdapter):
    """Pass requests for ``fake.base_url`` to the fake, and call ``sleep`` for each delay."""

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
        # Add the delays to the measured time, because ``sleep`` may skip a delay.
        ms = (time.perf_counter() - started + delivery.total_delay) * 1000
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
        read_timeout, total_timeout = timeouts
        if read_timeout is not None and delivery.delay > read_timeout:
            self._sleep(read_timeout)
            raise requests.ReadTimeout(
                f"Read timed out. (read timeout={read_timeout})", request=request
            )
        if delivery.delay:
            self._sleep(delivery.delay)
        if delivery.response is None:
            disconnected = http.client.RemoteDisconnected(
                "Remote end closed connection without response"
            )
            raise requests.ConnectionError(
                urllib3.exceptions.ProtocolError("Connection aborted.", disconnected),
                request=request,
            )
        is_complete = delivery.truncate_after is None and delivery.bytes_per_second is None
        body = io.BytesIO(delivery.response.body[: delivery.truncate_after])
        if delivery.bytes_per_second is not None:
            body = _SlowBody(
                body.read(), delivery.bytes_per_second, read_timeout, total_timeout, self._sleep
            )
        if is_complete and not stream:
            body.seek(0, io.SEEK_END)
        response = self._make_response(
            request, delivery.response, body, enforce_length=not is_complete
        )
        if is_complete and not stream:
            # Set the content directly. Reading it from ``raw`` takes a fifth of a call's time.
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
        fake_response: FakeResponse,
        body: io.BytesIO,
        *,
        enforce_length: bool,
    ) -> requests.Response:
        headers = {**fake_response.headers, "Content-Length": str(len(fake_response.body))}
        response = requests.Response()
        response.status_code = fake_response.status
        response.reason = http.client.responses.get(fake_response.status, "")
        response.headers = CaseInsensitiveDict(headers)
        response.encoding = _guess_encoding(fake_response.headers.get("Content-Type"))
        response.url = request.url or ""
        response.request = request
        response.connection = self  # type: ignore[assignment]
        response.raw = urllib3.HTTPResponse(
            body=body,
            headers=headers,
            status=fake_response.status,
            reason=response.reason,
            version=11,
            preload_content=False,
            enforce_content_length=enforce_length,
            request_method=request.method,
        )
        return response


def _split_timeout(timeout: Timeout) -> tuple[float | None, float | None]:
    """Return the read timeout and the total timeout, both in seconds.

    Only a ``urllib3.Timeout`` has a total timeout. It includes the time to read the body, as in
    the client's adapter.
    """
    if isinstance(timeout, urllib3.Timeout):
        started_timeout = timeout.clone()
        started_timeout.start_connect()
        read_timeout = started_timeout.read_timeout
        total = timeout.total
        return _to_seconds(read_timeout), _to_seconds(total)
    return (timeout[1] if isinstance(timeout, tuple) else timeout), None


def _to_seconds(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def _normalize_url(url: str) -> str:
    """Lower-case the scheme and host of a URL, and remove the scheme's default port."""
    scheme, separator, rest = url.partition("://")
    host_end = min(
        (rest.find(delimiter) for delimiter in "/?#" if delimiter in rest), default=len(rest)
    )
    host = rest[:host_end].lower().removesuffix(_DEFAULT_PORTS.get(scheme.lower(), "/"))
    return f"{scheme.lower()}{separator}{host}{rest[host_end:]}"


@functools.lru_cache(maxsize=64)
def _guess_encoding(content_type: str | None) -> str | None:
    headers = {} if content_type is None else {"content-type": content_type}
    return get_encoding_from_headers(CaseInsensitiveDict(headers))


class _SlowBody(io.BytesIO):
    """A body that arrives at ``bytes_per_second``.

    A read raises ``TimeoutError`` if one byte takes longer than ``timeout`` seconds. It also raises
    ``TimeoutError`` if all reads together take longer than ``total`` seconds.
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


def _to_bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
