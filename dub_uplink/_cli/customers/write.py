"""Change customers: ``customers create``, ``customers update`` and ``customers delete``."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.customers.filters import text
from dub_uplink._cli.failures import BatchRunner, ExitCode, Failure
from dub_uplink._cli.io.output import output_option, write_customers, write_records, write_table
from dub_uplink._cli.io.records import NAMES
from dub_uplink._cli.io.text import can_ask, confirm, content_of, printable
from dub_uplink._internal.naming import camel_case
from dub_uplink.models.components import Customer

R = TypeVar("R")

CREATE_FIELDS = {
    "external_id": "The customer's id in your system.",
    "name": "The customer's name.",
    "email": "The customer's email address.",
    "avatar": "The URL of a picture. Dub stores a copy under its own URL.",
    "stripe_customer_id": "The id of the customer in Stripe, such as cus_123.",
    "country": "The customer's country as two letters, such as GB.",
}
UPDATE_FIELDS = {
    **CREATE_FIELDS,
    "subscription_canceled_at": "When the subscription was cancelled, such as"
    " 2026-08-21T21:14:02Z.",
}

NULL = (
    "The word null clears a field. To store the word itself, use --from-file with JSON such as"
    """ '{"name": "null"}'."""
)


def field_options(
    fields: dict[str, str],
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add an option for each field; the command gets the JSON object to send as ``body``."""

    def add(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def filled(*args: Any, from_file: str | None, **given: Any) -> R:
            options = {name: given.pop(name) for name in fields}
            body = {} if from_file is None else _read_object(from_file, fields)
            for name, value in options.items():
                if value is not None:
                    body[camel_case(name)] = None if value == "null" else value
            return command(*args, body=body, **given)

        filled = click.option(
            "--from-file",
            type=click.Path(allow_dash=True),
            metavar="FILE",
            help="A JSON object with fields, - for stdin; options override it.",
        )(filled)
        for name, help_text in reversed(fields.items()):
            option = f"--{name.replace('_', '-')}"
            filled = click.option(option, type=text, help=help_text)(filled)
        return filled

    return add


def _read_object(path: str, fields: Iterable[str]) -> dict[str, Any]:
    """Return the JSON object in a file, with the API's names.

    Fields that only the API sets are left out, so that the output of ``get`` can be read.

    Raises:
        click.UsageError: The file cannot be read, or does not hold an object.
    """
    where = "the standard input" if path == "-" else path
    try:
        content = json.loads(content_of(path))
    except OSError as error:
        raise click.UsageError(f"cannot read {where}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{where} is not UTF-8, at byte {error.start + 1}.") from None
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{where} is not JSON: {error}.") from None
    if isinstance(content, list):
        raise click.UsageError(f"{where} holds a list; use customers import for several customers.")
    if not isinstance(content, dict):
        raise click.UsageError(f"{where} does not hold a JSON object.")
    body: dict[str, Any] = {}
    for key, value in content.items():
        name = NAMES[Customer].get(key, key)
        if name in body:
            raise click.UsageError(f"{where} has {name} twice, in camelCase and in snake_case.")
        body[name] = value
    read_only = set(NAMES[Customer].values()) - {camel_case(name) for name in fields}
    return {name: value for name, value in body.items() if name not in read_only}


CREATE_EXAMPLES = """\b
Examples:
  dub-uplink customers create --external-id user_1 --country GB --name Ada
  dub-uplink customers create --from-file customer.json
  echo '{"externalId": "user_2", "country": "GB"}' |
    dub-uplink customers create --from-file - --output json
"""


@click.command(
    "create",
    short_help="Create a customer, exactly once.",
    help="Create a customer exactly once: if the response is lost, the customer is looked up and"
    f" not created again. Dub requires --external-id and --country.\n\n{NULL}",
    epilog=CREATE_EXAMPLES,
)
@field_options(CREATE_FIELDS)
@output_option
@connection_options
def create_command(*, connection: Connection, output: str, body: dict[str, Any]) -> None:
    """Create a customer."""
    if "externalId" not in body:
        raise click.UsageError("--external-id is missing.")
    with connection.open() as dub:
        write_customers([dub.customers.create(body)], output, single=True)


UPDATE_EXAMPLES = """\b
Examples:
  dub-uplink customers update ext_user_1 --name "Ada Lovelace"
  dub-uplink customers update ext_user_1 --email null
  echo '{"name": "null"}' |
    dub-uplink customers update ext_user_1 --from-file -
"""


@click.command(
    "update",
    short_help="Change fields of a customer.",
    help="Change the given fields of a customer. Dub checks a --country and does not change it."
    f"\n\n{NULL}",
    epilog=UPDATE_EXAMPLES,
)
@click.argument("customer_id", metavar="ID", type=text)
@field_options(UPDATE_FIELDS)
@output_option
@connection_options
def update_command(
    *, connection: Connection, output: str, customer_id: str, body: dict[str, Any]
) -> None:
    """Change a customer."""
    if not body:
        raise click.UsageError("there is nothing to change; give a field, such as --name.")
    batch = BatchRunner()
    with connection.open() as dub:
        update = functools.partial(dub.customers.update, request_body=body)
        write_customers(batch.run([customer_id], update), output, single=True)
    batch.exit()


DELETE_EXAMPLES = """\b
Examples:
  dub-uplink customers delete ext_user_1
  dub-uplink customers delete --yes cus_1KBD2S cus_1KBD2T
"""


@click.command(
    "delete",
    short_help="Delete customers, after a confirmation.",
    help="Delete customers by id: Dub's own (cus_...), or ext_ and an external id. Shows the"
    " customers and asks; --yes skips the question, and is required without a terminal.\n\n"
    "A failure is a line on stderr, and the other customers are deleted; the exit code is the"
    " highest of all. If the API key is refused or the server cannot be reached, the rest is not"
    " tried. If you reply no, the exit code is 1.",
    epilog=DELETE_EXAMPLES,
)
@click.argument("ids", metavar="ID...", type=text, nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Delete without asking.")
@output_option
@connection_options
def delete_command(*, connection: Connection, output: str, ids: tuple[str, ...], yes: bool) -> None:
    """Delete customers."""
    if not yes and not can_ask():
        raise Failure(
            "nothing was deleted, as there is no terminal for the confirmation.",
            ExitCode.USAGE,
            "--yes deletes without asking.",
        )
    batch = BatchRunner()
    with connection.open() as dub:
        wanted = dict.fromkeys(ids)
        if not yes:
            # Delete by Dub's id: an external id may meanwhile belong to another customer.
            shown = {c.id: c for c in batch.run(wanted, dub.customers.get)}
            if not shown or batch.aborted:
                batch.exit()
            _ask(list(shown.values()))
            wanted = dict.fromkeys(shown)
        gone = ({"id": deleted.id} for deleted in batch.run(wanted, dub.customers.delete))
        if output == "table":
            for customer in gone:
                click.echo(f"Deleted {printable(customer['id'])}")
        else:
            write_records(gone, output, ("id",), single=len(wanted) == 1)
    batch.exit()


def _ask(shown: list[Customer]) -> None:
    """Show the customers, and end the command unless the user confirms."""
    write_table((customer.to_dict() for customer in shown), sys.stderr)
    what = "this customer" if len(shown) == 1 else f"these {len(shown)} customers"
    if not confirm(f"Delete {what}?"):
        click.echo("Nothing was deleted.", err=True)
        raise click.exceptions.Exit(ExitCode.FAILED)
