"""Compare this client and the official SDK in ten failures over real sockets.

The attempts of a client are counted at the server, with their times. The benchmark stops a call
that takes too long, and reports that as its result.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dub_uplink.testing import FakeDub, Request, faults
from dub_uplink.testing._messages import Delivery, FakeResponse

from . import peers

DRIVER = Path(__file__).with_name("faults_driver.py")
CALL_TIMEOUT = 8.0  # seconds until a call is stopped
RETRY_AFTER = 3.0  # seconds that Retry-After requests
SILENCE = 20.0  # seconds of the delayed response


@dataclasses.dataclass
class Outcome:
    """The requests and the result of one call."""

    arrivals: list[float]
    result: dict[str, Any] | None
    #: The number of customers or leads on the server after the call.
    written: int
    #: The Unix time that the Retry-After of the server requested.
    retry_at: float | None

    @property
    def ending(self) -> str:
        """Return the result of the call as text."""
        if self.result is None:
            return "stopped by the benchmark"
        error = self.result.get("error")
        return f"``{error}``" if error else "success"

    @property
    def attempts(self) -> str:
        """Return the number of attempts as text."""
        return f"sent {_times(len(self.arrivals))}"


@dataclasses.dataclass(frozen=True)
class Column:
    """A failure, the call that is made, and the format of its outcome."""

    title: str
    fault: Callable[[float], faults.Fault] | None
    action: str
    describe: Callable[[Outcome], str]
    #: Returns whether the outcome of this client is correct.
    passes: Callable[[Outcome], bool]
    timeout: float = CALL_TIMEOUT


class RecordingFake(FakeDub):
    """A fake that records the time of each request, and accepts leads without deduplication."""

    def __init__(self) -> None:
        super().__init__()
        self.arrivals: list[float] = []
        self.leads = 0

    def handle(self, request: Request) -> Delivery:
        self.arrivals.append(time.time())
        if request.path != "/track/lead":
            return super().handle(request)
        fault = self.faults.next(request)
        return fault.apply(self._lead, self.clock.time()) if fault else Delivery(self._lead())

    def _lead(self) -> FakeResponse:
        self.leads += 1
        customer = {"name": None, "email": None, "avatar": None, "externalId": "user_1"}
        body = json.dumps({"click": {"id": "c"}, "link": None, "customer": customer}).encode()
        return FakeResponse(200, {"Content-Type": "application/json"}, body)


def _describe_write(outcome: Outcome) -> str:
    if outcome.result is not None and outcome.result.get("error") == "builtins.LookupError":
        return "no such method"
    return f"{outcome.attempts}, written {_times(outcome.written)}; {outcome.ending}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _describe_wait(outcome: Outcome) -> str:
    if len(outcome.arrivals) < 2 or outcome.retry_at is None:
        return f"no retry; {outcome.ending}"
    after = outcome.arrivals[1] - outcome.retry_at
    how = f"{after:.2f} s after" if after >= 0 else f"{-after:.2f} s before"
    return f"retried {how} the requested time; {outcome.ending}"


def _describe_long_wait(outcome: Outcome) -> str:
    if outcome.result is None:
        return f"sleeps; stopped after {CALL_TIMEOUT:g} s"
    delay = outcome.result.get("retry_after")
    after = f" with ``retry_after`` {delay:g}" if isinstance(delay, (int, float)) else ""
    return f"{outcome.ending}{after} after {outcome.result['seconds']:.2f} s"


def _describe_silence(outcome: Outcome) -> str:
    gaps = [b - a for a, b in zip(outcome.arrivals, outcome.arrivals[1:], strict=False)]
    if outcome.result is None:
        gap = f", every {min(gaps):.1f} s" if gaps else ""
        return f"{outcome.attempts}{gap}; stopped after {SILENCE + 5:g} s"
    return f"{outcome.attempts}; {outcome.ending} after {outcome.result['seconds']:.1f} s"


def _describe_pickle(outcome: Outcome) -> str:
    pickles = outcome.result is not None and outcome.result.get("value") is True
    return "yes" if pickles else f"no: {outcome.ending}"


def _applied_once(outcome: Outcome) -> bool:
    return outcome.written == 1 and outcome.result is not None and "error" not in outcome.result


def _at_most_once(outcome: Outcome) -> bool:
    return outcome.written <= 1 and len(outcome.arrivals) == 1 and outcome.result is not None


def _waited_as_requested(outcome: Outcome) -> bool:
    if not _applied_once(outcome) or outcome.retry_at is None or len(outcome.arrivals) != 2:
        return False
    # The upper bound is a second of jitter, and half a second for the load of the machine.
    return 0 <= outcome.arrivals[1] - outcome.retry_at <= 1.5


def _rate_limited(form: Any) -> Callable[[float], faults.Fault]:
    return lambda now: faults.RateLimited(RETRY_AFTER, form)


COLUMNS = (
    Column(
        "create, 503 response",
        lambda now: faults.Status(503),
        "create",
        _describe_write,
        _applied_once,
    ),
    Column(
        "create, applied, then connection dropped",
        lambda now: faults.DropAfter(),
        "create",
        _describe_write,
        _applied_once,
    ),
    Column(
        "another POST, 503 response",
        lambda now: faults.Status(503),
        "lead",
        _describe_write,
        _at_most_once,
    ),
    Column(
        "another POST, applied, then connection dropped",
        lambda now: faults.DropAfter(),
        "lead",
        _describe_write,
        _at_most_once,
    ),
    Column(
        "another POST, response 8 s late",
        lambda now: faults.Delay(8.0),
        "lead",
        _describe_write,
        _at_most_once,
        timeout=16.0,
    ),
    Column(
        "429 + HTTP date", _rate_limited("http_date"), "get", _describe_wait, _waited_as_requested
    ),
    Column(
        "429 + ``Retry-After: 3600``",
        lambda now: faults.RateLimited(3_600),
        "get",
        _describe_long_wait,
        lambda outcome: outcome.result is not None and outcome.result.get("retry_after") == 3_600,
    ),
    Column(
        "429 + ``Retry-After`` in Unix ms",
        _rate_limited("unix_ms"),
        "get",
        _describe_wait,
        _waited_as_requested,
    ),
    Column(
        "server silent 20 s",
        lambda now: faults.Delay(SILENCE),
        "get",
        _describe_silence,
        lambda outcome: outcome.result is not None and outcome.result["seconds"] < 31,
        timeout=SILENCE + 5,
    ),
    Column(
        "error pickles",
        None,
        "pickle",
        _describe_pickle,
        lambda outcome: outcome.result is not None and outcome.result.get("value") is True,
    ),
)


def measure(column: Column, client: str, python: Path) -> Outcome:
    """Make one call of one client with one failure."""
    fake = RecordingFake()
    with fake:
        if column.action == "get":
            fake.add(external_id="user_1")
        retry_at = None
        if column.fault is not None:
            fault = column.fault(time.time())
            # A slow server delays every attempt; any other fault affects the first attempt only.
            fake.faults.add(fault, times=None if isinstance(fault, faults.Delay) else 1)
        with fake.serve() as url:
            result = _run_driver(python, client, url, column)
        if column.fault is not None and isinstance(fault, faults.RateLimited) and fake.arrivals:
            retry_at = _requested_time(fault, fake.arrivals[0])
        return Outcome(fake.arrivals, result, len(fake.customers) + fake.leads, retry_at)


def _requested_time(fault: faults.RateLimited, arrival: float) -> float | None:
    """Return the time in the header that the fake sent for a request at ``arrival``."""
    if fault.form == "unix_ms":
        return arrival + RETRY_AFTER
    if fault.form == "http_date":
        return float(-(-(arrival + RETRY_AFTER) // 1))  # whole seconds, rounded up
    return None


def _run_driver(python: Path, client: str, url: str, column: Column) -> dict[str, Any] | None:
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    if client == "ours":
        env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    with contextlib.suppress(subprocess.TimeoutExpired):
        completed = subprocess.run(
            [str(python), str(DRIVER), client, url, column.action],
            capture_output=True,
            text=True,
            check=False,
            env=env,
            # The time of the process includes its imports, which take one or two seconds.
            timeout=column.timeout + 3,
        )
        if completed.returncode:
            raise RuntimeError(f"{client}, {column.title}: {completed.stderr[-2000:]}")
        result: dict[str, Any] = json.loads(completed.stdout)
        return result
    return None


def run(log: Callable[[str], object]) -> dict[str, Any]:
    """Return the matrix: ``{"columns": …, "rows": {client: […]}, "passed": …, "versions": …}``."""
    official = peers.python_of(peers.OFFICIAL, log=log)
    rows: dict[str, list[str]] = {}
    passed: dict[str, list[bool]] = {}
    for client, python in (("ours", Path(sys.executable)), ("official", official)):
        rows[client], passed[client] = [], []
        for column in COLUMNS:
            log(f"matrix: {client}, {column.title}")
            outcome = measure(column, client, python)
            rows[client].append(column.describe(outcome))
            passed[client].append(column.passes(outcome))
    versions = peers.versions_in(official)
    return {
        "columns": [column.title for column in COLUMNS],
        "rows": rows,
        "passed": passed,
        "versions": {"dub": versions["dub"], "httpx": versions["httpx"]},
    }
