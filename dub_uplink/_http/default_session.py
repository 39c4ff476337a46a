"""Create the ``requests`` session of a client, and prepare the requests for it.

The session of a client has one server, no cookies and no redirects. Therefore this module omits
steps of the ``requests`` library that only other sessions need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import requests
from requests.cookies import RequestsCookieJar
from requests.structures import CaseInsensitiveDict
from requests.utils import get_encoding_from_headers

from .._internal.credentials import RedactedStr
from .deadline_adapter import DeadlineAdapter
from .proxies import find_proxy_url

_POOL_SIZE = 32  # connections kept open between calls


class _NoCookies(RequestsCookieJar):
    def extract_cookies(self, response: Any, request: Any) -> None:
        """Store no cookies."""


class _DefaultAdapter(DeadlineAdapter):
    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Create the response as ``requests`` does, but without cookies."""
        response = requests.Response()
        response.status_code, response.reason = resp.status, resp.reason
        response.headers = CaseInsensitiveDict(resp.headers)
        response.encoding = get_encoding_from_headers(response.headers)
        response.raw, response.url, response.request = resp, req.url or "", req
        response.connection = self
        return response


def make_session() -> requests.Session:
    """Create the session of a client.

    The class is read from the module at each call, because libraries such as requests-cache
    replace it.
    """
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
    """Prepares requests for the session of a client.

    The proxies and certificates of the environment are read once, because reading them takes a
    large part of the time of a request.

    Args:
        session: the session, from :func:`make_session`.
        server_url: the URL of the only server.
        headers: the headers of every request.

    Raises:
        requests.exceptions.InvalidProxyURL: the URL of the proxy for the server is invalid.
    """

    def __init__(
        self, session: requests.Session, server_url: str, headers: Mapping[str, str]
    ) -> None:
        #: The arguments of ``Session.send`` from the environment.
        self.send_kwargs: Mapping[str, Any] = session.merge_environment_settings(
            server_url, {}, None, None, None
        )
        find_proxy_url(server_url, self.send_kwargs["proxies"])  # validates the proxy URL
        # Without an `auth`, `requests` would add the credentials of .netrc.
        request = requests.Request("GET", server_url, headers=headers, auth=lambda it: it)
        prepared = session.prepare_request(request)
        self._attributes = vars(prepared)
        self._headers = tuple(prepared.headers.items())

    @staticmethod
    def can_prepare(extras: Mapping[str, Any]) -> bool:
        """Return whether a request has no files, a body in bytes, and a query as a mapping."""
        body = extras.get("data")
        return (body is None or isinstance(body, bytes)) and not (
            extras.get("files") or isinstance(extras.get("params"), str)
        )

    def prepare(
        self, method: str, url: str, extras: Mapping[str, Any], authorization: RedactedStr
    ) -> requests.PreparedRequest:
        """Prepare a request; see ``SessionBackend.send`` for the arguments."""
        prepared = object.__new__(requests.PreparedRequest)
        vars(prepared).update(self._attributes)
        prepared.method = method
        params = extras.get("params")
        prepared.url = f"{url}?{urlencode(params)}" if params else url
        # Setting each header takes less time than copying and updating the mapping.
        headers = prepared.headers = CaseInsensitiveDict()
        for name, value in (*self._headers, *extras["headers"].items()):
            headers[name] = value
        headers["Authorization"] = authorization
        body = extras.get("data")
        if body is not None:
            prepared.body = body
            headers["Content-Length"] = str(len(body))
        return prepared
