"""Keep a shop's customers in Dub. The tests are in ``test_shop.py``."""

from __future__ import annotations

from collections import Counter

from dub_uplink import Customer, Dub, errors


def sign_up(dub: Dub, user_id: str, email: str, country: str) -> Customer:
    """Get or create the customer of a user."""
    return dub.customers.ensure({"external_id": user_id, "email": email, "country": country})


def close_account(dub: Dub, user_id: str) -> bool:
    """Delete the customer of a user; return whether there was one."""
    try:
        dub.customers.delete(f"ext_{user_id}")
    except errors.NotFound:
        return False
    return True


def revenue(dub: Dub) -> dict[str, float]:
    """Return the revenue of each country in dollars."""
    cents: Counter[str] = Counter()
    for customer in dub.customers.iterate():
        cents[customer.country or "unknown"] += customer.sale_amount or 0
    return {country: amount / 100 for country, amount in cents.items()}
