"""The spelling of names on the server."""

from __future__ import annotations


def camel_case(name: str) -> str:
    """Return the server's spelling of a field: ``external_id`` is ``externalId``."""
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)
