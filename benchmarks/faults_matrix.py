"""The fault matrix: ten failures, this client and the official SDK, over real sockets.

What a client did is read off the server: when each request came, and by which connection's end it
went. A call that would go on for an hour is ended, and that is its result.
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
PATIENCE = 8.0  # seconds until a sleeping client is believed to sleep on
ASKED = 3.0  # seconds ahead that a Retry-After says
SILENCE = 20.0


@dataclasses.dataclass
class Seen:
    """What one call was seen to do."""

    arrivals: list[float]
    result: dict[str, Any] | None
    #: How many customers or leads the server has in the end.
    written: int
    #: The moment that the server's Retry-After named.
    moment: float | None

    @property
    def ending(self) -> str:
        """What the caller got, in a few words."""
        if self.result is None:
            return "stopped by the benchmark"
        error = self.result.get("error")
        return f"``{error}``" if error else "success"

    @property
    def attempts(self) -> str:
        """How often it was sent."""
        return f"sent {_times(len(self.arrivals))}"


@dataclasses.dataclass(frozen=True)
class Column:
    """A failure, the call that meets it, and how it reads."""

    title: str
    fault: Callable[[float], faults.Fault] | None
    action: str
    read: Callable[[Seen], str]
    #: What the row of this client must say, or it has regressed.
    passes: Callable[[Seen], bool]
    patience: float = PATIENCE


class _Watched(FakeDub):
    """A fake that notes when each request came, and that takes leads, each as a new one."""

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


def _said(seen: Seen) -> str:
    if seen.result is not None and seen.result.get("error") == "builtins.LookupError":
        return "no such method"
    return f"{seen.attempts}, written {_times(seen.written)}; {seen.ending}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _waited(seen: Seen) -> str:
    if len(seen.arrivals) < 2 or seen.moment is None:
        return f"no retry; {seen.ending}"
    after = seen.arrivals[1] - seen.moment
    how = f"{after:.2f} s after" if after >= 0 else f"{-after:.2f} s before"
    return f"retried {how} the requested time; {seen.ending}"


def _refused(seen: Seen) -> str:
    if seen.result is None:
        return f"sleeps; stopped after {PATIENCE:g} s"
    asked = seen.result.get("retry_after")
    after = f" with ``retry_after`` {asked:g}" if isinstance(asked, (int, float)) else ""
    return f"{seen.ending}{after} after {seen.result['seconds']:.2f} s"


def _held(seen: Seen) -> str:
    gaps = [b - a for a, b in zip(seen.arrivals, seen.arrivals[1:], strict=False)]
    if seen.result is None:
        gap = f", every {min(gaps):.1f} s" if gaps else ""
        return f"{seen.attempts}{gap}; stopped after {SILENCE + 5:g} s"
    return f"{seen.attempts}; {seen.ending} after {seen.result['seconds']:.1f} s"


def _pickled(seen: Seen) -> str:
    good = seen.result is not None and seen.result.get("value") is True
    return "yes" if good else f"no: {seen.ending}"


def _once(seen: Seen) -> bool:
    return seen.written == 1 and seen.result is not None and "error" not in seen.result


def _at_most_once(seen: Seen) -> bool:
    return seen.written <= 1 and len(seen.arrivals) == 1 and seen.result is not None


def _in_time(seen: Seen) -> bool:
    if not _once(seen) or seen.moment is None or len(seen.arrivals) != 2:
        return False
    return 0 <= seen.arrivals[1] - seen.moment <= 1.5  # a second of jitter, and this machine


def _limited(form: Any) -> Callable[[float], faults.Fault]:
    return lambda now: faults.RateLimited(ASKED, form)


COLUMNS = (
    Column("create, 503 response", lambda now: faults.Status(503), "create", _said, _once),
    Column(
        "create, applied, then connection dropped",
        lambda now: faults.DropAfter(),
        "create",
        _said,
        _once,
    ),
    Column(
        "another POST, 503 response", lambda now: faults.Status(503), "lead", _said, _at_most_once
    ),
    Column(
        "another POST, applied, then connection dropped",
        lambda now: faults.DropAfter(),
        "lead",
        _said,
        _at_most_once,
    ),
    Column(
        "another POST, response 8 s late",
        lambda now: faults.Delay(8.0),
        "lead",
        _said,
        _at_most_once,
        patience=16.0,
    ),
    Column("429 + HTTP date", _limited("http_date"), "get", _waited, _in_time),
    Column(
        "429 + ``Retry-After: 3600``",
        lambda now: faults.RateLimited(3_600),
        "get",
        _refused,
        lambda seen: seen.result is not None and seen.result.get("retry_after") == 3_600,
    ),
    Column("429 + ``Retry-After`` in Unix ms", _limited("unix_ms"), "get", _waited, _in_time),
    Column(
        "server silent 20 s",
        lambda now: faults.Delay(SILENCE),
        "get",
        _held,
        lambda seen: seen.result is not None and seen.result["seconds"] < 31,
        patience=SILENCE + 5,
    ),
    Column(
        "error pickles",
        None,
        "pickle",
        _pickled,
        lambda seen: seen.result is not None and seen.result.get("value") is True,
    ),
)


def watch(column: Column, client: str, python: Path) -> Seen:
    """Let one client meet one failure."""
    fake = _Watched()
    with fake:
        if column.action == "get":
            fake.add(external_id="user_1")
        moment = None
        if column.fault is not None:
            fault = column.fault(time.time())
            # A slow server is slow however often one asks; anything else is met once.
            fake.faults.add(fault, times=None if isinstance(fault, faults.Delay) else 1)
        with fake.serve() as url:
            result = _drive(python, client, url, column)
        if column.fault is not None and isinstance(fault, faults.RateLimited) and fake.arrivals:
            moment = _moment(fault, fake.arrivals[0])
        return Seen(fake.arrivals, result, len(fake.customers) + fake.leads, moment)


def _moment(fault: faults.RateLimited, arrival: float) -> float | None:
    """The moment that the header named, as the fake wrote it when the request came."""
    if fault.form == "unix_ms":
        return arrival + ASKED
    if fault.form == "http_date":
        return float(-(-(arrival + ASKED) // 1))  # whole seconds, rounded up
    return None


def _drive(python: Path, client: str, url: str, column: Column) -> dict[str, Any] | None:
    env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    if client == "ours":
        env["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [str(python), str(DRIVER), client, url, column.action],
            capture_output=True,
            text=True,
            check=False,
            env=env,
            # From the start of the process: its imports take a second or two.
            timeout=column.patience + 3,
        )
        if done.returncode:
            raise RuntimeError(f"{client}, {column.title}: {done.stderr[-2000:]}")
        seen: dict[str, Any] = json.loads(done.stdout)
        return seen
    return None


def run(say: Callable[[str], object]) -> dict[str, Any]:
    """The whole matrix: ``{"columns": …, "rows": {client: […]}, "passed": …, "versions": …}``."""
    official = peers.python_of(peers.OFFICIAL, say=say)
    rows: dict[str, list[str]] = {}
    passed: dict[str, list[bool]] = {}
    for client, python in (("ours", Path(sys.executable)), ("official", official)):
        rows[client], passed[client] = [], []
        for column in COLUMNS:
            say(f"matrix: {client}, {column.title}")
            seen = watch(column, client, python)
            rows[client].append(column.read(seen))
            passed[client].append(column.passes(seen))
    versions = peers.versions_in(official)
    return {
        "columns": [column.title for column in COLUMNS],
        "rows": rows,
        "passed": passed,
        "versions": {"dub": versions["dub"], "httpx": versions["httpx"]},
    }
