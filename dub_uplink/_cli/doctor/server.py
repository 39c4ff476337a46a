"""Check the connection to the server step by step, and then the API key.

All steps share one deadline. Python has no timeout for DNS lookups, but the deadline also applies
to them.
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
from dub_uplink._cli.doctor.installation import Finding, hide_credentials, parse_host_and_port
from dub_uplink._cli.failures import ExitCode, make_failure

R = TypeVar("R")

_SERVER_SECTION, _KEY_SECTION = "Server", "API key"
#: The accepted difference between this machine's clock and the server's clock, in seconds. The
#: difference matters only if a response has no `Date` header, and its `Retry-After` is a time.
MAX_CLOCK_SKEW = 10.0
#: A certificate that expires within this number of days gets a hint.
_EXPIRY_WARNING_DAYS = 14
_TIMED_OUT = "no response within --timeout"
_CHECK_NETWORK = "check the network and the name of the server"
_CHECK_BUNDLE = "if a proxy decrypts TLS, set REQUESTS_CA_BUNDLE to a file with its certificates"


class Deadline:
    """The time limit of all steps together.

    Args:
        seconds: the time until the deadline, in seconds.
    """

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def remaining_seconds(self) -> float:
        """Return the remaining seconds, at least 0.001. A timeout of 0 means non-blocking."""
        return max(self._ends_at - time.monotonic(), 0.001)

    def run(self, step: Callable[[], R]) -> tuple[R, float]:
        """Run a step in a thread. Return its result and its duration in milliseconds.

        Raises:
            TimeoutError: The deadline has passed. The daemon thread still runs the step.
        """
        results: list[Any] = []
        raised_errors: list[BaseException] = []

        def run_step() -> None:
            try:
                results.append(step())
            except BaseException as error:  # noqa: BLE001 - raised again, in the caller's thread
                raised_errors.append(error)

        started_at = time.perf_counter()
        thread = threading.Thread(target=run_step, daemon=True)
        thread.start()
        thread.join(self.remaining_seconds())
        if raised_errors:
            raise raised_errors[0]
        if not results:
            raise TimeoutError(_TIMED_OUT)
        return results[0], (time.perf_counter() - started_at) * 1000


def check_connection(url: str, deadline: Deadline) -> Iterator[Finding]:
    """Check DNS, TCP and TLS, and yield the findings. Stop after the first failed check."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxy = select_proxy(url, get_environ_proxies(url))
    if proxy is not None:
        yield Finding(_SERVER_SECTION, "through", f"the proxy {hide_credentials(proxy)}")
        proxy_address = parse_host_and_port(proxy)
        if proxy_address is None:
            hint = (
                "give a URL such as http://proxy:8080 in HTTPS_PROXY or HTTP_PROXY;"
                " percent-encode its user and password"
            )
            yield _failed_check("proxy", "its URL has no valid host", hint)
            return
        host, port = proxy_address
    try:
        address_infos, duration_ms = deadline.run(
            lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        )
    except (OSError, UnicodeError) as error:
        yield _failed_check(
            "DNS", f"cannot resolve {host}: {_format_reason(error)}", _CHECK_NETWORK
        )
        return
    addresses = list(dict.fromkeys(str(address[4][0]) for address in address_infos))
    yield Finding(_SERVER_SECTION, "DNS", f"{', '.join(addresses[:4])} ({duration_ms:.0f} ms)")
    try:
        sock, duration_ms = deadline.run(
            lambda: socket.create_connection((host, port), deadline.remaining_seconds())
        )
    except OSError as error:
        hint = f"check that the server is running, and that no firewall blocks port {port}"
        yield _failed_check("TCP", f"no connection to port {port}: {_format_reason(error)}", hint)
        return
    yield Finding(_SERVER_SECTION, "TCP", f"connected to port {port} ({duration_ms:.0f} ms)")
    with sock:
        if parts.scheme == "https" and proxy is None:
            yield _check_tls(sock, parts, deadline)


def _check_tls(sock: socket.socket, parts: SplitResult, deadline: Deadline) -> Finding:
    request_settings = requests.Session().merge_environment_settings(
        parts.geturl(), {}, None, None, None
    )
    bundle = str(
        DEFAULT_CA_BUNDLE_PATH if request_settings["verify"] is True else request_settings["verify"]
    )

    def handshake() -> tuple[Any, str]:
        # Use the TLS context and the certificates that `requests` uses.
        context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED)
        context.check_hostname = True
        if Path(bundle).is_dir():
            context.load_verify_locations(capath=bundle)
        else:
            context.load_verify_locations(cafile=bundle)
        sock.settimeout(deadline.remaining_seconds())
        with context.wrap_socket(sock, server_hostname=parts.hostname) as wrapped:
            return wrapped.getpeercert(), wrapped.version() or ""

    try:
        (certificate, version), duration_ms = deadline.run(handshake)
    except ssl.SSLCertVerificationError as error:
        return _failed_check(
            "TLS", f"the certificate is invalid: {error.verify_message}", _CHECK_BUNDLE
        )
    except OSError as error:
        return _failed_check(
            "TLS",
            f"handshake failed: {_format_reason(error)}",
            "check that this port of the server uses TLS",
        )
    issuer = dict(part[0] for part in certificate.get("issuer", ()))
    issuer_name = issuer.get("organizationName") or issuer.get("commonName", "an unnamed authority")
    expires_at = dt.datetime.fromtimestamp(
        ssl.cert_time_to_seconds(certificate["notAfter"]), dt.timezone.utc
    )
    days_left = (expires_at - dt.datetime.now(dt.timezone.utc)).days
    hint = "the certificate expires soon" if days_left < _EXPIRY_WARNING_DAYS else ""
    value = (
        f"{version}, certificate by {issuer_name}, valid until {expires_at:%Y-%m-%d}"
        f" ({duration_ms:.0f} ms)"
    )
    return Finding(_SERVER_SECTION, "TLS", value, hint=hint)


class ResponseRecorder:
    """Records the time and the ``Date`` header of the last response of its ``session``."""

    def __init__(self) -> None:
        self.session = requests.Session()
        self.session.mount("https://", DeadlineAdapter())
        self.session.mount("http://", DeadlineAdapter())
        self.session.hooks["response"].append(self._record)
        self.has_response = False
        self._date_header = ""
        self._received_at = 0.0

    def _record(self, response: requests.Response, **_: Any) -> None:
        self.has_response = True
        self._date_header, self._received_at = response.headers.get("Date", ""), time.time()

    def check_clock(self) -> Finding:
        """Compare the server's clock with the clock of this machine."""
        try:
            server_time = parsedate_to_datetime(self._date_header).timestamp()
        except (ValueError, TypeError, OverflowError):
            return Finding(
                _SERVER_SECTION, "clock", "not checked: the response has no valid Date header"
            )
        # The header is rounded down to whole seconds. Add the average loss of half a second.
        seconds_ahead = self._received_at - (server_time + 0.5)
        if abs(seconds_ahead) < MAX_CLOCK_SKEW:
            return Finding(_SERVER_SECTION, "clock", "within a few seconds of this machine's clock")
        direction = "ahead" if seconds_ahead > 0 else "behind"
        value = f"this machine is {abs(seconds_ahead):,.0f} s {direction}"
        hint = (
            "set the clock of this machine; with a wrong clock, the client may wait too long or too"
            " short after a response without a Date header"
        )
        return Finding(_SERVER_SECTION, "clock", value, ExitCode.FAILED, hint)


def check_api(client: Dub, deadline: Deadline) -> Iterator[Finding]:
    """Read one customer, and yield findings on the response and the API key."""

    def list_one() -> Any:
        return client.customers.list(page_size=1, timeout_ms=deadline.remaining_seconds() * 1000)

    try:
        _, duration_ms = deadline.run(list_one)
    except TimeoutError as error:
        yield _failed_check("HTTP", str(error), "set a longer limit with --timeout")
    except errors.DubError as error:
        failure = make_failure(error)
        code, hint = ExitCode(failure.exit_code), failure.hint.rstrip(".")
        if code == ExitCode.AUTH:
            yield Finding(_KEY_SECTION, "key", f"rejected: {error}", code, hint)
        else:
            yield Finding(_SERVER_SECTION, "HTTP", str(error), code, hint)
    else:
        yield Finding(_SERVER_SECTION, "HTTP", f"customers can be read ({duration_ms:.0f} ms)")
        yield Finding(_KEY_SECTION, "key", "valid, with permission to read customers")


def _failed_check(name: str, value: str, hint: str) -> Finding:
    return Finding(_SERVER_SECTION, name, value, ExitCode.NETWORK, hint)


def _format_reason(error: BaseException) -> str:
    """Return the message of an error, without the error number."""
    if isinstance(error, TimeoutError):
        return _TIMED_OUT
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
