"""Fetch customers in a background thread, so that Ctrl-C does not wait for a response."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from typing import NamedTuple

from dub_uplink import CustomerIterator
from dub_uplink.models.components import Customer

#: The number of customers in a batch. It equals the default page size of the API.
_BATCH_SIZE = 100
#: The queue between the threads holds at most this many batches.
_QUEUE_SIZE = 2
#: A thread that waits for the queue checks every 0.1 seconds whether it must stop.
_POLL_INTERVAL = 0.1


class Batch(NamedTuple):
    """A list of customers, and the cursor that continues the iteration after the last customer."""

    customers: list[Customer]
    cursor: str


def fetch_batches(
    customers: CustomerIterator, check_interrupt: Callable[[], object]
) -> Generator[Batch]:
    """Yield all customers in batches, and fetch at most three batches ahead.

    A daemon thread sends the requests.

    Args:
        customers: The iteration. If the iteration raises an error, the customers before the error
            are yielded first. Then the error is raised.
        check_interrupt: Called before each batch, and every 0.1 seconds while there is no batch. If
            it raises an exception, the thread stops.
    """
    batches: queue.Queue[Batch | BaseException | None] = queue.Queue(_QUEUE_SIZE)
    stop_requested = threading.Event()
    thread = threading.Thread(
        target=_fetch,
        args=(customers, batches, stop_requested),
        name="dub-uplink-export",
        daemon=True,
    )
    thread.start()
    try:
        while True:
            check_interrupt()
            try:
                batch = batches.get(timeout=_POLL_INTERVAL)
            except queue.Empty:
                continue
            if batch is None:
                return
            if isinstance(batch, BaseException):
                raise batch
            yield batch
    finally:
        stop_requested.set()


def _fetch(
    customers: CustomerIterator,
    batches: queue.Queue[Batch | BaseException | None],
    stop_requested: threading.Event,
) -> None:
    def put_unless_stopped(item: Batch | BaseException | None) -> None:
        while not stop_requested.is_set():
            with contextlib.suppress(queue.Full):
                batches.put(item, timeout=_POLL_INTERVAL)
                return

    pending: list[Customer] = []
    final_error: BaseException | None = None
    try:
        for customer in customers:
            pending.append(customer)
            if len(pending) == _BATCH_SIZE:
                put_unless_stopped(Batch(pending, customers.cursor))
                pending = []
            if stop_requested.is_set():
                return
    except BaseException as error:  # noqa: BLE001 - raised again in the main thread
        final_error = error
    if pending:
        put_unless_stopped(Batch(pending, customers.cursor))
    put_unless_stopped(final_error)
