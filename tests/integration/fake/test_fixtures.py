"""What a user's tests use: the fixtures, ``no_sleep()`` and clocks that skip."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dub_uplink import Dub, errors, retries
from dub_uplink.testing import FakeDub, NetworkRefused, SkippingClock, faults, no_sleep


def test_dub_fixture_is_a_client_of_the_fake_dub_fixture(fake_dub: FakeDub, dub: Dub) -> None:
    created = dub.customers.create(request={"external_id": "a", "country": "GB"})
    assert [customer.id for customer in fake_dub.customers] == [created.id]


def test_dub_fixture_skips_rate_limit_waits(fake_dub: FakeDub, dub: Dub) -> None:
    fake_dub.faults.add(faults.RateLimited(), times=1)
    before = fake_dub.clock.time()
    started = time.monotonic()
    dub.customers.list()
    assert time.monotonic() - started < 30
    # The fake's time has moved with the client's: a window has passed for both.
    assert fake_dub.clock.time() - before >= 59
    assert len(fake_dub.requests) == 2


def test_dub_fixture_keeps_the_deadline(fake_dub: FakeDub, dub: Dub) -> None:
    fake_dub.faults.add(faults.Status(503), times=None)
    before = fake_dub.clock.time()
    with pytest.raises(errors.APIStatusError) as caught:
        dub.customers.list()
    assert caught.value.status_code == 503
    assert 1 < fake_dub.clock.time() - before < 91


def test_fake_dub_fixture_session_rejects_other_hosts(fake_dub: FakeDub) -> None:
    with (
        fake_dub.session() as session,
        Dub(token="dub_test", server_url="https://example.com", client=session) as elsewhere,
        pytest.raises(NetworkRefused, match=r"example\.com"),
    ):
        elsewhere.customers.list()


def test_no_sleep_skips_waits_of_clients_and_fakes() -> None:
    with FakeDub(rate_limit=1) as fake, no_sleep() as clock:
        client = Dub(token="dub_test", client=fake.session())
        started = time.monotonic()
        for _ in range(3):
            client.customers.list()
        assert time.monotonic() - started < 30
    assert len(clock.slept) == 2
    assert all(59 < seconds < 62 for seconds in clock.slept)


def test_no_sleep_skips_delays_and_latency_of_mounted_fakes() -> None:
    with FakeDub(latency=7) as fake, no_sleep() as clock:
        fake.faults.add(faults.Delay(20))
        fake.session().get(f"{fake.base_url}/customers")
        assert clock.slept == [27]
    fake.configure(latency=0)


def test_no_sleep_restores_real_sleeps_at_the_end_of_the_block() -> None:
    before = retries.current_clock()
    with contextlib.suppress(KeyError), no_sleep():
        assert retries.current_clock() is not before
        raise KeyError
    assert retries.current_clock() is before


def test_skipping_clock_advances_only_by_sleep() -> None:
    skipped: list[float] = []
    clock = SkippingClock(on_sleep=skipped.append)
    wall, monotonic = time.time(), time.monotonic()
    clock.sleep(100)
    clock.sleep(-1)
    asyncio.run(clock.async_sleep(50))
    assert 150 <= clock.monotonic() - monotonic < 200
    assert 150 <= clock.time() - wall < 200
    assert (clock.slept, skipped) == ([100, -1, 50], [100, 0.0, 50])


SUITE = """
from dub_uplink.testing import faults
{fixtures}

def sign_up(dub, email):
    return dub.customers.create(request={{"external_id": "1", "email": email, "country": "GB"}})

def test_sign_up(dub, fake_dub):
    sign_up(dub, "ada@example.com")
    assert fake_dub.customers[0].email == "ada@example.com"

def test_each_test_has_a_new_fake(fake_dub):
    assert fake_dub.customers == []

def test_sign_up_survives_a_dropped_response(dub, fake_dub):
    fake_dub.faults.add(faults.DropAfter(), method="POST")
    assert sign_up(dub, "ada@example.com").email == "ada@example.com"
    assert len(fake_dub.customers) == 1
"""


def test_fixtures_work_in_a_separate_test_suite(tmp_path: Path) -> None:
    fixtures = "from dub_uplink.testing.plugin import dub, fake_dub"
    suite = tmp_path / "test_suite.py"
    suite.write_text(SUITE.format(fixtures=fixtures))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(suite)],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "3 passed" in done.stdout, done.stdout + done.stderr
