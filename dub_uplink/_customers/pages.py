"""Define pages of customers, and the iterator over all customers, independent of HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..models.components import Customer
from ..models.errors import PageLimitReached, UnprocessableEntity
from .traversal import CursorTraversal, Fetch, OffsetTraversal, Query, Traversal

#: The number of customers on a page if the query has no ``pageSize``.
DEFAULT_PAGE_SIZE = 100
#: The greatest page number that the server accepts.
LAST_PAGE = 1000


class CustomerPage(list[Customer]):
    """A list of customers that can fetch the next page.

    Attributes:
        query: the query parameters of the request, with the server's names.
    """

    __module__ = "dub_uplink"

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
        """Whether the page is full. After a full page there may be another page."""
        size: int = self.query.get("pageSize", DEFAULT_PAGE_SIZE)
        return len(self) >= size

    def next(self) -> CustomerPage | None:
        """Fetch the page after this one; return ``None`` after the last page.

        With ``ending_before``, the next page ends before the first customer of this page. With
        ``page``, or a ``sort_by`` other than ``createdAt``, the next page has the next page number.
        Otherwise the next page starts after the last customer of this page.

        The server orders the first page by ``createdAt``, but every page after a cursor by id. The
        two orders differ for customers whose ``createdAt`` differs from the time in their id.
        Use ``iterate`` to get each customer exactly once.

        Raises:
            PageLimitReached: this is page 1,000, the last one that the server returns.
            DubError: the page could not be fetched.
        """
        return self._fetch(next_query(self.query, self)) if self.has_next else None

    def __reduce__(self) -> tuple[Any, ...]:
        # The function that fetches pages cannot be pickled, so the pickled page is a plain list.
        return list, (list(self),)


def next_query(query: Query, customers: list[Customer]) -> Query:
    """Return the query of the page that follows the page of ``customers``.

    Raises:
        PageLimitReached: the number of the next page is above :data:`LAST_PAGE`.
    """
    if "endingBefore" in query:
        return {**query, "endingBefore": customers[0].id}
    if not is_paged_by_number(query):
        return {**query, "startingAfter": customers[-1].id}
    page = query.get("page", 1) + 1
    if page > LAST_PAGE:
        raise PageLimitReached(
            f"the server returns no page after number {LAST_PAGE}, and more customers may exist;"
            " add a filter, or leave out sort_by"
        )
    return {**query, "page": page}


def is_paged_by_number(query: Query) -> bool:
    """Return whether the query needs page numbers; cursors support only the order ``createdAt``."""
    return "page" in query or query.get("sortBy", "createdAt") != "createdAt"


class CustomerIterator(Iterator[Customer]):
    """Iterate over every customer of a list once; see ``CustomersConsumer.iterate``.

    Several threads may share one iterator. Each customer is returned to one thread only. If a page
    cannot be fetched, ``next()`` raises the error and no customer is lost. The following ``next()``
    fetches that page again. Another process can continue with the value of ``cursor``.
    """

    __module__ = "dub_uplink"

    def __init__(self, fetch: Callable[[Query], list[Customer]], traversal: Traversal) -> None:
        self._fetch = fetch
        self._traversal = traversal
        # Re-entrant: a signal handler may read the cursor in the thread that fetches a page.
        self._lock = threading.RLock()

    @property
    def cursor(self) -> str:
        """The position after the last customer that the iteration returned, as an opaque string.

        ``iterate(cursor=…)`` with the same filters continues after that customer. If several
        threads share the iterator, the customers of all threads count as returned.
        """
        with self._lock:
            return self._traversal.cursor

    def __next__(self) -> Customer:
        traversal = self._traversal
        with self._lock:
            while isinstance(step := traversal.step(), Fetch):
                traversal.receive_page(fetch_unless_cursor_lost(self._fetch, step))
        if step is None:
            raise StopIteration
        return step


def start_traversal(query: Query, cursor: str | None) -> Traversal:
    """Return a traversal of a list.

    Args:
        query: the query parameters of the list, with the server's names.
        cursor: the ``cursor`` of an earlier traversal with the same query, or ``None``.

    Raises:
        ValueError: ``cursor`` is not valid, or belongs to a list with other filters.
    """
    size = query.get("pageSize", DEFAULT_PAGE_SIZE)
    if is_paged_by_number(query):
        return OffsetTraversal(query, size, LAST_PAGE, cursor)
    return CursorTraversal(query, size, cursor)


def fetch_unless_cursor_lost(
    fetch: Callable[[Query], list[Customer]], step: Fetch
) -> list[Customer] | None:
    """Fetch the page of a step. Return ``None`` if the cursor is the id of a deleted customer."""
    try:
        return fetch(step.query)
    except UnprocessableEntity as error:
        if not is_lost_cursor(step, error):
            raise
        return None


def is_lost_cursor(step: Fetch, error: UnprocessableEntity) -> bool:
    """Return whether the error of a step says that the cursor is the id of a deleted customer."""
    return step.has_cursor and error.message.startswith("Invalid cursor")
