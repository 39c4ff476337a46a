"""Convert field names to the spelling of Dub's API."""

from __future__ import annotations


def camel_case(name: str) -> str:
    """Convert a field name to camelCase: ``external_id`` becomes ``externalId``."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
