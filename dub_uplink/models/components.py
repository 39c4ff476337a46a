"""Response objects: customers, and the objects nested in them.

In a customer and its nested objects, only ``id`` is always set. Any other field is ``None`` if the
server sent ``null`` or no value.
Therefore one class fits both current responses and the responses of 2024, which have six fields.

An expanded response is the response to a call with ``include_expanded_fields=True``.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeVar

from .._internal.naming import camel_case

#: Fields that the server omits if they have no value. Any other field without a value is ``null``.
_OMITTED_IF_NONE = frozenset({"program_id", "link", "partner", "discount"})
#: Every customer in responses and webhooks since 2024 has these keys. No other object of Dub has
#: all of them.
_REQUIRED_KEYS = ("id", "externalId", "name", "email", "createdAt")

_T = TypeVar("_T")


def _drop_class_defaults(cls: type[_T]) -> type[_T]:
    """Remove the class attributes that hold the field defaults of a dataclass.

    The constructor contains the defaults too. With the class attributes, the constructor takes
    twice as long: CPython 3.12 and later assign an instance attribute more slowly if the class has
    an attribute with the same name.
    """
    for each in dataclasses.fields(cls):  # type: ignore[arg-type]
        if each.default is not dataclasses.MISSING:
            delattr(cls, each.name)
    return cls


@_drop_class_defaults
@dataclass
class Link:
    """The link through which a customer arrived; only in expanded responses."""

    id: str
    domain: str | None = None
    key: str | None = None
    short_link: str | None = None
    url: str | None = None
    program_id: str | None = None
    #: Response fields that this version does not know, with the server's keys.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@_drop_class_defaults
@dataclass
class Partner:
    """The partner who referred a customer; only in expanded responses."""

    id: str
    name: str | None = None
    email: str | None = None
    image: str | None = None
    #: Response fields that this version does not know, with the server's keys.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@_drop_class_defaults
@dataclass
class Discount:
    """The discount of a customer; only in expanded responses.

    ``type`` is ``"percentage"`` or ``"flat"``. It is a ``str``, because the server may add values.
    ``amount`` is in per cent for ``"percentage"`` and in cents for ``"flat"``. ``max_duration`` is
    in months.
    """

    id: str
    amount: int | None = None
    type: str | None = None
    max_duration: int | None = None
    coupon_id: str | None = None
    coupon_test_id: str | None = None
    description: str | None = None
    partners_count: int | None = None
    #: Response fields that this version does not know, with the server's keys.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


@_drop_class_defaults
@dataclass
class Customer:
    """A customer.

    Dates are :class:`~datetime.datetime` objects with a time zone. ``sale_amount`` is in cents. If
    the customer has no name, ``name`` is the email, or a random name that differs in every
    response. ``avatar`` is the URL of Dub's copy of the picture, not the URL that was sent.
    ``program_id``, ``link``, ``partner`` and ``discount`` are only set in expanded responses.
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
    #: Response fields that this version does not know, with the server's keys.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the customer as a JSON-serialisable dictionary with the server's camelCase keys.

        The dictionary includes copies of the fields in ``extra``. Dates are in UTC, with
        milliseconds or, if the date has them, microseconds. A date whose year in UTC is below 1 or
        above 9999 keeps its time zone. ``programId``, ``link``, ``partner`` and ``discount`` are
        omitted if ``None``.

        Raises:
            ValueError: a date has no time zone.
        """
        record = _to_dict(self)
        for name in _OMITTED_IF_NONE:
            if getattr(self, name) is None:
                del record[camel_case(name)]
        record.update(_copy_json(self.extra))
        return record

    @staticmethod
    def from_dict(data: Mapping[str, Any]) -> Customer:
        """Create a customer from a parsed JSON object, such as the customer in a webhook payload.

        Unknown fields are stored in ``extra``. Nested objects of ``data`` are copied.

        Args:
            data: the JSON object, with the server's camelCase keys.

        Raises:
            TypeError: ``data`` is not a mapping.
            ValueError: ``data`` lacks a key that every customer has, a field has the wrong type,
                or ``data`` is nested too deeply.
        """
        # The schemas import this module, and are slow to load.
        from .._customers.schemas import read_customer  # noqa: PLC0415

        if not isinstance(data, Mapping):
            raise TypeError(
                f"from_dict() takes a mapping, not {type(data).__name__}; parse JSON first"
            )
        missing = [key for key in _REQUIRED_KEYS if key not in data]
        if missing:
            raise ValueError(
                f"the data is not a customer: {', '.join(missing)} missing; pass the customer"
                " object itself, with the server's camelCase keys"
            )
        try:
            return read_customer(_copy_json(data))
        except RecursionError:
            raise ValueError("the data is not a customer: it is nested too deeply") from None


@_drop_class_defaults
@dataclass
class CustomerCount:
    """The number of customers in one group of ``count(group_by=…)``.

    Only the field that ``group_by`` names is set: ``country`` or ``link_id``. In the group of
    customers without a country, ``country`` is ``None``.
    """

    count: int
    country: str | None = None
    link_id: str | None = None
    #: Other fields of the group with the server's keys, such as ``shortLink`` and ``url``.
    extra: dict[str, Any] = field(default_factory=dict, repr=False)


def _to_dict(record: Any) -> dict[str, Any]:
    return {
        key: _to_json_value(getattr(record, name))
        for name, key in _get_names_and_keys(record.__class__)
    }


@functools.cache
def _get_names_and_keys(model: type[Any]) -> tuple[tuple[str, str], ...]:
    """Return the name and the camelCase key of each field."""
    names = (field.name for field in dataclasses.fields(model) if field.name != "extra")
    return tuple((name, camel_case(name)) for name in names)


def _to_json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return _format_datetime(value)
    if isinstance(value, (Link, Partner, Discount)):
        return {**_to_dict(value), **_copy_json(value.extra)}
    return value


def _copy_json(value: Any) -> Any:
    """Copy JSON objects and arrays, including read-only mappings, which ``deepcopy`` rejects."""
    if isinstance(value, Mapping):
        return {key: _copy_json(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy_json(each) for each in value]
    return value


def _format_datetime(moment: datetime) -> str:
    """Format a date as the server does.

    The text has milliseconds, or microseconds if the date has them.

    Raises:
        ValueError: the date has no time zone.
    """
    if moment.tzinfo is None:
        raise ValueError(f"a date must have a time zone, such as timezone.utc, not {moment!r}")
    unit = "microseconds" if moment.microsecond % 1000 else "milliseconds"
    with contextlib.suppress(OverflowError):  # in UTC, the year is below 1 or above 9999
        moment = moment.astimezone(timezone.utc)
    return moment.isoformat(timespec=unit).replace("+00:00", "Z")
