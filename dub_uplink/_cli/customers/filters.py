"""The filters of a list as options."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

R = TypeVar("R")


def text(value: str) -> str:
    """The type of options whose text goes to the API: what is not UTF-8 is refused."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        byte = ord(value[error.start]) & 0xFF
        raise click.BadParameter(
            f"byte 0x{byte:02x} at position {error.start + 1} is not UTF-8."
        ) from None
    return value


SORTS = ("createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt")

expand_option = click.option(
    "--expand",
    "include_expanded_fields",
    is_flag=True,
    default=None,
    help="With link, partner, discount and programId.",
)

#: What both a page and an iteration take, by the client's names.
_FILTERS = {
    "email": click.option("--email", type=text, help="Exactly this email."),
    "external_id": click.option("--external-id", type=text, help="Exactly this id of your own."),
    "search": click.option(
        "--search", type=text, help="Words of an email or name; with an @, exactly this email."
    ),
    "country": click.option("--country", type=text, help="Two letters, such as GB."),
    "link_id": click.option("--link-id", type=text, help="Brought by this link."),
    "program_id": click.option("--program-id", type=text, help="Of this partner program."),
    "partner_id": click.option("--partner-id", type=text, help="Referred by this partner."),
    "include_expanded_fields": expand_option,
    "sort_by": click.option("--sort-by", type=click.Choice(SORTS), help="[default: createdAt]"),
    "sort_order": click.option(
        "--sort-order", type=click.Choice(["asc", "desc"]), help="[default: desc]"
    ),
    "page_size": click.option(
        "--page-size", type=click.IntRange(1, 100), metavar="N", help="Customers a request."
    ),
}


def filter_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the filters; the command gets those that were given as the mapping ``filters``.

    They are the keywords of ``CustomersConsumer.list`` and ``iterate``.
    """

    @functools.wraps(command)
    def filtered(*args: Any, **given: Any) -> R:
        filters = {name: given.pop(name) for name in _FILTERS}
        filters = {name: value for name, value in filters.items() if value is not None}
        return command(*args, filters=filters, **given)

    for option in reversed(_FILTERS.values()):
        filtered = option(filtered)
    return filtered
