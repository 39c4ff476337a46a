"""Create the client's own ``requests`` session, and prepare requests for it.

This session has one server, no cookies and no redirects. Therefore this module omits the steps of
``requests`` for several servers, cookies and redirects.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import requests
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from .._internal.credentials import RedactedStr
from .deadline_adapter import DeadlineAdapter
from .proxies import add_proxy_schemes, find_proxy_url

#: The maximum number of connections that stay open between calls.
_POOL_SIZE = 32


class _NoCookies(RequestsCookieJar):
    """A cookie jar that stays empty, so that all sessions and responses can share it."""

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Store no cookies."""

    def set_cookie(self, cookie: Any, *args: Any, **kwargs: Any) -> None:
        """Store no cookie."""


class _RequestHeaders(CaseInsensitiveDict[Any]):
    """Headers of a request, whose ``copy`` and ``items`` avoid the lookups of the base class.

    ``urllib3`` copies and iterates over the headers for every request.
    """

    _store: OrderedDict[str, tuple[str, Any]]  # the storage of CaseInsensitiveDict

    def copy(self) -> _RequestHeaders:
        headers = object.__new__(_RequestHeaders)
        headers._store = self._store.copy()
        return headers

    def items(self) -> Any:
        return self._store.values()  # pairs of a name and a value


class _DefaultAdapter(DeadlineAdapter):
    def request_url(self, request: requests.PreparedRequest, proxies: Any) -> str:
        """Return the target of the request line. Only a proxy needs the whole URL."""
        return super().request_url(request, proxies) if proxies else request.path_url

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Create the response in the same way as ``requests``, but without cookies."""
        response = object.__new__(requests.Response)
        vars(response).update(_RESPONSE_ATTRIBUTES, history=[])
        response.status_code, response.reason = resp.status, resp.reason
        response.headers = CaseInsensitiveDict(resp.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw, response.url, response.request = resp, req.url or "", req
        response.connection = self
        return response


#: The attributes of a new response. Copying them takes less time than creating a cookie jar.
_RESPONSE_ATTRIBUTES = {**vars(requests.Response()), "cookies": _NoCookies()}


def make_session() -> requests.Session:
    """Create the client's own session."""
    # Look up `requests.Session` at each call, because requests-cache replaces this attribute.
    session = requests.Session()
    session.cookies = _NoCookies()
    # `requests` reads the body of a redirect without limits, even with `allow_redirects=False`.
    vars(session)["resolve_redirects"] = _resolve_no_redirects
    adapter = _DefaultAdapter(pool_connections=2, pool_maxsize=_POOL_SIZE)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


def _resolve_no_redirects(*_: Any, **__: Any) -> Iterator[requests.Response]:
    return iter(())


class RequestTemplate:
    """Prepares requests for the client's own session.

    Proxies and certificates are read from the environment only once, because reading takes a large
    part of a request's time.

    Args:
        session: a session from :func:`make_session`.
        server_url: the URL of the server to which all requests go.
        headers: the headers of every request.

    Raises:
        requests.exceptions.InvalidProxyURL: the proxy URL for this server is invalid.
    """

    def __init__(
        self, session: requests.Session, server_url: str, headers: Mapping[str, str]
    ) -> None:
        settings = session.merge_environment_settings(server_url, {}, None, None, None)
        proxies = add_proxy_schemes(settings["proxies"])
        #: Arguments for ``Session.send`` that depend on the environment, such as proxies.
        self.send_kwargs: Mapping[str, Any] = {**settings, "proxies": proxies}
        find_proxy_url(server_url, proxies)  # validates the proxy URL
        # `requests` adds the credentials of .netrc to a request that has no `auth`.
        request = requests.Request("GET", server_url, headers=headers, auth=lambda it: it)
        prepared = session.prepare_request(request)
        self._attributes = vars(prepared)
        self._headers = _RequestHeaders(prepared.headers)
        self._headers.pop("Connection", None)  # HTTP/1.1 keeps connections open by default

    @staticmethod
    def can_prepare(extras: Mapping[str, Any]) -> bool:
        """Return whether :meth:`prepare` supports a request with the arguments ``extras``.

        Files, ``params`` as a string, and a body other than bytes are not supported.
        """
        body = extras.get("data")
        return (body is None or isinstance(body, bytes)) and not (
            extras.get("files") or isinstance(extras.get("params"), str)
        )

    def prepare(
        self, method: str, url: str, extras: Mapping[str, Any], authorization: RedactedStr
    ) -> requests.PreparedRequest:
        """Prepare a request. The arguments are those of ``SessionBackend.send``."""
        prepared = object.__new__(requests.PreparedRequest)
        vars(prepared).update(self._attributes)
        prepared.method = method
        params = extras.get("params")
        prepared.url = f"{url}?{urlencode(params)}" if params else url
        headers = prepared.headers = self._headers.copy()
        for name, value in extras["headers"].items():
            headers[name] = value
        headers["Authorization"] = authorization
        body = extras.get("data")
        if body is not None:
            prepared.body = body
            headers["Content-Length"] = str(len(body))
        return prepared
