"""Count the requests per call to a failing server, with and without the retry budget.

The benchmark uses no sockets, and its clock advances only in ``sleep``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from dub_uplink import UNSET, Clock, CustomersConsumer, RetryBudget, Unset
from dub_uplink.models.errors import DubError
from dub_uplink.testing import FakeDub, Request, faults

SHARES = (0.3, 0.5, 1.0)


class ManualClock:
    """A clock that advances only in :meth:`sleep`."""

    def __init__(self) -> None:
        self._now = 1_000.0

    def now(self) -> float:
        """Return the time in seconds."""
        return self._now

    def sleep(self, seconds: float) -> None:
        """Advance the time."""
        self._now += seconds


class CountingFake(FakeDub):
    def __init__(self) -> None:
        super().__init__(keep_requests=1)
        self.request_count = 0

    def handle(self, request: Request) -> Any:
        self.request_count += 1
        return super().handle(request)


@dataclasses.dataclass
class Load:
    """The figures of consecutive calls."""

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
    """Make consecutive calls, with a share of their attempts failing, and return the figures."""
    clock = ManualClock()
    retry_budget: RetryBudget | Unset | None = UNSET if budget else None
    failed = late = 0
    fake = CountingFake()
    with (
        fake,
        fake.session() as session,
        CustomersConsumer(
            fake.token,
            server_url=fake.base_url,
            client=session,
            retry_budget=retry_budget,
            clock=Clock(monotonic=clock.now, sleep=clock.sleep),
        ) as client,
    ):
        fake.faults.randomly({faults.Status(503): share}, seed=seed)
        for number in range(calls):
            before = fake.request_count
            try:
                client.list()
            except DubError:
                failed += 1
            if number >= calls - max(calls // 10, 1):
                late += fake.request_count - before
    return Load(share, budget, calls, fake.request_count, failed, late)


def run(calls: int, log: Callable[[str], object]) -> list[Load]:
    """Measure each share of failing attempts with and without the budget."""
    loads = []
    for share in SHARES:
        for budget in (True, False):
            log(f"load: {share:.0%} of attempts fail, {'with' if budget else 'without'} the budget")
            loads.append(measure(share, calls, budget=budget))
    return loads
