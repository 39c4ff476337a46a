"""What the server sends: customers and the records that hang on them.

Only ``id`` is certain. Every other field is ``None`` where the server sent ``null`` or nothing, so
one class reads today's responses and those of 2024, which have six fields.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from .._internal.naming import camel_case

#: Keys that a response leaves out where there is nothing to show; the others are null there.
_OMITTED_IF_NONE = frozenset({"program_id", "link", "partner", "discount"})
#: The keys of every customer in responses and webhooks since 2024. Dub's other records lack some.
_REQUIRED_KEYS = ("id", "externalId", "name", "email", "createdAt")


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

    def to_dict(self) -> dict[str, Any]:
        """Return the customer as the server writes it: JSON's own types under camelCase names.

        Fields in ``extra`` are included, as copies. Dates are in UTC with milliseconds.
        ``programId``, ``link``, ``partner`` and ``discount`` are left out where they are ``None``.
        """
        record = _to_dict(self)
        for name in _OMITTED_IF_NONE:
            if getattr(self, name) is None:
                del record[camel_case(name)]
        record.update(_copy_json(self.extra))
        return record

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Customer:
        """Return the customer of a parsed JSON object, such as the one inside a webhook's payload.

        Objects are read as responses are: unknown fields go to ``extra``. The customer shares no
        object with ``data``.

        Args:
            data: the object, under the server's names.

        Raises:
            TypeError: ``data`` is not a mapping.
            ValueError: it is another record than a customer, a field is of the wrong type, or
                objects are nested too deep for Python.
        """
        # The schemas import this module. Here they are loaded by those who need them only.
        from .._customers.schemas import read_customer  # noqa: PLC0415

        if not isinstance(data, Mapping):
            raise TypeError(
                f"from_dict() takes a mapping, not {type(data).__name__}; parse JSON first"
            )
        missing = [key for key in _REQUIRED_KEYS if key not in data]
        if missing:
            raise ValueError(
                f"not a customer: {', '.join(missing)} missing; pass the customer itself,"
                " under the server's names"
            )
        try:
            return read_customer(_copy_json(data))
        except RecursionError:
            raise ValueError("not a customer: its objects are nested too deep") from None


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


def _to_dict(record: Any) -> dict[str, Any]:
    return {
        key: _to_json_value(getattr(record, name))
        for name, key in _keys_of_fields(record.__class__)
    }


@functools.cache
def _keys_of_fields(model: type[Any]) -> tuple[tuple[str, str], ...]:
    """Return the fields of a record, each with the server's name for it."""
    names = (field.name for field in dataclasses.fields(model) if field.name != "extra")
    return tuple((name, camel_case(name)) for name in names)


def _to_json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return _format_datetime(value)
    if isinstance(value, (Link, Partner, Discount)):
        return {**_to_dict(value), **_copy_json(value.extra)}
    return value


def _copy_json(value: Any) -> Any:
    """Return a copy of JSON's objects and arrays; ``copy.deepcopy`` refuses read-only mappings."""
    if isinstance(value, Mapping):
        return {key: _copy_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy_json(each) for each in value]
    return value


def _format_datetime(moment: datetime) -> str:
    """Return a date as the server writes one, with microseconds if it has any.

    Raises:
        ValueError: the date has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a date needs a time zone, such as timezone.utc: {moment!r}")
    unit = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    return moment.astimezone(timezone.utc).isoformat(timespec=unit).replace("+00:00", "Z")
