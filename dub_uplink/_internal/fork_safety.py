"""Provide a lock that is unlocked in a forked process."""

from __future__ import annotations

import os
import threading


class ForkSafeLock:
    """A lock that is unlocked in a forked child, even if a thread of the parent holds it."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        pid = os.getpid()
        lock = self._locks.get(pid)
        if lock is None:
            # setdefault() is atomic, so all threads of a process use one lock.
            lock = self._locks.setdefault(pid, threading.Lock())
        lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._locks[os.getpid()].release()
