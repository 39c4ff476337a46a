"""Many calls through a few threads: lazy, in order, bounded.

Knows neither customers nor HTTP.
"""

from __future__ import annotations

import contextvars
import os
import queue
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from ..models.errors import DubError
from .cooldown import Cooldown, current_cooldown

A = TypeVar("A")
R = TypeVar("R")


def check_workers(workers: int) -> int:
    """``workers``, if there can be so many.

    Raises:
        ValueError: it is no whole number above 0.
    """
    if isinstance(workers, float) or workers < 1:
        raise ValueError(f"workers must be 1 or more, not {workers!r}")
    return workers


def map_ordered(
    call: Callable[[A], R], items: Iterable[A], workers: int
) -> Iterator[R | DubError | ValueError | TypeError]:
    """The results of ``call`` for each item, in the items' order, each a value or its error.

    Not more than ``workers`` items are taken that have not been given back as results, so that
    the input is read no faster than the output. Ending the iteration, by an error or by letting go
    of it, ends the waits of the workers and sends nothing more.
    """
    cooldown = Cooldown()
    one = _caught(call, cooldown)
    pending: deque[Future[R | DubError | ValueError | TypeError]] = deque()
    process = os.getpid()

    def following() -> R | DubError | ValueError | TypeError:
        _check_process(process)
        return pending.popleft().result()

    source = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="dub_uplink") as pool:
        try:
            for item in source:
                # A context of its own, so that the caller's variables are there and ours go.
                pending.append(pool.submit(contextvars.copy_context().run, one, item))
                if len(pending) == workers:
                    yield following()
            while pending:
                yield following()
        finally:
            cooldown.stop()
            for future in pending:
                future.cancel()


def map_unordered(
    call: Callable[[A], R], items: Iterable[A], workers: int = 8
) -> Generator[tuple[A, R | DubError | ValueError | TypeError]]:
    """Calls of any kind through a few threads: each item with its result, as soon as there is one.

    For what ``create_many`` and ``delete_many`` do not do, such as ``ensure`` for a whole table.
    One call that is tried again for a minute does not hold up those behind it; a rate limit that
    one of them runs into is waited out by all. Lazy: no more items are taken than there are
    workers. Ending the iteration, by an error or by ``close()``, ends the waits of the workers and
    sends nothing more.

    Args:
        call: is called with an item, in a thread.
        items: read as the results are taken.
        workers: how many calls are under way at once.

    Returns:
        Pairs of an item and what ``call`` returned for it, or the ``DubError``, ``ValueError`` or
        ``TypeError`` that it raised. Any other exception of it, or of ``items``, ends the
        iteration.

    Raises:
        ValueError: ``workers`` below 1, or no whole number.
        RuntimeError: it is iterated in a fork of the process that began it.
    """
    return _map_unordered(call, items, check_workers(workers))


def _map_unordered(
    call: Callable[[A], R], items: Iterable[A], workers: int
) -> Generator[tuple[A, R | DubError | ValueError | TypeError]]:
    cooldown = Cooldown()
    one = _caught(call, cooldown)
    ended: queue.SimpleQueue[Future[R | DubError | ValueError | TypeError]] = queue.SimpleQueue()
    running: dict[Future[R | DubError | ValueError | TypeError], A] = {}
    process = os.getpid()

    def following() -> tuple[A, R | DubError | ValueError | TypeError]:
        _check_process(process)
        future = ended.get()
        return running.pop(future), future.result()

    with ThreadPoolExecutor(workers, thread_name_prefix="dub_uplink") as pool:
        try:
            for item in items:
                future = pool.submit(contextvars.copy_context().run, one, item)
                running[future] = item
                future.add_done_callback(ended.put)
                if len(running) == workers:
                    yield following()
            while running:
                yield following()
        finally:
            cooldown.stop()
            for future in list(running):
                future.cancel()


def _check_process(begun_in: int) -> None:
    if os.getpid() != begun_in:
        raise RuntimeError(
            "this bulk was begun in another process, where its workers are; begin one in each"
        )


def _caught(
    call: Callable[[A], R], cooldown: Cooldown
) -> Callable[[A], R | DubError | ValueError | TypeError]:
    """``call`` as a worker makes it: within the cooldown of its bulk, its errors as values."""

    def one(item: A) -> R | DubError | ValueError | TypeError:
        current_cooldown.set(cooldown)
        try:
            return call(item)
        except (DubError, ValueError, TypeError) as error:
            return error

    return one
