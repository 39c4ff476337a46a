"""The requests that a caller may pass, and the official SDK's names of responses.

Each request is a dataclass with snake_case names. A field that is ``UNSET`` is not sent, ``None``
is sent as ``null``. A mapping with snake_case or camelCase keys is accepted wherever one of these
is.
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

    ``external_id`` is your own id of the customer and must be unique. The server requires
    ``country`` (two letters) as well; Dub's server of November 2024 has no such field.
    """

    external_id: str
    email: str | Unset | None = UNSET
    name: str | Unset | None = UNSET
    avatar: str | Unset | None = UNSET
    stripe_customer_id: str | Unset | None = UNSET
    country: str | Unset = UNSET


@dataclass(frozen=True)
class UpdateCustomerRequestBody:
    """The body of ``update``: omitted fields keep their value, ``None`` clears a field.

    The server checks ``country`` and does not store it. ``external_id`` cannot be cleared.
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
    """The request of ``get``: the id of Dub, or ``ext_`` and your own id."""

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
    """The result of ``delete``: Dub's id of the deleted customer.

    If the response of the attempt that deleted the customer was lost, the id is the argument of
    ``delete``.
    """

    id: str
    #: Fields that this version does not know, under the server's names.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


# One class under the four names of the official SDK.
CreateCustomerResponseBody = Customer
GetCustomerResponseBody = Customer
UpdateCustomerResponseBody = Customer
ResponseBody = Customer
