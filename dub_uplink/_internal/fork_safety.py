"""Renew in a forked process what it must not share with its parent: sockets and locks."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_renewals: weakref.WeakKeyDictionary[Any, Callable[[Any], None]] = weakref.WeakKeyDictionary()


def after_fork_in_child(thing: T, renew: Callable[[T], None]) -> None:
    """Have ``renew(thing)`` called in every process that is forked off, before all else there.

    On a socket that two processes use, one is given the other's answers. And a child has no thread
    but the one that forked: a lock that another one held would be held for ever.
    """
    _renewals[thing] = renew


def _renew_all() -> None:
    # The newest first: what is let go of may need a lock of what was made for it.
    for thing, renew in reversed(list(_renewals.items())):
        renew(thing)


if hasattr(os, "register_at_fork"):  # Windows does not fork
    os.register_at_fork(after_in_child=_renew_all)


class ForkSafeLock:
    """A lock that a forked child finds free, whichever thread of its parent held it."""

    __slots__ = ("_locks",)

    def __init__(self) -> None:
        self._locks: dict[int, threading.Lock] = {}

    def __enter__(self) -> None:
        process = os.getpid()
        lock = self._locks.get(process)
        if lock is None:
            # Atomic: threads that enter first at the same time use one lock.
            lock = self._locks.setdefault(process, threading.Lock())
        lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._locks[os.getpid()].release()
