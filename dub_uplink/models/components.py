"""What the server sends: customers and the records that hang on them.

Only ``id`` is certain. Every other field is ``None`` where the server sent ``null`` or nothing, so
one class reads today's responses and those of 2024, which have six fields.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass
class Link:
    """The link that brought a customer, in expanded responses."""

    id: str
    domain: str | None = None
    key: str | None = None
    short_link: str | None = None
    url: str | None = None
    program_id: str | None = None
    #: Fields that this version does not know, under the names the server gave them.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass
class Partner:
    """The partner who referred a customer, in expanded responses."""

    id: str
    name: str | None = None
    email: str | None = None
    image: str | None = None
    #: Fields that this version does not know, under the names the server gave them.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass
class Discount:
    """The discount a customer was given, in expanded responses.

    ``type`` is ``"percentage"`` or ``"flat"`` today and stays a plain string, since the server
    adds values over time. ``amount`` is in per cent or in cents accordingly, ``max_duration`` in
    months.
    """

    id: str
    amount: int | None = None
    type: str | None = None
    max_duration: int | None = None
    coupon_id: str | None = None
    coupon_test_id: str | None = None
    description: str | None = None
    partners_count: int | None = None
    #: Fields that this version does not know, under the names the server gave them.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass
class Customer:
    """A customer, as every operation but ``delete`` returns it.

    Dates are aware :class:`~datetime.datetime` objects, ``sale_amount`` is in cents. ``name`` is
    what the server returns: without a name, the email, or a name that it invents at every read.
    ``avatar`` is the URL under which Dub hosts the picture, not the one that was sent.
    ``program_id``, ``link``, ``partner`` and ``discount`` are only in expanded responses.
    """

    id: str
    name: str | None = None
    email: str | None = None
    avatar: str | None = None
    external_id: str | None = None
    stripe_customer_id: str | None = None
    country: str | None = None
    sales: int | None = None
    sale_amount: int | None = None
    created_at: datetime | None = None
    first_sale_at: datetime | None = None
    subscription_canceled_at: datetime | None = None
    program_id: str | None = None
    link: Link | None = None
    partner: Partner | None = None
    discount: Discount | None = None
    #: Fields that this version does not know, under the names the server gave them.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass
class CustomerCount:
    """The number of customers in one group, as ``count(group_by=…)`` returns it.

    ``count`` is a number of customers. Of the others the one of ``group_by`` is set: ``country``,
    which is ``None`` for customers without one, or ``link_id``.
    """

    count: int
    country: str | None = None
    link_id: str | None = None
    #: Other fields of the group under the server's names, such as ``shortLink`` and ``url``.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)
