"""Rows become customers, each exactly once, whatever ends the process.

Before a row is sent the journal says so; after it has come to its end the journal says which. What
was begun and has no end may be there already, as this import made it: then it was created.
May import the public names of dub_uplink only.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, Literal, cast

from dub_uplink import Clock, CustomersConsumer
from dub_uplink.cli.journal import Ending, Journal
from dub_uplink.cli.rows import Row, Rows
from dub_uplink.cli.textfile import BadFile
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
        clock: seconds that never go back.
    """

    customers: CustomersConsumer
    file: IO[bytes]
    rows: Rows
    journal: Journal
    on_conflict: OnConflict
    workers: int
    done: Callable[[int], object] = lambda count: None
    clock: Callable[[], float] = Clock().monotonic

    def run(self) -> int:
        """Send what is left; how many rows have no end, since their answers could not be used.

        Raises:
            Halted: the token is refused, or the server is gone.
            BadFile: the file was changed meanwhile.
            OSError: the journal cannot be written.
        """
        self._sent: deque[Row] = deque()
        self._conflicts: list[tuple[Row, str]] = []
        self._unsettled = 0
        self._in_a_row = 0
        self._ended = sum(self.journal.counts().values())
        self._synced = self.clock()
        requests = (row.request for row in self._rows())
        results = self.customers.create_many(requests, workers=self.workers)
        with (
            ThreadPoolExecutor(self.workers) as self._pool,
            contextlib.closing(cast("Generator[Result]", results)),
        ):
            try:
                for result in results:
                    self._take(self._sent.popleft(), result)
                    if len(self._conflicts) >= self.workers:
                        self._settle()
                    if self.clock() - self._synced >= _COMMIT_AFTER:
                        self._commit()
                self._settle()
            finally:
                self._commit()
        return self._unsettled

    def _rows(self) -> Iterator[Row]:
        """The rows that are to be created, each begun in the journal before it is given out."""
        before = _state(self.file)
        for row in self.rows:
            if row.problems or row.number >= self.journal.rows:
                raise BadFile("was changed while it was read.")
            if self.journal.ending(row.number) is not None:
                continue
            if self.journal.is_known_to_exist(row.number):
                self._conflicts.append((row, "it exists"))
                continue
            if row.number >= self.journal.begun:
                if _state(self.file) != before:
                    raise BadFile("was changed while it was read.")
                self._commit(begin=min(row.number + _BLOCK, self.journal.rows))
            self._sent.append(row)
            yield row

    def _take(self, row: Row, result: Result) -> None:
        if isinstance(result, Customer):
            self._finish(row, "created")
        elif isinstance(result, errors.Conflict):
            self._in_a_row = 0
            self._conflicts.append((row, told(result)))
        else:
            self._fail(row, result)

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

    def _settle(self) -> None:
        """What becomes of rows that were told that their customer exists."""
        conflicts, self._conflicts = self._conflicts, []
        asked = [pair for pair in conflicts if self._must_look(pair[0])]
        looked_up = self._in_parallel(self._look, asked)
        found = {row.number: each for (row, _), each in zip(asked, looked_up, strict=True)}
        theirs = []
        for row, reason in conflicts:
            customer = found.get(row.number)
            if isinstance(customer, errors.DubError) and not isinstance(customer, errors.NotFound):
                self._fail(row, customer)
            elif isinstance(customer, Customer) and self._is_ours(row, customer):
                self._finish(row, "created")
            elif self.on_conflict == "fail" or isinstance(customer, errors.NotFound):
                self._finish(row, "failed", reason)
            elif self.on_conflict == "skip":
                self._finish(row, "skipped")
            else:
                theirs.append((row, reason))
        self._update(theirs)

    def _must_look(self, row: Row) -> bool:
        """Whether more must be known than that something of the row is taken.

        That is who has it: this import itself, if it was interrupted, or else perhaps somebody who
        has only the Stripe id, so that leaving him alone would leave the row's customer out.
        """
        stripe = row.request.get("stripe_customer_id") is not None
        return self.journal.is_in_doubt(row.number) or (stripe and self.on_conflict == "skip")

    def _is_ours(self, row: Row, customer: Customer) -> bool:
        return self.journal.is_in_doubt(row.number) and as_asked(row.request, customer)

    def _update(self, rows: list[tuple[Row, str]]) -> None:
        for row, _ in rows:
            # Before the update makes it look like one that was created as the row asks.
            self.journal.exists(row.number)
        self._commit()
        for (row, reason), result in zip(rows, self._in_parallel(self._change, rows), strict=True):
            if isinstance(result, Customer):
                self._finish(row, "updated")
            elif isinstance(result, errors.NotFound):
                self._finish(row, "failed", reason)  # it is the Stripe id that is taken
            else:
                self._fail(row, result)

    def _in_parallel(
        self,
        call: Callable[[Row], Customer],
        rows: list[tuple[Row, str]],
    ) -> Iterator[Customer | errors.DubError]:
        def one(row: Row) -> Customer | errors.DubError:
            try:
                return call(row)
            except errors.DubError as error:
                return error

        return self._pool.map(one, [row for row, _ in rows])

    def _look(self, row: Row) -> Customer:
        return self.customers.get(f"ext_{row.request['external_id']}")

    def _change(self, row: Row) -> Customer:
        changes = {name: value for name, value in row.request.items() if name != "external_id"}
        return self.customers.update(f"ext_{row.request['external_id']}", changes)


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
