"""Run batches of calls in threads; yield results in item order or in completion order.

The *source* of a batch is the iterable ``items``. A *cooldown* is a wait that the server requests
from one worker and that applies to all workers.
"""

from __future__ import annotations

import contextvars
import inspect
import os
import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import Future
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from ..models.errors import DubError
from .cooldown import BatchCancelled, Cooldown, current_cooldown

A = TypeVar("A")
R = TypeVar("R")
T = TypeVar("T")

SELF_CONSUMPTION_MESSAGE = "{} of a batch takes results from the same batch; take them elsewhere"

#: The batches whose source or call runs the current code: the key of each batch, and that part.
#: A context variable also covers nested batches, the asyncio tasks that a call starts, and eager
#: tasks, which run before ``asyncio.create_task`` returns.
enclosing_batches: contextvars.ContextVar[Mapping[object, str]] = contextvars.ContextVar(
    "dub_uplink_batches", default=MappingProxyType({})
)
#: A worker thread ends after this number of seconds without a call.
_IDLE_TIMEOUT = 1.0


def map_ordered(
    call: Callable[[A], R], items: Iterable[A], workers: int
) -> Generator[R | DubError | ValueError | TypeError, None, None]:
    """Call a function for each item in threads; yield results in the order of the items.

    The arguments and exceptions are those of :func:`map_unordered`.
    """
    check_batch(items, workers, "__iter__", "__getitem__")
    cooldown = Cooldown()
    return Batch(
        _run_batch(_capture_errors(call, cooldown), items, workers, cooldown, True), cooldown
    )


def map_unordered(
    call: Callable[[A], R], items: Iterable[A], workers: int = 8
) -> Generator[tuple[A, R | DubError | ValueError | TypeError], None, None]:
    """Call a function for each item in threads; yield (item, result) pairs as they complete.

    Use it for operations without a batch method, for example ``ensure``. A call that is retried for
    a minute does not delay other calls. If the server asks one worker to wait, all workers wait.

    At most ``workers`` items are read ahead of the results you take. Several threads may take
    results from one batch; each result goes to one thread. ``close()`` ends the waits of the
    workers and returns when the requests in flight have ended. No further request is sent.

    Args:
        call: a function that takes one item. It runs in a worker thread.
        items: an iterable, read in the thread that takes results. While that thread waits for the
            next item, it returns no results. A result that is ready is returned before the next
            item is read. If iterating raises an ``Exception``, you first get the results of the
            items already read, then the exception.
        workers: maximum number of calls in flight. If a thread cannot be started, the thread that
            takes the results makes the call.

    Returns:
        Pairs of an item and its result. A result is the return value of ``call``, or the
        ``DubError``, ``ValueError`` or ``TypeError`` that ``call`` raised. Any other exception ends
        the batch.

    Raises:
        TypeError: ``items`` is a string, a mapping or not iterable, or ``call`` is not callable.
            Also if ``call`` is a coroutine function; use :func:`amap_unordered` instead.
        ValueError: ``workers`` is not a whole number above 0.
        RuntimeError: ``items`` or ``call`` takes results from the same batch, or a forked child
            takes results from a batch of its parent.
    """
    check_batch(items, workers, "__iter__", "__getitem__")
    check_callable(call, "map_unordered()")
    if inspect.iscoroutinefunction(call):
        raise TypeError("map_unordered() got a coroutine function; use amap_unordered() instead")
    cooldown = Cooldown()
    capture = _capture_errors(call, cooldown)

    def call_and_pair(item: A) -> tuple[A, R | DubError | ValueError | TypeError]:
        return item, capture(item)

    return Batch(_run_batch(call_and_pair, items, workers, cooldown, False), cooldown)


def check_batch(items: object, workers: object, *methods: str) -> None:
    """Check the arguments of a batch before it reads an item.

    Args:
        items: the iterable of the batch.
        workers: maximum number of calls in flight.
        methods: names of methods. ``items`` must have at least one of the methods.

    Raises:
        TypeError: ``items`` is a string or a mapping, or has none of ``methods``.
        ValueError: ``workers`` is not a whole number above 0.
    """
    if isinstance(items, (str, bytes, bytearray, Mapping)) or not any(
        hasattr(type(items), method) for method in methods
    ):
        if hasattr(type(items), "__aiter__"):
            raise TypeError(
                "a batch of threads cannot read an asynchronous iterable; use AsyncDub, or"
                " amap_unordered()"
            )
        raise TypeError(
            f"a batch needs an iterable with one item for each call, not {type(items).__name__};"
            " put a single item in a list"
        )
    if not isinstance(workers, int) or workers < 1:
        raise ValueError(f"workers must be a whole number of 1 or more, not {workers!r}")


def check_callable(call: object, name: str) -> None:
    """Raise ``TypeError`` if ``call`` is not callable. The message starts with ``name``."""
    if not callable(call):
        raise TypeError(f"{name}: the first argument must be callable, not {type(call).__name__}")


class Batch(Generator[T, None, None]):
    """A generator from which several threads may take results at the same time.

    An ordinary generator raises ``ValueError: generator already executing`` in the second thread.
    """

    def __init__(self, results: Generator[T, None, None], cooldown: Cooldown) -> None:
        self._results = results
        self._cooldown = cooldown
        self._pid = os.getpid()
        # With this re-entrant lock, a source that takes results from its own batch gets an error.
        # With an ordinary lock, the source waits for itself forever.
        self._lock = threading.RLock()

    def send(self, value: None) -> T:
        """Return the next result."""
        # Check before locking, because a thread of the parent may have held the lock at the fork.
        if os.getpid() != self._pid:
            raise RuntimeError(
                "the batch was started in another process; start one in each process"
            )
        if self._cooldown in enclosing_batches.get():
            raise RuntimeError(SELF_CONSUMPTION_MESSAGE.format("a call"))
        with self._lock:
            if inspect.getgeneratorstate(self._results) == inspect.GEN_RUNNING:
                raise RuntimeError(SELF_CONSUMPTION_MESSAGE.format("the source"))
            return self._results.send(value)

    def throw(self, *error: Any) -> T:
        """Close the batch and raise the given exception."""
        with self._lock:
            return self._results.throw(*error)

    def close(self) -> None:
        """End the batch and wait for the calls in flight. Afterwards no request is sent."""
        if os.getpid() == self._pid:
            self._cooldown.cancel()  # before locking, because a waiting thread holds the lock
            with self._lock:
                self._results.close()


def _capture_errors(
    call: Callable[[A], R], cooldown: Cooldown
) -> Callable[[A], R | DubError | ValueError | TypeError]:
    """Wrap ``call``: share the cooldown of the batch, and return expected exceptions as values."""

    def capture(item: A) -> R | DubError | ValueError | TypeError:
        current_cooldown.set(cooldown)
        enclosing_batches.set({**enclosing_batches.get(), cooldown: "a call"})
        cooldown.check()
        try:
            return call(item)
        except (DubError, ValueError, TypeError) as error:
            return error

    return capture


def _run_batch(
    function: Callable[[A], T],
    items: Iterable[A],
    workers: int,
    cooldown: Cooldown,
    ordered: bool,
) -> Generator[T, None, None]:
    pid = os.getpid()
    threads: WorkerThreads[T] = WorkerThreads()
    pending: dict[Future[T], None] = {}  # in the order of the items
    completed: queue.SimpleQueue[Future[T]] = queue.SimpleQueue()
    source_errors: list[Exception] = []

    def is_ready() -> bool:
        return next(iter(pending)).done() if ordered else not completed.empty()

    def next_result() -> T:
        future = next(iter(pending)) if ordered else completed.get()
        del pending[future]
        try:
            return future.result()
        finally:
            del future  # avoids a reference cycle of exception, traceback and future

    try:
        for item in _read_items(items, source_errors):
            future: Future[T] = Future()
            pending[future] = None
            if not ordered:
                future.add_done_callback(completed.put)
            threads.submit(future, function, item)
            # Yield a ready result before the next item is read, because the source may be slow.
            if len(pending) == workers or is_ready():
                yield next_result()
        while pending:
            yield next_result()
        if source_errors:
            raise source_errors.pop()
    except BatchCancelled:
        pass  # another thread closed the batch while this thread waited for a result
    finally:
        if os.getpid() == pid:
            cooldown.cancel()
            threads.shutdown()


def _read_items(items: Iterable[A], errors: list[Exception]) -> Iterator[A]:
    """Yield the items. If the source raises an exception, append it to ``errors``."""
    try:
        # Do not use `yield from`: closing the batch would then close the caller's generator.
        for item in items:  # noqa: UP028
            yield item
    except Exception as error:  # noqa: BLE001 - raised after the results
        errors.append(error)


class WorkerThreads(Generic[T]):
    """A thread pool that starts threads on demand and ends idle threads.

    ``ThreadPoolExecutor`` rejects calls after the main thread has ended, but another thread may
    still take results of a batch then.
    """

    def __init__(self) -> None:
        self._tasks: queue.SimpleQueue[tuple[Future[T], Callable[[], T]] | None] = (
            queue.SimpleQueue()
        )
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._idle_count = 0  # threads that wait for a task, minus tasks in the queue

    def submit(self, future: Future[T], function: Callable[[A], T], item: A) -> None:
        """Call a function in a thread and set its result on ``future``.

        If no thread can be started, call the function in the current thread.
        """
        # With a copy, the call can read the caller's context variables but cannot change them.
        context = contextvars.copy_context()

        def task() -> T:
            return context.run(function, item)

        with self._lock:
            if self._idle_count:
                self._idle_count -= 1
                self._tasks.put((future, task))
                return
        thread = threading.Thread(target=self._work, args=(future, task), name="dub_uplink")
        try:
            thread.start()
        except RuntimeError:
            try:
                result = task()
            except Exception as error:  # noqa: BLE001 - handled as in a thread
                future.set_exception(error)
            else:
                future.set_result(result)
        else:
            self._threads = [*filter(threading.Thread.is_alive, self._threads), thread]

    def shutdown(self) -> None:
        """End the threads and wait for their current calls."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            # The garbage collector may call this method in a worker thread.
            if thread is not threading.current_thread():
                thread.join()

    def _work(self, future: Future[T], task: Callable[[], T]) -> None:
        while True:
            try:
                result = task()
            except BaseException as error:  # noqa: BLE001 - raised where the result is taken
                self._count_as_idle()
                future.set_exception(error)
            else:
                self._count_as_idle()
                future.set_result(result)
                del result
            del future, task
            next_task = self._next_task()
            if next_task is None:
                return
            future, task = next_task

    def _count_as_idle(self) -> None:
        # Called before the result is set. The thread that waits for the result then finds this
        # thread idle, and can submit its next task to it.
        with self._lock:
            self._idle_count += 1

    def _next_task(self) -> tuple[Future[T], Callable[[], T]] | None:
        while True:
            try:
                return self._tasks.get(timeout=_IDLE_TIMEOUT)
            except queue.Empty:
                with self._lock:
                    if self._idle_count:
                        self._idle_count -= 1
                        return None
                # submit() has reserved this thread just before the timeout. Wait for its task.
