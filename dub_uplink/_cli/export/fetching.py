"""Fetch customers in a background thread, so that the main thread can stop at any time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from typing import NamedTuple

from dub_uplink import CustomerIterator
from dub_uplink.models.components import Customer

_BATCH_SIZE = 100  # customers, as many as in a page
_READ_AHEAD = 2  # batches
_POLL = 0.1  # seconds


class Batch(NamedTuple):
    """Customers, and the cursor that continues the iteration after the last one."""

    customers: list[Customer]
    cursor: str


def fetch_batches(
    customers: CustomerIterator, check_interrupt: Callable[[], object]
) -> Generator[Batch]:
    """Yield all customers in batches, and fetch at most three batches ahead.

    A daemon thread sends the requests, so that an interrupted command does not wait for the
    response.

    Args:
        customers: The iteration. If it raises an error, the customers before the error are
            yielded first.
        check_interrupt: Called every 0.1 seconds during a wait; raises an exception to stop.
    """
    batches: queue.Queue[Batch | BaseException | None] = queue.Queue(_READ_AHEAD)
    stopped = threading.Event()
    thread = threading.Thread(
        target=_fetch, args=(customers, batches, stopped), name="dub-uplink-export", daemon=True
    )
    thread.start()
    try:
        while True:
            check_interrupt()
            try:
                batch = batches.get(timeout=_POLL)
            except queue.Empty:
                continue
            if batch is None:
                return
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stopped.set()


def _fetch(
    customers: CustomerIterator,
    batches: queue.Queue[Batch | BaseException | None],
    stopped: threading.Event,
) -> None:
    def put(item: Batch | BaseException | None) -> None:
        while not stopped.is_set():
            with contextlib.suppress(queue.Full):
                batches.put(item, timeout=_POLL)
                return

    pending: list[Customer] = []
    end: BaseException | None = None
    try:
        for customer in customers:
            pending.append(customer)
            if len(pending) == _BATCH_SIZE:
                put(Batch(pending, customers.cursor))
                pending = []
            if stopped.is_set():
                return
    except BaseException as error:  # noqa: BLE001 - raised again in the main thread
        end = error
    if pending:
        put(Batch(pending, customers.cursor))
    put(end)
