"""One attempt over aiohttp. No other module imports aiohttp."""

from __future__ import annotations

import asyncio
import functools
import math
import os
import ssl
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import requests
import yarl
from requests.exceptions import InvalidProxyURL
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies

from .._internal.config import CONNECT_TIMEOUT
from .._internal.credentials import RedactedStr
from .._internal.version import __version__
from ..models.response import Response
from .connection_errors import (
    ConnectError,
    HandshakeError,
    IncompleteResponse,
    InvalidRequest,
    PoolTimeout,
    ProxyConnectError,
    TunnelRefused,
)
from .decoding import ACCEPT_ENCODING, ContentDecoder, check_size
from .proxies import proxy_url

_HEADERS = {
    "User-Agent": f"dub-uplink/{__version__} aiohttp/{aiohttp.__version__}",
    "Accept": "application/json",
    "Accept-Encoding": ACCEPT_ENCODING,
}
_POOL_SIZE = 100  # connections at once; aiohttp lets the calls beyond them wait for one
_ALERT_TIME = 0.5  # seconds to connect again and to wait for a TLS alert
_TRACE_TIME = 0.2  # seconds that a session's traces may take after the deadline
_PROXY_SCHEMES = ("http", "https")


class _Dropped(aiohttp.ClientError):
    """The connection broke; in a class that aiohttp does not retry by itself."""


class _ProxyFailed(aiohttp.ClientError):
    """A proxy was not found, or one of aiohttp-socks failed."""


class _TunnelFailed(aiohttp.ClientError):
    """A proxy of aiohttp-socks did not accept a CONNECT; the arguments are status and reason."""


class _ProxyRefused(aiohttp.ClientError):
    """The URL of a proxy is one that aiohttp cannot use."""


class _Attempt:
    """The one request of an attempt, whatever a caller's session does around it.

    It is a middleware, the innermost part of a session that is public. It reads the response to its
    end, so that the response counts if a trace or a subclass raises later. A subclass that sends
    again gets the outcome of the request again.

    aiohttp itself sends a GET or DELETE again when a pooled connection turns out to be closed. A
    delete that was applied would then end in a 404 that looks like that of a first attempt.
    """

    __slots__ = ("_authorization", "_connector", "_error", "_response", "outcome")

    def __init__(self, authorization: RedactedStr, connector: aiohttp.BaseConnector | None) -> None:
        self._authorization = authorization
        self._connector = connector
        self._response: aiohttp.ClientResponse | None = None
        self._error: Exception | None = None
        #: The response, or why it was not read to its end.
        self.outcome: Response | IncompleteResponse | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._error is not None:
            raise self._error
        if self._response is None:
            try:
                self._response = await self._send(request, handler)
            except Exception as error:
                self._error = error
                raise
            self.outcome = await _read(self._response)
        return self._response

    async def _send(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        proxy = request.proxy
        if proxy is not None and proxy.scheme not in _PROXY_SCHEMES:
            # aiohttp would speak HTTP to it.
            raise _ProxyRefused(
                f"a proxy with the scheme {proxy.scheme!r} is not supported by aiohttp; install"
                " aiohttp-socks and pass a session with its ProxyConnector"
                if proxy.scheme.startswith("socks")
                else "the proxy's URL must begin with http:// or https://"
            )
        # It replaces a session's own auth; as a header argument it would be an error beside it.
        request.headers["Authorization"] = self._authorization
        try:
            return await handler(request)
        except aiohttp.ClientConnectorDNSError as error:
            if proxy is None:
                raise
            raise _ProxyFailed(str(error.os_error)) from None
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise _Dropped(str(error)) from await self._alert(request, error) or error
        except Exception as error:
            # aiohttp-socks raises exceptions that are none of aiohttp's.
            if type(error).__module__.partition(".")[0] in ("aiohttp_socks", "python_socks"):
                status = getattr(error, "error_code", None) or 0
                if status >= 400:  # below, it is a code of SOCKS
                    raise _TunnelFailed(status, str(error).partition(" ")[2]) from None
                raise _ProxyFailed(str(error)) from None
            raise

    async def _alert(
        self, request: aiohttp.ClientRequest, error: aiohttp.ClientError
    ) -> ssl.SSLError | None:
        """Return the TLS alert that the server sends on a new connection, or ``None``.

        With TLS 1.3 a server refuses a client certificate after the handshake. Where it resets the
        connection as well, the write of the request may fail first. asyncio then closes the
        connection without reading the alert, and the refusal looks like a broken connection. On a
        connection without a request no write fails. The next attempt uses it if no alert arrives.
        """
        if not (self._connector and request.is_ssl() and isinstance(error, OSError)):
            return None
        if (received := _tls_error(error)) is not None:
            return received
        connection = None
        try:
            async with asyncio.timeout(_ALERT_TIME):
                connection = await self._connector.connect(request, [], aiohttp.ClientTimeout())
                if connection.protocol is not None:
                    await connection.protocol.read()
        except (aiohttp.ClientError, OSError) as failure:
            return _tls_error(failure)
        finally:
            if connection is not None:
                connection.release()
        return None


def _tls_error(error: BaseException) -> ssl.SSLError | None:
    """Return the TLS error that aiohttp turned into another one, such as a refused certificate."""
    link: BaseException | None = error
    for _ in range(10):  # a bound, should a cause ever lead back to itself
        if link is None or isinstance(link, ssl.SSLError):
            return link
        link = link.__cause__ or link.__context__
    return None


class AiohttpBackend:
    """Send through an ``aiohttp.ClientSession``, the client's own or the caller's.

    The client's own is made at the first call, and belongs to the loop that runs then.
    """

    #: Exceptions of an attempt that are no mistake of the caller's.
    failures: tuple[type[Exception], ...] = (
        requests.RequestException,
        aiohttp.ClientError,
        OSError,  # and with it a TimeoutError
        ValueError,  # a `Location` or a proxy that is no URL
    )

    def __init__(self, session: aiohttp.ClientSession | None, server_url: str) -> None:
        self._given = session
        self._session = session
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: int | None = None
        self._server_url = server_url
        self._proxy: str | None = None

    async def send(
        self,
        method: str,
        url: str,
        info: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response:
        """Send a request once and read the response to its end; ``timeout`` is in seconds."""
        session = self._get_session()
        params = info.get("params")
        target = f"{url}?{urlencode(params)}" if params else url
        attempt = _Attempt(authorization, session.connector)
        outcome: Response | Exception
        started = time.monotonic()
        try:
            # aiohttp's own timeout does not bound what a trace does after it.
            async with asyncio.timeout(timeout + _TRACE_TIME):
                response = await session.request(
                    method,
                    yarl.URL(target, encoded=True),
                    data=info.get("data"),
                    headers=self._headers(session, info["headers"]),
                    middlewares=(attempt,),
                    allow_redirects=False,
                    auto_decompress=False,
                    raise_for_status=False,
                    proxy=self._proxy,
                    timeout=_client_timeout(timeout),
                )
                async with response:
                    # A mock of the session has no middleware.
                    outcome = attempt.outcome or await _read(response)
        except Exception as error:
            outcome = attempt.outcome or self._failure(error, timeout, started)
            if not isinstance(error, self.failures) and _is_success(outcome):
                raise
        if isinstance(outcome, Response):
            return outcome
        raise outcome

    def _failure(self, error: Exception, timeout: float, started: float) -> Exception:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            # The time to connect is shorter, where there was no wait for a free connection.
            pooled = time.monotonic() - started > _connect_timeout(timeout) + 0.1
            return requests.ConnectTimeout(PoolTimeout() if pooled else str(error))
        # Without a response it is about the request; a certificate's error is a ValueError as well.
        if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientSSLError):
            return InvalidRequest(str(error))
        if isinstance(error, (aiohttp.ClientError, TimeoutError)):
            return _as_requests(error)
        return error

    def _headers(
        self, session: aiohttp.ClientSession, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Return the headers of a request, with the client's where a caller's session sets none.

        Accept-Encoding is the client's: it reads the bodies.
        """
        if self._given is None:  # the client's session has them
            return headers
        given = session.headers
        ours = {k: v for k, v in _HEADERS.items() if k not in given or k == "Accept-Encoding"}
        return {**ours, **headers}

    def _get_session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._process == os.getpid() and self._session is not None:
            return self._session
        self._process = self._process or os.getpid()
        if self._is_forked():
            raise RuntimeError(
                "the client belongs to the parent process; create one in each process"
            )
        if self._session is None:
            # Not `trust_env`: it would look for .netrc in a thread at every call. The
            # environment's proxies are read here, once, as requests reads them.
            proxies = get_environ_proxies(self._server_url, no_proxy=None)
            self._proxy = proxy_url(self._server_url, proxies)
            self._session = aiohttp.ClientSession(
                headers=_HEADERS,
                connector=aiohttp.TCPConnector(limit=_POOL_SIZE),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "the client belongs to another event loop, the one of its first call;"
                " create one in each loop"
            )
        return self._session

    def _is_forked(self) -> bool:
        return self._process not in (None, os.getpid())

    async def close(self) -> None:
        """Close the session, unless it is the caller's."""
        # In a forked child this would remove the parent's sockets from the loop they share.
        if self._given is None and self._session is not None and not self._is_forked():
            await self._session.close()
            # aiohttp closes its connections in the next iteration of the loop.
            await asyncio.sleep(0)


def _is_success(outcome: Response | Exception) -> bool:
    return isinstance(outcome, Response) and outcome.status_code < 400


async def _read(response: aiohttp.ClientResponse) -> Response | IncompleteResponse:
    try:
        content = await _read_body(response)
    except AiohttpBackend.failures as error:
        response.close()
        return IncompleteResponse(response.status, _as_requests(error))
    return Response(response.status, _one_of_each(response.headers), content)


async def _read_body(response: aiohttp.ClientResponse) -> bytes:
    encoding = response.headers.get("Content-Encoding")
    decoder = ContentDecoder(encoding) if encoding else None
    chunks: list[bytes] = []
    size = 0
    content = response.content
    while not content.at_eof():
        chunk = await content.readany()
        chunks.append(decoder.decode(chunk) if decoder else chunk)
        size += len(chunks[-1])
        check_size(size)
    if decoder:
        decoder.flush()
    return b"".join(chunks)


def _one_of_each(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Return headers in which a repeated one has all its values, separated by commas."""
    if len({name.lower() for name in headers}) == len(headers):
        return headers
    joined: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers.items():
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return joined


@functools.lru_cache(64)
def _client_timeout(timeout: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=timeout,
        # Somewhat sooner, or it is seldom known that nothing was sent.
        connect=timeout * 0.9,
        sock_connect=_connect_timeout(timeout),
        ceil_threshold=math.inf,  # or it ends up to a second late
    )


def _connect_timeout(timeout: float) -> float:
    return min(CONNECT_TIMEOUT, timeout * 0.9)


def _as_requests(error: Exception) -> Exception:
    """Return a failure as requests raises it, which is how it is classified."""
    if isinstance(error, (requests.RequestException, ValueError)):
        return error
    for classes, convert in _CONVERSIONS:
        if isinstance(error, classes):
            return convert(error)
    tls = _tls_error(error)
    if tls is not None:
        return requests.exceptions.SSLError(tls)
    return requests.ConnectionError(str(error) or type(error).__name__)


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Exception]], ...] = (
    (TimeoutError, lambda error: requests.ReadTimeout(str(error))),
    (
        (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch),
        lambda error: HandshakeError(*error.args),
    ),
    (_ProxyRefused, lambda error: InvalidProxyURL(str(error))),
    (_TunnelFailed, lambda error: TunnelRefused(*error.args)),
    (_ProxyFailed, lambda error: ProxyConnectError(str(error))),
    (aiohttp.ClientHttpProxyError, lambda error: TunnelRefused(error.status, error.message)),
    (aiohttp.ClientProxyConnectionError, lambda error: ProxyConnectError(str(error.os_error))),
    (aiohttp.ClientConnectorError, lambda error: ConnectError(str(error.os_error))),
)


def async_backend(client: Any, server_url: str) -> AiohttpBackend:
    """Return the backend of an asynchronous client that was made with ``client=``.

    Raises:
        TypeError: it is not an ``aiohttp.ClientSession``.
    """
    if client is None or isinstance(client, aiohttp.ClientSession):
        return AiohttpBackend(client, server_url)
    raise TypeError(f"client must be an aiohttp.ClientSession, not {client!r}")
