"""Run batches of calls in asyncio tasks; yield results in item order or in completion order.

The *source* of a batch is the iterable ``items``. A *consumer* is a task that takes results.
A *cooldown* is a wait that the server requests from one call and that applies to all calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    Awaitable,
    Callable,
    Iterable,
)
from typing import Any, Generic, TypeVar, cast

from ..models.errors import DubError
from .cooldown import Cooldown, current_cooldown
from .threads import (
    SELF_CONSUMPTION_MESSAGE,
    check_batch,
    check_callable,
    enclosing_batches,
)

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")


def map_ordered(
    call: Callable[[A], Awaitable[R]], items: Iterable[A] | AsyncIterable[A], workers: int
) -> AsyncGenerator[R | DubError | ValueError | TypeError, None]:
    """Call a coroutine function for each item in tasks; yield results in the order of the items.

    The arguments and exceptions are those of :func:`amap_unordered`.
    """
    check_batch(items, workers, "__iter__", "__getitem__", "__aiter__")
    return AsyncBatch(_BatchTasks(_capture_errors(call), items, workers, ordered=True))


def amap_unordered(
    call: Callable[[A], Awaitable[R]], items: Iterable[A] | AsyncIterable[A], workers: int = 8
) -> AsyncGenerator[tuple[A, R | DubError | ValueError | TypeError], None]:
    """Call a coroutine function for each item in tasks; yield (item, result) pairs when ready.

    This is the asynchronous version of :func:`map_unordered`. ``aclose()`` cancels the calls in
    flight. Several tasks may take results from one batch. If a task is cancelled while it
    waits for a result, no result is lost.

    Args:
        call: a coroutine function that takes one item.
        items: an iterable or an asynchronous iterable, read in a separate task as you take
            results. If iterating raises an exception, you first get the results of the items
            already read, then the exception.
        workers: maximum number of calls in flight.

    Returns:
        Pairs of an item and its result. A result is the return value of ``call``, or the
        ``DubError``, ``ValueError`` or ``TypeError`` that ``call`` raised. Any other exception ends
        the batch.

    Raises:
        TypeError: ``items`` is a string, a mapping or not iterable, or ``call`` is not callable.
            If ``call`` does not return an awaitable, taking the result raises ``TypeError``.
        ValueError: ``workers`` is not a whole number above 0.
        RuntimeError: ``items`` or ``call`` takes results from the same batch.
    """
    check_batch(items, workers, "__iter__", "__getitem__", "__aiter__")
    check_callable(call, "amap_unordered()")
    capture = _capture_errors(call)

    async def call_and_pair(item: A) -> tuple[A, R | DubError | ValueError | TypeError]:
        return item, await capture(item)

    return AsyncBatch(_BatchTasks(call_and_pair, items, workers, ordered=False))


class AsyncBatch(AsyncGenerator[T, None]):
    """An asynchronous generator from which several tasks may take results at the same time.

    An ordinary asynchronous generator raises an error in the second task, and ends if a waiting
    task is cancelled.
    """

    def __init__(self, batch_tasks: _BatchTasks[Any, T]) -> None:
        self._batch_tasks = batch_tasks
        self._lock = asyncio.Lock()
        #: The task of the next result. It stays here if the consumer is cancelled.
        self._next_task: asyncio.Task[T] | None = None
        #: Whether the last result still occupies a slot; see ``_BatchTasks.slots``.
        self._holds_slot = False

    async def asend(self, value: None) -> T:
        """Return the next result."""
        batch_tasks = self._batch_tasks
        batch_tasks.check_consumer()  # before locking, because a waiting consumer holds the lock
        async with self._lock:
            batch_tasks.start()
            if self._holds_slot:
                self._holds_slot = False
                batch_tasks.slots.release()
            if self._next_task is None and not batch_tasks.is_ended:
                self._next_task = await batch_tasks.results.get()
            if self._next_task is not None and not batch_tasks.is_ended:
                await asyncio.wait({self._next_task})
            task, self._next_task = self._next_task, None
            if batch_tasks.is_ended:
                raise StopAsyncIteration
            if task is None:
                batch_tasks.is_ended = True
                raise batch_tasks.source_error or StopAsyncIteration
            self._holds_slot = True
            try:
                return task.result()
            except BaseException:
                await self.aclose()
                raise
            finally:
                del task  # avoids a reference cycle of exception, traceback and task

    async def athrow(self, typ: Any, val: Any = None, tb: Any = None) -> T:
        """Close the batch and raise the given exception."""
        await self.aclose()
        raise typ if val is None else val

    async def aclose(self) -> None:
        """Cancel the calls in flight and wait until they have ended."""
        tasks = self._batch_tasks.cancel() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)

    def __del__(self) -> None:
        self._batch_tasks.cancel_from_any_thread()


class _BatchTasks(Generic[A, T]):
    """The tasks of a batch: one task that reads the source, and one task for each call.

    The tasks do not refer to the ``AsyncBatch``. Therefore an ``AsyncBatch`` can be
    garbage-collected while its tasks run. It then cancels the tasks.
    """

    def __init__(
        self,
        function: Callable[[A], Awaitable[T]],
        items: Iterable[A] | AsyncIterable[A],
        workers: int,
        *,
        ordered: bool,
    ) -> None:
        #: The key of this batch in ``enclosing_batches``. A context may outlive the batch.
        self._key = object()
        self._function = function
        self._items = items
        self._ordered = ordered
        self._running_calls: set[asyncio.Task[T]] = set()
        self._reader: asyncio.Task[None] | None = None
        #: Each item in progress occupies a slot. An item is in progress until the consumer has
        #: taken its result and asks for the next result.
        self.slots = asyncio.Semaphore(workers)
        #: The tasks in the order of the results, then ``None``.
        self.results: asyncio.Queue[asyncio.Task[T] | None] = asyncio.Queue()
        self.source_error: BaseException | None = None
        self.is_ended = False

    def start(self) -> None:
        """Start the task that reads the source, unless it was started or the batch has ended."""
        if self._reader is None and not self.is_ended:
            self._reader = asyncio.create_task(self._read_source())

    def check_consumer(self) -> None:
        """Raise ``RuntimeError`` if the current code runs in the source or a call of this batch."""
        part = enclosing_batches.get().get(self._key)
        if part is not None:
            raise RuntimeError(SELF_CONSUMPTION_MESSAGE.format(part))

    def _enter_batch_context(self, part: str) -> None:
        enclosing_batches.set({**enclosing_batches.get(), self._key: part})

    def cancel(self) -> set[asyncio.Task[Any]]:
        """End the batch and return the tasks that were cancelled."""
        self.is_ended = True
        self.results.put_nowait(None)  # wakes a waiting consumer
        tasks: set[asyncio.Task[Any]] = {*self._running_calls}
        if self._reader is not None:
            tasks.add(self._reader)
        for task in tasks:
            task.cancel()
        return tasks

    def cancel_from_any_thread(self) -> None:
        """Cancel the tasks from any thread. Do not wait for their end."""
        if self._reader is not None and not self.is_ended:
            loop = self._reader.get_loop()
            if not loop.is_closed():
                loop.call_soon_threadsafe(self.cancel)

    async def _read_source(self) -> None:
        self._enter_batch_context("the source")
        # One task reads the whole source, because a timeout or a task group of the source must be
        # entered and left in one task.
        try:
            await self.slots.acquire()
            async with contextlib.aclosing(_iterate(self._items)) as items:
                async for item in items:
                    task = asyncio.create_task(self._call(item))
                    self._running_calls.add(task)
                    if self._ordered:
                        self.results.put_nowait(task)
                    task.add_done_callback(self._handle_done_call)
                    await self.slots.acquire()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - raised later
            self.source_error = error
        finally:
            if self._running_calls and not self._ordered and not self.is_ended:
                await asyncio.wait(self._running_calls)
            self.results.put_nowait(None)

    def _handle_done_call(self, task: asyncio.Task[T]) -> None:
        self._running_calls.discard(task)
        if not self._ordered:
            self.results.put_nowait(task)
        if not task.cancelled():
            task.exception()  # otherwise asyncio logs an exception that no code has retrieved

    async def _call(self, item: A) -> T:
        self._enter_batch_context("a call")
        return await self._function(item)


def _capture_errors(
    call: Callable[[A], Awaitable[R]],
) -> Callable[[A], Awaitable[R | DubError | ValueError | TypeError]]:
    """Wrap ``call``: share the cooldown of the batch, and return expected exceptions as values."""
    cooldown = Cooldown()

    async def capture(item: A) -> R | DubError | ValueError | TypeError:
        current_cooldown.set(cooldown)  # only for the task of this call
        try:
            result: Any = call(item)
            if inspect.isawaitable(result):
                return cast("R", await result)
        except (DubError, ValueError, TypeError) as error:
            return error
        raise TypeError(
            "amap_unordered() needs a coroutine function, but the call returned"
            f" {type(result).__name__}; use map_unordered() for regular functions"
        )

    return capture


async def _iterate(items: Iterable[A] | AsyncIterable[A]) -> AsyncGenerator[A, None]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
