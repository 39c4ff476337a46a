"""Find every customer of a list exactly once. This module does no I/O.

For the server, a cursor is the id of the customer before or after a page. The attribute ``cursor``
of a traversal is different: it is text that contains the state of the traversal.

The server orders a list without a cursor by ``createdAt``, and a list with a cursor by id. Ids
ascend in time. The two orders differ if a customer is back-dated: its ``createdAt`` is earlier than
the time in its id. A simple loop requests each page after the last customer of the previous page.
The loop may miss a back-dated customer, and may return another customer twice.
``docs/ordering.rst`` has an example.

:class:`CursorTraversal` therefore starts with the first page. The last customer of that page is the
anchor. From the anchor, the traversal follows the server's cursors in both directions: backward to
the start of the list, and forward to its end. Every other customer lies in exactly one direction.
The ids of the first page are remembered, so that no customer is returned twice. Without back-dated
customers, the backward direction is one page without new customers.

The caller may delete each customer that it receives, and the server rejects the id of a deleted
customer as a cursor. The last customer of a page is therefore returned only after the next page has
arrived. If another client deletes the last customer, the traversal uses an earlier customer of the
page as the cursor. If all customers of the page are deleted, the traversal restarts. After the
restart it skips the covered ranges: ranges of ids whose customers were all returned before.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..models.components import Customer
from ..models.errors import PageLimitReached

Query = Mapping[str, Any]
Page = list[Customer]


class PageQuery(dict[str, Any]):
    """The query of a following page: a validated query with a cursor or a page number.

    The query is not validated again, because validation takes 5 % of the time of a page fetch.
    """


@dataclass(frozen=True)
class Fetch:
    """A step of a traversal: fetch the page for ``query``."""

    query: Query

    @property
    def has_cursor(self) -> bool:
        """Whether the query has a cursor. The server rejects the id of a deleted customer."""
        return "startingAfter" in self.query or "endingBefore" in self.query


class CursorLost(Exception):
    """Every customer that could be the next cursor is deleted."""


class FilterMismatch(ValueError):
    """The filters of the caller's cursor differ from the filters of this iteration."""


#: The query parameter for the page before or after a customer, in the order of the list.
Direction = Literal["endingBefore", "startingAfter"]
BACKWARD: Direction = "endingBefore"
FORWARD: Direction = "startingAfter"
_FIRST_PAGE = "first"
_URLSAFE_BASE64 = re.compile(r"[A-Za-z0-9_-]*={0,2}")

#: A generator of pages to fetch and lists of customers. Yielding single customers takes twice as
#: long as yielding lists.
Steps = Generator["Fetch | Page", "Page | None", None]


class Traversal(ABC):
    """The steps through a list. A step is a page to fetch, or a customer to return."""

    def __init__(self, query: Query, cursor: str | None) -> None:
        self._query = query
        if cursor is not None:
            try:
                self._restore_state(self._decode_cursor(cursor))
            except FilterMismatch:
                raise
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                raise ValueError(
                    "cursor is not valid: pass iterate().cursor of an earlier iteration, unchanged"
                ) from None
        self._steps = self._generate_steps()
        self._pending_fetch: Fetch | None = None
        self._customers: Iterator[Customer] = iter(())

    def step(self) -> Fetch | Customer | None:
        """Return the next step, or ``None`` at the end.

        A ``Fetch`` is returned again until :meth:`receive_page` is called.
        """
        while self._pending_fetch is None:
            for customer in self._customers:
                self._mark_returned(customer)
                return customer
            if not self._advance(None):
                return None
        return self._pending_fetch

    def receive_page(self, page: Page | None) -> None:
        """Continue with the fetched page, or with ``None`` if the server rejected the cursor."""
        self._advance(page)

    @property
    def cursor(self) -> str:
        """The position after the last customer that was returned, as an opaque string."""
        state = json.dumps([self._query, self._get_state()], separators=(",", ":"))
        return base64.urlsafe_b64encode(state.encode()).decode()

    def _decode_cursor(self, cursor: str) -> Any:
        if not _URLSAFE_BASE64.fullmatch(cursor):  # Python 3.15 warns about "+" and "/"
            raise ValueError("not URL-safe base64")
        query, state = json.loads(base64.urlsafe_b64decode(cursor))
        if query != self._query:
            raise FilterMismatch(
                f"cursor belongs to an iteration with the filters {query}; pass the same filters"
            )
        return state

    def _advance(self, page: Page | None) -> bool:
        """Continue to the next page or to the next customers; return whether one exists."""
        self._pending_fetch = None  # stays None at the end, and after PageLimitReached
        try:
            step = self._steps.send(page)
        except StopIteration:
            return False
        if isinstance(step, Fetch):
            self._pending_fetch = step
        else:
            self._customers = iter(step)
        return True

    @abstractmethod
    def _generate_steps(self) -> Steps: ...

    @abstractmethod
    def _mark_returned(self, customer: Customer) -> None: ...

    @abstractmethod
    def _get_state(self) -> Any: ...

    @abstractmethod
    def _restore_state(self, state: Any) -> None: ...


class CursorTraversal(Traversal):
    """Traverse a list by id, in both directions from an anchor on the first page."""

    def __init__(self, query: Query, page_size: int, cursor: str | None = None) -> None:
        self._page_size = page_size
        self._is_descending = query.get("sortOrder", "desc") == "desc"
        #: The part of the list that is traversed now: the first page, or a direction.
        self._phase: str = _FIRST_PAGE
        #: The id of the last customer returned in each direction.
        self._last_returned: dict[Direction, str] = {}
        #: The ids of the customers returned from the first page, before and after restarts.
        self._returned_ids: set[str] = set()
        #: The lowest and highest id of each range covered before a restart. ``None``: no limit.
        self._covered_ranges: list[tuple[str | None, str | None]] = []
        #: The ids of the current page. The next page repeats some of these ids if the cursor was
        #: not the last customer of the current page.
        self._current_page_ids: frozenset[str] = frozenset()
        #: The page after the anchor. It is fetched before the backward direction is traversed.
        self._page_after_anchor: Page | None = None
        #: The latest ``createdAt`` at the start. The backward direction skips customers created
        #: later. Therefore an iteration ends even if the caller creates a customer in each step.
        self._newest_created_at: dt.datetime | None = None
        super().__init__(query, cursor)

    def _generate_steps(self) -> Steps:
        while True:
            try:
                if self._phase == _FIRST_PAGE and (yield from self._traverse_first_page()):
                    return
                if self._phase == BACKWARD:
                    yield from self._resume_direction(BACKWARD)
                    self._phase = FORWARD
                yield from self._resume_direction(FORWARD)
            except CursorLost:
                self._restart()
            else:
                return

    def _traverse_first_page(self) -> Generator[Fetch | Page, Page | None, bool]:
        """Yield the first page and the pages before the anchor.

        Return whether the first page is the only page.
        """
        page = (yield Fetch(self._query)) or []
        if len(page) < self._page_size:
            yield self._drop_returned(page)
            return True
        if self._is_descending:
            self._newest_created_at = page[0].created_at
        yield self._drop_returned(page[:-1])
        for anchor in _cursor_candidates([customer.id for customer in page]):
            page_before = yield self._make_fetch(BACKWARD, anchor)
            if page_before is None:
                continue
            page_after = yield self._make_fetch(FORWARD, anchor)
            if page_after is None:
                continue
            yield self._drop_returned(page[-1:])
            self._current_page_ids = frozenset(customer.id for customer in page)
            self._last_returned = {BACKWARD: anchor, FORWARD: anchor}
            self._phase = BACKWARD
            yield from self._follow_cursors(BACKWARD, page_before)
            self._phase, self._page_after_anchor = FORWARD, page_after
            return False
        raise CursorLost

    def _resume_direction(self, direction: Direction) -> Steps:
        """Yield the customers beyond the last returned customer of a direction."""
        page, self._page_after_anchor = self._page_after_anchor, None
        last_id = self._last_returned[direction]
        if page is None:
            if self._is_covered_beyond(direction, last_id):
                return
            # Not a PageQuery: an id from the caller's cursor must be validated.
            page = yield Fetch({**self._query, direction: last_id})
            if page is None:
                raise CursorLost
        yield from self._follow_cursors(direction, page)

    def _follow_cursors(self, direction: Direction, page: Page) -> Steps:
        """Yield a page and the following pages in a direction."""
        while True:
            customers = page
            if direction == BACKWARD:
                customers = [
                    customer
                    for customer in reversed(page)
                    if not self._is_created_after_start(customer)
                ]
            if not customers:
                return
            if len(page) < self._page_size or self._is_covered_beyond(direction, customers[-1].id):
                yield self._drop_returned(customers)
                return
            yield self._drop_returned(customers[:-1])
            ids = [customer.id for customer in customers]
            for cursor in _cursor_candidates(ids):
                following = yield self._make_fetch(direction, cursor)
                if following is not None:
                    break
            else:
                raise CursorLost
            yield self._drop_returned(customers[-1:])
            self._current_page_ids = frozenset(ids)
            page = following

    def _make_fetch(self, direction: Direction, cursor: str) -> Fetch:
        return Fetch(PageQuery({**self._query, direction: cursor}))

    def _drop_returned(self, customers: Page) -> Page:
        customers = [
            customer
            for customer in customers
            if customer.id not in self._returned_ids and customer.id not in self._current_page_ids
        ]
        for lowest, highest in self._covered_ranges:
            customers = [c for c in customers if not _is_between(c.id, lowest, highest)]
        return customers

    def _is_created_after_start(self, customer: Customer) -> bool:
        created = customer.created_at
        return (
            created is not None
            and self._newest_created_at is not None
            and created > self._newest_created_at
        )

    def _is_covered_beyond(self, direction: Direction, customer_id: str) -> bool:
        """Return whether all ids beyond this id in a direction were covered before a restart."""
        # A range is a pair of its lowest and its highest id.
        end_index = 1 if (direction == BACKWARD) is self._is_descending else 0
        return any(
            covered[end_index] is None and _is_between(customer_id, *covered)
            for covered in self._covered_ranges
        )

    def _restart(self) -> None:
        if self._phase != _FIRST_PAGE:
            # The backward direction is traversed first, so it is complete in the forward phase.
            backward_end = self._last_returned[BACKWARD] if self._phase == BACKWARD else None
            forward_end = self._last_returned[FORWARD]
            ends = (
                (forward_end, backward_end) if self._is_descending else (backward_end, forward_end)
            )
            self._covered_ranges.append(ends)
        self._phase, self._page_after_anchor = _FIRST_PAGE, None
        self._current_page_ids = frozenset()

    def _mark_returned(self, customer: Customer) -> None:
        if self._phase == _FIRST_PAGE:
            self._returned_ids.add(customer.id)
        elif self._phase == BACKWARD:
            self._last_returned[BACKWARD] = customer.id
        else:
            self._last_returned[FORWARD] = customer.id

    def _get_state(self) -> Any:
        newest = None if self._newest_created_at is None else self._newest_created_at.isoformat()
        return [
            self._phase,
            self._last_returned,
            sorted(self._returned_ids),
            self._covered_ranges,
            newest,
        ]

    def _restore_state(self, state: Any) -> None:
        self._phase, self._last_returned, seen, covered, newest = state
        self._newest_created_at = None if newest is None else dt.datetime.fromisoformat(newest)
        self._returned_ids = set(seen)
        self._covered_ranges = [(lowest, highest) for lowest, highest in covered]


def _is_between(customer_id: str, lowest: str | None, highest: str | None) -> bool:
    return (lowest is None or lowest <= customer_id) and (highest is None or customer_id <= highest)


def _cursor_candidates(ids: list[str]) -> Iterator[str]:
    """Yield the ids to try as a cursor, from the last to the first, in growing steps."""
    from_end = 1
    while from_end < len(ids):
        yield ids[-from_end]
        from_end += max(1, from_end // 2)
    yield ids[0]


class OffsetTraversal(Traversal):
    """Traverse a list by page number. Cursors support only the order ``createdAt``.

    A customer that moves to the next page during the traversal is returned once. A customer that
    moves to an earlier page, for example after the deletion of other customers, may be missed.
    """

    def __init__(
        self, query: Query, page_size: int, last_page: int, cursor: str | None = None
    ) -> None:
        self._page_size = page_size
        self._last_page = last_page
        self._page_number = 1
        #: The ids of the customers returned from the current page and from the page before it.
        self._returned_ids: dict[str, None] = {}
        super().__init__(query, cursor)

    def _generate_steps(self) -> Steps:
        page = (yield Fetch({**self._query, "page": self._page_number})) or []
        while True:
            is_last = len(page) < self._page_size
            yield self._drop_returned(page if is_last else page[:-1])
            if is_last:
                return
            if self._page_number >= self._last_page:
                yield self._drop_returned(page[-1:])
                raise PageLimitReached(
                    f"the server returns no page after number {self._last_page}, and more customers"
                    " may exist; add a filter, or leave out sort_by"
                )
            following = (
                yield Fetch(PageQuery({**self._query, "page": self._page_number + 1}))
            ) or []
            yield self._drop_returned(page[-1:])
            self._page_number += 1
            self._returned_ids = dict.fromkeys(customer.id for customer in page)
            page = following

    def _drop_returned(self, customers: Page) -> Page:
        return [customer for customer in customers if customer.id not in self._returned_ids]

    def _mark_returned(self, customer: Customer) -> None:
        self._returned_ids[customer.id] = None

    def _get_state(self) -> Any:
        return [self._page_number, list(self._returned_ids)]

    def _restore_state(self, state: Any) -> None:
        self._page_number, seen = state
        self._returned_ids = dict.fromkeys(seen)
