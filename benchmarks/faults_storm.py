"""Thousands of writes through eight threads while a third of the attempts fails.

Over real sockets, against a fake that keeps count. Time runs faster, for the client and the server
alike, so that waits are as long as they are in proportion.
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
#: What goes wrong, each at its share of the attempts: 30 % in all. Of the 500s and 503s half were
#: carried out, and the client cannot tell which.
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
#: Of a hundred creates so many are of an external id that another customer has.
TAKEN = 2


class FastTime:
    """Time that runs ``factor`` times as fast as it does."""

    def __init__(self, factor: float) -> None:
        self._factor = factor
        self._unix = time.time()
        self._started = time.monotonic()

    def passed(self) -> float:
        return (time.monotonic() - self._started) * self._factor

    def unix(self) -> float:
        return self._unix + self.passed()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / self._factor)

    def clock(self) -> Clock:
        return Clock(monotonic=self.passed, time=self.unix, sleep=self.sleep)


@dataclasses.dataclass
class Tally:
    """What came of the calls of one kind. All but ``calls`` and ``requests`` must be 0."""

    calls: int
    requests: int = 0
    #: A success was returned and the server does not show it.
    lost: int = 0
    #: Customers with an email that another customer has too; each was given one of its own.
    doubled: int = 0
    #: A Conflict or NotFound of what the client itself had done.
    false_errors: int = 0
    #: Another customer's id taken for one's own, or another's customer returned.
    false_successes: int = 0
    #: A DubError where there is none to be: the call gave up.
    failed: int = 0
    #: Exceptions that are no DubError.
    foreign: int = 0
    #: Requests that met a fault.
    faulty: int = 0
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong that must not."""
        bad = (self.lost, self.doubled, self.false_errors, self.false_successes)
        return not any((*bad, self.failed, self.foreign))


class _Counting(FakeDub):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(keep_requests=1, **arguments)
        self.asked = 0
        self.faulty = 0
        self._counting = threading.Lock()
        following = self.faults.next

        def counted(request: Request) -> faults.Fault | None:
            fault = following(request)
            with self._counting:
                self.asked += 1
                self.faulty += fault is not None
            return fault

        self.faults.next = counted  # type: ignore[method-assign]


class Storm:
    """A client and a server, and the calls between them."""

    def __init__(
        self,
        client: CustomersConsumer,
        fake: _Counting,
        size: int,
        say: Callable[[str, int, int], object],
    ) -> None:
        self.client = client
        self.fake = fake
        self.size = size
        self._say = say

    def _through(
        self, kind: str, work: Callable[[int, Tally], None], numbers: Iterable[int]
    ) -> Tally:
        todo = list(numbers)
        tally, lock = Tally(len(todo)), threading.Lock()
        done = 0
        asked, faulty, started = self.fake.asked, self.fake.faulty, time.monotonic()

        def one(number: int) -> None:
            nonlocal done
            own = Tally(1)
            try:
                work(number, own)
            except DubError:
                own.failed += 1
            except Exception:  # noqa: BLE001 - these are what is counted
                own.foreign += 1
            with lock:
                done += 1
                for name in ("lost", "false_errors", "false_successes", "failed", "foreign"):
                    setattr(tally, name, getattr(tally, name) + getattr(own, name))
                self._say(kind, done, len(todo))

        with ThreadPoolExecutor(THREADS) as pool:
            collections.deque(pool.map(one, todo), maxlen=0)
        tally.requests = self.fake.asked - asked
        tally.faulty = self.fake.faulty - faulty
        tally.seconds = time.monotonic() - started
        return tally

    def creates(self) -> Tally:
        """Create customers, some of them under external ids that others have."""
        ids: dict[int, str] = {}
        for number in range(0, self.size, 100 // TAKEN):
            self.fake.add(external_id=_name(number), email=f"theirs_{number}@example.com")

        def work(number: int, tally: Tally) -> None:
            taken = number % (100 // TAKEN) == 0
            body = {"external_id": _name(number), "email": _email(number), "country": "GB"}
            try:
                created = self.client.create(body)
            except Conflict:
                tally.false_errors += not taken
                return
            right = created.external_id == _name(number) and created.email == _email(number)
            tally.false_successes += taken or not right
            ids[number] = created.id

        tally = self._through("creates", work, range(self.size))
        emails = collections.Counter(customer.email for customer in self.fake.customers)
        tally.doubled = sum(count - 1 for count in emails.values())
        stored = {customer.id: customer.email for customer in self.fake.customers}
        tally.lost = sum(stored.get(made) != _email(number) for number, made in ids.items())
        return tally

    def updates(self) -> Tally:
        """Change every customer, half of them by a rename that a second attempt cannot find."""
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

        tally = self._through("updates", work, range(self.size))
        stored = {customer.id: customer for customer in self.fake.customers}
        for number, updated in renamed.items():
            kept = stored.get(ids[_name(number)])
            wanted = f"renamed/{number}" if number % 2 else _name(number)
            right = kept is not None and (kept.name, kept.external_id) == (f"Name {number}", wanted)
            tally.lost += not right
            tally.false_successes += kept is None or updated.id != kept.id
        return tally

    def deletes(self) -> Tally:
        """Delete every customer, by external id."""

        def work(number: int, tally: Tally) -> None:
            name = f"renamed/{number}" if number % 2 else _name(number)
            try:
                self.client.delete(f"ext_{name}")
            except (Conflict, NotFound):
                tally.false_errors += 1

        tally = self._through("deletes", work, range(self.size))
        tally.lost = len(self.fake.customers)
        return tally


def _name(number: int) -> str:
    # Every one needs encoding: a slash, a blank and a letter beyond ASCII.
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
    say: Callable[[str, int, int], object] = lambda kind, done, size: None,
) -> dict[str, Tally]:
    """``size`` creates, updates and deletes, and what came of them."""
    fast = FastTime(factor)
    chance = random.Random(seed)
    fake = _Counting(now=fast.unix)
    with fake, fake.serve() as url:
        fake.faults.randomly(SHARES, seed=seed)
        with CustomersConsumer(
            "dub_test",
            server_url=url,
            clock=clock or dataclasses.replace(fast.clock(), random=chance.random),
            retry_config=retry_config or RetryConfig(),
        ) as client:
            storm = Storm(client, fake, size, say)
            return {
                "creates": storm.creates(),
                "updates": storm.updates(),
                "deletes": storm.deletes(),
            }
