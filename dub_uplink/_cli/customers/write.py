"""Change customers: ``customers create``, ``customers update`` and ``customers delete``."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.customers.filters import UTF8_TEXT
from dub_uplink._cli.failures import BatchRunner, ExitCode, Failure
from dub_uplink._cli.io.output import output_option, write_customers, write_records, write_table
from dub_uplink._cli.io.records import API_NAMES
from dub_uplink._cli.io.text import can_prompt, confirm, make_printable, read_input
from dub_uplink._internal.naming import camel_case
from dub_uplink.models.components import Customer

R = TypeVar("R")

CREATE_FIELDS = {
    "external_id": "Set the customer's id in your system.",
    "name": "Set the customer's name.",
    "email": "Set the customer's email address.",
    "avatar": "Set the customer's picture to the image at this URL. Dub stores a copy of the image,"
    " and returns the URL of the copy.",
    "stripe_customer_id": "Set the customer's id in Stripe, such as cus_123.",
    "country": "Set the customer's country as two letters, such as GB.",
}
UPDATE_FIELDS = {
    **CREATE_FIELDS,
    "country": "Has no effect: Dub checks this value, but does not change the stored country.",
    "subscription_canceled_at": "Set the time at which the subscription was cancelled, such as"
    " 2026-08-21T21:14:02Z.",
}

NULL_HELP = (
    "The value null clears a field. To store the text null, use --from-file with JSON such as"
    """ '{"name": "null"}'."""
)


def field_options(
    fields: dict[str, str],
) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Return a decorator that adds ``--from-file`` and an option for each field to a command.

    The command receives the JSON object of the request as ``body``.

    Args:
        fields: maps a field to the help text of its option.
    """

    def add(command: Callable[..., R]) -> Callable[..., R]:
        @functools.wraps(command)
        def with_body(*args: Any, from_file: str | None, **arguments: Any) -> R:
            options = {name: arguments.pop(name) for name in fields}
            body = {} if from_file is None else _read_body(from_file, fields)
            for name, value in options.items():
                if value is not None:
                    body[camel_case(name)] = None if value == "null" else value
            return command(*args, body=body, **arguments)

        with_body = click.option(
            "--from-file",
            type=click.Path(allow_dash=True),
            metavar="FILE",
            help="Read the fields from a JSON object in FILE; - is the standard input. An option"
            " such as --name overrides the same field of FILE.",
        )(with_body)
        for name, help_text in reversed(fields.items()):
            option = f"--{name.replace('_', '-')}"
            with_body = click.option(option, type=UTF8_TEXT, help=help_text)(with_body)
        return with_body

    return add


def _read_body(path: str, fields: Iterable[str]) -> dict[str, Any]:
    """Read a JSON object from a file, and return its fields with the API's names.

    Fields that only the API can set are removed, so the output of ``customers get`` is accepted.

    Raises:
        click.UsageError: The file cannot be read, does not contain a JSON object, or contains a
            field twice.
    """
    where = "the standard input" if path == "-" else path
    try:
        content = json.loads(read_input(path))
    except OSError as error:
        raise click.UsageError(f"cannot read {where}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(
            f"byte {error.start + 1} of {where} is not UTF-8; save the file as UTF-8."
        ) from None
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{where} is not JSON: {error}.") from None
    if isinstance(content, list):
        raise click.UsageError(
            f"{where} contains a list; for several customers, use"
            " 'dub-uplink customers import FILE'."
        )
    if not isinstance(content, dict):
        raise click.UsageError(
            f'{where} does not contain a JSON object; give one such as {{"name": "Ada"}}.'
        )
    body: dict[str, Any] = {}
    for key, value in content.items():
        name = API_NAMES[Customer].get(key, key)
        if name in body:
            raise click.UsageError(
                f"{where} has {name} twice, in camelCase and in snake_case; leave one out."
            )
        body[name] = value
    read_only_names = set(API_NAMES[Customer].values()) - {camel_case(name) for name in fields}
    return {name: value for name, value in body.items() if name not in read_only_names}


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
    help="Create a customer exactly once. If the response is lost, the command sends the request"
    " again. If Dub then reports that the customer exists, the command looks the customer up. Dub"
    " requires --external-id and --country."
    "\n\nThe value null leaves a field empty. To store the text null, use --from-file with JSON"
    """ such as '{"name": "null"}'.""",
    epilog=CREATE_EXAMPLES,
)
@field_options(CREATE_FIELDS)
@output_option
@connection_options
def create_command(*, connection: Connection, output: str, body: dict[str, Any]) -> None:
    """Create a customer."""
    if "externalId" not in body:
        raise click.UsageError("--external-id is missing; give the customer's id in your system.")
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
    help=f"Change the given fields of a customer.\n\n{NULL_HELP}",
    epilog=UPDATE_EXAMPLES,
)
@click.argument("customer_id", metavar="ID", type=UTF8_TEXT)
@field_options(UPDATE_FIELDS)
@output_option
@connection_options
def update_command(
    *, connection: Connection, output: str, customer_id: str, body: dict[str, Any]
) -> None:
    """Change a customer."""
    if not body:
        raise click.UsageError("there is nothing to change; give an option such as --name.")
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
    help="Delete customers by id. ID is Dub's id (cus_...), or ext_ followed by an external id. The"
    " command shows the customers and asks for a confirmation. Without a terminal, --yes is"
    " required.\n\n"
    "If an id fails, an error is printed to stderr and the other customers are still deleted. Each"
    " error has an exit code, and the command exits with the highest (see 'dub-uplink customers"
    " --help'). If the server rejects the API key or cannot be reached, the remaining ids are not"
    " tried. If you do not confirm, the exit code is 1.",
    epilog=DELETE_EXAMPLES,
)
@click.argument("ids", metavar="ID...", type=UTF8_TEXT, nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Delete without a confirmation.")
@output_option
@connection_options
def delete_command(*, connection: Connection, output: str, ids: tuple[str, ...], yes: bool) -> None:
    """Delete customers."""
    if not yes and not can_prompt():
        raise Failure(
            "nothing was deleted, because there is no terminal for the confirmation.",
            ExitCode.USAGE,
            "give --yes to delete without a confirmation.",
        )
    batch = BatchRunner()
    with connection.open() as dub:
        ids_to_delete = dict.fromkeys(ids)
        if not yes:
            # Delete by Dub's id. During the confirmation, an external id may be given to another
            # customer.
            customers_by_id = {c.id: c for c in batch.run(ids_to_delete, dub.customers.get)}
            if not customers_by_id or batch.aborted:
                batch.exit()
            _confirm_deletion(list(customers_by_id.values()))
            ids_to_delete = dict.fromkeys(customers_by_id)
        deletions = (
            {"id": deleted.id} for deleted in batch.run(ids_to_delete, dub.customers.delete)
        )
        if output == "table":
            for customer in deletions:
                click.echo(f"Deleted {make_printable(customer['id'])}")
        else:
            write_records(deletions, output, ("id",), single=len(ids_to_delete) == 1)
    batch.exit()


def _confirm_deletion(customers: list[Customer]) -> None:
    """Show the customers, and end the command if the user does not confirm."""
    write_table((customer.to_dict() for customer in customers), sys.stderr)
    subject = "this customer" if len(customers) == 1 else f"these {len(customers)} customers"
    if not confirm(f"Delete {subject}?"):
        click.echo("Nothing was deleted.", err=True)
        raise click.exceptions.Exit(ExitCode.FAILED)
