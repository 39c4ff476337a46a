"""Share a rate limit between processes and machines through Redis, with a local fallback.

A slot is the permission to send one request at a certain time.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import time
import uuid
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

from .._internal.fork_safety import ForkSafeLock
from .redis_connection import RedisConnection
from .redis_limiter import RedisLimiter
from .sliding_window import (
    LimitConfig,
    Limiter,
    Reservation,
    ReservationResult,
    ServerFeedback,
    SlidingWindowLimiter,
)
from .worker import BackgroundWorker, wait_for_future

if TYPE_CHECKING:
    from ..retries import Clock

logger = logging.getLogger("dub_uplink")

#: A call waits this number of seconds for a response of the storage, then uses the local limiter. A
#: response within this time is timely.
_CALL_TIMEOUT = 0.08
#: The storage counts as unavailable after this number of seconds without a timely response. On a
#: busy machine, even an available storage may exceed _CALL_TIMEOUT.
_UNAVAILABLE_AFTER = 1.0
#: Seconds between two probes of an unavailable storage.
_PROBE_INTERVAL = 0.5
#: Number of consecutive successful probes after which the storage counts as available. Waiting for
#: the second probe gives the other processes time to restore their slots.
_RECOVERY_PROBES = 2
#: The worker stops probing this number of seconds after the last call.
_PROBE_DURATION = 60.0
#: Minimum number of seconds between two warnings that the storage is unavailable.
_WARNING_INTERVAL = 60.0


class StorageConnection:
    """The connection to a Redis server that stores slots, and the limiters that use it.

    While the storage is unavailable, calls do not wait for it, and a background worker probes it.
    """

    def __init__(self, url: str, config: LimitConfig) -> None:
        self._connection = RedisConnection(url)
        self._config = config
        self._limiters: weakref.WeakSet[SharedLimiter] = weakref.WeakSet()
        self._worker = BackgroundWorker(self._probe, _PROBE_INTERVAL)
        self._is_unavailable = False
        self._successful_probes = 0
        # Times of time.monotonic(), because the clients may have different clocks.
        self._warned_at = self._last_call_at = float("-inf")
        #: When the first call after the last timely response started. ``None`` if no call has
        #: started since that response.
        self._waiting_since: float | None = None
        self._lock = ForkSafeLock()

    def make_limiter(self, key_hash: str) -> Limiter:
        """Create a limiter for an API key. ``key_hash`` is the keyed hash of the key."""
        redis_limiter = RedisLimiter(self._connection, key_hash, self._config)
        limiter = SharedLimiter(self, redis_limiter, self._config)
        self._limiters.add(limiter)
        return limiter

    def is_available(self) -> bool:
        """Return whether the storage is available. If it is not, start to probe it."""
        if self._is_unavailable:
            self._last_call_at = time.monotonic()
            self._start_probing()
        return not self._is_unavailable

    def _start_probing(self) -> None:
        # If the thread cannot be started, the next call tries again.
        with contextlib.suppress(RuntimeError):
            self._worker.ensure_running()

    def submit(
        self, operation: Callable[[], ReservationResult]
    ) -> Future[ReservationResult] | None:
        """Run an operation in the worker and return a future for its result.

        If the worker cannot be started, mark the storage as unavailable and return ``None``.
        """
        if self._waiting_since is None:
            self._waiting_since = time.monotonic()

        def job() -> ReservationResult:
            started_at = time.monotonic()
            try:
                result = operation()
            except Exception as error:
                self.mark_unavailable(error)
                raise
            if time.monotonic() - started_at < _CALL_TIMEOUT:
                self._waiting_since = None
            return result

        try:
            return self._worker.submit(job)
        except RuntimeError as error:
            self.mark_unavailable(error)
            return None

    def submit_nowait(self, operation: Callable[[], object]) -> None:
        """Run an operation in the worker if the storage is available. Ignore the result."""

        def job() -> None:
            try:
                operation()
            except Exception as error:  # noqa: BLE001 - a call must not fail because of the storage
                self.mark_unavailable(error)

        if self.is_available():
            try:
                self._worker.submit(job)
            except RuntimeError as error:
                self.mark_unavailable(error)

    def report_timeout(self) -> None:
        """Mark the storage as unavailable if it has sent no timely response for too long."""
        waiting_since = self._waiting_since
        if waiting_since is not None and time.monotonic() - waiting_since > _UNAVAILABLE_AFTER:
            self.mark_unavailable(TimeoutError())

    def mark_unavailable(self, error: Exception) -> None:
        """Mark the storage as unavailable, log a message and start to probe it."""
        with self._lock:
            if self._is_unavailable:
                return
            self._is_unavailable, self._successful_probes, self._waiting_since = True, 0, None
            self._last_call_at = now = time.monotonic()
            has_warned_recently = now - self._warned_at <= _WARNING_INTERVAL
            self._warned_at = now
        process_count = max((limiter.process_count for limiter in list(self._limiters)), default=1)
        logger.log(
            logging.DEBUG if has_warned_recently else logging.WARNING,
            "rate limit storage %s is unavailable (%s); this process uses its share, %d of %d"
            " requests, and reconnects automatically",
            self,
            type(error).__name__,
            max(self._config.limit // process_count, 1),
            self._config.limit,
        )
        self._start_probing()

    def _probe(self) -> bool:
        """Probe the storage if it is unavailable. Return whether to probe again."""
        started_at = time.monotonic()
        if not self._is_unavailable or started_at - self._last_call_at > _PROBE_DURATION:
            return False
        try:
            for limiter in list(self._limiters):
                limiter.restore()
        except Exception:  # noqa: BLE001 - any error means that the storage is still unavailable
            self._successful_probes = 0
        else:
            is_in_time = time.monotonic() - started_at < _CALL_TIMEOUT
            self._successful_probes = self._successful_probes + 1 if is_in_time else 0
        if self._successful_probes == _RECOVERY_PROBES:
            # Log before the change, so that a message about a new failure comes after this message.
            logger.info("rate limit storage %s is available again", self)
            self._is_unavailable = False
        return True

    def close(self) -> None:
        """Close the connection and end the worker."""
        # If closing fails or takes too long, the connection is closed when the process ends.
        with contextlib.suppress(Exception):
            closed = self._worker.submit(self._connection.close)
            self._worker.shutdown()
            closed.result(_CALL_TIMEOUT)

    def __str__(self) -> str:
        return str(self._connection)


class SharedLimiter:
    """Grants the slots of an API key that several processes use.

    A local limiter also records each slot of this process. While the storage is unavailable, the
    local limiter grants this process's share of the limit. When the storage is available again,
    the worker sends the slots of the last window to the storage.
    """

    def __init__(
        self, storage: StorageConnection, redis_limiter: RedisLimiter, config: LimitConfig
    ) -> None:
        self._storage = storage
        self._redis_limiter = redis_limiter
        self._config = config
        self._local_limiter = SlidingWindowLimiter(config)
        self._limiter_id = uuid.uuid4().hex[:16]
        self._slot_numbers = itertools.count()
        self._slot_times: dict[str, float] = {}
        self._clock: Clock | None = None
        self.process_count = 1
        #: The storage's epoch: an id that changes when the storage may have lost slots.
        self._epoch: str | None = None
        self._lock = ForkSafeLock()

    def reserve(self, reservation: Reservation, max_wait: float) -> float:
        future = self._submit(reservation, max_wait)
        if future is None:
            return self._reserve_locally(reservation, max_wait)
        try:
            result = future.result(_CALL_TIMEOUT)
        except Exception:  # noqa: BLE001 - a call must not fail because of the storage
            self._storage.report_timeout()
            return self._reserve_locally(reservation, max_wait)
        return self._accept_result(reservation, max_wait, result)

    async def reserve_async(self, reservation: Reservation, max_wait: float) -> float:
        future = self._submit(reservation, max_wait)
        if future is None:
            return self._reserve_locally(reservation, max_wait)
        await wait_for_future(future, _CALL_TIMEOUT)
        try:
            result = future.result(0)
        except Exception:  # noqa: BLE001 - a call must not fail because of the storage
            self._storage.report_timeout()
            return self._reserve_locally(reservation, max_wait)
        return self._accept_result(reservation, max_wait, result)

    def _submit(
        self, reservation: Reservation, max_wait: float
    ) -> Future[ReservationResult] | None:
        self._clock = reservation.clock
        if not reservation.slot_id:
            # A forked child has copies of the limiter id and of the counter. The process id keeps
            # the slot ids of parent and child different.
            reservation.slot_id = f"{self._limiter_id}:{os.getpid()}:{next(self._slot_numbers)}"
        if reservation.owner is self._local_limiter or not self._storage.is_available():
            return None

        def operation() -> ReservationResult:
            result = self._redis_limiter.reserve(reservation, max_wait)
            if reservation.is_cancelled:
                self._redis_limiter.cancel(reservation)
            return result

        return self._storage.submit(operation)

    def _accept_result(
        self, reservation: Reservation, max_wait: float, result: ReservationResult
    ) -> float:
        if result.epoch != self._epoch:
            if self._epoch is not None:  # the epoch has changed since the last response
                self._storage.submit_nowait(self.restore)
            self._epoch = result.epoch
        self.process_count = result.process_count
        if result.wait >= max_wait:
            self._discard_slot(reservation)
        elif result.granted or reservation.scheduled_at is not None:
            if reservation.scheduled_at is not None:
                self._local_limiter.discard(reservation.scheduled_at)
            reservation.scheduled_at = reservation.clock.monotonic() + result.wait
            reservation.owner = self._redis_limiter
            reservation.window_count = result.window_count
            self._local_limiter.record(reservation.scheduled_at)
            self._record_slot(reservation)
        return result.wait

    def _reserve_locally(self, reservation: Reservation, max_wait: float) -> float:
        if reservation.scheduled_at is not None and reservation.owner is self._redis_limiter:
            # The storage granted this slot. Assume that the storage has not postponed it.
            wait = max(reservation.scheduled_at - reservation.clock.monotonic(), 0.0)
            if wait >= max_wait:
                self._discard_slot(reservation)
            return wait
        self._local_limiter.set_process_count(self.process_count)
        wait = self._local_limiter.reserve(reservation, max_wait)
        if reservation.scheduled_at is not None:
            self._record_slot(reservation)
        return wait

    def _record_slot(self, reservation: Reservation) -> None:
        assert reservation.scheduled_at is not None
        with self._lock:
            self._slot_times[reservation.slot_id] = reservation.scheduled_at
            oldest = next(iter(self._slot_times))
            while self._slot_times[oldest] < reservation.scheduled_at - 2 * self._config.window:
                del self._slot_times[oldest]
                oldest = next(iter(self._slot_times))

    def _discard_slot(self, reservation: Reservation) -> None:
        with self._lock:
            self._slot_times.pop(reservation.slot_id, None)
        if reservation.scheduled_at is not None:
            self._local_limiter.discard(reservation.scheduled_at)
            reservation.scheduled_at = None

    def cancel(self, reservation: Reservation) -> None:
        reservation.is_cancelled = True
        if reservation.owner is self._local_limiter:
            self._local_limiter.cancel(reservation)
        if reservation.slot_id:
            self._storage.submit_nowait(lambda: self._redis_limiter.cancel(reservation))
        self._discard_slot(reservation)

    def postpone_slot(self, reservation: Reservation) -> None:
        # The storage and the local limiter each have a copy of the slot. Move both copies.
        self._local_limiter.postpone_slot(reservation)
        if reservation.scheduled_at is not None:
            self._record_slot(reservation)
            self._storage.submit_nowait(lambda: self._redis_limiter.postpone_slot(reservation))

    def apply_feedback(self, feedback: ServerFeedback, reservation: Reservation) -> None:
        # Omit `remaining`, because it also depends on the requests of other processes. The local
        # limiter does not record those requests.
        local_feedback = ServerFeedback(
            feedback.limit, None, feedback.reset_seconds, rejected=feedback.rejected
        )
        self._local_limiter.apply_feedback(local_feedback, reservation)
        self._storage.submit_nowait(
            lambda: self._redis_limiter.apply_feedback(feedback, reservation.slot_id)
        )

    def restore(self) -> None:
        """Send the slots of this process to the storage."""
        if self._clock is None:
            return
        now = self._clock.monotonic()
        with self._lock:
            slots = list(self._slot_times.items())
        window_start = now - self._config.window
        self._redis_limiter.restore(
            [(now - slot_time, slot_id) for slot_id, slot_time in slots if slot_time > window_start]
        )
