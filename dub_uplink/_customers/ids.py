"""Define the ids that cannot address a customer."""

from __future__ import annotations

#: Values of ``{id}`` for which ``customers/{id}`` is another route of the server.
#: Source: https://dub.co/docs/api-reference, and the public repository of Dub's server.
RESERVED_IDS = frozenset({"count", "export", "search-stripe"})
