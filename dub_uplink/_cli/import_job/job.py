"""Create the customers of an import's rows, each exactly once, also across crashes.

Before a row is sent, the journal records that it may be sent. Afterwards, the journal records the
outcome. If a row may have been sent and has no outcome, the server may have created its customer,
because the response may have been lost.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal, NamedTuple

from dub_uplink import Clock, CustomersConsumer, map_unordered
from dub_uplink._cli.import_job.journal import Journal, Outcome
from dub_uplink._cli.interrupts import Interrupted
from dub_uplink._cli.io.text_file import BadFile
from dub_uplink._cli.reading.rows import Row, Rows
from dub_uplink._concurrency.cooldown import BatchCancelled
from dub_uplink.models import errors
from dub_uplink.models.components import Customer

OnConflict = Literal["skip", "upsert", "fail"]
#: ``None`` means that Ctrl-C ended a wait before the next attempt.
Result = Customer | errors.DubError | ValueError | TypeError | None

#: Each raise of the journal's sent limit adds this number of rows, and needs one fsync.
_SENT_LIMIT_STEP = 32
#: The maximum seconds between two commits of outcomes.
_COMMIT_INTERVAL = 0.2
#: The number of consecutive rows without a usable response after which the import stops.
_MAX_CONSECUTIVE_FAILURES = 3
#: The number of creates of a row that has a conflict although no customer has its external id.
_MAX_CREATES = 3
#: The maximum seconds that the rows wait for a rate limit. It equals the default deadline.
_MAX_REQUESTED_WAIT = 90.0

_EITHER_ID_TAKEN = "the external_id, or the stripe_customer_id by another customer"
_RACE = "other clients create and delete this customer at the same time"
_NO_SUCH_EXTERNAL_ID = (
    "no customer has this external_id: another one has the stripe_customer_id, or"
)
_STRIPE_ID_TAKEN = "another customer has the stripe_customer_id; nothing was updated"

#: Errors that concern one row. Other errors would affect every row.
_ROW_ERRORS = (errors.BadRequest, errors.Conflict, errors.UnprocessableEntity, errors.InviteExpired)
_TOKEN_ERRORS = (errors.Unauthorized, errors.Forbidden, errors.NotFound)


class ImportAborted(Exception):
    """The import stopped early. The journal contains the outcomes so far.

    ``error`` is the error that stopped the import.
    """

    def __init__(self, error: errors.DubError) -> None:
        super().__init__(str(error))
        self.error = error


class Step(NamedTuple):
    """A call for a row.

    Attributes:
        row: the row.
        call: the call.
        reason: the conflict that made the call necessary, if any.
        conflicts: the number of creates of this row that had a conflict.
    """

    row: Row
    call: Literal["create", "lookup", "update"] = "create"
    reason: str = ""
    conflicts: int = 0


class CallResult(NamedTuple):
    """The result of a call. ``may_be_applied``: the server may have applied a failed attempt."""

    step: Step
    result: Result
    may_be_applied: bool


class AttemptLog(threading.local):
    """Whether the server may have applied a failed attempt of the call in this thread."""

    may_be_applied = False

    def start(self) -> None:
        """Reset before a new call."""
        self.may_be_applied = False

    def on_retry(self, failed: object) -> None:
        """Record a failed attempt, an error or a response."""
        was_rejected = getattr(failed, "status_code", None) == 429 or not getattr(
            failed, "sent", True
        )
        self.may_be_applied = self.may_be_applied or not was_rejected


@dataclass
class Import:
    """One run over the rows without an outcome.

    Args:
        customers: the ``customers`` of the client.
        file: the open file that ``rows`` reads. The file must not change during the import.
        rows: the rows. Their validation found no problems.
        journal: the journal, which contains earlier outcomes and gets new ones.
        on_conflict: what to do with a row whose customer exists. ``skip`` leaves the customer
            unchanged, ``upsert`` updates the customer, ``fail`` reports the row as failed.
        workers: the maximum number of concurrent calls.
        attempts: records the failed attempts of the client.
        on_progress: called with the number of rows that have an outcome.
        check_interrupt: called between results; raises an exception to stop.
        clock: returns monotonic time in seconds.

    Attributes:
        unresolved: the number of rows without a usable response, by reason.
        retry_after: the longest wait that Dub requested for such a row, in seconds.
    """

    customers: CustomersConsumer
    file: IO[bytes]
    rows: Rows
    journal: Journal
    on_conflict: OnConflict
    workers: int
    attempts: AttemptLog = field(default_factory=AttemptLog)
    on_progress: Callable[[int], object] = lambda count: None
    check_interrupt: Callable[[], object] = lambda: None
    clock: Callable[[], float] = Clock().monotonic
    _follow_up_steps: deque[Step] = field(default_factory=deque, init=False)
    unresolved: Counter[str] = field(default_factory=Counter, init=False)
    retry_after: float = field(default=0.0, init=False)
    _consecutive_failures: int = field(default=0, init=False)
    _next_unsent_row: int = field(default=0, init=False)

    def run(self) -> int:
        """Send the remaining rows.

        Returns:
            The number of rows without an outcome, because they had no usable response.

        Raises:
            ImportAborted: the API key is rejected, the server is unavailable, or it requests a
                long wait.
            BadFile: the file was changed during the import.
            OSError: the journal cannot be written.
        """
        self._completed_rows = sum(self.journal.count_outcomes().values())
        self._committed_at = self.clock()
        try:
            self._run_steps(self._first_steps())
            while self._follow_up_steps:
                self._run_steps(self._follow_ups())
        finally:
            self.journal.lower_sent_limit(self._next_unsent_row)
            self._commit()
        return sum(self.unresolved.values())

    def _run_steps(self, steps: Iterator[Step]) -> None:
        completed: deque[CallResult] = deque()
        submitted: dict[int, Step] = {}  # steps whose call has not started, by row number

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
            except (Interrupted, BatchCancelled):  # raised in a wait, when no request is in flight
                completed.append(CallResult(step, None, self.attempts.may_be_applied))
                raise
            completed.append(CallResult(step, result, self.attempts.may_be_applied))

        try:
            with contextlib.closing(map_unordered(call, submit(), self.workers)) as results:
                for _ in results:
                    self._handle(completed.popleft())
                    if self.clock() - self._committed_at >= _COMMIT_INTERVAL:
                        self._commit()
                    self.check_interrupt()
        finally:
            # If the loop has stopped early, closing has waited for the requests in flight.
            while completed:
                with contextlib.suppress(ImportAborted):
                    self._handle(completed.popleft())
            for step in submitted.values():
                self._mark_not_applied(CallResult(step, None, may_be_applied=False))

    def _first_steps(self) -> Iterator[Step]:
        """Yield the steps of all remaining rows; first record that the rows may be sent."""
        before = _size_and_mtime(self.file)
        for row in self.rows:
            yield from self._follow_ups()
            if row.problems or row.number >= self.journal.rows:
                raise BadFile("the file was changed while it was read.")
            if self.journal.get_outcome(row.number) is not None:
                continue
            if self.journal.is_known_to_exist(row.number):
                self._resolve_conflict(Step(row, reason="its customer exists"))
                continue
            if row.number >= self.journal.sent_limit:
                if _size_and_mtime(self.file) != before:
                    raise BadFile("the file was changed while it was read.")
                self._commit(sent_limit=min(row.number + _SENT_LIMIT_STEP, self.journal.rows))
            self._next_unsent_row = row.number + 1
            yield Step(row)

    def _follow_ups(self) -> Iterator[Step]:
        while self._follow_up_steps:
            if self._follow_up_steps[0].call == "update":
                # Commit first, because after the update the customer looks as if this import had
                # created it. After a crash, only the journal shows the difference.
                self.journal.commit()
            yield self._follow_up_steps.popleft()

    def _call(self, step: Step) -> Customer:
        row = step.row.request
        if step.call == "create":
            return self.customers.create(row)
        customer_id = f"ext_{row['external_id']}"
        if step.call == "lookup":
            return self.customers.get(customer_id)
        changes = {name: value for name, value in row.items() if name != "external_id"}
        return self.customers.update(customer_id, changes)

    def _handle(self, call_result: CallResult) -> None:
        step, result, _ = call_result
        row, call, _, conflicts = step
        if isinstance(result, Customer):
            if call == "lookup" and not self._was_created_here(row, result):
                self._resolve_conflict(step)
            else:
                self._record_outcome(row, "updated" if call == "update" else "created")
        elif call == "create" and isinstance(result, errors.Conflict):
            self._consecutive_failures = 0
            step = Step(row, reason=format_error(result), conflicts=conflicts + 1)
            if self._needs_lookup(row):
                if not self.journal.is_in_doubt(row.number):
                    self.journal.mark_not_applied(row.number)
                self._follow_up_steps.append(step._replace(call="lookup"))
            else:
                self._resolve_conflict(step)
        elif call != "create" and isinstance(result, errors.NotFound):
            self._resolve_missing(step)
        elif isinstance(result, errors.Conflict):  # of the Stripe id: updates send no other id
            self._record_outcome(row, "failed", f"{format_error(result)} ({_STRIPE_ID_TAKEN})")
        elif result is None:
            self._mark_not_applied(call_result)
        else:
            self._fail(call_result, result)

    def _needs_lookup(self, row: Row) -> bool:
        """Return whether a conflict can be resolved only after a lookup by the external id.

        An interrupted import may have created the customer. With ``skip``, the conflict may
        be about the Stripe id; then no customer has the external id.
        """
        return self.journal.is_in_doubt(row.number) or (
            self.on_conflict == "skip" and _has_stripe_id(row)
        )

    def _was_created_here(self, row: Row, customer: Customer) -> bool:
        return self.journal.is_in_doubt(row.number) and matches_request(row.request, customer)

    def _resolve_conflict(self, step: Step) -> None:
        """Apply ``on_conflict`` to a row whose customer existed before the import."""
        row = step.row
        if self.on_conflict == "fail":
            # The server does not say which of the two ids is taken.
            suffix = f" ({_EITHER_ID_TAKEN})" if _has_stripe_id(row) else ""
            self._record_outcome(row, "failed", f"{step.reason}{suffix}")
        elif self.on_conflict == "skip":
            self._record_outcome(row, "skipped")
        else:
            self.journal.mark_existing(row.number)
            self._follow_up_steps.append(step._replace(call="update"))

    def _resolve_missing(self, step: Step) -> None:
        """Create a row's customer again, because there is none after a conflict.

        Either another client has deleted the customer, or another customer has the Stripe id.
        """
        if step.conflicts < _MAX_CREATES:
            self._follow_up_steps.append(step._replace(call="create"))
            return
        reason = f"{_NO_SUCH_EXTERNAL_ID} {_RACE}" if _has_stripe_id(step.row) else _RACE
        self._record_outcome(step.row, "failed", f"{step.reason} ({reason})")

    def _fail(
        self, call_result: CallResult, error: errors.DubError | ValueError | TypeError
    ) -> None:
        row = call_result.step.row
        if not isinstance(error, errors.DubError) or isinstance(error, _ROW_ERRORS):
            self._record_outcome(row, "failed", format_error(error))
            return
        # Record no outcome, so that the next run sends the row again.
        self.unresolved[_format_unresolved_reason(error)] += 1
        self.retry_after = max(self.retry_after, error.retry_after or 0.0)
        self._consecutive_failures += 1
        was_unsent = isinstance(error, errors.APIConnectionError) and not error.sent
        was_rejected = was_unsent or isinstance(error, _TOKEN_ERRORS)
        if was_rejected:
            self._mark_not_applied(call_result)
        # After a rate limit, all rows wait. With --no-retries they have no deadline.
        is_long_wait = (error.retry_after or 0.0) > _MAX_REQUESTED_WAIT
        stops = was_rejected or is_long_wait
        if stops or self._consecutive_failures >= _MAX_CONSECUTIVE_FAILURES:
            raise ImportAborted(error)

    def _mark_not_applied(self, call_result: CallResult) -> None:
        """Record that a row was not applied, if no attempt of any process can have applied it."""
        (row, call, *_), _, may_be_applied = call_result
        if call == "create" and not may_be_applied and not self.journal.is_in_doubt(row.number):
            self.journal.mark_not_applied(row.number)

    def _record_outcome(self, row: Row, outcome: Outcome, reason: str = "") -> None:
        self.journal.record_outcome(row.number, outcome, reason)
        self._consecutive_failures = 0
        self._completed_rows += 1

    def _commit(self, sent_limit: int = 0) -> None:
        self.journal.raise_sent_limit(sent_limit)
        self.journal.commit()
        self._committed_at = self.clock()
        self.on_progress(self._completed_rows)


def _has_stripe_id(row: Row) -> bool:
    return row.request.get("stripe_customer_id") is not None


def matches_request(request: dict[str, Any], customer: Customer) -> bool:
    """Return whether a customer is equal to the customer that a request would create.

    Three fields are exceptions:

    - ``avatar`` is not compared, because Dub stores a copy under another URL.
    - ``name`` is not compared if the request has no name, because Dub then returns another one.
    - ``country`` is not compared if the server does not return a country.
    """
    if request.get("name") and request["name"] != customer.name:
        return False
    if customer.country is not None and request.get("country") != customer.country:
        return False
    return all(
        (request.get(name) or None) == (getattr(customer, name) or None)
        for name in ("external_id", "email", "stripe_customer_id")
    )


def format_error(error: Exception) -> str:
    """Format an error as the reason of a failed row; similar failures have equal reasons."""
    if isinstance(error, errors.APIStatusError):
        return " ".join(f"{error.status_code} {error.code or ''}".split()) + f": {error.message}"
    return str(error)


def _format_unresolved_reason(error: errors.DubError) -> str:
    """Format the reason of a row without a usable response, without its number of attempts."""
    return format_error(error) if isinstance(error, errors.APIStatusError) else error.message


def _size_and_mtime(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
