"""Record the latest requests that a fake received."""

from __future__ import annotations

import itertools
import threading
import uuid
from collections import deque

from ._messages import Request


class RequestLog:
    """Number requests from 1, and keep the latest ``limit`` requests. Thread-safe.

    Attributes:
        instance: A random text. Programs use it to detect that the numbering began again, because
            another fake uses the port.
    """

    def __init__(self, limit: int) -> None:
        self.instance = uuid.uuid4().hex
        self._requests: deque[Request] = deque(maxlen=limit)
        self._last_number = 0
        self._lock = threading.Lock()

    def append(self, request: Request) -> None:
        """Number and record a request."""
        with self._lock:
            self._last_number += 1
            request.number = self._last_number
            self._requests.append(request)

    def after(self, number: int, limit: int | None = None) -> list[Request]:
        """Return copies of the first ``limit`` requests with a number above ``number``."""
        with self._lock:
            # Numbers have no gaps, so the position of a request follows from its number.
            start = max(number - self._last_number + len(self._requests), 0)
            stop = None if limit is None else start + limit
            return [request.copy() for request in itertools.islice(self._requests, start, stop)]

    def resize(self, limit: int) -> None:
        """Change how many of the latest requests are kept."""
        with self._lock:
            self._requests = deque(self._requests, maxlen=limit)

    def clear(self) -> None:
        """Remove every request. The numbering continues."""
        with self._lock:
            self._requests.clear()

    def count_and_last_number(self) -> tuple[int, int]:
        """Return the count of kept requests, and the number of the last request."""
        with self._lock:
            return len(self._requests), self._last_number
