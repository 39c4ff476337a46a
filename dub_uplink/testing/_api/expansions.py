"""Add default values to a customer's link, partner and discount."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_UNDERSCORE_PATTERN = re.compile(r"_([a-z])")

_LINK_DEFAULTS = {
    "id": "link_1",
    "domain": "dub.sh",
    "key": "ada",
    "shortLink": "https://dub.sh/ada",
    "url": "https://example.com",
    "programId": None,
}
_PARTNER_DEFAULTS = {"id": "pn_1", "name": "Partner", "email": None, "image": None}
_DISCOUNT_DEFAULTS = {
    "id": "disc_1",
    "amount": 10,
    "type": "percentage",
    "maxDuration": None,
    "couponId": None,
    "couponTestId": None,
    "description": None,
    "partnersCount": None,
}


def _with_defaults(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    # Keep unknown keys. A test may need a key that Dub has added recently.
    return {
        **defaults,
        **{
            _UNDERSCORE_PATTERN.sub(lambda match: match[1].upper(), key): value
            for key, value in values.items()
        },
    }


def complete_link(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a link with all fields. The default ``shortLink`` is https://DOMAIN/KEY."""
    fields = _with_defaults(values, _LINK_DEFAULTS)
    if "shortLink" not in values and "short_link" not in values:
        fields["shortLink"] = f"https://{fields['domain']}/{fields['key']}"
    return fields


def complete_partner(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a partner with all fields."""
    return _with_defaults(values, _PARTNER_DEFAULTS)


def complete_discount(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a discount with all fields; ``type`` is ``percentage`` or ``flat``."""
    return _with_defaults(values, _DISCOUNT_DEFAULTS)
