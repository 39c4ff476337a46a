"""Pages of customers, and every customer once.

Asks for pages and knows nothing of HTTP.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..models.components import Customer
from ..models.errors import PageLimitReached, UnprocessableEntity
from .traversal import CursorTraversal, Fetch, OffsetTraversal, Query, Traversal

#: The server's own, where a list does not say another.
DEFAULT_PAGE_SIZE = 100
#: The server refuses pages by number beyond this one.
LAST_PAGE = 1000


class CustomerPage(list[Customer]):
    """A list of customers that knows how to go on.

    It compares, slices and counts as the list it is. ``query`` is what was asked for, in the
    server's spelling.
    """

    def __init__(
        self,
        customers: Iterable[Customer],
        query: Query,
        fetch: Callable[[Query], CustomerPage],
    ) -> None:
        super().__init__(customers)
        self.query = query
        self._fetch = fetch

    @property
    def has_next(self) -> bool:
        """Whether there may be another page; the server says so only by a full one."""
        size: int = self.query.get("pageSize", DEFAULT_PAGE_SIZE)
        return len(self) >= size

    def next(self) -> CustomerPage | None:
        """Fetch the page after this one, in the direction of its cursor, or ``None``.

        A list by ``ending_before`` goes on backwards, one with a ``page`` or a ``sort_by`` other
        than ``createdAt`` by page number, any other after the last customer of this page. The
        server orders pages after a cursor by id and the first one by ``createdAt``, which
        disagree for back-dated customers: use ``iterate`` to get each exactly once.

        Raises:
            PageLimitReached: the server has no pages beyond number 1,000.
            DubError: the page could not be fetched.
        """
        return self._fetch(next_query(self.query, self)) if self.has_next else None

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickled or copied it is a plain list: a connection cannot travel.
        return list, (list(self),)


def next_query(query: Query, customers: list[Customer]) -> Query:
    """What to ask for after these customers.

    Raises:
        PageLimitReached: the server has no such page.
    """
    if "endingBefore" in query:
        return {**query, "endingBefore": customers[0].id}
    if not by_number(query):
        return {**query, "startingAfter": customers[-1].id}
    page = query.get("page", 1) + 1
    if page > LAST_PAGE:
        raise PageLimitReached(
            f"the server gives out no pages beyond number {LAST_PAGE}, and there are more"
            " customers; narrow the list by a filter, or leave out sort_by"
        )
    return {**query, "page": page}


def by_number(query: Query) -> bool:
    """Whether the pages of this list go by number: cursors only go by ``createdAt``."""
    return "page" in query or query.get("sortBy", "createdAt") != "createdAt"


class CustomerIterator(Iterator[Customer]):
    """Every customer of a list, each exactly once; see ``CustomersConsumer.iterate``.

    Several threads may take from one iterator: each customer goes to one of them. When a page
    cannot be fetched, the error is raised and nothing is lost: ``next()`` fetches that page again,
    and ``cursor`` continues the iteration in another process.
    """

    def __init__(self, fetch: Callable[[Query], list[Customer]], traversal: Traversal) -> None:
        self._fetch = fetch
        self._traversal = traversal
        # Re-entrant: a signal handler may read the cursor while its thread fetches a page.
        self._lock = threading.RLock()

    @property
    def cursor(self) -> str:
        """The position after the last customer that the iteration returned, as an opaque string.

        ``iterate(cursor=…)`` with the same filters continues from there. With several threads it
        is after every customer that any of them has taken.
        """
        with self._lock:
            return self._traversal.cursor

    def __next__(self) -> Customer:
        traversal = self._traversal
        with self._lock:
            while isinstance(step := traversal.step(), Fetch):
                traversal.fetched(fetch_or_gone(self._fetch, step))
        if step is None:
            raise StopIteration
        return step


def traversal(query: Query, cursor: str | None) -> Traversal:
    """How to go through all of a list.

    Raises:
        ValueError: ``cursor`` is none, or of a list with other filters.
    """
    size = query.get("pageSize", DEFAULT_PAGE_SIZE)
    if by_number(query):
        return OffsetTraversal(query, size, LAST_PAGE, cursor)
    return CursorTraversal(query, size, cursor)


def fetch_or_gone(fetch: Callable[[Query], list[Customer]], step: Fetch) -> list[Customer] | None:
    """The page a step asks for; ``None`` where the customer at its cursor is gone."""
    try:
        return fetch(step.query)
    except UnprocessableEntity as error:
        if not is_lost_cursor(step, error):
            raise
        return None


def is_lost_cursor(step: Fetch, error: UnprocessableEntity) -> bool:
    """Whether the server refused a page because its cursor's customer has been deleted."""
    return step.has_cursor and error.message.startswith("Invalid cursor")
