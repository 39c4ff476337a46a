"""Libraries that freeze time: a fake follows them, whenever it was made."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from dub_uplink.testing import FakeDub

freezegun = pytest.importorskip("freezegun", reason="freezegun is not installed")


def test_fake_uses_the_time_of_freezegun_started_after_the_fake(
    fake: FakeDub, reach: Callable[[FakeDub], Any]
) -> None:
    api = reach(fake)
    with freezegun.freeze_time("2020-01-01") as frozen:
        assert api.create("a")["createdAt"] == "2020-01-01T00:00:00.000Z"
        frozen.tick(1.5)
        assert api.create("b")["createdAt"] == "2020-01-01T00:00:01.500Z"
        fake.clock.advance(60)
        assert fake.add().created_at == dt.datetime(2020, 1, 1, 0, 1, 1, 500_000, dt.timezone.utc)
    assert api.create("c")["createdAt"] > "2026"


def test_freezegun_tick_frees_the_rate_limit(mount: Any) -> None:
    with FakeDub(rate_limit=1) as fake, freezegun.freeze_time("2020-01-01") as frozen:
        api = mount(fake)
        assert [api("GET", "/customers").status_code for _ in range(2)] == [200, 429]
        frozen.tick(60)
        assert api("GET", "/customers").status_code == 200


def test_fake_created_under_freezegun_works_after_freezegun_ends(mount: Any) -> None:
    with freezegun.freeze_time("2020-01-01"):
        fake = FakeDub()
        assert fake.clock.time() == 1_577_836_800
    assert fake.clock.time() > 1_600_000_000


def test_served_fake_closes_while_time_is_frozen(fake: FakeDub) -> None:
    with freezegun.freeze_time("2020-01-01"), fake.serve() as url:
        assert url.startswith("http://127.0.0.1:")
