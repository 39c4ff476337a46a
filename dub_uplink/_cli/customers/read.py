"""Read customers: ``customers list``, ``customers get`` and ``customers count``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import Any

import click

from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.customers.filters import (
    FILTER_RULE,
    UTF8_TEXT,
    count_filter_options,
    expand_option,
    filter_options,
)
from dub_uplink._cli.failures import BatchRunner
from dub_uplink._cli.io.output import Column, output_option, write_customers, write_records
from dub_uplink.models.components import Customer, CustomerCount

_MAX_PAGE_SIZE = 100

LIST_EXAMPLES = """\b
Examples:
  dub-uplink customers list
  dub-uplink customers list --search ada --country GB
  dub-uplink customers list --sort-by saleAmount --limit 10
  dub-uplink customers list --all --output csv > customers.csv
  dub-uplink customers list --all | jq -r .email
"""


@click.command(
    "list",
    short_help="List customers, by default the newest 100.",
    help="List one page of customers, by default the newest 100. To list more, give --limit or"
    f" --all. {FILTER_RULE}\n\n"
    "The outputs json and jsonl contain all fields that the API sent, under the API's names."
    " 'dub-uplink customers import' can read jsonl. The output csv is for spreadsheets: an"
    " apostrophe is put before a value that a spreadsheet would run as a formula. To write values"
    " unchanged, use 'dub-uplink customers export'.",
    epilog=LIST_EXAMPLES,
)
@filter_options
@click.option("--all", "list_all", is_flag=True, help="List all matching customers, each once.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="List at most N customers, from as many pages as needed.",
)
@click.option(
    "--page", type=click.IntRange(1, 1000), metavar="N", help="List page N. The first page is 1."
)
@click.option(
    "--starting-after",
    type=UTF8_TEXT,
    metavar="ID",
    help="List the page that follows the customer with this id.",
)
@click.option(
    "--ending-before",
    type=UTF8_TEXT,
    metavar="ID",
    help="List the page that precedes the customer with this id.",
)
@output_option
@connection_options
def list_command(
    *,
    connection: Connection,
    output: str,
    filters: dict[str, Any],
    list_all: bool,
    limit: int | None,
    page: int | None,
    starting_after: str | None,
    ending_before: str | None,
) -> None:
    """List customers."""
    position: dict[str, Any] = {
        "page": page,
        "starting_after": starting_after,
        "ending_before": ending_before,
    }
    position = {name: value for name, value in position.items() if value is not None}
    if list_all and limit is not None:
        raise click.UsageError("--all cannot be combined with --limit; leave one out.")
    if position and (list_all or limit is not None):
        raise click.UsageError(
            "--page, --starting-after and --ending-before cannot be combined with --all or --limit;"
            " --page-size sets the size of the page."
        )
    expanded = bool(filters.get("include_expanded_fields"))
    if limit is not None:
        filters.setdefault("page_size", min(limit, _MAX_PAGE_SIZE))
    has_more = False
    with connection.open() as dub:
        customers: Iterable[Customer]
        if list_all or (limit is not None and limit > filters["page_size"]):
            customers = itertools.islice(dub.customers.iterate(**filters), limit)
        else:
            one_page = dub.customers.list(**filters, **position)
            customers = one_page[:limit]
            has_more = one_page.has_next and limit is None
        count = write_customers(customers, output, expanded=expanded)
    if output == "table" and not count:
        click.echo("No customers.", err=True)
    if output == "table" and has_more:
        click.echo("There are more customers; list them with --all or --limit N.", err=True)


GET_EXAMPLES = """\b
Examples:
  dub-uplink customers get ext_user_1
  dub-uplink customers get cus_1KBD2S ext_user_2 --output csv
  dub-uplink customers get ext_user_1 --expand --output json | jq .link
"""


@click.command(
    "get",
    short_help="Show customers by id.",
    help="Show customers by id. ID is Dub's id (cus_...), or ext_ followed by an external id. For"
    " one id, --output json prints an object. For several ids, it prints a list of the customers"
    " that exist.\n\n"
    "If an id fails, an error is printed to stderr and the other customers are still shown. Each"
    " error has an exit code, and the command exits with the highest (see 'dub-uplink customers"
    " --help'). If the server rejects the API key or cannot be reached, the remaining ids are not"
    " tried.",
    epilog=GET_EXAMPLES,
)
@click.argument("ids", metavar="ID...", type=UTF8_TEXT, nargs=-1, required=True)
@expand_option
@output_option
@connection_options
def get_command(
    *,
    connection: Connection,
    output: str,
    ids: tuple[str, ...],
    include_expanded_fields: bool | None,
) -> None:
    """Show customers."""
    expanded = bool(include_expanded_fields)
    batch = BatchRunner()
    with connection.open() as dub:
        get = functools.partial(dub.customers.get, include_expanded_fields=include_expanded_fields)
        customers = batch.run(ids, get)
        write_customers(customers, output, expanded=expanded, single=len(ids) == 1)
    batch.exit()


COUNT_EXAMPLES = """\b
Examples:
  dub-uplink customers count
  dub-uplink customers count --country GB
  dub-uplink customers count --by country
  dub-uplink customers count --by link --output csv > links.csv
"""
#: Maps a value of ``--by`` to the columns of its table and its CSV.
_GROUP_COLUMNS = {
    "country": (Column("country", 7), Column("count", 5)),
    "link": (Column("linkId", 10), Column("count", 5), Column("shortLink", 20), Column("url", 20)),
}


@click.command(
    "count",
    short_help="Count customers.",
    help="Count customers, and print the number. With --by, print one row for each country or"
    " link, the largest number first.\n\n"
    f"{FILTER_RULE}\n\n"
    "The command uses an endpoint of Dub's server that Dub's API reference does not document. If"
    " the server does not have this endpoint, the exit code is 4.",
    epilog=COUNT_EXAMPLES,
)
@count_filter_options
@click.option(
    "--by",
    type=click.Choice([*_GROUP_COLUMNS]),
    help="Count the customers of each country or of each link.",
)
@output_option
@connection_options
def count_command(
    *, connection: Connection, output: str, filters: dict[str, Any], by: str | None
) -> None:
    """Count customers."""
    conflicting_filter = {"country": "country", "link": "link_id"}.get(by or "", "")
    if conflicting_filter in filters:
        option = f"--{conflicting_filter.replace('_', '-')}"
        raise click.UsageError(f"Dub ignores {option} with --by {by}; leave one of them out.")
    with connection.open() as dub:
        if by is None:
            click.echo(dub.customers.count(**filters))
            return
        groups = (
            dub.customers.count(group_by="country", **filters)
            if by == "country"
            else dub.customers.count(group_by="link_id", **filters)
        )
    columns = _GROUP_COLUMNS[by]
    names = tuple(column.name for column in columns)
    write_records((_to_record(group, by) for group in groups), output, names, table_columns=columns)


def _to_record(group: CustomerCount, by: str) -> dict[str, Any]:
    """Convert a group to a record with the API's names. ``_count`` is renamed to ``count``."""
    key = {"country": group.country} if by == "country" else {"linkId": group.link_id}
    return {**key, "count": group.count, **group.extra}
