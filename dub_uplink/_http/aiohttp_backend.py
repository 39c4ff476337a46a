"""Send the request of one attempt with ``aiohttp``.

Only this module and the modules ``aiohttp_errors`` and ``aiohttp_reading`` import ``aiohttp``.
"""

from __future__ import annotations

import asyncio
import functools
import math
import os
import ssl
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import requests
import yarl
from requests.exceptions import InvalidProxyURL
from requests.utils import get_environ_proxies

from .._internal.config import CONNECT_TIMEOUT, POOL_WAIT_SHARE
from .._internal.credentials import RedactedStr
from .._internal.version import __version__
from ..models.response import Response
from .aiohttp_errors import (
    SEND_ERRORS,
    ConnectionDroppedError,
    ProxyUnreachableError,
    TunnelRejectedError,
    UnsupportedProxyError,
    to_requests_error,
)
from .aiohttp_reading import read_response
from .connection_errors import (
    ConnectError,
    IncompleteResponse,
    InvalidRequest,
    PoolTimeout,
    SessionClosed,
    find_tls_error,
)
from .decoding import ACCEPT_ENCODING
from .proxies import INVALID_PROXY_MESSAGE, find_proxy_url, normalize_proxy_url

_DEFAULT_HEADERS = {
    "User-Agent": f"dub-uplink/{__version__} aiohttp/{aiohttp.__version__}",
    "Accept": "application/json",
    "Accept-Encoding": ACCEPT_ENCODING,
}
#: The maximum number of open connections. Further requests wait for a free connection.
_POOL_SIZE = 100
#: The time limit in seconds for opening a new connection and receiving a TLS alert on it.
_ALERT_TIMEOUT = 0.5
#: The session's trace callbacks may run for this number of seconds after the deadline.
_TRACE_GRACE = 0.2
#: The texts of errors that aiohttp or asyncio raises before it sends a request.
_RUNTIME_ERRORS: Mapping[str, type[ConnectError]] = {
    "Session is closed": SessionClosed,
    "can't start new thread": ConnectError,  # asyncio resolves host names in a thread
}
_PROXY_SCHEMES = ("http", "https")


class _SendOnceMiddleware:
    """A middleware that sends the request of an attempt at most once.

    ``aiohttp`` repeats a GET or DELETE if the pooled connection was closed. The 404 of a repeated
    DELETE looks like the response to the first DELETE. If the session sends the request again, the
    middleware returns the first response or raises the first exception.

    The middleware reads the whole response. Therefore the response is not lost if a trace callback
    or a subclass of the session raises an exception afterwards.
    """

    __slots__ = ("_authorization", "_connector", "_error", "outcome", "request", "response")

    def __init__(self, authorization: RedactedStr, connector: aiohttp.BaseConnector | None) -> None:
        self._authorization = authorization
        self._connector = connector
        self._error: Exception | None = None
        #: The request of the attempt. ``aiohttp`` sets ``request.response`` when it starts to send.
        self.request: aiohttp.ClientRequest | None = None
        #: The response that the middleware returns.
        self.response: aiohttp.ClientResponse | None = None
        #: The complete response, or an exception if the response is incomplete.
        self.outcome: Response | IncompleteResponse | None = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        if self._error is not None:
            raise self._error
        if self.response is None:
            self.request = request
            try:
                self.response = await self._send(request, handler)
            except Exception as error:
                self._error = error
                raise
            self.outcome = await read_response(self.response, restore=True)
        return self.response

    async def _send(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        proxy = request.proxy
        if proxy is not None and not (proxy.scheme and proxy.host):
            try:
                proxy = request.proxy = yarl.URL(normalize_proxy_url(str(proxy)))
            except ValueError as error:  # aiohttp would handle InvalidProxyURL as an OSError
                raise UnsupportedProxyError(str(error)) from None
        if proxy is not None and proxy.scheme not in _PROXY_SCHEMES:
            # aiohttp treats a proxy with an unknown scheme as an HTTP proxy.
            raise UnsupportedProxyError(
                f"a proxy with the scheme {proxy.scheme!r} is not supported by aiohttp; install"
                " aiohttp-socks and pass a session with its ProxyConnector"
                if proxy.scheme.startswith("socks")
                else f"the proxy's URL must begin with http:// or https://, not {proxy.scheme}://"
            )
        # Replace the header that the session's `auth` has set. session.request() does not get the
        # header, because aiohttp rejects the header together with `auth`.
        request.headers["Authorization"] = self._authorization
        try:
            return await handler(request)
        except aiohttp.ClientConnectorDNSError as error:
            if proxy is None:
                raise
            raise ProxyUnreachableError(str(error.os_error)) from None
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            cause = await self._receive_alert(request, error)
            # The text of ServerDisconnectedError can be the repr of a part of the response.
            is_disconnect = isinstance(error, aiohttp.ServerDisconnectedError)
            text = "Server disconnected" if is_disconnect else str(error)
            raise ConnectionDroppedError(text) from cause or error
        except Exception as error:
            # The exceptions of aiohttp-socks do not derive from the exceptions of aiohttp.
            if type(error).__module__.partition(".")[0] in ("aiohttp_socks", "python_socks"):
                status = getattr(error, "error_code", None) or 0
                if status >= 400:  # an HTTP status; smaller numbers are SOCKS error codes
                    raise TunnelRejectedError(status, str(error).partition(" ")[2]) from None
                raise ProxyUnreachableError(str(error)) from None
            raise

    async def _receive_alert(
        self, request: aiohttp.ClientRequest, error: aiohttp.ClientError
    ) -> ssl.SSLError | None:
        """Open a new connection and return the TLS alert that the server sends, or ``None``.

        A TLS 1.3 server rejects a client certificate after the handshake. If the server also resets
        the connection, writing the request can fail before asyncio reads the alert. Therefore this
        method only reads. If no alert arrives, the next attempt can use the new connection.
        """
        if not (self._connector and request.is_ssl() and isinstance(error, OSError)):
            return None
        if (tls_error := find_tls_error(error)) is not None:
            return tls_error
        connection = None
        try:
            async with asyncio.timeout(_ALERT_TIMEOUT):
                connection = await self._connector.connect(request, [], aiohttp.ClientTimeout())
                if connection.protocol is not None:
                    await connection.protocol.read()
        except (aiohttp.ClientError, OSError) as failure:
            return find_tls_error(failure)
        finally:
            if connection is not None:
                connection.release()
        return None


class AiohttpBackend:
    """Send requests with an ``aiohttp.ClientSession``.

    If the caller passes no session, the first call creates one in its event loop.
    """

    send_errors = SEND_ERRORS

    def __init__(self, session: aiohttp.ClientSession | None, server_url: str) -> None:
        self._caller_session = session
        self._session = session
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid: int | None = None
        self._server_url = server_url
        self._proxy: str | None = None

    async def send(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response:
        """Send a request once and read the whole response; ``timeout`` is in seconds."""
        session = self._get_session()
        params = extras.get("params")
        url_with_query = f"{url}?{urlencode(params)}" if params else url
        middleware = _SendOnceMiddleware(authorization, session.connector)
        outcome: Response | Exception
        started_at = time.monotonic()
        # Set a second timeout, because aiohttp's timeout does not limit trace callbacks.
        try:
            async with asyncio.timeout(timeout + _TRACE_GRACE):
                response = await session.request(
                    method,
                    yarl.URL(url_with_query, encoded=True),
                    data=extras.get("data"),
                    headers=self._request_headers(session, extras["headers"]),
                    middlewares=(middleware,),
                    allow_redirects=False,
                    auto_decompress=False,
                    raise_for_status=False,
                    proxy=self._proxy,
                    timeout=_make_client_timeout(timeout),
                )
                async with response:
                    # A mock or a cache may return another response than the middleware.
                    received = middleware.outcome if response is middleware.response else None
                    outcome = received or await read_response(response)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not session.closed or (task is not None and task.cancelling()):
                raise
            # Closing a session cancels the requests that wait for a connection, not their tasks.
            outcome = SessionClosed("Session is closed")
        except Exception as error:
            outcome = middleware.outcome or self._convert_error(error, timeout, started_at)
            if not isinstance(error, SEND_ERRORS) and getattr(outcome, "ok", False):
                raise
            # A session that does not call the middleware may have sent the request.
            if middleware.request is not None and middleware.request.response is None:
                vars(outcome)["while_connecting"] = True
        if isinstance(outcome, Response):
            return outcome
        raise outcome

    def _convert_error(self, error: Exception, timeout: float, started_at: float) -> Exception:
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            # The timeouts `connect` and `sock_connect` raise it. Only `connect` limits pool waits.
            pool_wait_ended = (
                timeout * POOL_WAIT_SHARE <= CONNECT_TIMEOUT
                or time.monotonic() - started_at > CONNECT_TIMEOUT + 0.1
            )
            return requests.ConnectTimeout(PoolTimeout() if pool_wait_ended else str(error))
        if isinstance(error, aiohttp.InvalidURL) and not str(error.url).startswith(
            self._server_url
        ):
            return InvalidProxyURL(INVALID_PROXY_MESSAGE)
        # Without a response, a ValueError means an invalid request or an invalid certificate.
        if isinstance(error, ValueError) and not isinstance(error, aiohttp.ClientSSLError):
            return InvalidRequest(str(error))
        if isinstance(error, (aiohttp.ClientError, TimeoutError)):
            return to_requests_error(error)
        converted = _RUNTIME_ERRORS.get(str(error)) if isinstance(error, RuntimeError) else None
        return error if converted is None else converted(str(error))

    def _request_headers(
        self, session: aiohttp.ClientSession, headers: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Add the default headers that a caller's session does not set.

        Always override ``Accept-Encoding``, because this package decompresses the bodies.
        """
        if self._caller_session is None:  # the client's session already has the default headers
            return headers
        session_headers = session.headers
        defaults = {
            name: value
            for name, value in _DEFAULT_HEADERS.items()
            if name not in session_headers or name == "Accept-Encoding"
        }
        return {**defaults, **headers}

    def _get_session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        if self._loop is loop and self._pid == os.getpid() and self._session is not None:
            return self._session
        self._pid = self._pid or os.getpid()
        if self._is_forked():
            raise RuntimeError(
                "the client belongs to the parent process; create a client in each process"
            )
        if self._session is None:
            # Read the proxies once. With `trust_env`, aiohttp reads them and .netrc at every call.
            proxies = get_environ_proxies(self._server_url, no_proxy=None)
            self._proxy = find_proxy_url(self._server_url, proxies)
            self._session = aiohttp.ClientSession(
                headers=_DEFAULT_HEADERS,
                connector=aiohttp.TCPConnector(limit=_POOL_SIZE),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "the client belongs to the event loop of its first call;"
                " create a client in each event loop"
            )
        return self._session

    def _is_forked(self) -> bool:
        return self._pid not in (None, os.getpid())

    async def close(self) -> None:
        """Close the session if the client has created it."""
        # A forked child does not close the session. The child shares the event loop of the parent,
        # and closing removes the parent's sockets from that loop.
        if self._caller_session is None and self._session is not None and not self._is_forked():
            await self._session.close()
            # aiohttp closes its connections in the next iteration of the event loop.
            await asyncio.sleep(0)


@functools.lru_cache(64)
def _make_client_timeout(timeout: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=timeout,
        # This limit includes the wait for a pooled connection, and connecting.
        connect=timeout * POOL_WAIT_SHARE,
        sock_connect=CONNECT_TIMEOUT,
        ceil_threshold=math.inf,  # otherwise aiohttp rounds the timeout up to a whole second
    )


def make_async_backend(client: Any, server_url: str) -> AiohttpBackend:
    """Create the backend of an asynchronous client from its argument ``client``.

    Raises:
        TypeError: ``client`` is not an ``aiohttp.ClientSession``.
    """
    if client is None or isinstance(client, aiohttp.ClientSession):
        return AiohttpBackend(client, server_url)
    raise TypeError(f"client must be an aiohttp.ClientSession, not {client!r}")
