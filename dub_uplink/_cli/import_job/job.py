"""Create the customers of an import's rows, each exactly once, also across crashes.

The journal records that a row may be sent before it is sent, and its outcome afterwards. A row that
was begun and has no outcome may have been created by a request whose response was never seen.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple

from dub_uplink import Clock, CustomersConsumer, map_unordered
from dub_uplink._cli.import_job.journal import Ending, Journal
from dub_uplink._cli.interrupts import Interrupted
from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.rows import Row, Rows
from dub_uplink._concurrency.cooldown import BatchCancelled
from dub_uplink.models import errors
from dub_uplink.models.components import Customer

OnConflict = Literal["skip", "upsert", "fail"]
#: ``None``: Ctrl-C ended a wait before the next attempt.
Result = Customer | errors.DubError | ValueError | TypeError | None

#: How many rows are recorded as begun with one fsync.
_BLOCK = 32
#: Seconds after which outcomes are synced, though the block is not full.
_COMMIT_AFTER = 0.2
#: Consecutive rows without a usable response after which the server counts as unavailable.
_GIVE_UP_AFTER = 3

_EITHER_TAKEN = "the external_id, or the stripe_customer_id by another customer"
_NO_CUSTOMER = "no customer has this external_id: another one has the stripe_customer_id"
_STRIPE_ID_TAKEN = "another customer has the stripe_customer_id; nothing was updated"

#: Errors that concern the row; other errors would affect every row.
_ROW_ERRORS = (errors.BadRequest, errors.Conflict, errors.UnprocessableEntity, errors.InviteExpired)
_TOKEN_ERRORS = (errors.Unauthorized, errors.Forbidden, errors.NotFound)


class ImportAborted(Exception):
    """The import stopped early; its journal says which rows have ended.

    ``error`` is the error of the last row.
    """

    def __init__(self, error: errors.DubError) -> None:
        super().__init__(str(error))
        self.error = error


class Step(NamedTuple):
    """A call that a row needs; ``reason`` is the conflict that led to it."""

    row: Row
    call: Literal["create", "look", "update"] = "create"
    reason: str = ""


class Outcome(NamedTuple):
    """The result of a call; ``may_be_applied`` says so of an attempt before the last."""

    step: Step
    result: Result
    may_be_applied: bool


class Attempts(threading.local):
    """Whether the server may have applied a failed attempt of the call in this thread."""

    may_be_applied = False

    def start(self) -> None:
        """Forget the call before."""
        self.may_be_applied = False

    def on_retry(self, failed: object) -> None:
        """Note a failed attempt: an error, or a response."""
        refused = getattr(failed, "status_code", None) == 429 or not getattr(failed, "sent", True)
        self.may_be_applied = self.may_be_applied or not refused


@dataclass
class Import:
    """One run over the rows that have not ended.

    Args:
        customers: the client.
        file: the open file that ``rows`` reads; it must not change meanwhile.
        rows: the rows without problems.
        journal: the outcomes so far; new ones are recorded there.
        on_conflict: what happens to a row whose customer exists: it is left alone (``skip``),
            updated with the row's values (``upsert``), or the row fails (``fail``).
        workers: how many calls may be in flight.
        attempts: gets the failed attempts of the client.
        done: called with the number of rows that have ended.
        check_interrupt: called between results; raises to stop.
        clock: monotonic seconds.
    """

    customers: CustomersConsumer
    file: IO[bytes]
    rows: Rows
    journal: Journal
    on_conflict: OnConflict
    workers: int
    attempts: Attempts = field(default_factory=Attempts)
    done: Callable[[int], object] = lambda count: None
    check_interrupt: Callable[[], object] = lambda: None
    clock: Callable[[], float] = Clock().monotonic
    _next: deque[Step] = field(default_factory=deque, init=False)
    _unresolved: int = field(default=0, init=False)
    _in_a_row: int = field(default=0, init=False)
    _sent: int = field(default=0, init=False)

    def run(self) -> int:
        """Send the remaining rows; return how many have no outcome for lack of a usable response.

        Raises:
            ImportAborted: the token is refused, or the server is unavailable.
            BadFile: the file was changed meanwhile.
            OSError: the journal cannot be written.
        """
        self._ended = sum(self.journal.counts().values())
        self._synced = self.clock()
        try:
            self._send(self._steps())
            while self._next:
                self._send(self._follow_ups())
        finally:
            self.journal.rewind(self._sent)
            self._commit()
        return self._unresolved

    def _send(self, steps: Iterator[Step]) -> None:
        completed: deque[Outcome] = deque()
        submitted: dict[int, Step] = {}  # by row, and not begun

        def submit() -> Iterator[Step]:
            for step in steps:
                submitted[step.row.number] = step
                yield step

        def call(step: Step) -> None:
            del submitted[step.row.number]
            self.attempts.start()
            try:
                result: Result = self._call(step)
            except (errors.DubError, ValueError, TypeError) as error:
                result = error
            except (Interrupted, BatchCancelled):  # in a wait, while no request is in flight
                completed.append(Outcome(step, None, self.attempts.may_be_applied))
                raise
            completed.append(Outcome(step, result, self.attempts.may_be_applied))

        try:
            with contextlib.closing(map_unordered(call, submit(), self.workers)) as results:
                for _ in results:
                    self._handle(completed.popleft())
                    if self.clock() - self._synced >= _COMMIT_AFTER:
                        self._commit()
                    self.check_interrupt()
        finally:
            # Where the loop stopped early, closing has waited for the requests in flight.
            while completed:
                with contextlib.suppress(ImportAborted):
                    self._handle(completed.popleft())
            for step in submitted.values():
                self._rule_out(Outcome(step, None, may_be_applied=False))

    def _steps(self) -> Iterator[Step]:
        """Generate the calls; the journal records each row as begun first."""
        before = _state(self.file)
        for row in self.rows:
            yield from self._follow_ups()
            if row.problems or row.number >= self.journal.rows:
                raise BadFile("the file was changed while it was read.")
            if self.journal.ending(row.number) is not None:
                continue
            if self.journal.is_known_to_exist(row.number):
                self._resolve_conflict(row, "its customer exists")
                continue
            if row.number >= self.journal.begun:
                if _state(self.file) != before:
                    raise BadFile("the file was changed while it was read.")
                self._commit(begin=min(row.number + _BLOCK, self.journal.rows))
            self._sent = row.number + 1
            yield Step(row)

    def _follow_ups(self) -> Iterator[Step]:
        while self._next:
            if self._next[0].call == "update":
                # An update makes the customer look like one that this import created; after a
                # crash only the journal could tell the two apart.
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

    def _handle(self, outcome: Outcome) -> None:
        step, result, _ = outcome
        row, call, reason = step
        if isinstance(result, Customer):
            if call == "look" and not self._is_ours(row, result):
                self._resolve_conflict(row, reason)
            else:
                self._finish(row, "updated" if call == "update" else "created")
        elif call == "create" and isinstance(result, errors.Conflict):
            self._in_a_row = 0
            if self._needs_lookup(row):
                if not self.journal.is_in_doubt(row.number):
                    self.journal.not_applied(row.number)
                self._next.append(Step(row, "look", error_text(result)))
            else:
                self._resolve_conflict(row, error_text(result))
        elif call != "create" and isinstance(result, errors.NotFound):
            self._finish(row, "failed", f"{reason} ({_NO_CUSTOMER})")
        elif isinstance(result, errors.Conflict):  # an update does not send the external id
            self._finish(row, "failed", f"{error_text(result)} ({_STRIPE_ID_TAKEN})")
        elif result is None:
            self._rule_out(outcome)
        else:
            self._fail(outcome, result)

    def _needs_lookup(self, row: Row) -> bool:
        """Return whether a conflict can be resolved only with the customer of the external id.

        An interrupted import may have created the customer itself. With ``skip``, the conflict may
        be about the Stripe id, and then no customer has the external id.
        """
        stripe = row.request.get("stripe_customer_id") is not None
        return self.journal.is_in_doubt(row.number) or (stripe and self.on_conflict == "skip")

    def _is_ours(self, row: Row, customer: Customer) -> bool:
        return self.journal.is_in_doubt(row.number) and matches_request(row.request, customer)

    def _resolve_conflict(self, row: Row, reason: str) -> None:
        """Apply ``on_conflict`` to a row whose customer existed before."""
        if self.on_conflict == "fail":
            # The server does not say which of the two it means.
            both = row.request.get("stripe_customer_id") is not None
            self._finish(row, "failed", f"{reason} ({_EITHER_TAKEN})" if both else reason)
        elif self.on_conflict == "skip":
            self._finish(row, "skipped")
        else:
            self.journal.exists(row.number)
            self._next.append(Step(row, "update", reason))

    def _fail(self, outcome: Outcome, error: errors.DubError | ValueError | TypeError) -> None:
        row = outcome.step.row
        if not isinstance(error, errors.DubError) or isinstance(error, _ROW_ERRORS):
            self._finish(row, "failed", error_text(error))
            return
        # The row has no outcome, and the next run sends it again.
        self._unresolved += 1
        self._in_a_row += 1
        unreached = isinstance(error, errors.APIConnectionError) and not error.sent
        stops = unreached or isinstance(error, _TOKEN_ERRORS)
        if stops:
            self._rule_out(outcome)
        if stops or self._in_a_row >= _GIVE_UP_AFTER:
            raise ImportAborted(error)

    def _rule_out(self, outcome: Outcome) -> None:
        """Record that a row was not created, if neither this process nor one before it could."""
        (row, call, _), _, may_be_applied = outcome
        if call == "create" and not may_be_applied and not self.journal.is_in_doubt(row.number):
            self.journal.not_applied(row.number)

    def _finish(self, row: Row, ending: Ending, reason: str = "") -> None:
        self.journal.finish(row.number, ending, reason)
        self._in_a_row = 0
        self._ended += 1

    def _commit(self, begin: int = 0) -> None:
        self.journal.begin(begin)
        self.journal.commit()
        self._synced = self.clock()
        self.done(self._ended)


def matches_request(request: dict[str, Any], customer: Customer) -> bool:
    """Return whether a customer is what this request would have created.

    The avatar is not compared, since Dub hosts it under another URL; nor is a name that was not
    given, for which Dub shows another; nor a country that the server does not return.
    """
    if request.get("name") and request["name"] != customer.name:
        return False
    if customer.country is not None and request.get("country") != customer.country:
        return False
    return all(
        (request.get(name) or None) == (getattr(customer, name) or None)
        for name in ("external_id", "email", "stripe_customer_id")
    )


def error_text(error: Exception) -> str:
    """Return an error as the reason of a row, the same for rows that failed alike."""
    if isinstance(error, errors.APIStatusError):
        return " ".join(f"{error.status_code} {error.code or ''}".split()) + f": {error.message}"
    return str(error)


def _state(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
