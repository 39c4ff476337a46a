"""Ids of customers in paths."""

from __future__ import annotations

#: Routes of the server's own beside ``customers/{id}``, which are no ids.
#: Source: https://dub.co/docs/api-reference, and the public repository of Dub's server.
RESERVED_IDS = frozenset({"count", "export", "search-stripe"})
