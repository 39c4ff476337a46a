"""Select the proxy for a URL in the same way as the ``requests`` library."""

from __future__ import annotations

from typing import Any

from requests.exceptions import InvalidProxyURL
from requests.utils import prepend_scheme_if_needed, select_proxy


def find_proxy_url(url: str, proxies: Any) -> str | None:
    """Return the URL of the proxy for ``url``, or ``None`` if no proxy applies.

    If the proxy URL has no scheme, ``http`` is added.

    Raises:
        InvalidProxyURL: the proxy URL has no host. (``requests`` would raise a ``TypeError``.)
    """
    proxy = select_proxy(url, proxies)
    if not proxy:
        return None
    try:
        url_with_scheme: str = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
    except TypeError:
        raise InvalidProxyURL("the proxy's URL has no host") from None
    return url_with_scheme
