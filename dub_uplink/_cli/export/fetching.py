"""Fetch customers in a background thread, so that the main thread can stop at any time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Generator
from typing import NamedTuple

from dub_uplink import CustomerIterator
from dub_uplink.models.components import Customer

_BATCH_SIZE = 100  # customers: a page
_READ_AHEAD = 2  # batches
_POLL = 0.1  # seconds


class Batch(NamedTuple):
    """Some customers, and the cursor of the iteration after the last of them."""

    customers: list[Customer]
    cursor: str


def fetch_batches(
    customers: CustomerIterator, check_interrupt: Callable[[], object]
) -> Generator[Batch]:
    """Yield all customers in batches, at most two of which are read ahead.

    A request may take as long as the timeout allows. It runs in a daemon thread, which an
    interrupted command leaves behind.

    Args:
        customers: The iteration; an error of it is raised after the customers before it.
        check_interrupt: Called at least every 0.1 seconds; raises to stop.
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
