"""Options for the filters of a list of customers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

R = TypeVar("R")


def text(value: str) -> str:
    """Check that the value of an option is UTF-8; a click type.

    Raises:
        click.BadParameter: The value is not UTF-8.
    """
    try:
        value.encode()
    except UnicodeEncodeError as error:
        byte = ord(value[error.start]) & 0xFF
        raise click.BadParameter(
            f"byte 0x{byte:02x} at position {error.start + 1} is not UTF-8."
        ) from None
    return value


_SORT_FIELDS = ("createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt")

expand_option = click.option(
    "--expand",
    "include_expanded_fields",
    is_flag=True,
    default=None,
    help="Include link, partner, discount and programId.",
)

#: Maps a keyword argument of ``list`` and ``iterate`` to the option that sets it.
_FILTER_OPTIONS = {
    "email": click.option("--email", type=text, help="Only the customer with this email."),
    "external_id": click.option(
        "--external-id", type=text, help="Only the customer with this external id."
    ),
    "search": click.option(
        "--search",
        type=text,
        help="Search names and emails for words. Text with an @ must be the exact email.",
    ),
    "country": click.option(
        "--country", type=text, help="Only customers of this country, such as GB."
    ),
    "link_id": click.option("--link-id", type=text, help="Only customers of this link."),
    "program_id": click.option(
        "--program-id", type=text, help="Only customers of this partner program."
    ),
    "partner_id": click.option("--partner-id", type=text, help="Only customers of this partner."),
    "include_expanded_fields": expand_option,
    "sort_by": click.option(
        "--sort-by",
        type=click.Choice(_SORT_FIELDS),
        help="Sort by this field.  [default: createdAt]",
    ),
    "sort_order": click.option(
        "--sort-order",
        type=click.Choice(["asc", "desc"]),
        help="Sort in ascending or descending order.  [default: desc]",
    ),
    "page_size": click.option(
        "--page-size",
        type=click.IntRange(1, 100),
        metavar="N",
        help="Fetch N customers per request.",
    ),
}


#: The filters that ``CustomersConsumer.count`` accepts too.
COUNT_FILTERS = (
    "email",
    "external_id",
    "search",
    "country",
    "link_id",
    "program_id",
    "partner_id",
)


def filter_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add options for all filters. The command receives the given filters as ``filters``.

    The keys of this mapping are keyword arguments of ``CustomersConsumer.list`` and ``iterate``.
    """
    return _add_filters(command, tuple(_FILTER_OPTIONS))


def count_filter_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add options for the filters of ``CustomersConsumer.count``; see :func:`filter_options`."""
    return _add_filters(command, COUNT_FILTERS)


def _add_filters(command: Callable[..., R], names: tuple[str, ...]) -> Callable[..., R]:
    @functools.wraps(command)
    def with_filters(*args: Any, **arguments: Any) -> R:
        filters = {name: arguments.pop(name) for name in names}
        filters = {name: value for name, value in filters.items() if value is not None}
        return command(*args, filters=filters, **arguments)

    for name in reversed(names):
        with_filters = _FILTER_OPTIONS[name](with_filters)
    return with_filters
