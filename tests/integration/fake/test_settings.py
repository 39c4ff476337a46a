"""Settings, clock and records of a fake that change while it runs."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from dub_uplink.testing import FakeDub, Settings, faults


@pytest.mark.parametrize(
    "wrong",
    [
        {"role": "king"},
        {"plan": "gold"},
        {"rate_limit": -1},
        {"rate_limit": 1_000_001},
        {"window": 0},
        {"window": 0.0001},
        {"window": float("inf")},
        {"latency": -1},
        {"latency": float("nan")},
        {"keep_requests": -1},
    ],
)
def test_invalid_setting_raises_and_changes_nothing(fake: FakeDub, wrong: dict[str, Any]) -> None:
    for make in (FakeDub, Settings, fake.configure):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))} must"):
            make(**wrong)
    assert fake.settings == Settings()


@pytest.mark.parametrize("tokens", ["", (), ("dub_a", "")])
def test_empty_token_setting_raises_and_changes_nothing(fake: FakeDub, tokens: Any) -> None:
    with pytest.raises(ValueError, match="token must not be empty"):
        FakeDub(tokens)
    with pytest.raises(ValueError, match="token must not be empty"):
        fake.configure(tokens=tokens)
    assert fake.token == "dub_test"


@pytest.mark.parametrize("tokens", ["dub s3cret", "s3cret\n", "s3crét", ["s3cret", "s3cret"]])
def test_invalid_token_setting_raises_without_showing_the_token(fake: FakeDub, tokens: Any) -> None:
    for make in (
        lambda: FakeDub(tokens),
        lambda: fake.configure(tokens=tokens),
        lambda: FakeDub(expired=tokens),
    ):
        with pytest.raises(ValueError, match=r"^(token|expired) must ") as caught:
            make()
        assert "s3cr" not in str(caught.value)


@pytest.mark.parametrize("tokens", ["dub_a", ["dub_a"], iter(["dub_a"])])
def test_tokens_setting_accepts_one_or_several_keys(fake: FakeDub, api: Any, tokens: Any) -> None:
    assert fake.configure(tokens=tokens).tokens == ("dub_a",)
    assert api("GET", "/customers").status_code == 401
    headers = {"Authorization": f"Bearer {fake.token}"}
    assert api("GET", "/customers", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "ids", [["cus_1", "cus_1"], ["cus_1", ""], ["cus_1", "cus_stored"], ["ext_1"]]
)
def test_invalid_ids_leave_the_queued_ids_unchanged(fake: FakeDub, ids: list[str]) -> None:
    fake.add(id="cus_stored")
    fake.use_ids(["cus_0"])
    with pytest.raises(ValueError, match="id"):
        fake.use_ids(ids)
    assert fake.next_ids == ["cus_0"]
    assert fake.add().id == "cus_0"
    assert fake.add().id.startswith("cus_1")


def test_use_ids_precedes_the_ids_function() -> None:
    with FakeDub(ids=iter(["cus_c", "cus_d"]).__next__) as fake:
        fake.use_ids(["cus_a", "cus_b"])
        fake.add_many(3)
        assert [customer.id for customer in fake.customers] == ["cus_a", "cus_b", "cus_c"]
        assert fake.add().id == "cus_d"


def test_frozen_clock_moves_only_by_advance_and_set() -> None:
    real = [100.0]
    with FakeDub(now=lambda: real[0]) as fake:
        fake.clock.freeze()
        real[0] = 150
        fake.clock.freeze()
        fake.clock.advance(5)
        assert (fake.clock.time(), fake.clock.frozen) == (105, True)
        fake.clock.unfreeze()
        assert (fake.clock.time(), fake.clock.frozen) == (105, False)
        real[0] = 160
        fake.clock.unfreeze()
        assert fake.clock.time() == 115


def test_unknown_setting_raises_type_error(fake: FakeDub) -> None:
    with pytest.raises(TypeError, match="colour"):
        fake.configure(colour="red")


def test_configure_changes_only_the_given_settings(fake: FakeDub) -> None:
    fake.configure(role="viewer")
    assert fake.configure(latency=2) == Settings(role="viewer", latency=2)
    assert fake.settings == Settings(role="viewer", latency=2)


def test_plan_setting_changes_the_limit_in_headers(fake: FakeDub, api: Any) -> None:
    fake.configure(plan="enterprise")
    assert api("GET", "/customers/nobody").headers["X-RateLimit-Limit"] == "3000"


def test_window_setting_applies_to_counted_requests(mount: Any) -> None:
    with FakeDub(rate_limit=1) as fake:
        api = mount(fake)
        api("GET", "/customers")
        fake.clock.advance(10)
        assert api("GET", "/customers").status_code == 429
        fake.configure(window=5)
        assert api("GET", "/customers").status_code == 200


def test_reset_restores_the_settings_of_the_constructor(mount: Any) -> None:
    with FakeDub(role="viewer", rate_limit=2) as fake:
        fake.configure(role="owner", rate_limit=None)
        fake.add_many(2)
        fake.clock.advance(1e6)
        mount(fake)("GET", "/customers")
        fake.faults.add(faults.DropAfter(), times=None)
        fake.reset()
        assert fake.settings == Settings(role="viewer", rate_limit=2)
        assert (fake.customers, fake.requests, fake.faults.queue) == ([], [], [])
        assert fake.clock.offset == 0


def test_reset_clears_the_counted_requests(mount: Any) -> None:
    with FakeDub(rate_limit=1) as fake:
        api = mount(fake)
        for _ in range(2):
            fake.reset()
            assert [api("GET", "/customers").status_code for _ in range(2)] == [200, 429]


def test_generated_ids_after_a_reset_sort_by_time(fake: FakeDub) -> None:
    fake.clock.advance(1e9)
    later = fake.add().id
    fake.reset()
    assert fake.add().id < later


def test_clearing_customers_keeps_requests_and_faults(fake: FakeDub, api: Any) -> None:
    api.create("a")
    fake.faults.add(faults.DropAfter())
    fake.clear_customers()
    assert (fake.customers, len(fake.requests), len(fake.faults.queue)) == ([], 1, 1)
    fake.clear_requests()
    assert (fake.requests, len(fake.faults.queue)) == ([], 1)


def test_requests_have_numbers_faults_and_durations(fake: FakeDub, api: Any) -> None:
    fake.faults.add(faults.Status(503))
    fake.faults.add(faults.Delay(2))
    session = fake.session(sleep=lambda seconds: None)
    for _ in range(3):
        session.get(f"{fake.base_url}/customers")
    requests = fake.requests
    assert [request.number for request in requests] == [1, 2, 3]
    assert [request.fault for request in requests] == [faults.Status(503), faults.Delay(2), None]
    assert [int((request.ms or 0) // 1000) for request in requests] == [0, 2, 0]


def test_clock_set_moves_to_the_time_and_continues() -> None:
    now = 1_000.0
    with FakeDub(now=lambda: now) as fake:
        fake.clock.set(dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc))
        now += 1
        fake.clock.advance(2)
        assert fake.add().created_at == dt.datetime(2020, 1, 1, 0, 0, 3, tzinfo=dt.timezone.utc)
        fake.clock.reset()
        assert fake.clock.time() == 1_001


@pytest.mark.parametrize(
    ("moment", "message"),
    [
        (dt.datetime(2020, 1, 1), "no time zone"),
        (dt.datetime(1969, 12, 31, tzinfo=dt.timezone.utc), "1970"),
        (dt.datetime(9000, 1, 1, tzinfo=dt.timezone.utc), "8000"),
    ],
)
def test_clock_set_out_of_range_raises_value_error(
    fake: FakeDub, moment: dt.datetime, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        fake.clock.set(moment)
    assert fake.clock.offset == 0


def test_clock_advance_beyond_year_8000_raises_value_error(fake: FakeDub) -> None:
    with pytest.raises(ValueError, match="8000"):
        fake.clock.advance(1e12)
    assert fake.add().created_at.year < 3000


def test_clock_set_back_resets_the_rate_limit_count(mount: Any) -> None:
    with FakeDub(rate_limit=1) as fake:
        api = mount(fake)
        assert [api("GET", "/customers").status_code for _ in range(2)] == [200, 429]
        fake.clock.set(dt.datetime(2020, 1, 1, tzinfo=dt.timezone.utc))
        assert [api("GET", "/customers").status_code for _ in range(2)] == [200, 429]
