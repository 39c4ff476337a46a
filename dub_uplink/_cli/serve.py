"""Serve a fake of Dub's API, and print a line for each request: ``dub-uplink serve``."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator

import click

from dub_uplink.testing import FakeDub
from dub_uplink.testing._server import AdminTokenRequired, Server

#: The maximum number of log lines in memory. If the reader of the output is slower than the
#: requests, the oldest lines are dropped.
_MAX_LINES = 10_000
#: The seconds between two writes of log lines. One write for many lines takes less time.
_WRITE_INTERVAL = 0.02
#: The maximum number of seconds that the end of the process waits for the reader of the output.
_CLOSE_TIMEOUT = 1.0


def run_server(
    *,
    host: str,
    port: int,
    token: str,
    rate_limit: int | None,
    window: float,
    latency: float,
    role: str,
    plan: str,
    default_program: str | None,
    seed_customers: int,
    database: str | None,
    admin: bool,
    admin_token: str | None,
    quiet: bool,
) -> None:
    """Serve a fake until Ctrl-C, SIGTERM or a shutdown through the admin API.

    Raises:
        click.UsageError: a setting is invalid, or the admin API needs ``admin_token`` on this host.
        OSError: the server cannot listen on the address, for example because the port is in use.
        sqlite3.Error: ``database`` is not a SQLite file, or is read-only.
    """
    try:
        fake = FakeDub(
            token=token,
            role=role,
            plan=plan,
            default_program=default_program,
            rate_limit=rate_limit,
            window=window,
            latency=latency,
            database=database,
        )
    except ValueError as error:  # the message begins with the name of the setting
        name, _, problem = str(error).partition(" ")
        raise click.UsageError(f"--{name.replace('_', '-')} {problem}.") from None
    log = _Log()
    with log, contextlib.suppress(KeyboardInterrupt), _sigterm_as_ctrl_c(), fake:
        if seed_customers:
            fake.add_many(seed_customers)
        customer_count = fake.customer_count if database else seed_customers
        if customer_count:
            _print_line(
                "1 customer is stored."
                if customer_count == 1
                else f"{customer_count:,} customers are stored."
            )
        try:
            server = Server(
                fake,
                host,
                port,
                admin=admin,
                admin_token=admin_token if admin else None,
                log=None if quiet else log.add,
            )
        except AdminTokenRequired:
            raise click.UsageError(
                f"--host {host} opens the admin API to other machines;"
                " add --admin-token TOKEN or --no-admin."
            ) from None
        with server as url:
            fake.base_url = url
            _print_line(f"A fake of Dub's customers API is running at {url}")
            if admin:
                note = "" if admin_token is None else " (needs the admin token)"
                _print_line(f"Admin page and admin API: {url}/_fake/{note}")
            _print_line(f"  curl -H 'Authorization: Bearer {token}' {url}/customers")
            _print_line(f"  export DUB_API_KEY={shlex.quote(token)} DUB_SERVER_URL={url}")
            _print_line("Press Ctrl-C to stop.")
            # Wait briefly, because on some systems Ctrl-C cannot interrupt an endless wait.
            while not server.wait_for_shutdown(1):
                pass


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    # Container runtimes stop a process with SIGTERM. Handle the signal like Ctrl-C, so that the
    # database is closed.
    previous_handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous_handler)


class _Log:
    """Write a line for each request, and ``Stopped.`` at the end, in a thread.

    A write blocks if the process that reads the output does not read it. Then only this thread
    waits, and the server continues.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=_MAX_LINES)
        self._has_lines = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._write_lines, name="fake-dub-log", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, error_type: type[BaseException] | None, *exc_info: object) -> None:
        if error_type is None:
            self._lines.append("Stopped.\n")
        self._closing.set()
        self._has_lines.set()
        self._thread.join(_CLOSE_TIMEOUT)

    def add(self, line: str) -> None:
        self._lines.append(f"{time.strftime('%H:%M:%S')} {line}\n")
        if not self._has_lines.is_set():
            self._has_lines.set()

    def _write_lines(self) -> None:
        with contextlib.suppress(OSError):  # the process that read the output has exited
            # Do not write to sys.stdout. A blocked write would keep its lock, and Python then
            # aborts when the process ends.
            fd = sys.stdout.fileno()
            is_last = False
            while not is_last:
                self._has_lines.wait()
                self._closing.wait(_WRITE_INTERVAL)
                self._has_lines.clear()
                is_last = self._closing.is_set()
                data = "".join(self._lines.popleft() for _ in range(len(self._lines))).encode()
                while data:
                    data = data[os.write(fd, data) :]


def _print_line(line: str) -> None:
    try:
        click.echo(line)
    except OSError:  # a BrokenPipeError, or EINVAL on Windows
        # The process that read the output has exited. Discard the output, and continue to serve.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
