"""Whether the server answers, step by step, and what it says to the key.

Each step is bounded by the time that is left, look-ups of names as well, which cannot be.
"""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import SplitResult, urlsplit

import requests
from requests.utils import DEFAULT_CA_BUNDLE_PATH, get_environ_proxies, select_proxy
from urllib3.util.ssl_ import create_urllib3_context

from dub_uplink import DeadlineAdapter, Dub, errors
from dub_uplink._cli.doctor.installation import Finding, address, hide_credentials
from dub_uplink._cli.failures import ExitCode, failure

R = TypeVar("R")

_SERVER, _KEY = "Server", "API key"
#: Seconds between two clocks from which on waits for a `Retry-After` in Unix time go wrong.
MOST_SKEW = 10.0
_SOON = 14  # days
_TOO_LATE = "no answer within --timeout"
_LOCAL = "is there a network, and is the server's name right?"
_BUNDLE = "behind a proxy that opens TLS, put its certificates in REQUESTS_CA_BUNDLE"


class Watch:
    """How much is left of the seconds that all steps share."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds, never none at all: a time-out of 0 would mean something else."""
        return max(self._end - time.monotonic(), 0.001)

    def within(self, step: Callable[[], R]) -> tuple[R, float]:
        """What a step returns, and the milliseconds that it took.

        Raises:
            TimeoutError: it was not done in time. It goes on by itself, in a daemon's thread.
        """
        results: list[Any] = []
        failures: list[BaseException] = []

        def run() -> None:
            try:
                results.append(step())
            except BaseException as error:  # noqa: BLE001 - raised again, in the caller's thread
                failures.append(error)

        started = time.perf_counter()
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(self.left())
        if failures:
            raise failures[0]
        if not results:
            raise TimeoutError(_TOO_LATE)
        return results[0], (time.perf_counter() - started) * 1000


def connection(url: str, watch: Watch) -> Iterator[Finding]:
    """The name, the connection and the certificate, up to the first that fails."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxy = select_proxy(url, get_environ_proxies(url))
    if proxy is not None:
        yield Finding(_SERVER, "through", f"the proxy {hide_credentials(proxy)}")
        at = address(proxy)
        if at is None:
            hint = "in HTTPS_PROXY or HTTP_PROXY, percent-encode what stands before the @"
            yield _trouble("proxy", "its host cannot be read", hint)
            return
        host, port = at
    try:
        found, took = watch.within(lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        yield _trouble("DNS", f"{host} is not found: {_said(error)}", _LOCAL)
        return
    addresses = list(dict.fromkeys(str(address[4][0]) for address in found))
    yield Finding(_SERVER, "DNS", f"{', '.join(addresses[:4])} ({took:.0f} ms)")
    try:
        sock, took = watch.within(lambda: socket.create_connection((host, port), watch.left()))
    except OSError as error:
        hint = "is the server running, and does a firewall let you through?"
        yield _trouble("TCP", f"no connection to port {port}: {_said(error)}", hint)
        return
    yield Finding(_SERVER, "TCP", f"connected to port {port} ({took:.0f} ms)")
    with sock:
        if parts.scheme == "https" and proxy is None:
            yield _tls(sock, parts, watch)


def _tls(sock: socket.socket, parts: SplitResult, watch: Watch) -> Finding:
    settings = requests.Session().merge_environment_settings(parts.geturl(), {}, None, None, None)
    bundle = str(DEFAULT_CA_BUNDLE_PATH if settings["verify"] is True else settings["verify"])

    def handshake() -> tuple[Any, str]:
        # The context that requests' connections have, with the certificates that it would give it.
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        context.check_hostname = True
        if Path(bundle).is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
        sock.settimeout(watch.left())
        with context.wrap_socket(sock, server_hostname=parts.hostname) as wrapped:
            return wrapped.getpeercert(), wrapped.version() or ""

    try:
        (certificate, version), took = watch.within(handshake)
    except ssl.SSLCertVerificationError as error:
        return _trouble("TLS", f"the certificate is refused: {error.verify_message}", _BUNDLE)
    except OSError as error:
        return _trouble("TLS", f"failed: {_said(error)}", "does the server speak TLS on this port?")
    issuer = dict(part[0] for part in certificate.get("issuer", ()))
    by = issuer.get("organizationName") or issuer.get("commonName", "an unnamed authority")
    expires = dt.datetime.fromtimestamp(
        ssl.cert_time_to_seconds(certificate["notAfter"]), dt.timezone.utc
    )
    days = (expires - dt.datetime.now(dt.timezone.utc)).days
    hint = "the certificate expires soon" if days < _SOON else ""
    told = f"{version}, certificate by {by}, valid until {expires:%Y-%m-%d} ({took:.0f} ms)"
    return Finding(_SERVER, "TLS", told, hint=hint)


class Answers:
    """A session that keeps when the last answer came, and what it said the time was."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.mount("https://", DeadlineAdapter())
        self.session.mount("http://", DeadlineAdapter())
        self.session.hooks["response"].append(self._keep)
        self.any = False
        self._date = ""
        self._came = 0.0

    def _keep(self, answer: requests.Response, **_: Any) -> None:
        self.any, self._date, self._came = True, answer.headers.get("Date", ""), time.time()

    def clock(self) -> Finding:
        """The difference between the server's clock and ours."""
        try:
            theirs = parsedate_to_datetime(self._date).timestamp()
        except (ValueError, TypeError, OverflowError):
            return Finding(_SERVER, "clock", "it does not say its time")
        # The header has no fraction of a second: on the average half of one is missing.
        ahead = self._came - (theirs + 0.5)
        if abs(ahead) < MOST_SKEW:
            return Finding(_SERVER, "clock", "as this machine's, within a few seconds")
        told = f"this machine is {abs(ahead):,.0f} s {'ahead' if ahead > 0 else 'behind'}"
        hint = "set it: waits for a Retry-After in Unix time are wrong by as much"
        return Finding(_SERVER, "clock", told, ExitCode.FAILED, hint)


def read(client: Dub, watch: Watch) -> Iterator[Finding]:
    """One customer, and what the answer says of the server and of the key."""

    def page() -> Any:
        return client.customers.list(page_size=1, timeout_ms=watch.left() * 1000)

    try:
        _, took = watch.within(page)
    except TimeoutError as error:
        yield _trouble("HTTP", str(error), "--timeout gives it more seconds")
    except errors.DubError as error:
        told = failure(error)
        code, hint = ExitCode(told.exit_code), told.hint.rstrip(".")
        if code == ExitCode.AUTH:
            yield Finding(_KEY, "key", f"refused: {error}", code, hint)
        else:
            yield Finding(_SERVER, "HTTP", str(error), code, hint)
    else:
        yield Finding(_SERVER, "HTTP", f"one customer read ({took:.0f} ms)")
        yield Finding(_KEY, "key", "works: it may read customers")


def _trouble(name: str, value: str, hint: str) -> Finding:
    return Finding(_SERVER, name, value, ExitCode.NETWORK, hint)


def _said(error: BaseException) -> str:
    """What an error of the system's says, without its number."""
    if isinstance(error, TimeoutError):
        return _TOO_LATE  # whichever of the two clocks was faster, the socket's or ours
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
