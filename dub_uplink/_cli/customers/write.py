"""``customers create``, ``customers update`` and ``customers delete``."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.customers.filters import text
from dub_uplink._cli.failures import ExitCode, Failure, Tally
from dub_uplink._cli.io.output import output_option, write_customers, write_records, write_table
from dub_uplink._cli.io.records import NAMES, record
from dub_uplink._cli.io.text import can_ask, content_of, printable
from dub_uplink._internal.naming import camel_case
from dub_uplink.models.components import Customer

R = TypeVar("R")

CREATE_FIELDS: dict[str, str | None] = {
    "external_id": "Your own id of the customer.",
    "name": None,
    "email": None,
    "avatar": "The URL of a picture; Dub keeps a copy and shows its own URL.",
    "stripe_customer_id": None,
    "country": "Two letters, such as GB.",
}
UPDATE_FIELDS: dict[str, str | None] = {
    **CREATE_FIELDS,
    "subscription_canceled_at": "A moment, such as 2026-08-21T21:14:02Z.",
}

NULL = (
    "The word null is a JSON null: it clears a field. For the word itself give JSON:"
    """ --from-file with '{"name": "null"}'."""
)


def field_options(
    fields: dict[str, str | None],
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
            help="A JSON object with fields, - for stdin; options go before what is in it.",
        )(filled)
        for name, help_text in reversed(fields.items()):
            option = f"--{name.replace('_', '-')}"
            filled = click.option(option, type=text, help=help_text)(filled)
        return filled

    return add


def _read_object(path: str, fields: Iterable[str]) -> dict[str, Any]:
    """The object in a file, in the API's spelling.

    What the API sets by itself is left out, so that what ``get`` wrote is read back.

    Raises:
        click.UsageError: there is none.
    """
    where = "the standard input" if path == "-" else path
    try:
        found = json.loads(content_of(path))
    except OSError as error:
        raise click.UsageError(f"cannot read {where}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{where} is not UTF-8, at byte {error.start + 1}.") from None
    except (ValueError, RecursionError) as error:
        raise click.UsageError(f"{where} is not JSON: {error}.") from None
    if isinstance(found, list):
        raise click.UsageError(f"{where} holds a list; customers import takes many.")
    if not isinstance(found, dict):
        raise click.UsageError(f"{where} holds no JSON object.")
    body: dict[str, Any] = {}
    for key, value in found.items():
        name = NAMES[Customer].get(key, key)
        if name in body:
            raise click.UsageError(f"{where} has {name} twice, in camelCase and in snake_case.")
        body[name] = value
    ours = {camel_case(name) for name in fields}
    theirs = set(NAMES[Customer].values()) - ours
    return {name: value for name, value in body.items() if name not in theirs}


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
    help="Create a customer, exactly once: where an answer is lost, the customer is looked up and"
    f" not created again. Dub asks for --external-id and --country.\n\n{NULL}",
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
    help="Change fields of a customer; what is not given stays. Dub checks a --country and does not"
    f" change it.\n\n{NULL}",
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
        raise click.UsageError("nothing to change: give a field, such as --name.")
    tally = Tally()
    with connection.open() as dub:
        update = functools.partial(dub.customers.update, request_body=body)
        write_customers(tally.each([customer_id], update), output, single=True)
    tally.exit()


DELETE_EXAMPLES = """\b
Examples:
  dub-uplink customers delete ext_user_1
  dub-uplink customers delete --yes cus_1KBD2S cus_1KBD2T
"""


@click.command(
    "delete",
    short_help="Delete customers, after asking.",
    help="Delete customers by their ids: Dub's own (cus_...), or ext_ and yours. Shows whom it"
    " would delete, and asks; --yes does not, and without a terminal to ask on it is needed.\n\n"
    "A customer who cannot be deleted is a line on stderr, and the others are deleted; the exit"
    " code is that of the worst. Where the API key is refused or nobody answers, the rest is not"
    " tried. A no is exit code 1.",
    epilog=DELETE_EXAMPLES,
)
@click.argument("ids", metavar="ID...", type=text, nargs=-1, required=True)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@output_option
@connection_options
def delete_command(*, connection: Connection, output: str, ids: tuple[str, ...], yes: bool) -> None:
    """Delete customers."""
    if not yes and not can_ask():
        raise Failure(
            "nothing is deleted: there is no terminal to ask on.",
            ExitCode.USAGE,
            "--yes deletes without asking.",
        )
    tally = Tally()
    with connection.open() as dub:
        wanted = dict.fromkeys(ids)
        if not yes:
            # From here on by Dub's id: of those who were shown, whoever an ext_ id now means.
            shown = {c.id: c for c in tally.each(wanted, dub.customers.get)}
            if not shown or tally.ended:
                tally.exit()
            _ask(list(shown.values()))
            wanted = dict.fromkeys(shown)
        gone = ({"id": deleted.id} for deleted in tally.each(wanted, dub.customers.delete))
        if output == "table":
            for found in gone:
                click.echo(f"Deleted {printable(found['id'])}")
        else:
            write_records(gone, output, ("id",), single=len(wanted) == 1)
    tally.exit()


def _ask(shown: list[Customer]) -> None:
    """Show whom it is about, and end the command unless the answer is yes."""
    write_table(map(record, shown), sys.stderr)
    whom = "this customer" if len(shown) == 1 else f"these {len(shown)} customers"
    if not click.confirm(f"Delete {whom}?", err=True):
        click.echo("Nothing is deleted.", err=True)
        raise click.exceptions.Exit(ExitCode.FAILED)
