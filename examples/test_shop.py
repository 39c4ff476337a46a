"""Test the shop with the fixtures ``dub`` and ``fake_dub`` of the extra ``testing``.

Each test has its own fake, and no test sleeps. The last test is a smoke test of the server in
``DUB_SERVER_URL``. Without that variable, pytest skips the last test. To run all tests, start
``dub-uplink serve`` in another terminal, and run::

    DUB_API_KEY=dub_test DUB_SERVER_URL=http://127.0.0.1:8000 \
        pytest examples/test_shop.py
"""

from __future__ import annotations

import os
import uuid

import pytest
import shop

from dub_uplink import Dub, errors
from dub_uplink.testing import FakeDub, faults


def test_sign_up_creates_a_customer(dub: Dub, fake_dub: FakeDub) -> None:
    customer = shop.sign_up(dub, "user_1", "ada@example.com", "GB")
    assert [(stored.id, stored.email) for stored in fake_dub.customers] == [
        (customer.id, "ada@example.com")
    ]


def test_second_sign_up_changes_nothing(dub: Dub, fake_dub: FakeDub) -> None:
    ada = fake_dub.add(external_id="user_1", email="ada@example.com", country="GB")
    assert shop.sign_up(dub, "user_1", "other@example.com", "US").id == ada.id
    assert fake_dub.customers == [ada]


def test_sign_up_with_lost_response_creates_one_customer(dub: Dub, fake_dub: FakeDub) -> None:
    fake_dub.faults.add(faults.DropAfter(), method="POST")
    shop.sign_up(dub, "user_1", "ada@example.com", "GB")
    assert len(fake_dub.customers) == 1


def test_close_account_waits_for_the_rate_limit(dub: Dub, fake_dub: FakeDub) -> None:
    fake_dub.faults.add(faults.RateLimited(retry_after=45))
    assert shop.close_account(dub, "nobody") is False
    assert [request.status for request in fake_dub.requests] == [429, 404]


def test_sign_up_during_an_outage_raises_after_retries(dub: Dub, fake_dub: FakeDub) -> None:
    fake_dub.faults.add(faults.Status(503), times=None)
    with pytest.raises(errors.DubError) as caught:
        shop.sign_up(dub, "user_1", "ada@example.com", "GB")
    assert caught.value.attempts > 1


def test_revenue_counts_every_customer_once(dub: Dub, fake_dub: FakeDub) -> None:
    for number in range(250):
        fake_dub.add(external_id=f"user_{number}", country="GB", sale_amount=100)
    fake_dub.faults.randomly({faults.DropBefore(): 0.2, faults.Status(502): 0.2}, seed=1)
    assert shop.revenue(dub) == {"GB": 250.0}


@pytest.mark.skipif(not os.environ.get("DUB_SERVER_URL"), reason="DUB_SERVER_URL is not set")
def test_real_server_creates_and_deletes_a_customer() -> None:
    user_id = f"smoke_{uuid.uuid4()}"
    with Dub() as dub:
        shop.sign_up(dub, user_id, f"{user_id}@example.com", "GB")
        assert shop.close_account(dub, user_id)
