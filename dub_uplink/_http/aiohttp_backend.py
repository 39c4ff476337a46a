"""One attempt over aiohttp; the only module that imports it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import requests
import yarl
from requests.structures import CaseInsensitiveDict
from requests.utils import get_environ_proxies, select_proxy

from .._internal.config import CONNECT_TIMEOUT
from .._internal.credentials import RedactedStr
from .._internal.version import __version__
from ..models.response import Response
from .connection_errors import ConnectError, IncompleteResponse
from .decoding import ACCEPT_ENCODING, ContentDecoder, check_size

_HEADERS = {
    "User-Agent": f"dub-uplink/{__version__} aiohttp/{aiohttp.__version__}",
    "Accept": "application/json",
    "Accept-Encoding": ACCEPT_ENCODING,
}
_POOL_SIZE = 100  # connections at once; aiohttp lets the calls beyond them wait for one


class _Dropped(aiohttp.ClientError):
    """The connection broke; in a class that aiohttp does not send once more by itself."""


def _no_auto_retry(authorization: RedactedStr) -> aiohttp.ClientMiddlewareType:
    """A middleware that sets the token and lets no attempt be repeated behind our back.

    aiohttp sends a GET or DELETE again when a pooled connection turns out to be closed. A delete
    that was carried out would come back as a 404 that looks like that of a first attempt. The
    token goes over a session's own auth, which as a header argument would be an error beside it.
    """

    async def send(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        request.headers["Authorization"] = authorization
        try:
            return await handler(request)
        except (aiohttp.ClientConnectorError, aiohttp.ServerTimeoutError):
            raise
        except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
            raise _Dropped(str(error)) from None

    return send


class AiohttpBackend:
    """Sends through an ``aiohttp.ClientSession``, one of its own or the caller's.

    Its own is made at the first call, in the loop that is running then, and is of that loop.
    """

    #: What an attempt may raise that is no mistake of the caller's.
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
        """Send a request once and read the answer to its end; ``timeout`` is in seconds."""
        try:
            return await self._exchange(method, url, info, authorization, timeout)
        except (aiohttp.ClientError, TimeoutError) as error:
            failure = _as_requests(error)
        raise failure

    async def _exchange(
        self,
        method: str,
        url: str,
        info: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response:
        session = self._get_session()
        params = info.get("params")
        target = f"{url}?{urlencode(params)}" if params else url
        async with session.request(
            method,
            yarl.URL(target, encoded=True),
            data=info.get("data"),
            json=info.get("json"),
            headers={**_HEADERS, **info["headers"]},
            middlewares=(_no_auto_retry(authorization),),
            allow_redirects=False,
            auto_decompress=False,
            proxy=self._proxy,
            timeout=aiohttp.ClientTimeout(
                # Somewhat sooner, or it is seldom known that nothing was sent.
                total=timeout,
                sock_connect=min(CONNECT_TIMEOUT, timeout * 0.9),
            ),
        ) as answer:
            try:
                content = await _read(answer)
            except self.failures as error:
                raise IncompleteResponse(answer.status, _as_requests(error)) from None
            headers: CaseInsensitiveDict[str] = CaseInsensitiveDict()
            for name, value in answer.headers.items():
                headers[name] = f"{headers[name]}, {value}" if name in headers else value
            return Response(answer.status, headers, content)

    def _get_session(self) -> aiohttp.ClientSession:
        loop = asyncio.get_running_loop()
        self._process = self._process or os.getpid()
        if self._is_forked():
            raise RuntimeError(
                "the client belongs to the process that this one was forked from;"
                " make one in each process"
            )
        if self._session is None:
            # Not `trust_env`: it would look for .netrc in a thread at every call. The
            # environment's proxies are read here, once, as requests reads them.
            proxies = get_environ_proxies(self._server_url, no_proxy=None)
            self._proxy = select_proxy(self._server_url, proxies)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=_POOL_SIZE),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise RuntimeError(
                "the client belongs to another event loop, the one of its first call;"
                " make one in each loop"
            )
        return self._session

    def _is_forked(self) -> bool:
        return self._process not in (None, os.getpid())

    async def close(self) -> None:
        """Close the session, if it is ours."""
        # In a child it would take the parent's sockets from the loop, which they share.
        if self._given is None and self._session is not None and not self._is_forked():
            await self._session.close()
            # aiohttp ends its connections in the next turn of the loop.
            await asyncio.sleep(0)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    encoding = answer.headers.get("Content-Encoding")
    decoder = ContentDecoder(encoding) if encoding else None
    chunks: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        chunks.append(decoder.decode(chunk) if decoder else chunk)
        size += len(chunks[-1])
        check_size(size)
    if decoder:
        decoder.flush()
    return b"".join(chunks)


def _as_requests(error: Exception) -> Exception:
    """A failure in the terms of requests, which is how the hooks judge it."""
    if isinstance(error, (requests.RequestException, ValueError)):
        return error
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return requests.ConnectTimeout(str(error))
    if isinstance(error, TimeoutError):
        return requests.ReadTimeout(str(error))
    if isinstance(error, (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch)):
        return requests.exceptions.SSLError(*error.args)
    if isinstance(error, aiohttp.ClientConnectorError):
        return ConnectError(str(error.os_error))
    return requests.ConnectionError(str(error) or type(error).__name__)


def async_backend(client: Any, server_url: str) -> AiohttpBackend:
    """What sends for an asynchronous client that was made with ``client=``.

    Raises:
        TypeError: it is no ``aiohttp.ClientSession``.
    """
    if client is None or isinstance(client, aiohttp.ClientSession):
        return AiohttpBackend(client, server_url)
    raise TypeError(f"client must be an aiohttp.ClientSession, not {client!r}")
