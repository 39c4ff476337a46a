"""Pages of customers, and every customer once.

Asks a consumer for its pages; knows nothing of HTTP. May import the models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .models.components import Customer

#: The server's own, where a list does not say another.
DEFAULT_PAGE_SIZE = 100
#: The server refuses pages beyond; see :class:`PageLimitReached`.
LAST_PAGE = 1000


class CustomerPage(list[Customer]):
    """A list of customers that knows how to go on.

    It compares, slices and counts as the list it is. ``query`` is what was asked for, in the
    server's spelling.
    """

    def __init__(
        self,
        customers: Iterable[Customer],
        query: Mapping[str, Any],
        fetch: Callable[[Mapping[str, Any]], CustomerPage],
    ) -> None:
        super().__init__(customers)
        self.query = query
        self._fetch = fetch

    @property
    def has_next(self) -> bool:
        """Whether there may be another page: the server says so only by a full one."""
        size: int = self.query.get("pageSize", DEFAULT_PAGE_SIZE)
        return len(self) >= size

    def next(self) -> CustomerPage | None:
        """Fetch the page after this one, in the direction of its cursor, or ``None``.

        A list by ``ending_before`` goes on backwards, one with a ``page`` or a ``sort_by`` other
        than ``createdAt`` by page number, any other after the last customer of this page. The
        server orders pages after a cursor by id and the first one by ``createdAt``, which
        disagree for back-dated customers: use ``iterate`` to get each exactly once.

        Raises:
            ValueError: the server has no pages beyond number 1,000.
            DubError: the page could not be fetched.
        """
        if not self.has_next:
            return None
        query = dict(self.query)
        if "endingBefore" in query:
            query["endingBefore"] = self[0].id
        elif "page" in query or query.get("sortBy", "createdAt") != "createdAt":
            query["page"] = query.get("page", 1) + 1
            if query["page"] > LAST_PAGE:
                raise ValueError(
                    f"the server has no pages beyond {LAST_PAGE}; narrow the list by a filter,"
                    " or iterate in the order of createdAt"
                )
        else:
            query["startingAfter"] = self[-1].id
        return self._fetch(query)

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled or copied it is a plain list: a connection cannot travel.
        return list, (list(self),)
