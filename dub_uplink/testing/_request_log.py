"""Record the latest requests that a fake received."""

from __future__ import annotations

import itertools
import threading
from collections import deque

from ._messages import Request


class RequestLog:
    """The latest ``limit`` requests, numbered from 1. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._requests: deque[Request] = deque(maxlen=limit)
        self._last = 0
        self._lock = threading.Lock()

    def append(self, request: Request) -> None:
        """Number and record a request."""
        with self._lock:
            self._last += 1
            request.number = self._last
            self._requests.append(request)

    def after(self, number: int, limit: int | None = None) -> list[Request]:
        """Return copies of the first ``limit`` requests whose number is above ``number``."""
        with self._lock:
            # Numbers have no gaps, so the position of a request follows from its number.
            skipped = max(number - self._last + len(self._requests), 0)
            stop = None if limit is None else skipped + limit
            return [kept.copy() for kept in itertools.islice(self._requests, skipped, stop)]

    def resize(self, limit: int) -> None:
        """Keep the latest ``limit`` requests from now on."""
        with self._lock:
            self._requests = deque(self._requests, maxlen=limit)

    def clear(self) -> None:
        """Remove every request; numbers continue."""
        with self._lock:
            self._requests.clear()

    def span(self) -> tuple[int, int]:
        """Return how many requests are recorded, and the number of the last request."""
        with self._lock:
            return len(self._requests), self._last
