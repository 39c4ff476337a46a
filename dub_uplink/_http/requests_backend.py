"""One attempt over requests: what is sent, and the bounds on what comes back.

Raises what requests raises; the transport turns that into errors of ours.
"""

from __future__ import annotations

import copy
import functools
import http.client
import os
import threading
import time
from collections.abc import Callable, Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode

import requests
import uplink
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers, default_user_agent
from uplink.clients.interfaces import HttpClientAdapter
from uplink.clients.io import BlockingStrategy

from .._internal.config import CONNECT_TIMEOUT, hide_request
from .._internal.credentials import RedactedStr
from .._internal.fork_safety import after_fork_in_child
from .._internal.version import __version__
from ..models.response import Response
from .connection_errors import IncompleteResponse
from .deadline_adapter import DeadlineAdapter, with_deadline
from .decoding import ACCEPT_ENCODING, ContentDecoder, check_size

USER_AGENT = f"dub-uplink/{__version__} {default_user_agent()}"
_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "application/json",
    "Accept-Encoding": ACCEPT_ENCODING,
}
_REQUESTS_OWN = (None, *default_headers().values())
_CHUNK = 64 * 1024
_POOL_SIZE = 32  # connections that are kept open between calls


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
        self._closed = False
        self._session = new_session() if session is None else session
        self._template: requests.PreparedRequest | None = None
        self._settings: Mapping[str, Any] = {}
        self._server_url = server_url
        #: Held while a session that came with a fork parts from the connections of the parent.
        self._parting: threading.Lock | None = None
        after_fork_in_child(self, SessionBackend._renew)

    def _renew(self) -> None:
        if self._owned:
            self._session, self._template = new_session(), None
        else:
            self._parting = threading.Lock()

    def _part(self, parting: threading.Lock) -> None:
        with parting:
            if self._parting is not None:
                self._session.close()  # and it opens new ones
                self._parting = None

    def send(
        self,
        method: str,
        url: str,
        info: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response:
        """Send a request once and read the answer to its end.

        ``info`` has what uplink gathered: ``params``, ``headers``, ``data``, and ``json`` and
        ``files`` for a subclass's own declarations. ``timeout`` is in seconds and bounds it all.
        """
        deadline = time.monotonic() + timeout
        if self._parting is not None:
            self._part(self._parting)
        make = self._from_template if self._owned and _is_plain(info) else self._from_session
        prepared, settings = make(method, url, info, authorization)
        session = self._session if self._owned else with_deadline(self._session)
        try:
            answer = session.send(
                prepared,
                timeout=self._bounds(url, timeout),
                allow_redirects=False,
                **{**settings, "stream": True},
            )
        except BaseException as error:
            hide_request(error)
            raise
        response = read_response(answer, deadline)
        if self._closed:  # while this call was on its way: its connection is in a new pool
            self.close()
        return response

    def _bounds(self, url: str, timeout: float) -> Any:
        if isinstance(self._session.get_adapter(url), HTTPAdapter):
            return _bounds(timeout)
        # What an adapter of another kind knows is what requests documents.
        return (min(CONNECT_TIMEOUT, timeout), timeout)

    def close(self) -> None:
        """Close the session, if it is ours."""
        self._closed = True
        if self._owned:
            self._session.close()

    def _from_session(
        self, method: str, url: str, info: Mapping[str, Any], authorization: RedactedStr
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
        self, method: str, url: str, info: Mapping[str, Any], authorization: RedactedStr
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
            raise TypeError(
                f"client must be synchronous, not {type(client).__name__};"
                " AsyncDub takes an aiohttp.ClientSession"
            )
        self._client = client
        self._process: int | None = None
        self.failures = (client.exceptions.BaseClientException, *SessionBackend.failures)

    def send(
        self,
        method: str,
        url: str,
        info: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response:
        """See :meth:`SessionBackend.send`.

        Raises:
            RuntimeError: another process used this client, and this one was forked from it.
        """
        self._process = self._process or os.getpid()
        if self._process != os.getpid():
            raise RuntimeError(
                "this client of uplink's has the connections of the process that this one was"
                " forked from; make one in each process"
            )
        deadline = time.monotonic() + timeout
        sent = {
            **info,
            "headers": CaseInsensitiveDict({**_HEADERS, **info["headers"]}),
            "auth": _bearer(authorization),
            "timeout": _bounds(timeout),
            "allow_redirects": False,
            "stream": True,
        }
        try:
            answer = _bounded_client(self._client).send((method, url, sent))
        except BaseException as error:
            hide_request(error)
            raise
        return read_response(answer, deadline)

    def close(self) -> None:
        """Nothing: the client is the caller's."""


def _bounded_client(client: Any) -> Any:
    # uplink has no public way to the session of its client.
    session = getattr(client, "_RequestsClient__session", None)
    if type(client) is uplink.RequestsClient and isinstance(session, requests.Session):
        return uplink.RequestsClient(with_deadline(session))
    return client


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


def _bearer(authorization: RedactedStr) -> Callable[[requests.PreparedRequest], Any]:
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


def read_response(answer: requests.Response, deadline: float) -> Response:
    """An answer of requests' as ours, read to its end; see :func:`read_body`.

    Raises:
        IncompleteResponse: it could not be; why is its argument.
    """
    location = vars(answer).pop("hidden_location", None)
    if location is not None:
        answer.headers["Location"] = location
    try:
        content = read_body(answer, deadline)
    except BaseException as error:
        answer.close()  # or what is left of it would be the next answer
        if isinstance(error, SessionBackend.failures):
            raise IncompleteResponse(answer.status_code, error) from None
        raise
    return Response(answer.status_code, answer.headers, content)


def read_body(answer: requests.Response, deadline: float) -> bytes:
    """Read a streamed answer until its end, its deadline or the bound on its size.

    Raises:
        TimeoutError: it was not whole at the deadline.
        BodyTooLarge: it is longer than a client reads.
        DecodingError, UnsupportedEncoding: it cannot be unpacked.
    """
    raw = answer.raw
    # An adapter that answers by itself may have set the content and no raw stream at all.
    if vars(answer).get("_content", False) is not False or not hasattr(raw, "read"):
        return answer.content or b""
    if getattr(raw, "enforce_content_length", None) is False:
        # urllib3 1.26, which requests takes as well, lets a body pass that was cut short.
        raw.enforce_content_length = True
    read: Callable[[int], bytes] = raw.read
    decoder: ContentDecoder | None = None
    if hasattr(raw, "stream"):  # urllib3's; requests tells it from a plain file in the same way
        encoding = answer.headers.get("Content-Encoding")
        decoder = ContentDecoder(encoding) if encoding else None
        # What is there now, not a full chunk, where it can give that: vcrpy's takes no arguments.
        own = getattr(urllib3.HTTPResponse, "read1", None)
        at_once = own is not None and getattr(type(raw), "read1", None) is own
        read = functools.partial(raw.read1 if at_once else raw.read, decode_content=False)
    chunks: list[bytes] = []
    size = 0
    while chunk := read(_CHUNK):
        chunks.append(decoder.decode(chunk) if decoder else chunk)
        size += len(chunks[-1])
        check_size(size)
        if time.monotonic() > deadline:
            raise TimeoutError("timed out")
    if decoder:
        decoder.flush()
    return b"".join(chunks)
