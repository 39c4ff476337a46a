"""Send the request of one attempt with a ``requests`` session or an ``uplink`` client.

All backends raise the exceptions of ``requests``. The transport converts these exceptions to
exceptions of this package.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers, default_user_agent
from uplink import RequestsClient
from uplink.clients.interfaces import HttpClientAdapter
from uplink.clients.io import BlockingStrategy

from .._internal.config import CONNECT_TIMEOUT, caller_stacklevel
from .._internal.credentials import RedactedStr
from .._internal.version import __version__
from ..models.response import Response
from .deadline_adapter import Deadline, NumericDeadline, with_deadline
from .decoding import ACCEPT_ENCODING
from .default_session import RequestTemplate, make_session
from .proxies import add_proxy_schemes, find_proxy_url
from .reading import SEND_ERRORS, read_response, send_and_read

USER_AGENT = f"dub-uplink/{__version__} {default_user_agent()}"
_DEFAULT_HEADERS = {
    "User-Agent": USER_AGENT,
    "Accept": "application/json",
    "Accept-Encoding": ACCEPT_ENCODING,
}
#: Each paging parameter with the value None. For a parameter that is None, `requests` omits the
#: session's value. A page size of the session can end an iteration early.
_WITHOUT_SESSION_PAGING = dict.fromkeys(
    ("page", "pageSize", "startingAfter", "endingBefore", "sortBy", "sortOrder", "groupBy")
)
_SEND_SETTINGS = {"allow_redirects": False, "stream": True}
_REQUESTS_DEFAULT_VALUES = (None, *default_headers().values())
Auth = Callable[[requests.PreparedRequest], requests.PreparedRequest]


class SessionBackend:
    """Send requests with ``requests.Session.send``.

    Instrumentation libraries wrap ``Session.send``. The headers, cookies and proxies of a caller's
    session are read at every call, because the caller may change them. The settings of the client's
    own session are read once, because reading takes a large part of a request's time.
    """

    #: The exceptions of a failed attempt. Any other exception is a mistake of the caller.
    send_errors: tuple[type[Exception], ...] = SEND_ERRORS

    def __init__(self, session: requests.Session | None, server_url: str) -> None:
        self._owns_session = session is None
        self._closed = False
        self._session = make_session() if session is None else session
        self._template: RequestTemplate | None = None
        self._server_url = server_url
        self._pid = os.getpid()
        self._reset_locks: dict[int, threading.Lock] = {}
        for prefix, adapter in self._session.adapters.items():
            if _wraps_adapter(adapter):
                warnings.warn(
                    f"the adapter for {prefix} wraps another adapter, whose retries and timeouts"
                    " the client cannot limit; set max_retries of the inner adapter to 0, or mount"
                    " the inner adapter itself",
                    stacklevel=caller_stacklevel(),
                )

    def _reset_after_fork(self) -> None:
        """Open new connections in a forked child, which must not read the parent's responses."""
        pid = os.getpid()
        # Each process has its own lock: a thread may hold the lock of the parent at the fork.
        with self._reset_locks.setdefault(pid, threading.Lock()):
            if self._pid == pid:
                return
            if self._owns_session:
                self._session, self._template = make_session(), None
            else:
                self._session.close()  # the next request opens a new connection
            self._pid = pid

    def send(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response:
        """Send a request once and read the whole response.

        Args:
            method: the HTTP method.
            url: the URL without a query.
            extras: the other request arguments: ``headers``, ``params``, ``data``, and ``files`` if
                an endpoint of a subclass declares it.
            authorization: the value of the ``Authorization`` header.
            timeout: time limit of the whole attempt in seconds.
        """
        deadline_class = Deadline if self._owns_session else NumericDeadline
        deadline = deadline_class(timeout, connect_seconds=CONNECT_TIMEOUT)
        if self._pid != os.getpid():
            self._reset_after_fork()
        if self._owns_session:
            response = self._send_with_own_session(method, url, extras, authorization, deadline)
        else:
            response = self._send_with_caller_session(method, url, extras, authorization, deadline)
        # Close the connection that this call may have opened after another thread called close().
        if self._closed:
            self.close()
        return response

    def _send_with_own_session(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        authorization: RedactedStr,
        deadline: Deadline,
    ) -> Response:
        if RequestTemplate.can_prepare(extras):
            template = self._template
            if template is None:
                template = RequestTemplate(self._session, self._server_url, _DEFAULT_HEADERS)
                self._template = template
            prepared = template.prepare(method, url, extras, authorization)
            send_kwargs = template.send_kwargs
        else:
            prepared, send_kwargs = self._prepare_with_session(
                method, url, extras, _make_auth(authorization)
            )
        settings = {**send_kwargs, **_SEND_SETTINGS, "timeout": deadline}
        response = self._session.send(prepared, **settings)
        return read_response(response, deadline)

    def _send_with_caller_session(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        authorization: RedactedStr,
        deadline: Deadline,
    ) -> Response:
        received: list[requests.Response] = []
        auth = _make_auth(authorization, received)
        prepared, send_kwargs = self._prepare_with_session(method, url, extras, auth)
        settings = {**send_kwargs, **_SEND_SETTINGS, "timeout": deadline}
        view = with_deadline(self._session, deadline)
        return send_and_read(lambda: view.send(prepared, **settings), received, deadline)

    def close(self) -> None:
        """Close the session if the client has created it."""
        self._closed = True
        if self._owns_session:
            self._session.close()

    def _prepare_with_session(
        self, method: str, url: str, extras: Mapping[str, Any], auth: Auth
    ) -> tuple[requests.PreparedRequest, Mapping[str, Any]]:
        session = self._session
        # Replace the header values that `requests` sets on a session. Keep the values that the
        # caller sets. Always replace Accept-Encoding, because this package decompresses the bodies.
        session_headers = CaseInsensitiveDict(session.headers)
        defaults = {
            name: value
            for name, value in _DEFAULT_HEADERS.items()
            if session_headers.get(name) in _REQUESTS_DEFAULT_VALUES or name == "Accept-Encoding"
        }
        headers = CaseInsensitiveDict({**defaults, **extras["headers"]})
        request = requests.Request(
            method,
            url,
            headers=headers,
            params=_omit_session_paging(extras.get("params")),
            data=extras.get("data"),
            files=extras.get("files"),
            auth=auth,  # takes precedence over the auth of the session and over .netrc
        )
        prepared = session.prepare_request(request)
        send_kwargs = session.merge_environment_settings(prepared.url or url, {}, None, None, None)
        send_kwargs["proxies"] = add_proxy_schemes(send_kwargs["proxies"])
        find_proxy_url(prepared.url or url, send_kwargs["proxies"])  # validates the proxy URL
        return prepared, send_kwargs


class UplinkBackend:
    """Send requests with a client of the ``uplink`` library, such as ``uplink.RequestsClient``."""

    def __init__(self, client: Any) -> None:
        if not isinstance(client.io(), BlockingStrategy):
            raise TypeError(
                f"client must be synchronous, not {type(client).__name__};"
                " AsyncDub takes an aiohttp.ClientSession"
            )
        warnings.warn(
            "an uplink client hides its session, so timeout_ms does not limit the wait for a"
            " connection or headers that arrive byte by byte; pass the requests.Session itself",
            stacklevel=caller_stacklevel(),
        )
        self._client = client
        self._pid: int | None = None
        self.send_errors = (client.exceptions.BaseClientException, *SEND_ERRORS)

    def send(
        self,
        method: str,
        url: str,
        extras: Mapping[str, Any],
        authorization: RedactedStr,
        timeout: float,
    ) -> Response:
        """Send a request once and read the whole response.

        The arguments are those of :meth:`SessionBackend.send`.

        Raises:
            RuntimeError: this process is a fork, and its parent has already used this client.
        """
        self._pid = self._pid or os.getpid()
        if self._pid != os.getpid():
            raise RuntimeError(
                "this uplink client belongs to the parent process; create a client in each process"
            )
        deadline = Deadline(timeout, connect_seconds=CONNECT_TIMEOUT)
        received: list[requests.Response] = []
        extras = {
            **extras,
            "headers": CaseInsensitiveDict({**_DEFAULT_HEADERS, **extras["headers"]}),
            "auth": _make_auth(authorization, received),
            **_SEND_SETTINGS,
            "timeout": deadline,
        }
        if isinstance(self._client, RequestsClient):
            extras["params"] = _omit_session_paging(extras.get("params"))
        request = method, url, extras
        return send_and_read(lambda: self._client.send(request), received, deadline)

    def close(self) -> None:
        """Do nothing: the client belongs to the caller."""


def make_backend(client: Any, server_url: str) -> SessionBackend | UplinkBackend:
    """Create the backend of a synchronous client from its argument ``client``.

    Raises:
        TypeError: ``client`` is neither a ``requests.Session`` nor a synchronous ``uplink`` client.
    """
    if client is None or isinstance(client, requests.Session):
        return SessionBackend(client, server_url)
    if isinstance(client, HttpClientAdapter):
        return UplinkBackend(client)
    raise TypeError(
        "client must be a requests.Session or an uplink client such as"
        f" uplink.RequestsClient(session), not {client!r}"
    )


def _omit_session_paging(params: Any) -> Any:
    """Add ``None`` for each paging parameter that a call does not set."""
    if params is None or isinstance(params, Mapping):
        return {**_WITHOUT_SESSION_PAGING, **(params or {})}
    return params  # `requests` ignores the session's parameters if `params` is not a mapping


def _wraps_adapter(adapter: Any) -> bool:
    """Return whether an adapter wraps another adapter or a session.

    The client cannot limit the time of the wrapped object.
    """
    for value in getattr(adapter, "__dict__", {}).values():
        candidates = value.values() if isinstance(value, dict) else value
        if not isinstance(candidates, (list, tuple, set, type({}.values()))):
            candidates = (value,)
        if any(isinstance(candidate, (BaseAdapter, requests.Session)) for candidate in candidates):
            return True
    return False


def _make_auth(authorization: RedactedStr, received: list[requests.Response] | None = None) -> Auth:
    """Return an ``auth`` function that sets the token and appends each response to ``received``.

    The function adds a response hook that runs before the hooks of the session. Therefore a
    response is appended even if a hook of the session raises an exception.
    """

    def store_response(response: requests.Response, **_: Any) -> None:
        _hide_location(response)
        if received is not None:
            received.append(response)

    def set_authorization(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = authorization
        request.hooks["response"].append(store_response)
        return request

    return set_authorization


def _hide_location(response: requests.Response) -> None:
    """Hide the header ``Location`` from ``requests``. :func:`read_response` restores it.

    If the header is present, ``requests`` reads the body without limits, even with
    ``allow_redirects=False``.
    """
    if "Location" in response.headers:
        vars(response)["hidden_location"] = response.headers.pop("Location")
