"""What one thread does for all others: the exchanges with a storage, one after the other.

So nobody has to wait for a storage longer than it likes, whatever the library that reaches it does:
look a name up, connect, try again. And no interrupt stops an exchange in its middle.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from .._internal.fork_safety import ForkSafeLock

T = TypeVar("T")

_IDLE = 5.0  # seconds without an errand, after which the thread ends


class Errands:
    """A thread that is there while there is something to do.

    Where nothing was for ``interval`` seconds it calls ``look``, and again and again while that
    returns true.
    """

    def __init__(self, look: Callable[[], bool], interval: float) -> None:
        self._look = look
        self._interval = interval
        self._lock = ForkSafeLock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._process = os.getpid()

    def send(self, function: Callable[[], T]) -> Future[T]:
        """Have ``function`` called; its result."""
        future: Future[T] = Future()

        def job() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                came = function()
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                future.set_exception(error)
            else:
                future.set_result(came)

        self._put(job)
        return future

    def end(self) -> None:
        """Let the thread end once it has done what it was sent for."""
        if self._runs():
            self._put(None)

    def start(self) -> None:
        """Have the thread there, so that it looks."""
        if not self._runs():
            self._put(_nothing)

    def _runs(self) -> bool:
        return self._thread is not None and self._process == os.getpid()

    def _put(self, job: Callable[[], None] | None) -> None:
        with self._lock:
            if self._process != os.getpid():  # the thread and what it had to do are the parent's
                self._process = os.getpid()
                self._jobs, self._thread = queue.SimpleQueue(), None
            self._jobs.put(job)
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._work, args=(self._jobs,), name="dub_uplink_storage", daemon=True
                )
                self._thread.start()

    def _work(self, jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
        idle = 0.0
        while True:
            try:
                job = jobs.get(timeout=self._interval)
            except queue.Empty:
                idle = 0.0 if self._look() else idle + self._interval
            else:
                idle = _IDLE if job is None else 0.0
                if job is not None:
                    job()
                del job  # and what it knows of its caller
            if idle >= _IDLE:
                with self._lock:
                    if jobs.empty():
                        self._thread = None
                        return


async def ended_within(errand: Future[Any], seconds: float) -> None:
    """Wait until an errand has come to its end, so long at most.

    ``asyncio.wait`` of ``asyncio.wrap_future`` does the same and takes a tenth longer, for all.
    """
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    def ended(_: Future[Any]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(wake)

    late = loop.call_later(seconds, wake)
    errand.add_done_callback(ended)
    try:
        await waiter
    finally:
        late.cancel()


def _nothing() -> None:
    """An errand for its own sake."""
