"""Request classes, and aliases for the official SDK's response classes.

Each request is a dataclass with snake_case fields. A field that is ``UNSET`` is not sent. ``None``
in a request body is sent as ``null``. A method that accepts a request object also accepts a mapping
with snake_case or camelCase keys.
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

    ``external_id`` is your own id of the customer and must be unique. ``country`` is a two-letter
    code. Dub's current server requires ``country``. The server of November 2024 does not know this
    field.
    """

    external_id: str
    email: str | Unset | None = UNSET
    name: str | Unset | None = UNSET
    avatar: str | Unset | None = UNSET
    stripe_customer_id: str | Unset | None = UNSET
    country: str | Unset = UNSET


@dataclass(frozen=True)
class UpdateCustomerRequestBody:
    """The body of ``update``. Omitted fields keep their value. ``None`` clears a field.

    The server validates ``country`` but does not store it. ``external_id`` cannot be cleared.
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
    """The request of ``get``. ``id`` is Dub's id, or ``ext_`` followed by your own id."""

    id: str
    include_expanded_fields: bool | None = None


@dataclass(frozen=True)
class GetCustomersRequest:
    """The query of ``list``. See :meth:`dub_uplink.CustomersConsumer.list` for each field."""

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
    """The result of ``delete``: Dub's id of the deleted customer.

    If the response to the request was lost, ``id`` is the argument of ``delete``.
    """

    id: str
    #: Response fields that this version does not know, with the server's keys.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


# The official SDK has four response classes. Here they are aliases of one class.
CreateCustomerResponseBody = Customer
GetCustomerResponseBody = Customer
UpdateCustomerResponseBody = Customer
ResponseBody = Customer
