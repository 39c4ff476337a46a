"""The objects that a customer expands to: a link, a partner, a discount, with Dub's keys.

Imports nothing of ours.
"""

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
    # Keys that Dub does not have today are kept: the server adds some over time, and a test may
    # want one.
    return {
        **defaults,
        **{_UNDERSCORE.sub(lambda m: m[1].upper(), key): value for key, value in given.items()},
    }


def link_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """A whole link; its short link is made of the domain and the key."""
    fields = _with_defaults(given, _LINK)
    if "shortLink" not in given and "short_link" not in given:
        fields["shortLink"] = f"https://{fields['domain']}/{fields['key']}"
    return fields


def partner_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """A whole partner."""
    return _with_defaults(given, _PARTNER)


def discount_fields(given: Mapping[str, Any]) -> dict[str, Any]:
    """A whole discount; ``type`` is ``percentage`` or ``flat``."""
    return _with_defaults(given, _DISCOUNT)
