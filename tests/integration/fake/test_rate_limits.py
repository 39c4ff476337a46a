"""Rate limits a key, their headers, and a clock that can be moved."""

from __future__ import annotations

from typing import Any

import pytest

from dub_uplink.testing import FakeDub

NOW = 1_795_333_861.424
LIMIT_HEADERS = ("Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def at_noon(**settings: Any) -> FakeDub:
    return FakeDub(now=lambda: NOW, **settings)


def limits(answer: Any) -> list[str | None]:
    return [answer.headers.get(name) for name in LIMIT_HEADERS]


def test_requests_above_the_limit_get_429_until_the_window_ends(mount: Any) -> None:
    with at_noon(rate_limit=2, window=30.0) as fake:
        api = mount(fake)
        assert [api("GET", "/customers").status_code for _ in range(4)] == [200, 200, 429, 429]
        refused = api("GET", "/customers")
        reset = str(round((NOW + 30) * 1000))
        assert limits(refused) == [reset, "2", "0", reset]
        assert refused.json()["error"] == {
            "code": "rate_limit_exceeded",
            "message": "Too many requests.",
            "doc_url": "https://dub.co/docs/api-reference/errors#rate-limit_exceeded",
        }
        fake.clock.advance(29.999)
        assert api("GET", "/customers").status_code == 429
        fake.clock.advance(0.001)
        assert [api("GET", "/customers").status_code for _ in range(3)] == [200, 200, 429]


def test_fake_rate_limit_uses_a_sliding_window(mount: Any) -> None:
    with at_noon(rate_limit=2) as fake:
        api = mount(fake)
        api("GET", "/customers")
        fake.clock.advance(40)
        api("GET", "/customers")
        fake.clock.advance(20)
        assert [api("GET", "/customers").status_code for _ in range(2)] == [200, 429]


def test_rejected_requests_do_not_count_towards_the_limit(mount: Any) -> None:
    with at_noon(rate_limit=1) as fake:
        api = mount(fake)
        for key in ("dub_wrong", "dub_expired", "secret"):
            api("GET", "/customers", headers={"Authorization": f"Bearer {key}"})
        assert api("GET", "/customers").status_code == 200
        fake.clock.advance(59)
        assert api("GET", "/customers").status_code == 429
        fake.clock.advance(1)
        assert api("GET", "/customers").status_code == 200


def test_each_api_key_has_a_separate_rate_limit(mount: Any) -> None:
    with FakeDub(["dub_1", "dub_2"], rate_limit=1) as fake:
        api = mount(fake)
        answers = [
            api("GET", "/customers", headers={"Authorization": f"Bearer {key}"}).status_code
            for key in ("dub_1", "dub_2", "dub_1", "dub_2")
        ]
    assert answers == [200, 200, 429, 429]


def test_write_rejected_by_the_rate_limit_is_not_applied(mount: Any) -> None:
    with FakeDub(rate_limit=0) as fake:
        answer = mount(fake)("POST", "/customers", json={"externalId": "a", "country": "GB"})
        assert (answer.status_code, fake.customers) == (429, [])


@pytest.mark.parametrize(
    ("plan", "limit"),
    [("trial", 120), ("business", 1200), ("advanced", 3000), ("enterprise", 3000), ("free", 60)],
)
def test_error_response_has_rate_limit_headers_of_the_plan(
    mount: Any, plan: str, limit: int
) -> None:
    with at_noon(plan=plan) as fake:
        api = mount(fake)
        reset = str(round((NOW + 60) * 1000))
        assert limits(api("GET", "/customers/x")) == [reset, str(limit), str(limit - 1), reset]
        fake.clock.advance(1)
        assert limits(api("GET", "/customers/x")) == [reset, str(limit), str(limit - 2), reset]


def test_successes_carry_no_rate_limit_headers(mount: Any) -> None:
    with FakeDub() as fake:
        api = mount(fake)
        created = {"externalId": "a", "country": "GB"}
        for request, settings in (
            (("POST", "/customers"), {"json": created}),
            (("GET", "/customers"), {}),
            (("GET", "/customers/ext_a"), {}),
            (("PATCH", "/customers/ext_a"), {"json": {}}),
        ):
            answer = api(*request, **settings)
            assert answer.ok
            assert limits(answer) == [None] * 4
        for status, request, settings in (
            (400, ("POST", "/customers"), {"body": "{"}),
            (404, ("GET", "/customers/x"), {}),
            (409, ("POST", "/customers"), {"json": created}),
            (422, ("GET", "/customers", "page=x"), {}),
        ):
            answer = api(*request, **settings)
            assert answer.status_code == status
            assert None not in limits(answer)


def test_disabled_rate_limit_rejects_nothing(mount: Any) -> None:
    with at_noon(plan="trial") as fake:
        api = mount(fake)
        assert {api("GET", "/customers").status_code for _ in range(150)} == {200}
        assert limits(api("GET", "/customers/x"))[2] == "0"


def test_clock_advance_of_negative_or_nan_seconds_raises() -> None:
    with at_noon() as fake:
        fake.clock.advance(1.5)
        assert fake.clock.time() == NOW + 1.5
        for seconds in (-1, float("nan")):
            with pytest.raises(ValueError, match="seconds must be 0 or more"):
                fake.clock.advance(seconds)
