"""What can go wrong between a client and Dub, as values.

Imports the messages, the limits and the answers of the API.

A fault is hashable, compares by value, and says in ``apply()`` what a transport is to do:
``execute`` deals with the request as the server would and gives its answer.
"""

from __future__ import annotations

import abc
import dataclasses
import datetime as dt
import fnmatch
import json
import math
import random
import threading
from collections.abc import Callable, Mapping, Sequence
from email.utils import formatdate
from typing import Any, Literal, TypeAlias

from .limits import Usage
from .messages import Delivery, FakeResponse, Request
from .responses import RATE_LIMITED, SERVER_ERROR, STATUS_OF_CODE, error_response, html_response

_CODE_OF_STATUS = {status: code for code, status in STATUS_OF_CODE.items()}
_WINDOW = 60.0


class Fault(abc.ABC):
    """What goes wrong with one request."""

    @abc.abstractmethod
    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        """What becomes of a request at ``now`` (Unix seconds)."""


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_number(name: str, value: float) -> None:
    if not _is_number(value):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{name} must be finite and not below 0, not {value!r}")


def _encode_body(body: str | bytes | Mapping[str, Any] | Sequence[Any]) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return json.dumps(body).encode()


@dataclasses.dataclass(frozen=True)
class Status(Fault):
    """An answer with this status instead of the real one.

    Without a ``body`` it has Dub's error object where the status is one of Dub's errors, else an
    HTML page, as from a proxy. ``body`` is text, bytes, or what is written as JSON. ``carried_out``
    says whether the request was, before the answer.

    Raises:
        TypeError, ValueError: ``code`` is no integer, or not between 200 and 599.
    """

    code: int
    headers: Mapping[str, str] | None = dataclasses.field(default=None, hash=False)
    body: str | bytes | Mapping[str, Any] | Sequence[Any] | None = dataclasses.field(
        default=None, hash=False
    )
    carried_out: bool = False

    def __post_init__(self) -> None:
        if isinstance(self.code, bool) or not isinstance(self.code, int):
            raise TypeError(f"code must be an integer, not {type(self.code).__name__}")
        if not 200 <= self.code <= 599:
            raise ValueError(f"code must be between 200 and 599, not {self.code}")

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        if self.carried_out:
            execute()
        if self.body is None and self.code in _CODE_OF_STATUS:
            message = SERVER_ERROR if self.code == 500 else f"Fault: {self.code}"
            response = error_response(_CODE_OF_STATUS[self.code], message)
        elif self.body is None:
            response = html_response(self.code, "Fault")
        else:
            kind = "text/html" if isinstance(self.body, (str, bytes)) else "application/json"
            response = FakeResponse(self.code, {"Content-Type": kind}, _encode_body(self.body))
        if self.code in (204, 304):
            response.body = b""
        response.headers = _merged(response.headers, self.headers or {})
        return Delivery(response)


def _merged(defaults: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    names = {name.lower() for name in given}
    return {name: value for name, value in defaults.items() if name.lower() not in names} | {
        name: str(value) for name, value in given.items()
    }


Form: TypeAlias = Literal["seconds", "http_date", "unix", "unix_ms"]


@dataclasses.dataclass(frozen=True)
class RateLimited(Fault):
    """Dub's 429, nothing carried out.

    ``retry_after`` is the header: a number or a text as it is, a datetime as an HTTP date, ``None``
    for no header. With a ``form``, ``retry_after`` is seconds from now by the fake's clock, written
    in that form. Left out, it is Dub's own: Unix milliseconds, a minute ahead, and the
    ``X-RateLimit-`` headers beside it.

    Raises:
        TypeError, ValueError: an unknown ``form``, or with one a ``retry_after`` that is no number.
    """

    retry_after: float | str | dt.datetime | None = "dub"
    form: Form | None = None

    def __post_init__(self) -> None:
        if self.form is not None:
            if self.form not in ("seconds", "http_date", "unix", "unix_ms"):
                raise ValueError(
                    f"form must be seconds, http_date, unix or unix_ms, not {self.form!r}"
                )
            if not _is_number(self.retry_after):
                raise TypeError(
                    "retry_after must be a number of seconds where form says how to write it"
                )

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        headers: dict[str, str] = {}
        if self.retry_after == "dub":
            reset = round((now + _WINDOW) * 1000)
            headers = Usage(allowed=False, limit=60, remaining=0, reset=reset).headers()
        elif self.retry_after is not None:
            headers["Retry-After"] = self._header(now)
        return Delivery(error_response("rate_limit_exceeded", RATE_LIMITED, headers))

    def _header(self, now: float) -> str:
        value = self.retry_after
        if isinstance(value, dt.datetime):
            return formatdate(value.timestamp(), usegmt=True)
        if self.form is None or not isinstance(value, (int, float)):
            return str(value)
        if self.form == "seconds":
            return f"{value:g}"
        if self.form == "http_date":
            # A date has whole seconds: rounded up, so that it is never sooner than was asked for.
            return formatdate(math.ceil(now + value), usegmt=True)
        return str(math.ceil((now + value) * (1 if self.form == "unix" else 1000)))


@dataclasses.dataclass(frozen=True)
class DropBefore(Fault):
    """The connection is closed without an answer, and nothing was carried out."""

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(None)


@dataclasses.dataclass(frozen=True)
class DropAfter(Fault):
    """The request is carried out, then the connection is closed without an answer."""

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        execute()
        return Delivery(None)


@dataclasses.dataclass(frozen=True)
class Truncate(Fault):
    """The request is carried out, the connection closed after so many bytes of the body.

    ``Content-Length`` is that of the whole body; a body that is not longer is sent whole.

    Raises:
        TypeError, ValueError: ``bytes`` is no integer, or below 0.
    """

    bytes: int

    def __post_init__(self) -> None:
        if isinstance(self.bytes, bool) or not isinstance(self.bytes, int):
            raise TypeError(f"bytes must be an integer, not {type(self.bytes).__name__}")
        if self.bytes < 0:
            raise ValueError(f"bytes must not be below 0, not {self.bytes}")

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(execute(), cut=self.bytes)


@dataclasses.dataclass(frozen=True)
class Delay(Fault):
    """The request is carried out, and the answer comes ``seconds`` later.

    Raises:
        TypeError, ValueError: ``seconds`` is no number, or below 0.
    """

    seconds: float

    def __post_init__(self) -> None:
        _check_number("seconds", self.seconds)

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(execute(), delay=self.seconds)


@dataclasses.dataclass(frozen=True)
class Drip(Fault):
    """The request is carried out, and the answer's body comes at so many bytes a second.

    Raises:
        TypeError, ValueError: ``bytes_per_second`` is no number, or not above 0.
    """

    bytes_per_second: float

    def __post_init__(self) -> None:
        _check_number("bytes_per_second", self.bytes_per_second)
        if self.bytes_per_second == 0:
            raise ValueError("bytes_per_second must be above 0")

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(execute(), bytes_per_second=self.bytes_per_second)


@dataclasses.dataclass(frozen=True)
class Garbage(Fault):
    """A success whose body is not what was promised, as from a captive portal.

    Nothing carried out. ``status`` is one of the successes, 200 to 299.

    Raises:
        TypeError, ValueError: ``body`` is neither text nor bytes, or ``status`` is no success.
    """

    body: str | bytes = "<html><body>It works!</body></html>"
    content_type: str = "text/html"
    status: int = 200

    def __post_init__(self) -> None:
        if not isinstance(self.body, (str, bytes)):
            raise TypeError(f"body must be text or bytes, not {type(self.body).__name__}")
        if not 200 <= self.status <= 299:
            raise ValueError(f"status must be a success, not {self.status}")

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        return Delivery(
            FakeResponse(self.status, {"Content-Type": self.content_type}, _encode_body(self.body))
        )


@dataclasses.dataclass
class _QueuedFault:
    fault: Fault
    times: int | None
    method: str | None
    path: str | None

    def matches(self, request: Request) -> bool:
        return (self.method is None or self.method == request.method) and (
            self.path is None
            or self.path == request.path
            or fnmatch.fnmatchcase(request.path, self.path)
        )


class Faults:
    """The faults of one fake: queued ones first, then those that come at a rate. Thread-safe."""

    def __init__(self) -> None:
        self._queue: list[_QueuedFault] = []
        self._shares: list[tuple[Fault, float]] = []
        self._random = random.Random()
        self._lock = threading.Lock()

    def add(
        self,
        fault: Fault,
        times: int | None = 1,
        method: str | None = None,
        path: str | None = None,
    ) -> None:
        """Let the next ``times`` requests (``None``: all) of a method and a path meet a fault.

        Each request meets the first of those queued that it matches. ``path`` is as sent, percent-
        encoded and without the query: ``/customers/ext_1``, or a pattern such as ``/customers/*``.

        Raises:
            TypeError: not a fault.
            ValueError: ``times`` below 1.
        """
        if not isinstance(fault, Fault):
            raise TypeError(f"not a fault: {fault!r}; make one of dub_uplink.testing.faults")
        if times is not None and times < 1:
            raise ValueError(f"times must be 1 or more, not {times}")
        queued = _QueuedFault(fault, times, None if method is None else method.upper(), path)
        with self._lock:
            self._queue.append(queued)

    def randomly(self, shares: Mapping[Fault, float], *, seed: int | str) -> None:
        """Let each request meet a fault at a rate: ``{DropAfter(): 0.05, Status(503): 0.1}``.

        The same seed gives the same faults to the same sequence of requests. A second call replaces
        the first; ``{}`` ends it.

        Raises:
            TypeError: not a fault.
            ValueError: a share below 0, or more than 1 in all.
        """
        for fault, share in shares.items():
            if not isinstance(fault, Fault):
                raise TypeError(f"not a fault: {fault!r}; make one of dub_uplink.testing.faults")
            _check_number("a share", share)
        if sum(shares.values()) > 1 + 1e-9:
            raise ValueError("the shares come to more than 1; each is a part of all requests")
        with self._lock:
            self._shares = list(shares.items())
            self._random = random.Random(seed)

    def clear(self) -> None:
        """Nothing goes wrong from now on."""
        with self._lock:
            self._queue.clear()
            self._shares.clear()

    @property
    def pending(self) -> list[Fault]:
        """The queued faults that no request has met yet, one entry a time.

        Those without an end once.
        """
        with self._lock:
            return [queued.fault for queued in self._queue for _ in range(queued.times or 1)]

    def next(self, request: Request) -> Fault | None:
        """The fault that a request meets."""
        if not self._queue and not self._shares:
            return None
        with self._lock:
            # Drawn also where a queued fault comes first, so that queueing one does not shift the
            # others.
            chance = self._random.random() if self._shares else 1.0
            for queued in self._queue:
                if queued.matches(request):
                    if queued.times is not None:
                        queued.times -= 1
                    if queued.times == 0:
                        self._queue.remove(queued)
                    return queued.fault
            for fault, share in self._shares:
                if chance < share:
                    return fault
                chance -= share
        return None
