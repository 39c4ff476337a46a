"""Serve a fake as a WSGI application, with ``werkzeug`` (extra ``testing``)."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import quote

from . import _clock as clock
from ._messages import Request

try:
    from werkzeug.wrappers import Request as WSGIRequest
    from werkzeug.wrappers import Response
except ImportError as _error:
    raise ImportError(
        "the fake's WSGI application needs werkzeug; run: pip install 'dub-uplink[testing]'"
    ) from _error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ._fake import FakeDub


class App:
    """The WSGI application of a fake.

    WSGI cannot drop a connection, so a fault that drops it raises ``ConnectionResetError``. A
    truncated body ends early without an error. A slow body is sent at full speed.
    """

    def __init__(self, fake: FakeDub) -> None:
        self._fake = fake

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        wsgi_request = WSGIRequest(environ)
        request = Request(
            method=wsgi_request.method,
            path=_raw_path(environ),
            query_string=wsgi_request.query_string.decode("latin-1"),
            headers={name.lower(): value for name, value in wsgi_request.headers.items()},
            body=wsgi_request.get_data(),
        )
        started = time.perf_counter()
        delivery = self._fake.handle(request)
        ms = (time.perf_counter() - started + delivery.delay) * 1000
        clock.sleep(delivery.delay)
        request.ms = ms
        delivered = delivery.response
        if delivered is None:
            raise ConnectionResetError("the fake closed the connection without a response")
        response = Response(delivered.body[: delivery.truncate_after], status=delivered.status)
        # Remove the default Content-Type of werkzeug and keep Location relative, as in Dub.
        response.headers.clear()
        response.autocorrect_location_header = False
        response.headers.extend({**delivered.headers, "Content-Length": str(len(delivered.body))})
        return response(environ, start_response)


def _raw_path(environ: WSGIEnvironment) -> str:
    """Return the path as sent, because ``PATH_INFO`` is decoded and ``%2F`` is ``/`` in it."""
    for name in ("REQUEST_URI", "RAW_URI"):
        raw: str = environ.get(name) or ""
        if raw.startswith("/"):
            return raw.partition("?")[0]
    path: str = environ.get("PATH_INFO") or "/"
    root, slash, key = path[1:].partition("/")
    return f"/{root}{slash}{quote(key.encode('latin-1'), safe='')}" if key.strip("/") else path
