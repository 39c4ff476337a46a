"""Many calls through a few threads: lazy, in order, bounded.

Knows neither customers nor HTTP. May import the pause.
"""

from __future__ import annotations

import contextvars
import os
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from .models.errors import DubError
from .pause import Pause, current_pause

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


def in_order(
    call: Callable[[A], R], items: Iterable[A], workers: int
) -> Iterator[R | DubError | ValueError | TypeError]:
    """The results of ``call`` for each item, in the items' order, each a value or its error.

    Not more than ``workers`` items are taken that have not been given back as results, so that
    the input is read no faster than the output. Ending the iteration, by an error or by letting go
    of it, ends the waits of the workers and sends nothing more.
    """
    pause = Pause()
    one = _caught(call, pause)
    pending: deque[Future[R | DubError | ValueError | TypeError]] = deque()
    process = os.getpid()

    def following() -> R | DubError | ValueError | TypeError:
        if os.getpid() != process:
            raise RuntimeError(
                "this bulk was begun in another process, where its workers are; begin one in each"
            )
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
            pause.stop()
            for future in pending:
                future.cancel()


def as_they_end(
    call: Callable[[A], R], items: Iterable[A], workers: int
) -> Iterator[tuple[A, R | DubError | ValueError | TypeError]]:
    """Each item with its result as soon as there is one; for the rest as :func:`in_order`.

    One that is tried again for a minute does not hold up those behind it.
    """
    pause = Pause()
    one = _caught(call, pause)
    ended: queue.SimpleQueue[Future[R | DubError | ValueError | TypeError]] = queue.SimpleQueue()
    running: dict[Future[R | DubError | ValueError | TypeError], A] = {}

    def following() -> tuple[A, R | DubError | ValueError | TypeError]:
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
            pause.stop()
            for future in list(running):
                future.cancel()


def _caught(
    call: Callable[[A], R], pause: Pause
) -> Callable[[A], R | DubError | ValueError | TypeError]:
    """``call`` as a worker makes it: within the pause of its bulk, its errors as values."""

    def one(item: A) -> R | DubError | ValueError | TypeError:
        current_pause.set(pause)
        try:
            return call(item)
        except (DubError, ValueError, TypeError) as error:
            return error

    return one
