"""Select the proxy for a URL in the same way as the ``requests`` library."""

from __future__ import annotations

import re
from typing import Any

from requests.exceptions import InvalidProxyURL
from requests.utils import prepend_scheme_if_needed, select_proxy
from urllib3.util import parse_url

#: This message does not quote the URL, which may contain a password.
INVALID_PROXY_MESSAGE = (
    "the proxy's URL has no valid host and port; use a URL such as http://proxy.example.com:3128"
)
#: The schemes that ``requests`` and the environment know. Other text before a colon is a host name
#: or a user name.
_SCHEME_PATTERN = re.compile(r"(https?|socks(4a?|5h?)):", re.IGNORECASE)

#: The keys whose values are host names without a proxy.
_HOST_LISTS = ("no", "no_proxy")


def add_proxy_schemes(proxies: Any) -> dict[str, Any]:
    """Add ``http`` to each proxy URL without a scheme. Keep the host names of ``no_proxy``.

    ``requests`` reads the host in ``squid:3128`` and the user name in ``user:password@host`` as a
    scheme.
    """
    return {
        name: value if name in _HOST_LISTS else _add_scheme(value)
        for name, value in (proxies or {}).items()
    }


def _add_scheme(url: Any) -> Any:
    if not isinstance(url, str) or not url or "://" in url or _SCHEME_PATTERN.match(url):
        return url
    return f"http:{url}" if url.startswith("//") else f"http://{url}"


def find_proxy_url(url: str, proxies: Any) -> str | None:
    """Return the URL of the proxy for ``url``, or ``None`` if no proxy applies.

    The scheme and the exception are those of :func:`normalize_proxy_url`.
    """
    proxy = select_proxy(url, proxies)
    return normalize_proxy_url(proxy) if proxy else None


def normalize_proxy_url(proxy: str) -> str:
    """Return a proxy URL, with the scheme ``http`` if it has no scheme.

    Raises:
        InvalidProxyURL: the URL has no host, or its port is not a number up to 65535.
    """
    try:
        url_with_scheme: str = prepend_scheme_if_needed(_add_scheme(proxy), "http")  # type: ignore[no-untyped-call]
        if parse_url(url_with_scheme).host:
            return url_with_scheme
    except (TypeError, ValueError):  # for example urllib3's LocationParseError
        pass
    # Raise outside of `except`: the context would quote the URL.
    raise InvalidProxyURL(INVALID_PROXY_MESSAGE)
