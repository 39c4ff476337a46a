"""The part of a shop that talks to Dub. Its tests are in ``test_shop.py``."""

from __future__ import annotations

from collections import Counter

from dub_uplink import Customer, Dub, errors


def sign_up(dub: Dub, user_id: str, email: str, country: str) -> Customer:
    """A customer for a new user; one who signs up again keeps theirs."""
    return dub.customers.ensure({"external_id": user_id, "email": email, "country": country})


def close_account(dub: Dub, user_id: str) -> bool:
    """Forget a user. Whether there was one."""
    try:
        dub.customers.delete(f"ext_{user_id}")
    except errors.NotFound:
        return False
    return True


def revenue(dub: Dub) -> dict[str, float]:
    """What each country brought in, in dollars."""
    cents: Counter[str] = Counter()
    for customer in dub.customers.iterate():
        cents[customer.country or "unknown"] += customer.sale_amount or 0
    return {country: amount / 100 for country, amount in cents.items()}
