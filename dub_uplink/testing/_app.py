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

    A fault that drops the connection raises ``ConnectionResetError``, because WSGI cannot drop a
    connection. A truncated body ends early, without an error. The fault ``Drip`` has no effect.
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
        fake_response = delivery.response
        if fake_response is None:
            raise ConnectionResetError("the fake closed the connection without a response")
        response = Response(
            fake_response.body[: delivery.truncate_after], status=fake_response.status
        )
        # Like Dub, send no default Content-Type, and keep Location relative.
        response.headers.clear()
        response.autocorrect_location_header = False
        response.headers.extend(
            {**fake_response.headers, "Content-Length": str(len(fake_response.body))}
        )
        return response(environ, start_response)


def _raw_path(environ: WSGIEnvironment) -> str:
    """Return the percent-encoded path. In ``PATH_INFO``, ``%2F`` is decoded to ``/``."""
    for name in ("REQUEST_URI", "RAW_URI"):
        raw_target: str = environ.get(name) or ""
        if raw_target.startswith("/"):
            return raw_target.partition("?")[0]
    path: str = environ.get("PATH_INFO") or "/"
    collection, slash, segment = path[1:].partition("/")
    if not segment.strip("/"):
        return path
    return f"/{collection}{slash}{quote(segment.encode('latin-1'), safe='')}"
