"""Ids that cannot address a customer."""

from __future__ import annotations

#: Path segments after ``customers/`` that are other routes of the server.
#: Source: https://dub.co/docs/api-reference, and the public repository of Dub's server.
RESERVED_IDS = frozenset({"count", "export", "search-stripe"})
