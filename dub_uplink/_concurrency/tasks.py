"""Many awaited calls, a few in flight: lazy, in order, bounded."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import TypeVar

from ..models.errors import DubError
from .cooldown import Cooldown, current_cooldown

A = TypeVar("A")
R = TypeVar("R")


async def map_ordered(
    call: Callable[[A], Awaitable[R]], items: Iterable[A], workers: int
) -> AsyncIterator[R | DubError | ValueError | TypeError]:
    """The results of ``call`` for each item, in the items' order, each a value or its error.

    The asynchronous ``map_ordered``. Ending the iteration cancels what is in flight.
    """
    cooldown = Cooldown()

    async def one(item: A) -> R | DubError | ValueError | TypeError:
        current_cooldown.set(cooldown)  # of this task's own context
        try:
            return await call(item)
        except (DubError, ValueError, TypeError) as error:
            return error

    pending: deque[asyncio.Task[R | DubError | ValueError | TypeError]] = deque()
    try:
        for item in items:
            pending.append(asyncio.create_task(one(item)))
            if len(pending) == workers:
                yield await pending[0]
                pending.popleft()
        while pending:
            yield await pending[0]
            pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
