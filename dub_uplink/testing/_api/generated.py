"""Generate many customers for a fake."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

from .ids import make_id
from .store import Row, Store, StoredCustomer, from_milliseconds, row_from_customer

_COUNTRIES = ("US", "GB", "DE", "FR", "IN", "BR", "JP", "NG")


def generate_rows(
    store: Store, count: int, now: int, next_custom_id: Callable[[], str | None]
) -> Iterator[Row]:
    """Yield a row for each missing external id from ``user_1`` to ``user_<count>``.

    Args:
        store: The store of the existing customers.
        count: The number of customers.
        now: The creation time of the last customer, in Unix milliseconds. The creation times are
            one second apart.
        next_custom_id: A function that returns the next id; ``None`` to generate one.

    Raises:
        DuplicateKey: a stored customer has an id from ``next_custom_id``.
    """
    rng = random.Random(count)
    empty_row = row_from_customer(
        StoredCustomer("", None, None, None, "", None, None, from_milliseconds(0))
    )
    # Create no StoredCustomer objects, because a million objects take long.
    for number in range(1, count + 1):
        if store.get(f"ext_user_{number}") is not None:
            continue
        created = max(now - (count - number) * 1000, 0)
        custom_id = next_custom_id()
        if custom_id is not None:
            store.check_id(custom_id)
        yield (
            make_id(created, rng) if custom_id is None else custom_id,
            f"User {number}",
            f"user_{number}@example.com",
            None,
            f"user_{number}",
            None,
            _COUNTRIES[number % len(_COUNTRIES)],
            0,
            0,
            created,
            *empty_row[10:],
        )
