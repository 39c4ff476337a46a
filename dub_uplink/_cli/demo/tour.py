"""Define the tours that the demo runs. The code is written as in an application.

A step starts with its title as a comment, and ends with a ``yield`` of its result. The demo shows
the lines between the comment and the ``yield``.
"""

from __future__ import annotations

from collections.abc import Iterator

from dub_uplink import Dub
from dub_uplink.models import errors
from dub_uplink.testing import FakeDub, faults


def connect(url: str) -> Dub:
    """Create the client of the tour."""
    s = Dub(token="dub_test", server_url=url)
    return s  # noqa: RET504 - the demo shows the line above


def tour(s: Dub, fake: FakeDub) -> Iterator[object]:
    """Create, read, change and delete a customer, and handle errors."""
    # Create a customer
    ada = s.customers.create(
        request={
            "external_id": "user_1",
            "email": "ada@example.com",
            "country": "GB",
        },
    )
    yield ada

    # Get her by your own id
    same = s.customers.get("ext_user_1")
    yield same

    # Change her name; the other fields stay
    ada = s.customers.update(id=ada.id, request_body={"name": "Ada Lovelace"})
    yield ada

    # List the customers of a country
    page = s.customers.list(country="GB", page_size=10)
    yield page

    # Exceed the rate limit: the client waits as requested, then retries
    fake.faults.add(faults.RateLimited(retry_after=1))
    same = s.customers.get(ada.id)
    yield same

    # Get a customer who does not exist, and catch the error
    try:
        s.customers.get("ext_nobody")
    except errors.NotFound as error:
        print(error)
    yield None

    # Delete the customer
    deleted = s.customers.delete(id=ada.id)
    yield deleted


def live_tour(s: Dub) -> Iterator[object]:
    """Read customers of a real workspace."""
    # List your newest customers
    page = s.customers.list(page_size=5)
    yield page

    # Get the first one
    first = s.customers.get(page[0].id) if page else None
    yield first
