"""Serve a fake of Dub's API, and print a line for each request: ``dub-uplink serve``."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sys
import time
from collections.abc import Iterator

import click

from dub_uplink.testing import FakeDub
from dub_uplink.testing._server import AdminTokenRequired, Server


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
        raise click.UsageError(f"--{error}.") from None
    with contextlib.suppress(KeyboardInterrupt), _sigterm_as_ctrl_c(), fake:
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
                fake, host, port, admin=admin, admin_token=admin_token, log=_print_log_line
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
    _print_line("Stopped.")


@contextlib.contextmanager
def _sigterm_as_ctrl_c() -> Iterator[None]:
    # Container runtimes stop a process with SIGTERM. Handle the signal like Ctrl-C, so that the
    # database is closed.
    previous_handler = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous_handler)


def _print_log_line(line: str) -> None:
    _print_line(f"{time.strftime('%H:%M:%S')} {line}")


def _print_line(line: str) -> None:
    try:
        click.echo(line)
    except OSError:  # a BrokenPipeError, or EINVAL on Windows
        # The process that read the output has exited. Discard the output, and continue to serve.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
