"""Select the proxy for a URL in the same way as the ``requests`` library."""

from __future__ import annotations

from typing import Any

from requests.exceptions import InvalidProxyURL
from requests.utils import prepend_scheme_if_needed, select_proxy


def add_proxy_schemes(proxies: Any) -> dict[str, Any]:
    """Add ``http`` to each proxy URL that has credentials but no scheme.

    ``requests`` adds the scheme to URLs without credentials, but reads the user name in
    ``user:password@host`` as a scheme.
    """
    return {name: _add_scheme(url) for name, url in (proxies or {}).items()}


def _add_scheme(url: Any) -> Any:
    if not isinstance(url, str) or "@" not in url or "://" in url:
        return url
    return url if url.startswith(("http:", "https:")) else f"http://{url}"


def find_proxy_url(url: str, proxies: Any) -> str | None:
    """Return the URL of the proxy for ``url``, or ``None`` if no proxy applies.

    If the proxy URL has no scheme, ``http`` is added.

    Raises:
        InvalidProxyURL: the proxy URL has no host. (``requests`` raises a ``TypeError``.)
    """
    proxy = select_proxy(url, proxies)
    if not proxy:
        return None
    proxy = _add_scheme(proxy)
    try:
        url_with_scheme: str = prepend_scheme_if_needed(proxy, "http")  # type: ignore[no-untyped-call]
    except TypeError:
        raise InvalidProxyURL("the proxy's URL has no host") from None
    return url_with_scheme
