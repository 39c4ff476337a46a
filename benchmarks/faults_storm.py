"""Make thousands of writes from eight threads while 30 % of the attempts fail.

The calls use real sockets and a fake that counts the requests. The clocks of client and server run
at the same higher speed, so that the waits keep their proportions.
"""

from __future__ import annotations

import collections
import dataclasses
import random
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dub_uplink import Clock, CustomersConsumer, RetryConfig
from dub_uplink.models.components import Customer
from dub_uplink.models.errors import Conflict, DubError, NotFound
from dub_uplink.testing import FakeDub, Request, faults

THREADS = 8
#: The share of each fault among the attempts, 30 % in total. The server has applied half of the
#: requests with status 500 or 503, and the client cannot know which.
SHARES: dict[faults.Fault, float] = {
    faults.DropBefore(): 0.05,
    faults.DropAfter(): 0.05,
    faults.Truncate(20): 0.05,
    faults.Status(500): 0.025,
    faults.Status(500, carried_out=True): 0.025,
    faults.Status(503): 0.025,
    faults.Status(503, carried_out=True): 0.025,
    faults.RateLimited(0.5, "unix_ms"): 0.05,
}
#: The number of creates, of each hundred, with the external id of another customer.
DUPLICATES = 2


class FastClock:
    """A clock that runs ``factor`` times as fast as real time."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._unix = time.time()
        self._started = time.monotonic()

    def monotonic(self) -> float:
        """Return the seconds since the construction."""
        return (time.monotonic() - self._started) * self._factor

    def unix(self) -> float:
        """Return the Unix time in seconds."""
        return self._unix + self.monotonic()

    def sleep(self, seconds: float) -> None:
        """Sleep for seconds of this clock."""
        time.sleep(seconds / self._factor)

    def clock(self) -> Clock:
        """Return this clock in the format of the client."""
        return Clock(monotonic=self.monotonic, time=self.unix, sleep=self.sleep)


@dataclasses.dataclass
class Tally:
    """The results of one operation. The counts of wrong results must be 0."""

    calls: int
    requests: int = 0
    #: Calls that returned a success although the server does not have the change.
    lost: int = 0
    #: Customers with the email of another customer; each call has a unique email.
    doubled: int = 0
    #: Conflict or NotFound errors that result from an earlier attempt of the same call.
    false_errors: int = 0
    #: Calls that returned another customer, or a success for a duplicate external id.
    false_successes: int = 0
    #: Other DubError exceptions.
    failed: int = 0
    #: Exceptions other than DubError.
    foreign: int = 0
    #: Requests with a fault.
    faulty: int = 0
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Return whether there are no wrong results."""
        wrong = (self.lost, self.doubled, self.false_errors, self.false_successes)
        return not any((*wrong, self.failed, self.foreign))


class CountingFake(FakeDub):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(keep_requests=1, **arguments)
        self.request_count = 0
        self.faulty = 0
        self._count_lock = threading.Lock()
        next_fault = self.faults.next

        def count(request: Request) -> faults.Fault | None:
            fault = next_fault(request)
            with self._count_lock:
                self.request_count += 1
                self.faulty += fault is not None
            return fault

        self.faults.next = count  # type: ignore[method-assign]


class Storm:
    """The calls of one client to one fake."""

    def __init__(
        self,
        client: CustomersConsumer,
        fake: CountingFake,
        size: int,
        log: Callable[[str, int, int], object],
    ) -> None:
        self.client = client
        self.fake = fake
        self.size = size
        self._log = log

    def _run_in_threads(
        self, operation: str, work: Callable[[int, Tally], None], numbers: Iterable[int]
    ) -> Tally:
        todo = list(numbers)
        tally, lock = Tally(len(todo)), threading.Lock()
        done = 0
        requests, faulty, started = self.fake.request_count, self.fake.faulty, time.monotonic()

        def run_one(number: int) -> None:
            nonlocal done
            own = Tally(1)
            try:
                work(number, own)
            except DubError:
                own.failed += 1
            except Exception:  # noqa: BLE001 - counted
                own.foreign += 1
            with lock:
                done += 1
                for name in ("lost", "false_errors", "false_successes", "failed", "foreign"):
                    setattr(tally, name, getattr(tally, name) + getattr(own, name))
                self._log(operation, done, len(todo))

        with ThreadPoolExecutor(THREADS) as pool:
            collections.deque(pool.map(run_one, todo), maxlen=0)
        tally.requests = self.fake.request_count - requests
        tally.faulty = self.fake.faulty - faulty
        tally.seconds = time.monotonic() - started
        return tally

    def creates(self) -> Tally:
        """Create customers, some of them with the external id of another customer."""
        ids: dict[int, str] = {}
        for number in range(0, self.size, 100 // DUPLICATES):
            self.fake.add(external_id=_name(number), email=f"existing_{number}@example.com")

        def work(number: int, tally: Tally) -> None:
            duplicate = number % (100 // DUPLICATES) == 0
            body = {"external_id": _name(number), "email": _email(number), "country": "GB"}
            try:
                created = self.client.create(body)
            except Conflict:
                tally.false_errors += not duplicate
                return
            correct = created.external_id == _name(number) and created.email == _email(number)
            tally.false_successes += duplicate or not correct
            ids[number] = created.id

        tally = self._run_in_threads("creates", work, range(self.size))
        emails = collections.Counter(customer.email for customer in self.fake.customers)
        tally.doubled = sum(count - 1 for count in emails.values())
        stored = {customer.id: customer.email for customer in self.fake.customers}
        tally.lost = sum(
            stored.get(customer_id) != _email(number) for number, customer_id in ids.items()
        )
        return tally

    def updates(self) -> Tally:
        """Update all customers; half of the updates change the external id that they address."""
        ids = {customer.external_id: customer.id for customer in self.fake.customers}
        renamed: dict[int, Customer] = {}

        def work(number: int, tally: Tally) -> None:
            changes = {"name": f"Name {number}"}
            if number % 2:
                changes["external_id"] = f"renamed/{number}"
            try:
                renamed[number] = self.client.update(f"ext_{_name(number)}", changes)
            except (Conflict, NotFound):
                tally.false_errors += 1

        tally = self._run_in_threads("updates", work, range(self.size))
        stored = {customer.id: customer for customer in self.fake.customers}
        for number, updated in renamed.items():
            customer = stored.get(ids[_name(number)])
            expected = (f"Name {number}", f"renamed/{number}" if number % 2 else _name(number))
            tally.lost += customer is None or (customer.name, customer.external_id) != expected
            tally.false_successes += customer is None or updated.id != customer.id
        return tally

    def deletes(self) -> Tally:
        """Delete all customers by their external ids."""

        def work(number: int, tally: Tally) -> None:
            name = f"renamed/{number}" if number % 2 else _name(number)
            try:
                self.client.delete(f"ext_{name}")
            except (Conflict, NotFound):
                tally.false_errors += 1

        tally = self._run_in_threads("deletes", work, range(self.size))
        tally.lost = len(self.fake.customers)
        return tally


def _name(number: int) -> str:
    # A slash, a blank and a letter outside ASCII need percent-encoding.
    return f"tenant ü/{number}"


def _email(number: int) -> str:
    return f"user_{number}@example.com"


def run(
    size: int,
    *,
    factor: float = 20.0,
    seed: int = 1,
    clock: Clock | None = None,
    retry_config: RetryConfig | None = None,
    log: Callable[[str, int, int], object] = lambda operation, done, size: None,
) -> dict[str, Tally]:
    """Make ``size`` creates, updates and deletes, and return the results of each operation."""
    fast_clock = FastClock(factor)
    generator = random.Random(seed)
    fake = CountingFake(now=fast_clock.unix)
    with fake, fake.serve() as url:
        fake.faults.randomly(SHARES, seed=seed)
        with CustomersConsumer(
            "dub_test",
            server_url=url,
            clock=clock or dataclasses.replace(fast_clock.clock(), random=generator.random),
            retry_config=retry_config or RetryConfig(),
        ) as client:
            storm = Storm(client, fake, size, log)
            return {
                "creates": storm.creates(),
                "updates": storm.updates(),
                "deletes": storm.deletes(),
            }
