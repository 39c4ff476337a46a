"""Locks that a forked process does not inherit in a locked state."""

from __future__ import annotations

import os
import threading


class ForkSafeLock:
    """A lock that a forked child finds free, whichever thread of its parent held it."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        pid = os.getpid()
        lock = self._locks.get(pid)
        if lock is None:
            # Atomic: threads that enter first at the same time use one lock.
            lock = self._locks.setdefault(pid, threading.Lock())
        lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._locks[os.getpid()].release()
