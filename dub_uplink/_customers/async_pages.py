"""Pages of customers and the iterator over all of them, asynchronous."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

from ..models.components import Customer
from ..models.errors import UnprocessableEntity
from .pages import DEFAULT_PAGE_SIZE, CustomerPage, is_lost_cursor, next_query
from .traversal import Fetch, Query, Traversal

AsyncFetch = Callable[[Query], Awaitable["AsyncCustomerPage"]]


class AsyncCustomerPage(CustomerPage):
    """A :class:`~dub_uplink.CustomerPage` with a ``next()`` to await."""

    __module__ = "dub_uplink"

    def __init__(self, customers: Iterable[Customer], query: Query, fetch: AsyncFetch) -> None:
        super().__init__(customers, query, fetch)  # type: ignore[arg-type]
        self._fetch_page = fetch

    async def next(self) -> AsyncCustomerPage | None:  # type: ignore[override]
        """See :meth:`CustomerPage.next`."""
        return await self._fetch_page(next_query(self.query, self)) if self.has_next else None


class AsyncCustomerIterator(AsyncIterator[Customer]):
    """Every customer of a list, each exactly once; see ``AsyncCustomersConsumer.iterate``.

    Several tasks may take from one iterator: each customer goes to one of them.
    """

    __module__ = "dub_uplink"

    def __init__(
        self, fetch: AsyncFetch, traversal: Traversal, query: Query, *, prefetch: bool
    ) -> None:
        self._fetch = fetch
        self._traversal = traversal
        self._query = query
        self._prefetch = prefetch
        self._lock = asyncio.Lock()
        self._closed = False
        #: The query of the page that is being fetched ahead, and the task that fetches it.
        self._ahead: tuple[Query, asyncio.Task[AsyncCustomerPage]] | None = None

    @property
    def cursor(self) -> str:
        """See :attr:`CustomerIterator.cursor`."""
        return self._traversal.cursor

    async def __anext__(self) -> Customer:
        async with self._lock:
            while not self._closed:
                step = self._traversal.step()
                if isinstance(step, Fetch):
                    self._traversal.fetched(await self._page(step))
                elif step is None:
                    await self.aclose()
                else:
                    return step
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration, and the request that fetches a page ahead."""
        self._closed = True
        await self._cancel_ahead()

    async def _cancel_ahead(self) -> None:
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead[1].cancel()
            await asyncio.gather(ahead[1], return_exceptions=True)

    async def _page(self, step: Fetch) -> list[Customer] | None:
        try:
            page = await self._fetch_now_or_ahead(step.query)
        except UnprocessableEntity as error:
            if not is_lost_cursor(step, error):
                raise
            return None
        size = self._query.get("pageSize", DEFAULT_PAGE_SIZE)
        is_full = len(page) >= size
        if self._prefetch and is_full and "endingBefore" not in step.query and not self._closed:
            await self._fetch_ahead(next_query(page.query, page))
        return page

    async def _fetch_now_or_ahead(self, query: Query) -> AsyncCustomerPage:
        ahead = self._ahead
        if ahead is None or ahead[0] != query:
            return await self._fetch(query)
        self._ahead = None
        return await ahead[1]

    async def _fetch_ahead(self, query: Query) -> None:
        """Start to fetch the page that is most likely the next one."""
        await self._cancel_ahead()

        async def fetch() -> Any:
            return await self._fetch(query)

        self._ahead = query, asyncio.create_task(fetch())
