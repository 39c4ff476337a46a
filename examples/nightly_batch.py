"""Create the customers that the signup service could not create.

The batch shares the rate limit of ``signup_service.py``. It has bulk priority, so the calls of the
service get the next free slots. Run it with ``dub-uplink serve`` and ``redis-server`` in two other
terminals::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        python examples/nightly_batch.py

To run it every night, use the crontab line ``0 3 * * * python /srv/shop/nightly_batch.py``. Running
it twice is harmless.
"""

from __future__ import annotations

import sys

from signups import rate_limit, store_dub_id, users_without_customer

from dub_uplink import Dub, errors


def main() -> int:
    """Create every missing customer; return 1 if one failed."""
    users = users_without_customer()
    created = failed = 0
    with Dub(rate_limit=rate_limit("bulk")) as dub:
        for user, result in zip(users, dub.customers.create_many(users), strict=True):
            outcome = result
            if isinstance(result, errors.Conflict):
                # The service created the customer, and stopped before it stored the id.
                outcome = dub.customers.get(f"ext_{user['external_id']}")
            if isinstance(outcome, Exception):
                failed += 1
                print(f"{user['external_id']}: {outcome}", file=sys.stderr)
            else:
                created += 1
                store_dub_id(user["external_id"], outcome.id)
    print(f"{created} created, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
