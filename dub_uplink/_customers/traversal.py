"""How to get at every customer exactly once, decided without I/O.

The server orders its first page by ``createdAt`` and the pages at a cursor by id. Customers whose
``createdAt`` was set back are on neither where one simply goes on, and those with a later one are
on both. So: take the first page, and from its last customer, the anchor, go both ways by id. Every
id but the anchor's is on exactly one of the two ways; those of the first page are known. Nearly
always the way back is a single page that holds nothing new.

A cursor must exist when it is used. Each page's last customer is therefore kept back until the page
after it is there, so that a caller may delete whatever he was given. Where somebody else deleted
it, the others of its page serve. Where all are gone, the traversal starts again and skips, by
comparing ids, what it has passed.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..models.components import Customer
from ..models.errors import PageLimitReached

Query = Mapping[str, Any]
Page = list[Customer]


@dataclass(frozen=True)
class Fetch:
    """A step: get the page of this query."""

    query: Query

    @property
    def has_cursor(self) -> bool:
        """Whether the page is one at a cursor, which may be gone."""
        return "startingAfter" in self.query or "endingBefore" in self.query


class CursorLost(Exception):
    """Neither the cursor nor any other customer of its page exists any more."""


class FilterMismatch(ValueError):
    """A cursor was taken from an iteration with other filters."""


#: Against the way the list goes, and along with it.
Direction = Literal["endingBefore", "startingAfter"]
BACKWARD: Direction = "endingBefore"
FORWARD: Direction = "startingAfter"
_FIRST = "first"

Steps = Generator["Fetch | Customer", "Page | None", None]


class Traversal(ABC):
    """The steps through a list: pages to fetch, customers to return, then ``None``."""

    def __init__(self, query: Query, cursor: str | None) -> None:
        self._query = query
        if cursor is not None:
            try:
                self._restore(self._read(cursor))
            except FilterMismatch:
                raise
            except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
                raise ValueError(
                    "cursor is not one that an iteration gave out; store iterate().cursor as it is"
                ) from None
        self._steps = self._walk()
        self._step: Fetch | Customer | None = None

    def step(self) -> Fetch | Customer | None:
        """What is next. A fetch stays next until :meth:`fetched`; a customer is taken."""
        if self._step is None:
            self._advance(None)
        step = self._step
        if isinstance(step, Customer):
            self._taken(step)
            self._step = None
        return step

    def fetched(self, page: Page | None) -> None:
        """Hand in the page that was asked for; ``None`` says that its cursor is gone."""
        self._advance(page)

    @property
    def cursor(self) -> str:
        """Where the traversal stands, behind the last customer taken."""
        state = json.dumps([self._query, self._state()], separators=(",", ":"))
        return base64.urlsafe_b64encode(state.encode()).decode()

    def _read(self, cursor: str) -> Any:
        query, state = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        if query != self._query:
            raise FilterMismatch(f"cursor belongs to an iteration with other filters: {query}")
        return state

    def _advance(self, page: Page | None) -> None:
        self._step = None  # also after the end, or when the page limit is an error
        try:
            step = self._steps.send(page)
        except StopIteration:
            return
        self._step = step

    @abstractmethod
    def _walk(self) -> Steps: ...

    @abstractmethod
    def _taken(self, customer: Customer) -> None: ...

    @abstractmethod
    def _state(self) -> Any: ...

    @abstractmethod
    def _restore(self, state: Any) -> None: ...


class CursorTraversal(Traversal):
    """By ids, both ways from an anchor on the first page."""

    def __init__(self, query: Query, page_size: int, cursor: str | None = None) -> None:
        self._size = page_size
        self._descending = query.get("sortOrder", "desc") == "desc"
        self._phase: str = _FIRST
        #: How far each way was gone: the id of the last customer on it.
        self._frontier: dict[Direction, str] = {}
        #: Ids returned from first pages; a page of them, and one more for each start anew.
        self._seen: set[str] = set()
        #: What was still to come at each start anew: any of these, for every one of them.
        self._restart_ranges: list[list[tuple[Direction, str]]] = []
        #: The page in hand when another customer had to serve as its cursor.
        self._recent: frozenset[str] = frozenset()
        self._ahead: Page | None = None
        #: The latest ``createdAt`` at the start: who is newer was created meanwhile, and the way
        #: back would not end while a caller creates a customer for each that he is given.
        self._newest: dt.datetime | None = None
        super().__init__(query, cursor)

    def _walk(self) -> Steps:
        while True:
            try:
                if self._phase == _FIRST and (yield from self._first_page()):
                    return
                if self._phase == BACKWARD:
                    yield from self._go(BACKWARD)
                    self._phase = FORWARD
                yield from self._go(FORWARD)
            except CursorLost:
                self._restart()
            else:
                return

    def _first_page(self) -> Generator[Fetch | Customer, Page | None, bool]:
        """Return the first page; whether it was all there is."""
        page = (yield Fetch(self._query)) or []
        if len(page) < self._size:
            yield from self._new(page)
            return True
        if self._descending:
            self._newest = page[0].created_at
        yield from self._new(page[:-1])
        for row in _candidates([row.id for row in page]):
            back = yield self._at(BACKWARD, row)
            on = None if back is None else (yield self._at(FORWARD, row))
            if back is None or on is None:
                continue
            yield from self._new(page[-1:])
            self._recent = frozenset(row.id for row in page)
            self._frontier = {BACKWARD: row, FORWARD: row}
            self._phase = BACKWARD
            yield from self._follow(BACKWARD, back)
            self._phase, self._ahead = FORWARD, on
            return False
        raise CursorLost

    def _go(self, direction: Direction) -> Steps:
        """Return what lies on one direction, from where it was left."""
        page, self._ahead = self._ahead, None
        if page is None:
            if not self._is_worth(direction, self._frontier[direction]):
                return
            page = yield self._at(direction, self._frontier[direction])
            if page is None:
                raise CursorLost
        yield from self._follow(direction, page)

    def _follow(self, direction: Direction, page: Page) -> Steps:
        """Return a page and those after it."""
        while True:
            rows = (
                page
                if direction == FORWARD
                else [row for row in page[::-1] if not self._is_newer(row)]
            )
            if not rows:
                return
            if len(page) < self._size or not self._is_worth(direction, rows[-1].id):
                yield from self._new(rows)
                return
            yield from self._new(rows[:-1])
            ids = [row.id for row in rows]
            for cursor in _candidates(ids):
                following = yield self._at(direction, cursor)
                if following is not None:
                    break
            else:
                raise CursorLost
            yield from self._new(rows[-1:])
            self._recent = frozenset(ids)
            page = following

    def _at(self, direction: Direction, cursor: str) -> Fetch:
        return Fetch({**self._query, direction: cursor})

    def _new(self, rows: Page) -> Steps:
        for row in rows:
            if self._is_wanted(row.id):
                yield row

    def _is_wanted(self, customer_id: str) -> bool:
        if customer_id in self._seen or customer_id in self._recent:
            return False
        return not self._restart_ranges or all(
            any(self._is_beyond(direction, edge, customer_id) for direction, edge in layer)
            for layer in self._restart_ranges
        )

    def _is_newer(self, customer: Customer) -> bool:
        created = customer.created_at
        return created is not None and self._newest is not None and created > self._newest

    def _is_worth(self, direction: Direction, edge: str) -> bool:
        """Whether anything wanted can lie further on this way."""
        return all(
            any(
                direction == wanted or self._is_beyond(wanted, start, edge)
                for wanted, start in layer
            )
            for layer in self._restart_ranges
        )

    def _is_beyond(self, direction: Direction, edge: str, customer_id: str) -> bool:
        """Whether an id comes after an edge on a way."""
        return (
            customer_id < edge if (direction == FORWARD) is self._descending else customer_id > edge
        )

    def _restart(self) -> None:
        if self._phase != _FIRST:
            directions = (BACKWARD, FORWARD) if self._phase == BACKWARD else (FORWARD,)
            self._restart_ranges.append(
                [(direction, self._frontier[direction]) for direction in directions]
            )
        self._phase, self._ahead, self._recent = _FIRST, None, frozenset()

    def _taken(self, customer: Customer) -> None:
        if self._phase == _FIRST:
            self._seen.add(customer.id)
        elif self._phase == BACKWARD:
            self._frontier[BACKWARD] = customer.id
        else:
            self._frontier[FORWARD] = customer.id

    def _state(self) -> Any:
        newest = None if self._newest is None else self._newest.isoformat()
        return [self._phase, self._frontier, sorted(self._seen), self._restart_ranges, newest]

    def _restore(self, state: Any) -> None:
        self._phase, self._frontier, seen, restart_ranges, newest = state
        self._newest = None if newest is None else dt.datetime.fromisoformat(newest)
        self._seen = set(seen)
        self._restart_ranges = [
            [(direction, edge) for direction, edge in layer] for layer in restart_ranges
        ]


def _candidates(ids: list[str]) -> Iterator[str]:
    """The ids to try as a cursor: the last, then further and further from it."""
    back = 1
    while back < len(ids):
        yield ids[-back]
        back += max(1, back // 2)
    yield ids[0]


class OffsetTraversal(Traversal):
    """By page numbers: the only way through an order that cursors do not know.

    A customer who moves up a page meanwhile is not returned again; one who moves down, or out of
    the way of a deletion, may be missed.
    """

    def __init__(
        self, query: Query, page_size: int, last_page: int, cursor: str | None = None
    ) -> None:
        self._size = page_size
        self._last_page = last_page
        self._page = 1
        #: Ids returned of this page and the one before it.
        self._seen: dict[str, None] = {}
        super().__init__(query, cursor)

    def _walk(self) -> Steps:
        page = (yield Fetch({**self._query, "page": self._page})) or []
        while True:
            is_last = len(page) < self._size
            yield from self._new(page if is_last else page[:-1])
            if is_last:
                return
            if self._page >= self._last_page:
                yield from self._new(page[-1:])
                raise PageLimitReached(
                    f"the server gives out no pages beyond number {self._last_page}, and there may"
                    " be more customers; narrow the list by a filter, or leave out sort_by"
                )
            following = (yield Fetch({**self._query, "page": self._page + 1})) or []
            yield from self._new(page[-1:])
            self._page += 1
            self._seen = dict.fromkeys(row.id for row in page)
            page = following

    def _new(self, rows: Page) -> Steps:
        for row in rows:
            if row.id not in self._seen:
                yield row

    def _taken(self, customer: Customer) -> None:
        self._seen[customer.id] = None

    def _state(self) -> Any:
        return [self._page, list(self._seen)]

    def _restore(self, state: Any) -> None:
        self._page, seen = state
        self._seen = dict.fromkeys(seen)
