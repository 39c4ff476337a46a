"""Validate the configuration of a client: server URL, timeouts and headers."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
import warnings
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

SERVER_URL_ENV = "DUB_SERVER_URL"
DEFAULT_SERVER = "https://api.dub.co"
DEFAULT_TIMEOUT_MS = 30_000
#: The time limit in seconds for connecting to one address of a host.
CONNECT_TIMEOUT = 5.0
#: The share of an attempt's timeout that the wait for a pooled connection may use. The rest remains
#: for the response. With too little time for the response, a request that the server has applied
#: may time out. The client then sends the request again.
POOL_WAIT_SHARE = 0.5
_MAX_TIMEOUT_MS = 86_400_000
#: The size limit of a response body in bytes. Dub's largest body (100 customers with their links,
#: partners and discounts) is below 0.2 MB.
MAX_BODY_BYTES = 32 * 1024 * 1024


_FORBIDDEN_URL_CHARS = re.compile(r'[\0-\x1f"<>\\^`{|}\x7f]')
_INVALID_HOST = "server_url has a host that is not a valid DNS name; check its spelling"


def normalize_base_url(server_url: str | None) -> str:
    """Validate the server URL and return it with exactly one slash at its end.

    With the slash, the relative path of an endpoint is appended to the path of the server URL.

    Args:
        server_url: the URL. If it is ``None``, the environment variable ``DUB_SERVER_URL`` applies.
            If the variable is not set, the URL of Dub applies.

    Raises:
        TypeError: the URL is not a string.
        ValueError: the URL is not a valid http or https URL, or has credentials, a query or a
            fragment.
    """
    if server_url is None:
        server_url = os.environ.get(SERVER_URL_ENV) or DEFAULT_SERVER
    if not isinstance(server_url, str):
        raise TypeError(f"server_url must be a string, not {type(server_url).__name__}")
    server_url = server_url.strip()
    try:
        parts = urlsplit(server_url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # no cause, because the text of this exception may contain credentials
        raise ValueError(
            "server_url has an invalid host or port; use a URL such as https://api.dub.co"
        ) from None
    if parts.scheme not in ("https", "http") or not host:
        raise ValueError(
            "server_url must be a URL such as https://api.dub.co; http:// is accepted too"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError("server_url must not contain credentials; pass the key as token=…")
    if "?" in server_url or "#" in server_url:
        raise ValueError(
            "server_url must not have a query or a fragment;"
            " remove everything from the ? or # onwards"
        )
    # Check before IDNA encoding, because the encoding drops control characters and backslashes.
    # Backslashes are forbidden, because only some URL parsers end the host at a backslash.
    if _FORBIDDEN_URL_CHARS.search(server_url):
        raise ValueError(
            'server_url contains a control character or one of "<>\\^`{|}; percent-encode it'
        )
    if not host.isascii():
        server_url, host = _encode_host(parts)
    if host.startswith(".") or ".." in host:
        raise ValueError(_INVALID_HOST)
    if re.search(r"[^!-~]", server_url):
        raise ValueError(
            "server_url contains a space, a control or a non-ASCII character; percent-encode it"
        )
    if parts.scheme == "http" and not _is_loopback(host):
        message = f"the token goes unencrypted over http to {host}; use https"
        warnings.warn(message, stacklevel=caller_stacklevel())
    # Lower-case the scheme as uplink does: the transport checks that each URL that uplink builds
    # starts with this URL.
    return parts.scheme + server_url.rstrip("/")[len(parts.scheme) :] + "/"


def _encode_host(parts: SplitResult) -> tuple[str, str]:
    """Return the URL and its host after IDNA encoding, such as ``xn--bcher-kva.example``.

    Raises:
        ValueError: the host is not a valid DNS name.
    """
    import requests  # noqa: PLC0415 - few hosts need IDNA encoding

    netloc = parts.netloc
    try:
        prepared = requests.Request("GET", f"https://{netloc}").prepare().url
    except requests.RequestException:
        raise ValueError(_INVALID_HOST) from None
    encoded_parts = urlsplit(prepared or "")
    return parts._replace(netloc=encoded_parts.netloc).geturl(), encoded_parts.hostname or ""


def caller_stacklevel() -> int:
    """Return the ``stacklevel`` for a warning that shows the line that calls this package."""
    level, frame = 1, sys._getframe(1)
    package = __name__.partition(".")[0]
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == package:
        level, frame = level + 1, frame.f_back
    return level


def _is_loopback(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def timeout_seconds(timeout_ms: float | None, default: float) -> float:
    """Convert ``timeout_ms`` to seconds. If it is ``None``, return ``default`` (seconds).

    Raises:
        TypeError: ``timeout_ms`` is not a number.
        ValueError: ``timeout_ms`` is 0 or less, or is more than a day.
    """
    if timeout_ms is None:
        return default
    if isinstance(timeout_ms, bool) or not isinstance(timeout_ms, (int, float)):
        raise TypeError(f"timeout_ms must be a number, not {type(timeout_ms).__name__}")
    if not 0 < timeout_ms <= _MAX_TIMEOUT_MS:  # much larger values overflow in a socket
        raise ValueError(
            f"timeout_ms must be above 0 and at most 86,400,000 (a day), not {timeout_ms!r:.20}"
        )
    return timeout_ms / 1000


_HEADER_NAME_PATTERN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE_PATTERN = re.compile(r"[\t -~\x80-\xff]*")
#: Headers that only the client sets: they contain the token, name the host or delimit the request.
_CLIENT_HEADERS = frozenset(
    {"authorization", "host", "content-length", "transfer-encoding", "connection"}
)


def validate_headers(headers: Mapping[str, str], argument: str = "http_headers") -> dict[str, str]:
    """Validate headers of the caller and return them as a new dictionary.

    Args:
        headers: the headers.
        argument: the name of the argument, for error messages.

    Raises:
        TypeError: ``headers`` is not a mapping of strings to strings.
        ValueError: a name or a value is invalid in HTTP, a header is given twice, or only the
            client may set a header.
    """
    if not isinstance(headers, Mapping):
        raise TypeError(f"{argument} must be a mapping, not {type(headers).__name__}")
    lowercase_names: set[str] = set()
    valid_headers: dict[str, str] = {}
    for header, value in headers.items():
        _check_header(header, value, argument)
        if header.lower() in lowercase_names:
            raise ValueError(
                f"{argument} contains {header!r} twice, with different case; leave one out"
            )
        lowercase_names.add(header.lower())
        valid_headers[header] = value
    return valid_headers


def merge_headers(defaults: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    """Return ``headers`` and the headers of ``defaults`` that ``headers`` does not override.

    Header names are compared case-insensitively.
    """
    overridden = {name.lower() for name in headers}
    merged = {name: value for name, value in defaults.items() if name.lower() not in overridden}
    return {**merged, **headers}


def _check_header(header: Any, value: Any, argument: str) -> None:
    if not isinstance(header, str) or not isinstance(value, str):
        raise TypeError(
            f"{argument}: the name and the value of the header {header!r:.40} must be strings, not"
            f" {type(header).__name__} and {type(value).__name__}"
        )
    if not _HEADER_NAME_PATTERN.fullmatch(header):
        raise ValueError(f"{argument}: {header!r} is not a valid header name")
    if header.lower() in _CLIENT_HEADERS:
        raise ValueError(f"{argument} cannot set {header}: the client sets it; leave it out")
    if not _HEADER_VALUE_PATTERN.fullmatch(value) or value != value.strip():
        raise ValueError(
            f"{argument}: the value of {header} contains a control or non-Latin-1 character, or"
            " begins or ends with whitespace; remove it"
        )
