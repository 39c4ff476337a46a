"""Define the root command and the subcommands ``demo`` and ``serve``."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3

import click
from click.core import ParameterSource

from dub_uplink import __version__
from dub_uplink._cli.failures import ExitCode, Failure
from dub_uplink._cli.lazy_group import LazyCommand, RootGroup
from dub_uplink._internal.credentials import TOKEN_PATTERN

EXAMPLES = """\b
Examples:
  dub-uplink demo
  DUB_API_KEY=dub_... dub-uplink demo --live
  dub-uplink serve --port 8000 --token dub_test
  dub-uplink serve --seed-customers 1000 --database customers.sqlite3
  dub-uplink customers list --country GB --limit 20
"""

COMMANDS = {
    "customers": LazyCommand(
        "customers.group:customers", "List, change, import and export customers."
    ),
    "doctor": LazyCommand(
        "doctor.command:doctor", "Check the installation, the server and the API key."
    ),
    "retries": LazyCommand(
        "retries.command:retries", "Show the attempts and waits of a retry policy."
    ),
    "completion": LazyCommand("completion:completion", "Print the completion script for a shell."),
}


@click.group(
    cls=RootGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Manage the customers of a Dub workspace, or test against a fake of Dub's API.",
    epilog=EXAMPLES,
)
@click.version_option(__version__, message="dub-uplink %(version)s")
def cli() -> None:
    """Group all commands."""


@cli.command(
    short_help="Run the client against a fake of Dub's API.",
    help="Run the client against a fake of Dub's API in this process: create, get, update, list and"
    " delete a customer, and handle a rate limit and an error. The demo takes a few seconds and"
    " needs no account.",
)
@click.option(
    "--live",
    is_flag=True,
    help="Run a read-only demo with the customers of your workspace. Requires DUB_API_KEY.",
)
def demo(*, live: bool) -> None:
    """Run the demo."""
    from rich.console import Console  # noqa: PLC0415 - slow to import

    from dub_uplink._cli.demo.command import MAX_WIDTH, run_demo, run_live_demo  # noqa: PLC0415

    console = Console(highlight=False)
    console.width = min(console.width, MAX_WIDTH)
    if live and not os.environ.get("DUB_API_KEY"):
        raise Failure("--live needs an API key: set DUB_API_KEY.", ExitCode.AUTH)
    (run_live_demo if live else run_demo)(console)


@cli.command(
    short_help="Serve a fake of Dub's API for any language.",
    help="Serve a fake of Dub's customers API, for clients in any language. Press Ctrl-C to stop.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8000,
    show_default=True,
    help="The port to listen on; 0 chooses a free port.",
)
@click.option(
    "--token", default="dub_test", show_default=True, help="The API key that the fake accepts."
)
@click.option(
    "--rate-limit",
    type=click.IntRange(0, 1_000_000),
    metavar="N",
    help="Accept N requests per window. Reject more requests with status 429, as Dub does."
    "  [default: no limit]",
)
@click.option(
    "--window",
    type=float,
    metavar="SECONDS",
    default=60.0,
    show_default=True,
    help="The window of --rate-limit.",
)
@click.option(
    "--latency",
    type=float,
    metavar="SECONDS",
    default=0.0,
    show_default=True,
    help="Delay every response by this time.",
)
@click.option(
    "--role",
    default="owner",
    show_default=True,
    help="The role of the API key: owner, member, viewer or billing.",
)
@click.option(
    "--plan",
    default="business",
    show_default=True,
    help="The plan of the workspace: free, trial, pro, business, advanced or enterprise.",
)
@click.option(
    "--default-program",
    metavar="ID",
    help="The id of the program of the workspace.  [default: no program]",
)
@click.option(
    "--seed-customers",
    type=click.IntRange(min=0),
    metavar="N",
    default=0,
    help="Before serving, add N customers with the external ids user_1 to user_N.",
)
@click.option(
    "--database",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Store the customers in this SQLite file.  [default: in memory]",
)
@click.option(
    "--admin/--no-admin",
    default=True,
    show_default=True,
    help="Serve the admin API and the admin page under /_fake/.",
)
@click.option(
    "--admin-token",
    metavar="TOKEN",
    envvar="DUB_FAKE_ADMIN_TOKEN",
    help="Reject requests to the admin API that do not send this token. If --host is not a loopback"
    " address such as 127.0.0.1, give --admin-token or --no-admin.  [env var:"
    " DUB_FAKE_ADMIN_TOKEN]",
)
@click.option("-q", "--quiet", is_flag=True, help="Do not print a line for each request.")
def serve(
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
    """Serve the fake."""
    from dub_uplink._cli.serve import run_server  # noqa: PLC0415 - slow to import

    for name, value in (("--token", token), ("--admin-token", admin_token)):
        if value == "":
            raise click.UsageError(f"{name} must not be empty; give a token, or leave it out.")
        if value is not None and not TOKEN_PATTERN.fullmatch(value):
            raise click.UsageError(
                f"{name} must consist of visible ASCII characters; leave out spaces."
            )
    source = click.get_current_context().get_parameter_source("admin_token")
    if not admin and source is ParameterSource.COMMANDLINE:
        raise click.UsageError(
            "--admin-token has no effect with --no-admin; leave out one of them."
        )
    try:
        run_server(
            host=host,
            port=port,
            token=token,
            rate_limit=rate_limit,
            window=window,
            latency=latency,
            role=role,
            plan=plan,
            default_program=default_program,
            seed_customers=seed_customers,
            database=database,
            admin=admin,
            admin_token=admin_token,
            quiet=quiet,
        )
    except sqlite3.Error as error:
        raise Failure(
            f"cannot use {database} as a database: {error}.",
            hint="give a new file, or a file that serve created.",
        ) from error
    except OSError as error:
        is_wrong_host = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
        raise Failure(
            f"cannot serve on {host}:{port}: {error.strerror}.",
            hint="give --host an address of this machine, such as 127.0.0.1."
            if is_wrong_host
            else "choose another port, or let --port 0 choose a free port.",
        ) from error
