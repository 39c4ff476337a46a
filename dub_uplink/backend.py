"""One attempt over requests: what is sent, and the bounds on what comes back.

Raises what requests raises; the transport turns that into errors of ours. May import hooks,
configuration and models.
"""

from __future__ import annotations

import copy
import functools
import http.client
import io
import time
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import default_user_agent
from uplink.clients.interfaces import HttpClientAdapter
from uplink.clients.io import BlockingStrategy
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .config import CONNECT_TIMEOUT, MAX_BODY_BYTES, Secret
from .hooks import BodyTooLarge, BrokenAnswer
from .models.response import Response
from .version import __version__

USER_AGENT = f"dub-uplink/{__version__} {default_user_agent()}"
_HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json"}
_REQUESTS_OWN = (None, default_user_agent(), "*/*")
_CHUNK = 64 * 1024
_POOL_SIZE = 32  # connections that are kept open between calls


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes until a moment, not until a pause.

    A socket's own time-out starts again with every byte, so that a server that drips its headers
    or its body is never late.
    """

    def __init__(self, sock: Any) -> None:
        super().__init__()
        self.ended = False
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        count: int = self._raw.readinto(buffer)
        self.ended = count == 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class _DeadlineStream:
    """What http.client asks of a socket to read from it."""

    def __init__(self, sock: Any) -> None:
        self.reader = _DeadlineReader(sock)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.reader)


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        stream: Any = _DeadlineStream(sock)
        self._reader = stream.reader
        super().__init__(stream, *args, **kwargs)

    def begin(self) -> None:
        super().begin()
        # http.client takes the end of the stream for the end of the headers.
        if self._reader.ended:
            raise http.client.RemoteDisconnected("Remote end closed connection within its headers")


class _Connection(HTTPConnection):
    response_class = _DeadlineResponse


class _TLSConnection(HTTPSConnection):
    response_class = _DeadlineResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection  # pyright: ignore[reportAssignmentType]


class _TLSPool(HTTPSConnectionPool):
    ConnectionCls = _TLSConnection  # pyright: ignore[reportAssignmentType]


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter whose time-out bounds the whole answer, headers and body.

    A client that makes its own session mounts it. Mount it on a session of your own to get the
    same bound there: ``session.mount("https://", DeadlineAdapter())``.
    """

    #: The pool of the last request, and what it was chosen by.
    _last: tuple[Any, Any] | None = None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if isinstance(manager, urllib3.ProxyManager):
            manager.pool_classes_by_scheme = {"http": _Pool, "https": _TLSPool}
        return manager

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        # A client asks one server: working out its pool anew is a tenth of requests' own time.
        origin = (request.url or "").split("/", 3)[:3]
        key = origin, verify, cert, proxies and dict(proxies)
        last = self._last
        if last is not None and last[0] == key and last[1].pool is not None:  # not closed since
            return last[1]
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        self._last = key, pool
        return pool

    def close(self) -> None:
        self._last = None  # a pool that is held is not closed
        super().close()


def new_session() -> requests.Session:
    """The session of a client that was given none: no cookies, and bounds on every answer."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    adapter = DeadlineAdapter(pool_connections=2, pool_maxsize=_POOL_SIZE)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class SessionBackend:
    """Sends through a ``requests.Session``, through its ``send``, where tracing hooks sit.

    A session of the caller's is asked for its headers, cookies and the environment at every call,
    since he may change them. Our own is asked once, which is where requests spends much of a call.
    """

    #: What an attempt may raise that is no mistake of the caller's.
    failures: tuple[type[Exception], ...] = (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
        ValueError,  # urllib's parsers, on a `Location` or a proxy that is no URL
    )

    def __init__(self, session: requests.Session | None, server_url: str) -> None:
        self._owned = session is None
        self._session = new_session() if session is None else session
        self._template: requests.PreparedRequest | None = None
        self._settings: Mapping[str, Any] = {}
        self._server_url = server_url

    def send(
        self, method: str, url: str, info: Mapping[str, Any], authorization: Secret, timeout: float
    ) -> Response:
        """Send a request once and read the answer to its end.

        ``info`` has what uplink gathered: ``params``, ``headers``, ``data``, and ``json`` and
        ``files`` for a subclass's own declarations. ``timeout`` is in seconds and bounds it all.
        """
        deadline = time.monotonic() + timeout
        make = self._from_template if self._owned and _is_plain(info) else self._from_session
        prepared, settings = make(method, url, info, authorization)
        answer = self._session.send(
            prepared,
            timeout=self._bounds(url, timeout),
            allow_redirects=False,
            **{**settings, "stream": True},
        )
        return whole(answer, deadline)

    def _bounds(self, url: str, timeout: float) -> Any:
        if isinstance(self._session.get_adapter(url), HTTPAdapter):
            return _bounds(timeout)
        # What an adapter of another kind knows is what requests documents.
        return (min(CONNECT_TIMEOUT, timeout), timeout)

    def close(self) -> None:
        """Close the session, if it is ours."""
        if self._owned:
            self._session.close()

    def _from_session(
        self, method: str, url: str, info: Mapping[str, Any], authorization: Secret
    ) -> tuple[requests.PreparedRequest, Mapping[str, Any]]:
        session = self._session
        # What the caller set on the session goes before ours, not what requests set there.
        ours = {k: v for k, v in _HEADERS.items() if session.headers.get(k) in _REQUESTS_OWN}
        headers = CaseInsensitiveDict({**ours, **info["headers"]})
        request = requests.Request(
            method,
            url,
            headers=headers,
            params=info.get("params"),
            data=info.get("data"),
            json=info.get("json"),
            files=info.get("files"),
            # As an `auth` it goes before the session's own and before .netrc.
            auth=_bearer(authorization),
        )
        prepared = session.prepare_request(request)
        settings = session.merge_environment_settings(prepared.url or url, {}, None, None, None)
        return prepared, settings

    def _from_template(
        self, method: str, url: str, info: Mapping[str, Any], authorization: Secret
    ) -> tuple[requests.PreparedRequest, Mapping[str, Any]]:
        template = self._template
        if template is None:
            session, server = self._session, self._server_url
            self._settings = session.merge_environment_settings(server, {}, None, None, None)
            request = requests.Request("GET", server, headers=_HEADERS)
            request.auth = _bearer(authorization)
            template = session.prepare_request(request)
            # The token is set at every attempt; the template outlives them.
            del template.headers["Authorization"]
            self._template = template  # only now, when no other thread can see it change
        prepared = copy.copy(template)
        prepared.method = method
        params = info.get("params")
        prepared.url = f"{url}?{urlencode(params)}" if params else url
        headers = prepared.headers = template.headers.copy()
        headers.update(info["headers"])
        headers["Authorization"] = authorization
        body = info.get("data")
        if body is not None:
            prepared.body = body
            headers["Content-Length"] = str(len(body))
        return prepared, self._settings


class UplinkBackend:
    """Sends through a client of uplink's, such as ``uplink.RequestsClient(session)``."""

    def __init__(self, client: Any) -> None:
        if not isinstance(client.io(), BlockingStrategy):
            raise TypeError(f"client must be synchronous, not {type(client).__name__}")
        self._client = client
        self.failures = (client.exceptions.BaseClientException, *SessionBackend.failures)

    def send(
        self, method: str, url: str, info: Mapping[str, Any], authorization: Secret, timeout: float
    ) -> Response:
        """See :meth:`SessionBackend.send`."""
        deadline = time.monotonic() + timeout
        sent = {
            **info,
            "headers": CaseInsensitiveDict({**_HEADERS, **info["headers"]}),
            "auth": _bearer(authorization),
            "timeout": _bounds(timeout),
            "allow_redirects": False,
            "stream": True,
        }
        answer = self._client.send((method, url, sent))
        return whole(answer, deadline)

    def close(self) -> None:
        """Nothing: the client is the caller's."""


def backend(client: Any, server_url: str) -> SessionBackend | UplinkBackend:
    """What sends for a client that was made with ``client=``.

    Raises:
        TypeError: it is neither a requests session nor a synchronous client of uplink's.
    """
    if client is None or isinstance(client, requests.Session):
        return SessionBackend(client, server_url)
    if isinstance(client, HttpClientAdapter):
        return UplinkBackend(client)
    raise TypeError(
        "client must be a requests.Session or an uplink client such as"
        f" uplink.RequestsClient(session), not {client!r}"
    )


def _bounds(timeout: float) -> Any:
    """A time-out for requests, which passes urllib3's own on: only that has a total."""
    return urllib3.Timeout(connect=min(CONNECT_TIMEOUT, timeout), total=timeout)


def _is_plain(info: Mapping[str, Any]) -> bool:
    """Whether this is a request as our own endpoints make it: a query, and a body in bytes."""
    body = info.get("data")
    return (body is None or isinstance(body, bytes)) and not (
        info.get("json") is not None or info.get("files") or isinstance(info.get("params"), str)
    )


def _bearer(authorization: Secret) -> Callable[[requests.PreparedRequest], Any]:
    def authorize(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = authorization
        request.hooks["response"].append(_hide_redirect)
        return request

    return authorize


def _hide_redirect(answer: requests.Response, **_: Any) -> None:
    """Keep requests from a redirect that it is not to follow.

    It parses the ``Location`` all the same, and reads the body to its end without our bounds.
    """
    if "Location" in answer.headers:
        vars(answer)["hidden_location"] = answer.headers.pop("Location")


def whole(answer: requests.Response, deadline: float) -> Response:
    """An answer of requests' as ours, read to its end; see :func:`read_body`.

    Raises:
        BrokenAnswer: it could not be; why is its argument.
    """
    location = vars(answer).pop("hidden_location", None)
    if location is not None:
        answer.headers["Location"] = location
    try:
        content = read_body(answer, deadline)
    except SessionBackend.failures as error:
        raise BrokenAnswer(answer.status_code, error) from None
    return Response(answer.status_code, answer.headers, content)


def read_body(answer: requests.Response, deadline: float) -> bytes:
    """Read a streamed answer until its end, its deadline or the bound on its size.

    Raises:
        TimeoutError: it was not whole at the deadline.
        BodyTooLarge: it is longer than a client reads.
    """
    raw = answer.raw
    # An adapter that answers by itself may have set the content and no raw stream at all.
    if vars(answer).get("_content", False) is not False or not hasattr(raw, "read"):
        return answer.content or b""
    if getattr(raw, "enforce_content_length", None) is False:
        # urllib3 1.26, which requests takes as well, lets a body pass that was cut short.
        raw.enforce_content_length = True
    read: Callable[[int], bytes] = raw.read
    if hasattr(raw, "stream"):  # urllib3's; requests tells it from a plain file in the same way
        # What is there now, not a full chunk, where it can give that.
        read = functools.partial(getattr(raw, "read1", raw.read), decode_content=True)
    chunks: list[bytes] = []
    size = 0
    try:
        while chunk := read(_CHUNK):
            chunks.append(chunk)
            size += len(chunk)
            if size > MAX_BODY_BYTES:
                raise BodyTooLarge(f"the answer is longer than {MAX_BODY_BYTES >> 20} MB")
            if time.monotonic() > deadline:
                raise TimeoutError("timed out")
    except BaseException:
        answer.close()
        raise
    return b"".join(chunks)
