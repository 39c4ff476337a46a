"""Create the customers of an import, each exactly once, even if the process crashes.

The journal has a sent limit: the rows with lower numbers may have been sent. Before a row is sent,
the journal raises the sent limit above the row's number. After the response, the journal records
the outcome. If a run ends before the response, the row is in doubt: the server may have created its
customer.
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
#: The result of a call; ``None`` if Ctrl-C ended a wait before the next attempt.
Result = Customer | errors.DubError | ValueError | TypeError | None

#: The journal raises its sent limit by this number of rows. Each raise needs one fsync.
_SENT_LIMIT_STEP = 32
#: The longest time between two commits of outcomes, in seconds.
_COMMIT_INTERVAL = 0.2
#: The import stops after this number of consecutive rows without a usable response.
_MAX_CONSECUTIVE_FAILURES = 3
#: The maximum number of creates of a row. A create is repeated if it has a conflict, but no
#: customer has the external id.
_MAX_CREATES = 3
#: If Dub requests a wait above this number of seconds, the import stops. The value is the default
#: deadline of a call.
_MAX_REQUESTED_WAIT = 90.0

_EITHER_ID_TAKEN = "the external_id exists, or another customer has the stripe_customer_id"
_RACE = "other clients create and delete this customer at the same time"
_NO_SUCH_EXTERNAL_ID = (
    "no customer has this external_id: another one has the stripe_customer_id, or"
)
_STRIPE_ID_TAKEN = "another customer has the stripe_customer_id; nothing was updated"

#: Errors that are caused by the content of a row. Other errors can occur for every row.
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
    """A call to make for a row.

    Attributes:
        row: the row.
        call: the operation.
        reason: the conflict that made the call necessary; empty if there was no conflict.
        conflicts: how many creates of this row had a conflict.
    """

    row: Row
    call: Literal["create", "lookup", "update"] = "create"
    reason: str = ""
    conflicts: int = 0


class CallResult(NamedTuple):
    """The result of a step, and whether the server may have applied an attempt that failed."""

    step: Step
    result: Result
    may_be_applied: bool


class AttemptLog(threading.local):
    """Records whether the server may have applied a failed attempt of the current thread's call."""

    may_be_applied = False

    def start(self) -> None:
        """Forget the attempts of the previous call."""
        self.may_be_applied = False

    def on_retry(self, failed: object) -> None:
        """Record a failed attempt. ``failed`` is its error or its response."""
        was_rejected = getattr(failed, "status_code", None) == 429 or not getattr(
            failed, "sent", True
        )
        self.may_be_applied = self.may_be_applied or not was_rejected


@dataclass
class Import:
    """Sends the rows that have no outcome.

    Args:
        customers: the attribute ``customers`` of the client.
        file: the open file that ``rows`` reads. The file must not change during the import.
        rows: the rows. They must have no problems.
        journal: the journal, which contains the outcomes of earlier runs and records new outcomes.
        on_conflict: what to do if the customer of a row exists. ``skip`` leaves the customer
            unchanged, ``upsert`` updates the customer, ``fail`` records the row as failed.
        workers: the maximum number of concurrent calls.
        attempts: records the failed attempts of the client.
        on_progress: called with the number of rows that have an outcome.
        check_interrupt: called after each result; raises an exception to stop the import.
        clock: returns monotonic time in seconds.

    Attributes:
        unresolved: the number of rows without a usable response, by reason.
        retry_after: the longest wait that Dub requested for an unresolved row, in seconds.
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
            The number of rows that have no outcome because they had no usable response.

        Raises:
            ImportAborted: the API key is rejected, the server is unavailable, or the server
                requests a long wait.
            BadFile: the file was changed during the import.
            OSError: the journal cannot be written.
        """
        self._completed_rows = sum(self.journal.count_outcomes().values())
        self._committed_at = self.clock()
        try:
            self._run_steps(self._make_first_steps())
            while self._follow_up_steps:
                self._run_steps(self._take_follow_up_steps())
        finally:
            self.journal.lower_sent_limit(self._next_unsent_row)
            self._commit()
        return sum(self.unresolved.values())

    def _run_steps(self, steps: Iterator[Step]) -> None:
        completed: deque[CallResult] = deque()
        waiting_steps: dict[int, Step] = {}  # by row number; no thread has started these steps

        def submit() -> Iterator[Step]:
            for step in steps:
                waiting_steps[step.row.number] = step
                yield step

        def call(step: Step) -> None:
            del waiting_steps[step.row.number]
            self.attempts.start()
            try:
                result: Result = self._call(step)
            except (errors.DubError, ValueError, TypeError) as error:
                result = error
            except (Interrupted, BatchCancelled):  # raised only in a wait between attempts
                completed.append(CallResult(step, None, self.attempts.may_be_applied))
                raise
            completed.append(CallResult(step, result, self.attempts.may_be_applied))

        try:
            with contextlib.closing(map_unordered(call, submit(), self.workers)) as results:
                for _ in results:
                    self._handle_result(completed.popleft())
                    if self.clock() - self._committed_at >= _COMMIT_INTERVAL:
                        self._commit()
                    self.check_interrupt()
        finally:
            # If the loop ended early, the `with` block has waited for the requests in flight. Their
            # results are recorded here.
            while completed:
                with contextlib.suppress(ImportAborted):
                    self._handle_result(completed.popleft())
            for step in waiting_steps.values():
                self._mark_not_applied(CallResult(step, None, may_be_applied=False))

    def _make_first_steps(self) -> Iterator[Step]:
        """Record that a row may be sent, then yield its step. Skip rows that have an outcome."""
        initial_size_and_mtime = _get_size_and_mtime(self.file)
        for row in self.rows:
            yield from self._take_follow_up_steps()
            if row.problems or row.number >= self.journal.rows:
                raise BadFile("the file was changed while it was read; run the command again.")
            if self.journal.get_outcome(row.number) is not None:
                continue
            if self.journal.is_known_to_exist(row.number):
                self._resolve_conflict(Step(row, reason="its customer exists"))
                continue
            if row.number >= self.journal.sent_limit:
                if _get_size_and_mtime(self.file) != initial_size_and_mtime:
                    raise BadFile("the file was changed while it was read; run the command again.")
                self._commit(sent_limit=min(row.number + _SENT_LIMIT_STEP, self.journal.rows))
            self._next_unsent_row = row.number + 1
            yield Step(row)

    def _take_follow_up_steps(self) -> Iterator[Step]:
        while self._follow_up_steps:
            if self._follow_up_steps[0].call == "update":
                # Commit the mark that the customer existed. The update makes the customer equal to
                # the row. After a crash, the mark shows that the import did not create it.
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

    def _handle_result(self, call_result: CallResult) -> None:
        step, result, _ = call_result
        row, call, _, conflicts = step
        if isinstance(result, Customer):
            if call == "lookup" and not self._was_created_by_import(row, result):
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
        elif isinstance(result, errors.Conflict):  # an update's only unique field is the Stripe id
            self._record_outcome(row, "failed", f"{format_error(result)} ({_STRIPE_ID_TAKEN})")
        elif result is None:
            self._mark_not_applied(call_result)
        else:
            self._handle_error(call_result, result)

    def _needs_lookup(self, row: Row) -> bool:
        """Return whether a row with a conflict must be looked up by its external id.

        There are two reasons for a lookup. An interrupted run of this import may have created the
        customer. With ``skip``, the Stripe id may have caused the conflict, not the external id.
        """
        return self.journal.is_in_doubt(row.number) or (
            self.on_conflict == "skip" and _has_stripe_id(row)
        )

    def _was_created_by_import(self, row: Row, customer: Customer) -> bool:
        return self.journal.is_in_doubt(row.number) and matches_request(row.request, customer)

    def _resolve_conflict(self, step: Step) -> None:
        """Skip, update or fail a row whose customer existed before the import."""
        row = step.row
        if self.on_conflict == "fail":
            # The response does not say which of the two ids caused the conflict.
            suffix = f" ({_EITHER_ID_TAKEN})" if _has_stripe_id(row) else ""
            self._record_outcome(row, "failed", f"{step.reason}{suffix}")
        elif self.on_conflict == "skip":
            self._record_outcome(row, "skipped")
        else:
            self.journal.mark_existing(row.number)
            self._follow_up_steps.append(step._replace(call="update"))

    def _resolve_missing(self, step: Step) -> None:
        """Repeat a create that had a conflict although no customer has the external id.

        Either another client has deleted the customer, or the Stripe id caused the conflict.
        """
        if step.conflicts < _MAX_CREATES:
            self._follow_up_steps.append(step._replace(call="create"))
            return
        reason = f"{_NO_SUCH_EXTERNAL_ID} {_RACE}" if _has_stripe_id(step.row) else _RACE
        self._record_outcome(step.row, "failed", f"{step.reason} ({reason})")

    def _handle_error(
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
        # Dub's API has the routes of all calls, so a 404 or a 405 comes from another server.
        is_wrong_server = isinstance(error, errors.SDKError) and error.status_code in (404, 405)
        was_rejected = isinstance(error, _TOKEN_ERRORS) or is_wrong_server
        is_certainly_not_applied = was_unsent or was_rejected
        if is_certainly_not_applied:
            self._mark_not_applied(call_result)
        # A requested wait applies to all rows. With --no-retries, no deadline limits the wait.
        is_long_wait = (error.retry_after or 0.0) > _MAX_REQUESTED_WAIT
        must_stop = is_certainly_not_applied or is_long_wait
        if must_stop or self._consecutive_failures >= _MAX_CONSECUTIVE_FAILURES:
            raise ImportAborted(error)

    def _mark_not_applied(self, call_result: CallResult) -> None:
        """Record that the server has not created the customer, if this is certain.

        It is certain if the results of all attempts, in this run and in earlier runs, are known.
        """
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
    """Return whether a customer equals the customer that a request would create.

    ``avatar`` is not compared, because Dub stores a copy under its own URL. If the request has no
    name, ``name`` is not compared, because Dub then generates a name. If the server returns no
    country, ``country`` is not compared.
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
    """Format an error as the reason of a failed row."""
    if isinstance(error, errors.APIStatusError):
        return " ".join(f"{error.status_code} {error.code or ''}".split()) + f": {error.message}"
    return str(error)


def _format_unresolved_reason(error: errors.DubError) -> str:
    """Format the error of a row without a usable response, without the number of attempts."""
    return format_error(error) if isinstance(error, errors.APIStatusError) else error.message


def _get_size_and_mtime(file: IO[bytes]) -> tuple[int, int]:
    status = os.fstat(file.fileno())
    return status.st_size, status.st_mtime_ns
