"""What a caller sends, and the seed's names for what comes back.

Each request is a dataclass with snake_case names; a field left at ``UNSET`` is not sent, ``None``
is sent as ``null``. A plain mapping with snake_case or camelCase keys does as well wherever one of
these is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .components import Customer
from .unset import UNSET, Unset


@dataclass(frozen=True)
class CreateCustomerRequestBody:
    """The body of ``create``.

    ``external_id`` is your own id of the customer and must be unique; today's server asks for
    ``country`` (two letters) as well, that of 2024 knows no such field.
    """

    external_id: str
    email: str | Unset | None = UNSET
    name: str | Unset | None = UNSET
    avatar: str | Unset | None = UNSET
    stripe_customer_id: str | Unset | None = UNSET
    country: str | Unset = UNSET


@dataclass(frozen=True)
class UpdateCustomerRequestBody:
    """The body of ``update``: what is not given stays as it is, ``None`` clears it.

    The server checks ``country`` and does not write it. ``external_id`` cannot be cleared.
    """

    email: str | Unset | None = UNSET
    name: str | Unset | None = UNSET
    avatar: str | Unset | None = UNSET
    external_id: str | Unset = UNSET
    stripe_customer_id: str | Unset | None = UNSET
    country: str | Unset = UNSET
    subscription_canceled_at: datetime | str | Unset | None = UNSET


@dataclass(frozen=True)
class GetCustomerRequest:
    """Which customer ``get`` reads: Dub's id, or ``ext_`` and your own."""

    id: str
    include_expanded_fields: bool | None = None


@dataclass(frozen=True)
class GetCustomersRequest:
    """The query of ``list``; see :meth:`dub_uplink.CustomersConsumer.list` for each field."""

    email: str | None = None
    external_id: str | None = None
    search: str | None = None
    country: str | None = None
    link_id: str | None = None
    program_id: str | None = None
    partner_id: str | None = None
    include_expanded_fields: bool | None = None
    sort_by: str | None = None
    sort_order: str | None = None
    page: int | None = None
    page_size: int | None = None
    starting_after: str | None = None
    ending_before: str | None = None


@dataclass
class DeleteCustomerResponseBody:
    """What ``delete`` returns: Dub's id of the customer that is gone.

    Where an earlier attempt deleted the customer and its answer was lost, the id is the one that
    ``delete`` was called with.
    """

    id: str
    #: Fields that this version does not know, under the names the server gave them.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


# One class under the four names of the seed document.
CreateCustomerResponseBody = Customer
GetCustomerResponseBody = Customer
UpdateCustomerResponseBody = Customer
ResponseBody = Customer
