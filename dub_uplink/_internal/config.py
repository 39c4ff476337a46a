"""Check the configuration of a client before anything is sent: server URL, timeouts, headers."""

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
CONNECT_TIMEOUT = 5.0  # seconds
_MAX_TIMEOUT_MS = 86_400_000
#: A list of 100 expanded customers is below 0.2 MB; anything near this is not from Dub.
MAX_BODY_BYTES = 32 * 1024 * 1024


_FORBIDDEN_URL_CHARS = re.compile(r'["<>\\^`{|}]')


def normalize_base_url(server_url: str | None) -> str:
    """The server's URL with exactly one slash at its end, so that paths join onto its prefix.

    Raises:
        TypeError: it is not a string.
        ValueError: it is not a plain http(s) URL.
    """
    if server_url is None:
        server_url = os.environ.get(SERVER_URL_ENV) or DEFAULT_SERVER
    if not isinstance(server_url, str):
        raise TypeError(f"server_url must be a string, not {type(server_url).__name__}")
    server_url = server_url.strip()
    try:
        url = urlsplit(server_url)
        host, _ = url.hostname, url.port
    except ValueError:  # its text may hold credentials
        raise ValueError("server_url is not a URL: its host or port cannot be read") from None
    if url.scheme not in ("https", "http") or not host:
        raise ValueError('server_url must begin with "https://" and name a host')
    if url.username is not None or url.password is not None:
        raise ValueError("server_url must not contain credentials; pass the key as token=…")
    if "?" in server_url or "#" in server_url:
        raise ValueError(
            "server_url must not have a query or a fragment; remove it, from the ? or # on"
        )
    if not host.isascii():
        server_url, host = _encode_host(url)
    if re.search(r"[^!-~]", server_url):
        raise ValueError(
            "server_url contains a space, a control or a non-ASCII character; percent-encode it"
        )
    # Some URL parsers treat a backslash as a slash, others as a part of the host.
    if _FORBIDDEN_URL_CHARS.search(server_url):
        raise ValueError("server_url contains a character that is not allowed in a URL")
    if url.scheme == "http" and not _is_loopback(host):
        message = f"the token goes unencrypted over http to {host}; use https"
        warnings.warn(message, stacklevel=caller_stacklevel())
    # The scheme in lower case, as in the URLs that uplink joins onto it.
    return url.scheme + server_url.rstrip("/")[len(url.scheme) :] + "/"


def _encode_host(url: SplitResult) -> tuple[str, str]:
    """Return a URL and its host, with the host as DNS has it: bücher.example is xn--bcher-kva.

    Raises:
        ValueError: the host is not a name that DNS may have.
    """
    import requests  # noqa: PLC0415 - few hosts need it

    netloc = url.netloc
    try:
        prepared = requests.Request("GET", f"https://{netloc}").prepare().url
    except requests.RequestException:
        raise ValueError("server_url has a host that is not a valid DNS name") from None
    split = urlsplit(prepared or "")
    return url._replace(netloc=split.netloc).geturl(), split.hostname or ""


def caller_stacklevel() -> int:
    """The ``stacklevel``, seen from who asks, of the first line that is not this package's."""
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
    """``timeout_ms`` in seconds; ``default`` (seconds) where it is ``None``.

    Raises:
        TypeError: it is not a number.
        ValueError: it is not above 0, or more than a day.
    """
    if timeout_ms is None:
        return default
    if isinstance(timeout_ms, bool) or not isinstance(timeout_ms, (int, float)):
        raise TypeError(f"timeout_ms must be a number, not {type(timeout_ms).__name__}")
    if not 0 < timeout_ms <= _MAX_TIMEOUT_MS:  # a socket takes no number that is much larger
        raise ValueError(
            f"timeout_ms must be above 0 and at most 86,400,000 (a day), not {timeout_ms!r:.20}"
        )
    return timeout_ms / 1000


_HEADER_NAME_PATTERN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE_PATTERN = re.compile(r"[\t -~\x80-\xff]*")
#: Ours to set: the token's, and those that say how the body is framed.
_CLIENT_HEADERS = frozenset(
    {"authorization", "host", "content-length", "transfer-encoding", "connection"}
)


def validate_headers(headers: Mapping[str, str], argument: str = "http_headers") -> dict[str, str]:
    """Return the caller's headers, checked; ``name`` is that of the argument, for errors.

    Raises:
        TypeError: not a mapping of strings to strings.
        ValueError: a name or value that HTTP does not allow, that is given twice, or that is not
            the caller's to set.
    """
    if not isinstance(headers, Mapping):
        raise TypeError(f"{argument} must be a mapping, not {type(headers).__name__}")
    seen: set[str] = set()
    checked: dict[str, str] = {}
    for header, value in headers.items():
        _check_header(header, value, argument)
        if header.lower() in seen:
            raise ValueError(
                f"{argument} contains {header!r} twice, in another case; leave one out"
            )
        seen.add(header.lower())
        checked[header] = value
    return checked


def merge_headers(defaults: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, str]:
    """Return two sets of headers as one; defaults give way, whatever the case of their names."""
    overridden = {name.lower() for name in headers}
    merged = {name: value for name, value in defaults.items() if name.lower() not in overridden}
    return {**merged, **headers}


def _check_header(header: Any, value: Any, argument: str) -> None:
    if not isinstance(header, str) or not isinstance(value, str):
        raise TypeError(
            f"{argument} must map strings to strings, not "
            f"{type(header).__name__} to {type(value).__name__}"
        )
    if not _HEADER_NAME_PATTERN.fullmatch(header):
        raise ValueError(f"{argument}: {header!r} is not a header name")
    if header.lower() in _CLIENT_HEADERS:
        raise ValueError(f"{argument} cannot set {header}: the client sets it")
    if not _HEADER_VALUE_PATTERN.fullmatch(value) or value != value.strip():
        raise ValueError(
            f"{argument}: the value of {header} contains a control character or one outside"
            " Latin-1, or begins or ends with whitespace"
        )
