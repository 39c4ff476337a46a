"""Asynchronous pages of customers, and the asynchronous iterator over all customers."""

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
    """A :class:`~dub_uplink.CustomerPage` whose ``next()`` is a coroutine function."""

    __module__ = "dub_uplink"

    def __init__(self, customers: Iterable[Customer], query: Query, fetch: AsyncFetch) -> None:
        super().__init__(customers, query, fetch)  # type: ignore[arg-type]
        self._fetch_page = fetch

    async def next(self) -> AsyncCustomerPage | None:  # type: ignore[override]
        """See :meth:`CustomerPage.next`."""
        return await self._fetch_page(next_query(self.query, self)) if self.has_next else None


class AsyncCustomerIterator(AsyncIterator[Customer]):
    """Iterate over every customer of a list once; see ``AsyncCustomersConsumer.iterate``.

    Several tasks may share one iterator. Each customer is returned to one task only.
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
        #: The query of the prefetched page, and the task that fetches the page. ``None`` if no page
        #: is prefetched.
        self._prefetched: tuple[Query, asyncio.Task[AsyncCustomerPage]] | None = None

    @property
    def cursor(self) -> str:
        """See :attr:`CustomerIterator.cursor`."""
        return self._traversal.cursor

    async def __anext__(self) -> Customer:
        async with self._lock:
            while not self._closed:
                step = self._traversal.step()
                if isinstance(step, Fetch):
                    self._traversal.receive_page(await self._fetch_step(step))
                elif step is None:
                    await self.aclose()
                else:
                    return step
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End the iteration, and cancel the request for a prefetched page."""
        self._closed = True
        await self._cancel_prefetch()

    async def _cancel_prefetch(self) -> None:
        prefetched, self._prefetched = self._prefetched, None
        if prefetched is not None:
            _, task = prefetched
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _fetch_step(self, step: Fetch) -> list[Customer] | None:
        try:
            page = await self._fetch_or_await_prefetched(step.query)
        except UnprocessableEntity as error:
            if not is_lost_cursor(step, error):
                raise
            return None
        page_size = self._query.get("pageSize", DEFAULT_PAGE_SIZE)
        is_full = len(page) >= page_size
        if self._prefetch and is_full and "endingBefore" not in step.query and not self._closed:
            await self._start_prefetch(next_query(page.query, page))
        return page

    async def _fetch_or_await_prefetched(self, query: Query) -> AsyncCustomerPage:
        if self._prefetched is None:
            return await self._fetch(query)
        prefetched_query, task = self._prefetched
        if prefetched_query != query:
            return await self._fetch(query)
        self._prefetched = None
        return await task

    async def _start_prefetch(self, query: Query) -> None:
        """Start a task that fetches the probable next page."""
        await self._cancel_prefetch()

        async def fetch() -> Any:
            return await self._fetch(query)

        self._prefetched = query, asyncio.create_task(fetch())
