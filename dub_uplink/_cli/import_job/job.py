"""Rows become customers, each exactly once, whatever ends the process.

Before a row is sent the journal says so; after it has come to its end the journal says which. What
was begun and has no end may be there already, as this import made it: then it was created.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple

from dub_uplink import Clock, CustomersConsumer, map_unordered
from dub_uplink._cli.import_job.journal import Ending, Journal
from dub_uplink._cli.import_job.rows import Row, Rows
from dub_uplink._cli.io.text_file import BadFile
from dub_uplink.models import errors
from dub_uplink.models.components import Customer

OnConflict = Literal["skip", "update", "fail"]
Result = Customer | errors.DubError | ValueError | TypeError

#: How many rows are written down as begun with one fsync.
_BLOCK = 32
#: Seconds after which what has ended is synced, though the block is not full.
_COMMIT_AFTER = 0.2
#: So many rows in a row without a usable answer, and the server is taken for gone.
_GIVE_UP_AFTER = 3

#: Answers that are about the row; after any other the next one would fare no better.
_OF_THE_ROW = (errors.BadRequest, errors.Conflict, errors.UnprocessableEntity, errors.InviteExpired)
_OF_THE_TOKEN = (errors.Unauthorized, errors.Forbidden, errors.NotFound)


class Halted(Exception):
    """The import stopped early; its journal says how far it is.

    ``error`` is what the last row ended with.
    """

    def __init__(self, error: errors.DubError) -> None:
        super().__init__(str(error))
        self.error = error


class Step(NamedTuple):
    """A call that a row needs; ``reason`` is the conflict that led to it."""

    row: Row
    call: Literal["create", "look", "update"] = "create"
    reason: str = ""


@dataclass
class Import:
    """One run over the rows that have not ended yet.

    Args:
        customers: the client.
        file: the open file that ``rows`` reads; it must not change meanwhile.
        rows: the rows, all of them good.
        journal: what is known of them, and will be.
        on_conflict: what becomes of a row whose customer exists: left alone (``skip``), given the
            row's values (``update``), or a failure (``fail``).
        workers: how many calls may be in flight.
        done: called with the number of rows that have ended for good.
        check_interrupt: called between results; raises to stop.
        clock: seconds that never go back.
    """

    customers: CustomersConsumer
    file: IO[bytes]
    rows: Rows
    journal: Journal
    on_conflict: OnConflict
    workers: int
    done: Callable[[int], object] = lambda count: None
    check_interrupt: Callable[[], object] = lambda: None
    clock: Callable[[], float] = Clock().monotonic
    _next: deque[Step] = field(default_factory=deque, init=False)
    _unsettled: int = field(default=0, init=False)
    _in_a_row: int = field(default=0, init=False)

    def run(self) -> int:
        """Send what is left; how many rows have no end, since their answers could not be used.

        Raises:
            Halted: the token is refused, or the server is gone.
            BadFile: the file was changed meanwhile.
            OSError: the journal cannot be written.
        """
        self._ended = sum(self.journal.counts().values())
        self._synced = self.clock()
        try:
            self._through(self._steps())
            while self._next:
                self._through(self._following())
        finally:
            self._commit()
        return self._unsettled

    def _through(self, steps: Iterator[Step]) -> None:
        results = map_unordered(self._call, steps, self.workers)
        with contextlib.closing(results):
            for step, result in results:
                self._take(step, result)
                if self.clock() - self._synced >= _COMMIT_AFTER:
                    self._commit()
                self.check_interrupt()

    def _steps(self) -> Iterator[Step]:
        """The calls, each written down in the journal before it is given out."""
        before = _state(self.file)
        for row in self.rows:
            yield from self._following()
            if row.problems or row.number >= self.journal.rows:
                raise BadFile("was changed while it was read.")
            if self.journal.ending(row.number) is not None:
                continue
            if self.journal.is_known_to_exist(row.number):
                self._decide(row, "its customer exists")
                continue
            if row.number >= self.journal.begun:
                if _state(self.file) != before:
                    raise BadFile("was changed while it was read.")
                self._commit(begin=min(row.number + _BLOCK, self.journal.rows))
            yield Step(row)

    def _following(self) -> Iterator[Step]:
        while self._next:
            if self._next[0].call == "update":
                # Before the update makes it look like one that was created as the row asks.
                self.journal.commit()
            yield self._next.popleft()

    def _call(self, step: Step) -> Customer:
        row = step.row.request
        if step.call == "create":
            return self.customers.create(row)
        customer_id = f"ext_{row['external_id']}"
        if step.call == "look":
            return self.customers.get(customer_id)
        changes = {name: value for name, value in row.items() if name != "external_id"}
        return self.customers.update(customer_id, changes)

    def _take(self, step: Step, result: Result) -> None:
        row, call, reason = step
        if isinstance(result, Customer):
            if call == "look" and not self._is_ours(row, result):
                self._decide(row, reason)
            else:
                self._finish(row, "updated" if call == "update" else "created")
        elif call == "create" and isinstance(result, errors.Conflict):
            self._in_a_row = 0
            if self._must_look(row):
                self._next.append(Step(row, "look", told(result)))
            else:
                self._decide(row, told(result))
        elif call != "create" and isinstance(result, errors.NotFound):
            self._finish(row, "failed", reason)  # it is the Stripe id that another has
        else:
            self._fail(row, result)

    def _must_look(self, row: Row) -> bool:
        """Whether more must be known than that something of the row is taken.

        That is who has it: this import itself, if it was interrupted, or else perhaps somebody who
        has only the Stripe id, so that leaving him alone would leave the row's customer out.
        """
        stripe = row.request.get("stripe_customer_id") is not None
        return self.journal.is_in_doubt(row.number) or (stripe and self.on_conflict == "skip")

    def _is_ours(self, row: Row, customer: Customer) -> bool:
        return self.journal.is_in_doubt(row.number) and as_asked(row.request, customer)

    def _decide(self, row: Row, reason: str) -> None:
        """What becomes of a row whose customer was there before it."""
        if self.on_conflict == "fail":
            self._finish(row, "failed", reason)
        elif self.on_conflict == "skip":
            self._finish(row, "skipped")
        else:
            self.journal.exists(row.number)
            self._next.append(Step(row, "update", reason))

    def _fail(self, row: Row, error: errors.DubError | ValueError | TypeError) -> None:
        if not isinstance(error, errors.DubError) or isinstance(error, _OF_THE_ROW):
            self._finish(row, "failed", told(error))
            return
        # Whether the row was carried out is not known: it stays open, and is tried again.
        self._unsettled += 1
        self._in_a_row += 1
        unreached = isinstance(error, errors.APIConnectionError) and not error.sent
        if unreached or isinstance(error, _OF_THE_TOKEN) or self._in_a_row >= _GIVE_UP_AFTER:
            raise Halted(error)

    def _finish(self, row: Row, ending: Ending, reason: str = "") -> None:
        self.journal.finish(row.number, ending, reason)
        self._in_a_row = 0
        self._ended += 1

    def _commit(self, begin: int = 0) -> None:
        self.journal.begin(begin)
        self.journal.commit()
        self._synced = self.clock()
        self.done(self._ended)


def as_asked(request: dict[str, Any], customer: Customer) -> bool:
    """Whether a customer is what this request would have created.

    Not compared is the avatar, which Dub hosts under another URL; nor a name that was not given,
    for which Dub shows another; nor a country that the server does not tell.
    """
    if request.get("name") and request["name"] != customer.name:
        return False
    if customer.country is not None and request.get("country") != customer.country:
        return False
    return all(
        (request.get(name) or None) == (getattr(customer, name) or None)
        for name in ("external_id", "email", "stripe_customer_id")
    )


def told(error: Exception) -> str:
    """An error as the reason of a row, the same for rows that failed alike."""
    if isinstance(error, errors.APIStatusError):
        return " ".join(f"{error.status_code} {error.code or ''}".split()) + f": {error.message}"
    return str(error)


def _state(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
