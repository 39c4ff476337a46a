"""Define the options that filter, sort and expand customers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

R = TypeVar("R")


class Utf8Text(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.3
    """The type of an option whose value must be UTF-8."""

    name = "text"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the value.

        Raises:
            click.BadParameter: The value is not UTF-8.
        """
        try:
            value.encode()
        except UnicodeEncodeError as error:
            byte = ord(value[error.start]) & 0xFF
            problem = f"byte 0x{byte:02x} at position {error.start + 1} is not UTF-8"
            self.fail(f"{problem}; give UTF-8 text.", param, ctx)
        return value


UTF8_TEXT = Utf8Text()


FILTER_RULE = (
    "A customer must match all filters, with one exception: of --email, --external-id and --search,"
    " the API uses the first that is given, in this order, and ignores the others."
)

_SORT_FIELDS = ("createdAt", "saleAmount", "firstSaleAt", "subscriptionCanceledAt")

expand_option = click.option(
    "--expand",
    "include_expanded_fields",
    is_flag=True,
    default=None,
    help="Include the fields link, partner, discount and programId.",
)

#: Maps a keyword argument of ``list`` and ``iterate`` to the option that sets it.
_FILTER_OPTIONS = {
    "email": click.option("--email", type=UTF8_TEXT, help="Only customers with this email."),
    "external_id": click.option(
        "--external-id", type=UTF8_TEXT, help="Only the customer with this external id."
    ),
    "search": click.option(
        "--search",
        type=UTF8_TEXT,
        help="Only customers whose name or email contains these words. If TEXT contains an @, only"
        " customers with exactly this email.",
    ),
    "country": click.option(
        "--country",
        type=UTF8_TEXT,
        help="Only customers in the country with this two-letter code, such as GB.",
    ),
    "link_id": click.option(
        "--link-id", type=UTF8_TEXT, help="Only customers of the link with this id."
    ),
    "program_id": click.option(
        "--program-id",
        type=UTF8_TEXT,
        help="Only customers of the workspace's default partner program. Dub ignores the given id.",
    ),
    "partner_id": click.option(
        "--partner-id",
        type=UTF8_TEXT,
        help="Only customers of the partner with this id in the workspace's default partner"
        " program.",
    ),
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
        help="Fetch at most N customers per request.  [default: 100]",
    ),
}


#: The filters that both ``CustomersConsumer.list`` and ``count`` accept.
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
    """Add all options of this module to a command.

    The command receives the given options as a dictionary ``filters``. Its keys are keyword
    arguments of ``CustomersConsumer.list`` and ``iterate``.
    """
    return _add_filters(command, tuple(_FILTER_OPTIONS))


def count_filter_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add the options of :data:`COUNT_FILTERS`. The command receives them as ``filters``."""
    return _add_filters(command, COUNT_FILTERS)


def _add_filters(command: Callable[..., R], names: tuple[str, ...]) -> Callable[..., R]:
    @functools.wraps(command)
    def with_filters(*args: Any, **arguments: Any) -> R:
        values = {name: arguments.pop(name) for name in names}
        filters = {name: value for name, value in values.items() if value is not None}
        return command(*args, filters=filters, **arguments)

    for name in reversed(names):
        with_filters = _FILTER_OPTIONS[name](with_filters)
    return with_filters
