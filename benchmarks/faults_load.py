"""Count the requests per call while the server fails, with the retry budget and without.

Without sockets, and in time that only moves when something sleeps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from dub_uplink import UNSET, Clock, CustomersConsumer, RetryBudget, Unset
from dub_uplink.models.errors import DubError
from dub_uplink.testing import FakeDub, Request, faults

SHARES = (0.3, 0.5, 1.0)


class SkippedTime:
    """Time that only sleeps move."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


class _Counting(FakeDub):
    def __init__(self) -> None:
        super().__init__(keep_requests=1)
        self.asked = 0

    def handle(self, request: Request) -> Any:
        self.asked += 1
        return super().handle(request)


@dataclasses.dataclass
class Load:
    """The figures of a series of calls."""

    share: float
    budget: bool
    calls: int
    requests: int
    failed: int
    #: Requests of the last tenth of the calls: the long-term value.
    late_requests: int

    @property
    def per_call(self) -> float:
        """Requests sent per call."""
        return self.requests / self.calls

    @property
    def late_per_call(self) -> float:
        """Requests sent per call among the last tenth."""
        return self.late_requests / max(self.calls // 10, 1)


def measure(share: float, calls: int, *, budget: bool, seed: int = 1) -> Load:
    """So many calls in a row, of which each attempt fails at this share."""
    time = SkippedTime()
    given: RetryBudget | Unset | None = UNSET if budget else None
    failed = late = 0
    fake = _Counting()
    with (
        fake,
        fake.session() as session,
        CustomersConsumer(
            fake.token,
            server_url=fake.base_url,
            client=session,
            retry_budget=given,
            clock=Clock(monotonic=time.now, sleep=time.sleep),
        ) as client,
    ):
        fake.faults.randomly({faults.Status(503): share}, seed=seed)
        for number in range(calls):
            before = fake.asked
            try:
                client.list()
            except DubError:
                failed += 1
            if number >= calls - max(calls // 10, 1):
                late += fake.asked - before
    return Load(share, budget, calls, fake.asked, failed, late)


def run(calls: int, say: Callable[[str], object]) -> list[Load]:
    """The table: every share with the budget and without."""
    loads = []
    for share in SHARES:
        for budget in (True, False):
            say(f"load: {share:.0%} of attempts fail, {'with' if budget else 'without'} the budget")
            loads.append(measure(share, calls, budget=budget))
    return loads
