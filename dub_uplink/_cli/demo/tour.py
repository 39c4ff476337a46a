"""The lines that the demo runs and shows, written as a user would write them.

A comment opens a step, a ``yield`` gives its result; the demo shows what stands between the two.
"""

from __future__ import annotations

from collections.abc import Iterator

from dub_uplink import Dub
from dub_uplink.models import errors
from dub_uplink.testing import FakeDub, faults


def connect(url: str) -> Dub:
    """The client of the tour."""
    s = Dub(token="dub_test", server_url=url)
    return s  # noqa: RET504 - the line above is shown as it stands


def tour(s: Dub, fake: FakeDub) -> Iterator[object]:
    """The main job, with an answer to each thing that goes wrong in it."""
    # Create a customer
    ada = s.customers.create(
        request={
            "external_id": "user_1",
            "email": "ada@example.com",
            "country": "GB",
        },
    )
    yield ada

    # Get her by the id that you have for her
    same = s.customers.get("ext_user_1")
    yield same

    # Give her a name; what is not named stays as it was
    ada = s.customers.update(id=ada.id, request_body={"name": "Ada Lovelace"})
    yield ada

    # List the customers of a country
    page = s.customers.list(country="GB", page_size=10)
    yield page

    # Run into a rate limit: the client waits as it was told to, then asks again
    fake.faults.add(faults.RateLimited(retry_after=1))
    same = s.customers.get(ada.id)
    yield same

    # Ask for someone who is not there, and catch it
    try:
        s.customers.get("ext_nobody")
    except errors.NotFound as error:
        print(error)
    yield None

    # Delete the customer
    deleted = s.customers.delete(id=ada.id)
    yield deleted


def live_tour(s: Dub) -> Iterator[object]:
    """The part that only reads, for a real workspace."""
    # List your newest customers
    page = s.customers.list(page_size=5)
    yield page

    # Get the first of them
    first = s.customers.get(page[0].id) if page else None
    yield first
