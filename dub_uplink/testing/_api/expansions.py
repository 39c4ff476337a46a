"""Complete the objects that a customer expands to: links, partners and discounts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNDERSCORE = re.compile(r"_([a-z])")

_LINK = {
    "id": "link_1",
    "domain": "dub.sh",
    "key": "ada",
    "shortLink": "https://dub.sh/ada",
    "url": "https://example.com",
    "programId": None,
}
_PARTNER = {"id": "pn_1", "name": "Partner", "email": None, "image": None}
_DISCOUNT = {
    "id": "disc_1",
    "amount": 10,
    "type": "percentage",
    "maxDuration": None,
    "couponId": None,
    "couponTestId": None,
    "description": None,
    "partnersCount": None,
}


def _with_defaults(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    # Unknown keys are kept: Dub adds keys over time, and a test may need one.
    return {
        **defaults,
        **{_UNDERSCORE.sub(lambda m: m[1].upper(), key): value for key, value in given.items()},
    }


def link_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a complete link; its default short link is built from the domain and the key."""
    fields = _with_defaults(given, _LINK)
    if "shortLink" not in given and "short_link" not in given:
        fields["shortLink"] = f"https://{fields['domain']}/{fields['key']}"
    return fields


def partner_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a complete partner."""
    return _with_defaults(given, _PARTNER)


def discount_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a complete discount; ``type`` is ``percentage`` or ``flat``."""
    return _with_defaults(given, _DISCOUNT)
