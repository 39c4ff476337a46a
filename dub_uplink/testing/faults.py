"""Faults that a fake can inject. Faults are hashable."""

from __future__ import annotations

import abc
import dataclasses
import datetime as dt
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from ._api.limits import Usage
from ._api.responses import (
    RATE_LIMITED,
    SERVER_ERROR,
    STATUS_BY_CODE,
    make_error_response,
    make_html_response,
)
from ._fault_values import (
    MIN_SPEED,
    check_headers,
    check_integer,
    check_number,
    check_retry_after,
    check_target,
    encode_body,
    format_retry_after,
    is_number,
    matches_path,
    merge_headers,
)
from ._messages import Delivery, FakeResponse, Request

_CODE_BY_STATUS = {status: code for code, status in STATUS_BY_CODE.items()}
_WINDOW_SECONDS = 60.0


class Fault(abc.ABC):
    """The base class of faults. A fault changes the response to one request."""

    @abc.abstractmethod
    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        """Return how to deliver the response to the client.

        Args:
            execute: A function that executes the request and returns the response.
            now: The fake's Unix time in seconds.
        """


@dataclasses.dataclass(frozen=True)
class Status(Fault):
    """Respond with a status.

    Args:
        code: The status, from 200 to 599.
        headers: Headers to send in addition to ``Content-Type``.
        body: Text, bytes, or a value to send as JSON. By default, the body is Dub's error object.
            For a status that Dub does not use, the body is an HTML page, as from a proxy.
        carried_out: Whether to execute the request.

    Raises:
        TypeError: ``code`` is not an integer.
        ValueError: ``code`` is out of range, or the server itself sets a header in ``headers``.
    """

    code: int
    headers: Mapping[str, str] | None = dataclasses.field(default=None, hash=False)
    body: str | bytes | Mapping[str, Any] | Sequence[Any] | None = dataclasses.field(
        default=None, hash=False
    )
    carried_out: bool = False

    def __post_init__(self) -> None:
        check_integer("code", self.code, 200, 599)
        check_headers(self.headers or ())

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        if self.carried_out:
            execute()
        if self.body is None and self.code in _CODE_BY_STATUS:
            message = SERVER_ERROR if self.code == 500 else f"Fault: {self.code}"
            response = make_error_response(_CODE_BY_STATUS[self.code], message)
        elif self.body is None:
            response = make_html_response(self.code, "Fault")
        else:
            is_text = isinstance(self.body, (str, bytes))
            content_type = "text/html" if is_text else "application/json"
            response = FakeResponse(
                self.code, {"Content-Type": content_type}, encode_body(self.body)
            )
        if self.code in (204, 304):
            response.body = b""
        response.headers = merge_headers(response.headers, self.headers or {})
        return Delivery(response)


Form: TypeAlias = Literal["seconds", "http_date", "unix", "unix_ms"]


@dataclasses.dataclass(frozen=True)
class RateLimited(Fault):
    """Respond with Dub's 429. The request is not executed.

    Args:
        retry_after: The ``Retry-After`` header. A number or text is sent unchanged. A datetime is
            sent as an HTTP date. ``None`` sends no header. By default, the fake sends Dub's
            headers: ``X-RateLimit-*``, and ``Retry-After`` as the Unix milliseconds in one minute.
        form: The form of the header. With a form, ``retry_after`` is a number of seconds after the
            fake's current time.

    Raises:
        TypeError: ``form`` is given, and ``retry_after`` is not a number.
        ValueError: ``form`` is unknown, or a ``retry_after`` with a form is out of range.
    """

    retry_after: float | str | dt.datetime | None = "dub"
    form: Form | None = None

    def __post_init__(self) -> None:
        if self.form is not None:
            if self.form not in ("seconds", "http_date", "unix", "unix_ms"):
                raise ValueError(
                    f"form must be seconds, http_date, unix or unix_ms, not {self.form!r}"
                )
            value: Any = self.retry_after
            if not is_number(value):
                raise TypeError(
                    f"with form={self.form!r}, retry_after must be a number, not {value!r}"
                )
            check_retry_after(value, self.form)

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        headers: dict[str, str] = {}
        if self.retry_after == "dub":
            reset_ms = round((now + _WINDOW_SECONDS) * 1000)
            headers = Usage(allowed=False, limit=60, remaining=0, reset_ms=reset_ms).headers()
        elif self.retry_after is not None:
            headers["Retry-After"] = format_retry_after(self.retry_after, self.form, now)
        return Delivery(make_error_response("rate_limit_exceeded", RATE_LIMITED, headers))


@dataclasses.dataclass(frozen=True)
class DropBefore(Fault):
    """Close the connection. The request is not executed."""

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(None)


@dataclasses.dataclass(frozen=True)
class DropAfter(Fault):
    """Execute the request. Then close the connection without a response."""

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        execute()
        return Delivery(None)


@dataclasses.dataclass(frozen=True)
class Truncate(Fault):
    """Execute the request, and send a part of the body. Then close the connection.

    ``Content-Length`` is the length of the complete body.

    Args:
        bytes: The number of bytes to send. A shorter body is sent completely.

    Raises:
        TypeError: ``bytes`` is not an integer.
        ValueError: ``bytes`` is negative.
    """

    bytes: int

    def __post_init__(self) -> None:
        check_integer("bytes", self.bytes, 0)

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(execute(), truncate_after=self.bytes)


@dataclasses.dataclass(frozen=True)
class Delay(Fault):
    """Execute the request, and delay the response.

    Args:
        seconds: The delay in seconds.

    Raises:
        TypeError: ``seconds`` is not a number.
        ValueError: ``seconds`` is negative or not finite.
    """

    seconds: float

    def __post_init__(self) -> None:
        check_number("seconds", self.seconds)

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(execute(), delay=self.seconds)


@dataclasses.dataclass(frozen=True)
class Drip(Fault):
    """Execute the request, and send the body slowly.

    Args:
        bytes_per_second: The speed of the body, at least 1e-9.

    Raises:
        TypeError: ``bytes_per_second`` is not a number.
        ValueError: ``bytes_per_second`` is below 1e-9, or not finite.
    """

    bytes_per_second: float

    def __post_init__(self) -> None:
        check_number("bytes_per_second", self.bytes_per_second)
        if self.bytes_per_second < MIN_SPEED:
            raise ValueError(
                f"bytes_per_second must be at least {MIN_SPEED}, not {self.bytes_per_second}"
            )

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(execute(), bytes_per_second=self.bytes_per_second)


@dataclasses.dataclass(frozen=True)
class Garbage(Fault):
    """Respond with a success status and an unexpected body, as a captive portal does.

    Args:
        body: The body.
        content_type: The ``Content-Type`` header.
        status: The status, from 200 to 299.

    Raises:
        TypeError: ``body`` is neither text nor bytes, or ``status`` is not an integer.
        ValueError: ``status`` is out of range.
    """

    body: str | bytes = "<html><body>It works!</body></html>"
    content_type: str = "text/html"
    status: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.body, (str, bytes)):
            raise TypeError(f"body must be text or bytes, not {type(self.body).__name__}")
        check_integer("status", self.status, 200, 299)

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(
            FakeResponse(self.status, {"Content-Type": self.content_type}, encode_body(self.body))
        )


@dataclasses.dataclass
class QueuedFault:
    """A queued fault with its conditions; see :meth:`Faults.add`."""

    fault: Fault
    times: int | None
    method: str | None
    path: str | None

    def matches(self, request: Request) -> bool:
        """Return whether the fault applies to a request."""
        return (self.method is None or self.method == request.method) and (
            self.path is None or matches_path(self.path, request.path)
        )


class Faults:
    """The faults of a fake. Queued faults are applied before random faults. Thread-safe."""

    def __init__(self) -> None:
        self._queue: list[QueuedFault] = []
        self._shares: list[tuple[Fault, float]] = []
        self._seed: int | str | None = None
        self._random = random.Random()
        self._lock = threading.RLock()

    def add(
        self,
        fault: Fault,
        times: int | None = 1,
        method: str | None = None,
        path: str | None = None,
    ) -> None:
        """Queue a fault for the next requests with a method and a path.

        Each request gets the first queued fault that matches.

        Args:
            fault: The fault.
            times: The number of requests; ``None`` for all requests.
            method: The HTTP method; ``None`` for any method.
            path: The path as sent, percent-encoded and without the query, or a pattern such as
                ``/customers/*``; ``None`` for any path.

        Raises:
            TypeError: ``fault`` is not a fault, or ``times`` is not an integer.
            ValueError: ``times`` is below 1, or no request can have ``method`` or ``path``.
        """
        if not isinstance(fault, Fault):
            raise TypeError(
                f"a fault must be a Fault instance such as faults.DropBefore(), not {fault!r}"
            )
        if times is not None:
            check_integer("times", times, 1)
        queued = QueuedFault(fault, times, *check_target(method, path))
        with self._lock:
            self._queue.append(queued)

    def randomly(self, shares: Mapping[Fault, float], *, seed: int | str) -> None:
        """Apply faults at random: ``{DropAfter(): 0.05, Status(503): 0.1}``.

        With one seed, equal sequences of requests get equal faults. Each call replaces the random
        faults of the previous call.

        Args:
            shares: Each fault with its fraction of the requests, from 0 to 1; ``{}`` for none.
            seed: The seed of the random numbers.

        Raises:
            TypeError: a key is not a fault, or a share is not a number.
            ValueError: a share is negative, or the sum of the shares is above 1.
        """
        for fault, share in shares.items():
            if not isinstance(fault, Fault):
                raise TypeError(
                    f"a fault must be a Fault instance such as faults.DropBefore(), not {fault!r}"
                )
            check_number("a share", share)
        total = sum(shares.values())
        if total > 1 + 1e-9:
            raise ValueError(f"the sum of the shares must be at most 1, not {total:g}")
        with self._lock:
            self._shares = list(shares.items())
            self._seed = seed if shares else None
            self._random = random.Random(seed)

    def clear(self) -> None:
        """Remove every fault."""
        with self._lock:
            self._queue.clear()
            self._shares.clear()
            self._seed = None

    @property
    def pending(self) -> list[Fault]:
        """Return the queued faults, each as often as its remaining number of requests.

        A fault for all requests is listed once.
        """
        with self._lock:
            return [queued.fault for queued in self._queue for _ in range(queued.times or 1)]

    @property
    def queue(self) -> list[QueuedFault]:
        """Return copies of the queued faults. ``times`` is the remaining number of requests."""
        with self._lock:
            return [dataclasses.replace(queued) for queued in self._queue]

    @property
    def shares(self) -> dict[Fault, float]:
        """Return the random faults, each with its fraction of the requests, from 0 to 1."""
        with self._lock:
            return dict(self._shares)

    @property
    def seed(self) -> int | str | None:
        """Return the argument ``seed`` of :meth:`randomly`; ``None`` without random faults."""
        return self._seed

    def next(self, request: Request) -> Fault | None:
        """Take the fault for a request from the queue or at random; ``None`` for no fault."""
        if not self._queue and not self._shares:
            return None
        with self._lock:
            # Draw a number for every request. Queued faults then do not change the random faults.
            random_number = self._random.random() if self._shares else 1.0
            for queued in self._queue:
                if queued.matches(request):
                    if queued.times is not None:
                        queued.times -= 1
                    if queued.times == 0:
                        self._queue.remove(queued)
                    return queued.fault
            for fault, share in self._shares:
                if random_number < share:
                    return fault
                random_number -= share
        return None
