"""``customers list`` and ``customers get``."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable
from typing import Any

import click

from dub_uplink._cli.connection import Connection, connection_options
from dub_uplink._cli.customers.filters import expand_option, filter_options, text
from dub_uplink._cli.failures import Tally
from dub_uplink._cli.io.output import output_option, write_customers
from dub_uplink.models.components import Customer

MAX_PAGE = 100

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
    short_help="List customers, the newest 100 unless told otherwise.",
    help="List customers: one page, the newest 100, unless --limit or --all say otherwise. Filters"
    " are combined with and; of --email, --external-id and --search the API takes the first."
    "\n\njson and jsonl have everything that the API sent, under its own names; customers import"
    " reads jsonl back. csv is for a spreadsheet: a cell that it would run as a formula has an"
    " apostrophe before it; customers export writes values as they are.",
    epilog=LIST_EXAMPLES,
)
@filter_options
@click.option("--all", "everything", is_flag=True, help="Every customer, each once.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="So many, page after page.")
@click.option("--page", type=click.IntRange(1, 1000), metavar="N", help="A page by its number.")
@click.option("--starting-after", type=text, metavar="ID", help="The page after this customer.")
@click.option("--ending-before", type=text, metavar="ID", help="The page before this customer.")
@output_option
@connection_options
def list_command(
    *,
    connection: Connection,
    output: str,
    filters: dict[str, Any],
    everything: bool,
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
    if everything and limit is not None:
        raise click.UsageError("give --all or --limit, not both.")
    if position and (everything or limit is not None):
        raise click.UsageError(
            "--page, --starting-after and --ending-before are of one page: leave out --all and"
            " --limit; --page-size says how many."
        )
    expanded = bool(filters.get("include_expanded_fields"))
    if limit is not None:
        filters.setdefault("page_size", min(limit, MAX_PAGE))
    more = False
    with connection.open() as dub:
        found: Iterable[Customer]
        if everything or (limit is not None and limit > filters["page_size"]):
            found = itertools.islice(dub.customers.iterate(**filters), limit)
        else:
            one_page = dub.customers.list(**filters, **position)
            found = one_page[:limit]
            more = one_page.has_next and limit is None
        count = write_customers(found, output, expanded=expanded)
    if output == "table" and not count:
        click.echo("No customers.", err=True)
    if output == "table" and more:
        click.echo(f"The first {count}; there may be more: --all, or --limit N.", err=True)


GET_EXAMPLES = """\b
Examples:
  dub-uplink customers get ext_user_1
  dub-uplink customers get cus_1KBD2S ext_user_2 --output csv
  dub-uplink customers get ext_user_1 --expand --output json | jq .link
"""


@click.command(
    "get",
    short_help="Show customers by their ids.",
    help="Show customers by their ids: Dub's own (cus_...), or ext_ and yours. With one id, json"
    " is an object; with several, a list of those that were found.\n\n"
    "A customer who cannot be shown is a line on stderr, and the others are shown; the exit code is"
    " that of the worst. Where the API key is refused or nobody answers, the rest is not tried.",
    epilog=GET_EXAMPLES,
)
@click.argument("ids", metavar="ID...", type=text, nargs=-1, required=True)
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
    tally = Tally()
    with connection.open() as dub:
        get = functools.partial(dub.customers.get, include_expanded_fields=include_expanded_fields)
        found = tally.each(ids, get)
        write_customers(found, output, expanded=expanded, single=len(ids) == 1)
    tally.exit()
