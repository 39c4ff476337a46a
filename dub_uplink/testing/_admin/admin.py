"""Handle requests to ``/_fake/``: check access, find the route, encode the response."""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import hashlib
import hmac
import ipaddress
import json
import logging
import re
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..._internal.credentials import TOKEN_PATTERN
from .._api.store import InvalidId
from .._messages import FakeClosed, FakeResponse, Request
from .fields import MAX_LEVELS, AdminError, check_fields, given, redact_given
from .masking import make_request_redactor
from .routes import ROUTES, Route

if TYPE_CHECKING:
    from .._fake import FakeDub

logger = logging.getLogger("dub_uplink.testing")

_PREFIX = "/_fake/"
#: The maximum number of digits of an integer in a body.
_MAX_DIGITS = 1000
_BRACKET_OR_STRING_PATTERN = re.compile(rb'[\[\]{}]|"(?:[^"\\]+|\\.)*+"?', re.DOTALL)
_HOST_PATTERN = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[^:\[\],\s]+)(?::[0-9]{1,5})?")
_COMMON_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


class Admin:
    """The admin API of a fake.

    Without a token, the ``Host`` header must be a loopback address. A web page that reaches this
    server by DNS rebinding sends the host name of its own site, and gets a 403. Writes need the
    content type ``application/json``. Before a browser sends this type to another origin, it asks
    for permission (CORS). The fake never gives this permission. A write gets a 403 if its
    ``Origin`` is another host.

    Args:
        fake: The fake.
        token: The token that every request needs; ``None`` for no token.

    Raises:
        ValueError: the token is empty, or has characters that are not visible ASCII.
    """

    #: The maximum size of a body in bytes.
    max_body = 10 * 2**20

    def __init__(self, fake: FakeDub, token: str | None = None) -> None:
        if token is not None and not TOKEN_PATTERN.fullmatch(token):
            raise ValueError(
                "admin_token must consist of visible ASCII characters; leave out spaces"
                if token
                else "admin_token must not be empty; give a token, or leave it out"
            )
        self._fake = fake
        self._token = None if token is None else token.encode()
        self._own_secrets = frozenset(() if token is None else (token,))

    @property
    def secrets(self) -> frozenset[str]:
        """Return the admin token, and all current and former API keys of the fake."""
        return self._fake._secrets | self._own_secrets

    @staticmethod
    def serves(path: str) -> bool:
        """Return whether a path belongs to the admin API."""
        return path.startswith(_PREFIX) or path == _PREFIX[:-1]

    @staticmethod
    def is_shutdown_request(request: Request) -> bool:
        """Return whether a request closes the fake, if it succeeds."""
        return request.path == f"{_PREFIX}shutdown"

    def handle(self, request: Request) -> FakeResponse:
        """Execute a request and return the response."""
        headers: dict[str, str] = {}
        try:
            self._check_access(request)
            # Serve the page with and without the final slash. Without the admin API, the fake
            # redirects permanently from /_fake/ to /_fake. If a browser has cached this redirect, a
            # redirect to /_fake/ loops.
            path = f"{request.path}/".removeprefix(_PREFIX).removesuffix("/")
            # Handle HEAD like GET. The handler of the connection omits the body.
            method = "GET" if request.method == "HEAD" else request.method
            if path == "" and method == "GET":
                return _page_response()
            route = _find_route(method, path)
            return _make_json_response(route.status, self._execute(route, request))
        except AdminError as error:
            status, message, field = error.status, error.message, error.field
            headers = error.headers
        except InvalidId as error:  # from the callable given as FakeDub(ids=...)
            status, message, field = 422, given(str(error)), "id"
        except FakeClosed as error:
            status, message, field = 410, error.http_message, None
        except Exception:
            path = make_request_redactor(request, self.secrets).text(request.path)
            logger.exception("%s %s", request.method, path)
            status, message, field = 500, "the fake failed; see its log for the traceback", None
        redact = make_request_redactor(request, self.secrets).text
        message = redact_given(message, redact)
        field = None if field is None else redact_given(field, redact)
        response = _make_json_response(status, {"error": {"message": message, "field": field}})
        response.headers.update(headers)
        return response

    def _check_access(self, request: Request) -> None:
        if self._token is None:
            if not _is_loopback(request.headers.get("host", "")):
                raise AdminError(
                    403,
                    "the Host header is not a loopback address; use 127.0.0.1, or set an admin"
                    " token",
                )
        elif not hmac.compare_digest(
            _extract_token(request.headers.get("authorization", "")), self._token
        ):
            raise AdminError(
                401,
                "the admin token is missing or wrong; send Authorization: Bearer <admin token>",
                # Offer Basic authentication, so that a browser asks for the token.
                headers={"WWW-Authenticate": 'Basic realm="admin token"'},
            )

    def _execute(self, route: Route, request: Request) -> Any:
        if route.method != "GET" and not _is_same_origin(request):
            raise AdminError(
                403,
                "the Origin header is another host; leave the header out, or send this host",
            )
        content_type = request.headers.get("content-type", "").partition(";")[0]
        if route.method != "GET" and content_type.strip().lower() != "application/json":
            raise AdminError(
                415, "the content type is not JSON; send Content-Type: application/json"
            )
        if len(request.body) > self.max_body:
            raise AdminError(413, f"the body is too large; send at most {self.max_body:,} bytes")
        if route.method != "GET" and request.query:
            name = given(next(iter(request.query)))
            raise AdminError(
                422, f"'{name}' is in the query of a write; move it to the JSON body", name
            )
        arguments = request.query if route.method == "GET" else _parse_body(request.body)
        if route.fields is not None:
            arguments = check_fields(arguments, route.fields, route.required)
        # Lock the fake until the response of a write is complete. If a shutdown closed the fake
        # after the write, the response would be a 410, although the write was applied.
        lock = contextlib.nullcontext() if route.method == "GET" else self._fake._lock
        try:
            with lock:
                self._fake._store.check_open()
                return route.handle(self._fake, arguments, self.secrets)
        except sqlite3.ProgrammingError:
            self._fake._store.check_open()  # another request may have closed the fake
            raise


def _is_loopback(host: str) -> bool:
    match = _HOST_PATTERN.fullmatch(host)
    if match is None:
        return False
    name = match["name"].strip("[]").lower()
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_same_origin(request: Request) -> bool:
    origin = request.headers.get("origin")
    host = request.headers.get("host", "").lower()
    # Accept both schemes, because a proxy may add TLS.
    return origin is None or origin.lower() in (f"http://{host}", f"https://{host}")


def _extract_token(authorization: str) -> bytes:
    """Return the token of a ``Bearer`` header, or the password of a ``Basic`` header."""
    scheme, _, value = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip().encode()
    try:
        return base64.b64decode(value, validate=True).partition(b":")[2]
    except (binascii.Error, ValueError):
        return b""


def _find_route(method: str, path: str) -> Route:
    methods = ["GET"] if path == "" else [route.method for route in ROUTES if route.path == path]
    for route in ROUTES:
        if (route.method, route.path) == (method, path):
            return route
    if methods:
        known = ", ".join(methods)
        raise AdminError(
            405,
            f"/_fake/{path} does not support {given(method)}; use {known}",
            headers={"Allow": known.replace("GET", "GET, HEAD")},
        )
    known = ", ".join(sorted({route.path for route in ROUTES}))
    raise AdminError(404, f"/_fake/{given(path)} does not exist; use one of {known}")


def _reject_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _reject_duplicate_names(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        name = given(next(name for name in names if names.count(name) > 1))
        raise AdminError(422, f"'{name}' occurs twice in one object; leave out one of them", name)
    return values


def _parse_integer(digits: str) -> float:
    # By default, int() raises ValueError for more than 4,300 digits. Convert long integers to
    # infinity. The check of the field then rejects them with its own message.
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _check_levels(body: bytes) -> None:
    # The JSON parser's own limit depends on the Python version.
    level = 0
    for match in _BRACKET_OR_STRING_PATTERN.finditer(body):
        if match[0] in (b"[", b"{"):
            level += 1
        elif match[0] in (b"]", b"}"):
            level -= 1
        if level > MAX_LEVELS:
            raise AdminError(
                400, f"the body has more than {MAX_LEVELS} nested levels; send at most {MAX_LEVELS}"
            )


def _parse_body(body: bytes) -> dict[str, Any]:
    if not body:
        return {}
    _check_levels(body)
    try:
        arguments = json.loads(
            body.decode(),
            parse_constant=_reject_constant,
            parse_int=_parse_integer,
            object_pairs_hook=_reject_duplicate_names,
        )
    except ValueError as error:
        raise AdminError(400, f"the body is not JSON: {error}; send a JSON object") from None
    if not isinstance(arguments, dict):
        raise AdminError(422, "the body is not a JSON object; send one, such as {}")
    return arguments


def _make_json_response(status: int, value: Any) -> FakeResponse:
    # Encode as ASCII: a recorded text may contain surrogates, and UTF-8 cannot encode them.
    body = json.dumps(value).encode()
    return FakeResponse(status, {"Content-Type": "application/json", **_COMMON_HEADERS}, body)


@functools.lru_cache(maxsize=1)
def _page_response() -> FakeResponse:
    body = Path(__file__).with_name("page.html").read_bytes()
    directives = [
        "default-src 'none'",
        "connect-src 'self'",
        "img-src data:",
        f"script-src {_inline_hash(body, b'script')}",
        f"style-src {_inline_hash(body, b'style')}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": "; ".join(directives),
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
        **_COMMON_HEADERS,
    }
    return FakeResponse(200, headers, body)


def _inline_hash(page: bytes, element: bytes) -> str:
    """Return the Content-Security-Policy source for one inline element: its hash."""
    content = page.partition(b"<%s>" % element)[2].partition(b"</%s>" % element)[0]
    return f"'sha256-{base64.b64encode(hashlib.sha256(content).digest()).decode()}'"
