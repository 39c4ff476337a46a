"""The turns of a key in a storage that only counts, such as memcached, as ``limits`` counts there.

There is no queue in it: who finds no room asks again.
"""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Iterable
from typing import Any

from .sliding_window import Given, Notice, Rules, Ticket


class CountedTurns:
    """The turns of one key, counted in a sliding window of whole seconds."""

    def __init__(self, storage: Any, name: str, rules: Rules) -> None:
        self._storage = storage
        self._rules = rules
        self._name = name
        self._pause = f"dub_uplink/{name}/pause"
        # Not imported above: type checkers look here where it is not installed.
        limits: Any = importlib.import_module("limits")
        self._strategy = limits.strategies.SlidingWindowCounterRateLimiter(storage)
        self._item = limits.RateLimitItemPerSecond(
            rules.limit, math.ceil(rules.window), namespace="dub_uplink"
        )

    def ask(self, ticket: Ticket, patience: float) -> Given:
        if self._storage.get(self._pause):
            return self._later(ticket, self._storage.get_expiry(self._pause) - time.time())
        if not self._strategy.hit(self._item, self._name):
            # The time until all of the window is free says little; a slot is free sooner.
            return self._later(ticket, self._rules.window / self._rules.limit)
        return Given(0.0, placed=True)

    def _later(self, ticket: Ticket, seconds: float) -> Given:
        return Given(max(seconds, 0.01) * (1 + ticket.clock.random() / 2), placed=False)

    def give_back(self, ticket: Ticket) -> None:
        """Nothing: what was counted leaves with the window."""

    def late(self, ticket: Ticket) -> None:
        """Nothing: there are no moments in it."""

    def heed(self, notice: Notice, name: str) -> None:
        if notice.refused:
            self._storage.incr(self._pause, max(math.ceil(notice.reset), 1))

    def restore(self, given: Iterable[tuple[float, str]]) -> None:
        self._storage.get(self._pause)  # raises while it is away

    def close(self) -> None:
        """Nothing: the connections are the storage's."""
