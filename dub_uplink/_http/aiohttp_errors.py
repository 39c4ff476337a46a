"""Convert exceptions of ``aiohttp`` to exceptions of ``requests``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import aiohttp
import requests
from requests.exceptions import InvalidProxyURL

from .connection_errors import (
    ConnectError,
    HandshakeError,
    ProxyConnectError,
    TunnelRefused,
    find_tls_error,
)

#: The exceptions of a failed attempt. Any other exception is a mistake of the caller.
SEND_ERRORS: tuple[type[Exception], ...] = (
    requests.RequestException,
    aiohttp.ClientError,
    OSError,  # includes TimeoutError
    ValueError,  # an invalid proxy URL or `Location`
)


class ConnectionDroppedError(aiohttp.ClientError):
    """The connection broke. ``aiohttp`` does not retry a request after this exception."""


class ProxyUnreachableError(aiohttp.ClientError):
    """The host of a proxy is unknown, or ``aiohttp-socks`` cannot connect through a proxy."""


class TunnelRejectedError(aiohttp.ClientError):
    """A proxy that ``aiohttp-socks`` uses rejected CONNECT. Arguments: status and reason."""


class UnsupportedProxyError(aiohttp.ClientError):
    """``aiohttp`` does not support the URL of a proxy."""


def to_requests_error(error: Exception) -> Exception:
    """Convert an error to the matching exception of ``requests``."""
    if isinstance(error, (requests.RequestException, ValueError)):
        return error
    for classes, convert in _CONVERSIONS:
        if isinstance(error, classes):
            return convert(error)
    tls_error = find_tls_error(error)
    if tls_error is not None:
        return requests.exceptions.SSLError(tls_error)
    return requests.ConnectionError(str(error) or type(error).__name__)


_CONVERSIONS: tuple[tuple[Any, Callable[[Any], Exception]], ...] = (
    (TimeoutError, lambda error: requests.ReadTimeout(str(error))),
    (
        (aiohttp.ClientSSLError, aiohttp.ServerFingerprintMismatch),
        lambda error: HandshakeError(*error.args),
    ),
    (UnsupportedProxyError, lambda error: InvalidProxyURL(str(error))),
    (TunnelRejectedError, lambda error: TunnelRefused(*error.args)),
    (ProxyUnreachableError, lambda error: ProxyConnectError(str(error))),
    (aiohttp.ClientHttpProxyError, lambda error: TunnelRefused(error.status, error.message)),
    (aiohttp.ClientResponseError, lambda error: requests.ConnectionError(error.message)),
    (aiohttp.ClientProxyConnectionError, lambda error: ProxyConnectError(str(error.os_error))),
    (
        aiohttp.ClientConnectorError,
        # The error has no text if the server or a proxy closes the connection in the TLS handshake.
        lambda error: ConnectError(str(error.os_error) or "closed during the TLS handshake"),
    ),
)
