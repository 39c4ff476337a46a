"""Faults on command: what a plain client sees, and what was carried out."""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests
import urllib3

from dub_uplink.testing import FakeDub, faults

Reach = Callable[[FakeDub], Any]
NOW = 1_795_333_861.424
BODY = {"externalId": "a", "country": "GB"}


def create(api: Any, **settings: Any) -> requests.Response:
    answer: requests.Response = api("POST", "/customers", json=BODY, **settings)
    return answer


@pytest.mark.parametrize(("fault", "stored"), [(faults.DropBefore(), 0), (faults.DropAfter(), 1)])
def test_drop_fault_raises_requests_connection_error(
    fake: FakeDub, reach: Reach, fault: faults.Fault, stored: int
) -> None:
    api = reach(fake)
    fake.faults.add(fault)
    with pytest.raises(requests.ConnectionError) as caught:
        create(api)
    assert type(caught.value) is requests.ConnectionError
    assert "Remote end closed connection without response" in str(caught.value)
    assert len(fake.customers) == stored
    assert fake.requests[0].status is None
    assert create(api).status_code == (409 if stored else 201)


@pytest.mark.skipif(
    urllib3.__version__.startswith("1."), reason="urllib3 1 takes a short body for a whole one"
)
def test_truncate_fault_raises_chunked_encoding_error(fake: FakeDub, reach: Reach) -> None:
    api = reach(fake)
    fake.faults.add(faults.Truncate(10))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="10 bytes read"):
        create(api)
    assert len(fake.customers) == 1
    fake.faults.add(faults.Truncate(10))
    answer = api("GET", "/customers", stream=True)
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        _ = answer.content
    assert api("GET", "/customers").status_code == 200


def test_truncate_fault_above_the_body_length_changes_nothing(fake: FakeDub, reach: Reach) -> None:
    api = reach(fake)
    fake.faults.add(faults.Truncate(10_000))
    assert create(api).json()["externalId"] == "a"
    assert create(api).status_code == 409


def test_late_response_times_out_after_the_request_is_executed(fake: FakeDub, reach: Reach) -> None:
    api = reach(fake)
    fake.faults.add(faults.Delay(3600))
    with pytest.raises(requests.ReadTimeout):
        create(api, timeout=(5, 0.05))
    end = time.monotonic() + 30
    while not fake.customers and time.monotonic() < end:  # a busy machine may take longer
        time.sleep(0.01)
    assert len(fake.customers) == 1


def test_delay_below_the_timeout_delays_the_response(fake: FakeDub, reach: Reach) -> None:
    api = reach(fake)
    fake.faults.add(faults.Delay(0.05))
    started = time.monotonic()
    assert create(api, timeout=60).status_code == 201
    assert time.monotonic() - started >= 0.05


def test_session_with_sleep_argument_skips_a_delay(fake: FakeDub) -> None:
    slept: list[float] = []
    session = fake.session(sleep=slept.append)
    fake.faults.add(faults.Delay(30), times=None)
    url = f"{fake.base_url}/customers"
    assert session.get(url, timeout=None).status_code == 401
    with pytest.raises(requests.ReadTimeout):
        session.get(url, timeout=20)
    assert slept == [30, 20]


def test_drip_fault_sends_the_complete_body_slowly(fake: FakeDub, reach: Reach) -> None:
    fake.add(external_id="a", name="A")
    api = reach(fake)
    size = len(api("GET", "/customers").content)
    fake.faults.add(faults.Drip(size * 10))
    started = time.monotonic()
    assert api("GET", "/customers").json()[0]["name"] == "A"
    assert time.monotonic() - started >= 0.09


def test_drip_fault_slower_than_the_timeout_times_out(fake: FakeDub, reach: Reach) -> None:
    api = reach(fake)
    fake.faults.add(faults.Drip(0.01))
    with pytest.raises(requests.ConnectionError, match="timed out"):
        create(api, timeout=1)
    assert len(fake.customers) == 1


@pytest.mark.parametrize("stream", [True, False])
def test_drip_fault_in_a_session_calls_the_sleep_argument(fake: FakeDub, stream: bool) -> None:
    slept: list[float] = []
    session = fake.session(sleep=slept.append)
    fake.faults.add(faults.Drip(2))
    answer = session.get(f"{fake.base_url}/customers", stream=stream)
    size = len(answer.content)
    assert sum(slept) == pytest.approx(size / 2)


@pytest.mark.parametrize("code", [400, 401, 403, 404, 409, 410, 422, 429, 500])
def test_status_fault_used_by_dub_has_a_dub_error_body(
    fake: FakeDub, reach: Reach, code: int
) -> None:
    api = reach(fake)
    fake.faults.add(faults.Status(code))
    answer = create(api)
    assert answer.status_code == code
    assert list(answer.json()["error"]) == ["code", "message", "doc_url"]
    assert "Retry-After" not in answer.headers
    assert fake.customers == []


@pytest.mark.parametrize("code", [502, 503, 504, 418])
def test_status_fault_not_used_by_dub_has_an_html_body(
    fake: FakeDub, reach: Reach, code: int
) -> None:
    api = reach(fake)
    fake.faults.add(faults.Status(code, headers={"Retry-After": "2"}))
    answer = create(api)
    assert (answer.status_code, answer.headers["Retry-After"]) == (code, "2")
    assert answer.headers["Content-Type"].startswith("text/html")


def test_status_fault_sends_the_given_headers_and_body(fake: FakeDub, reach: Reach) -> None:
    api = reach(fake)
    fake.faults.add(faults.Status(503, body={"error": None}))
    fake.faults.add(faults.Status(200, {"content-type": "text/plain"}, "ä"))
    fake.faults.add(faults.Status(500, body=b"\xff", carried_out=True))
    fake.faults.add(faults.Status(204))
    assert create(api).json() == {"error": None}
    answer = create(api)
    assert (answer.content, answer.headers["Content-Type"]) == ("ä".encode(), "text/plain")
    assert fake.customers == []
    assert create(api).content == b"\xff"
    assert len(fake.customers) == 1
    assert (create(api).status_code, fake.faults.pending) == (204, [])


def test_garbage_fault_returns_a_200_without_json(fake: FakeDub, reach: Reach) -> None:
    api = reach(fake)
    fake.faults.add(faults.Garbage())
    fake.faults.add(faults.Garbage(b"\x00\x01", "application/json"))
    first, second = create(api), create(api)
    assert (first.status_code, first.headers["Content-Type"]) == (200, "text/html")
    assert (second.content, second.headers["Content-Type"]) == (b"\x00\x01", "application/json")
    assert fake.customers == []


@pytest.mark.parametrize(
    ("fault", "header"),
    [
        (faults.RateLimited(), str(round((NOW + 60) * 1000))),
        (faults.RateLimited(None), None),
        (faults.RateLimited(2), "2"),
        (faults.RateLimited(0.5), "0.5"),
        (faults.RateLimited("soon"), "soon"),
        (faults.RateLimited(1_795_333_861_424), "1795333861424"),
        (
            faults.RateLimited(dt.datetime(2026, 10, 21, 7, 28, tzinfo=dt.timezone.utc)),
            "Wed, 21 Oct 2026 07:28:00 GMT",
        ),
        (faults.RateLimited(2, "seconds"), "2"),
        (faults.RateLimited(2, "unix"), "1795333864"),
        (faults.RateLimited(2, "unix_ms"), "1795333863424"),
        (faults.RateLimited(-2, "unix_ms"), "1795333859424"),
    ],
)
def test_rate_limited_fault_sends_every_retry_after_format(
    reach: Reach, fault: faults.Fault, header: str | None
) -> None:
    with FakeDub(now=lambda: NOW) as fake:
        api = reach(fake)
        fake.faults.add(fault)
        answer = create(api)
        assert (answer.status_code, answer.headers.get("Retry-After")) == (429, header)
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"
        assert fake.customers == []


def test_retry_after_http_date_is_rounded_up(reach: Reach) -> None:
    with FakeDub(now=lambda: NOW) as fake:
        api = reach(fake)
        fake.faults.add(faults.RateLimited(2, form="http_date"))
        moment = parsedate_to_datetime(create(api).headers["Retry-After"])
        assert 2 <= moment.timestamp() - NOW < 3


def test_queued_faults_apply_in_order_to_matching_requests(fake: FakeDub, api: Any) -> None:
    fake.faults.add(faults.Status(500), times=2, method="post")
    fake.faults.add(faults.Status(502), path="/customers/*")
    fake.faults.add(faults.Status(503), path="/customers/ext_a%2Fb", method="GET")
    fake.faults.add(faults.Status(504))
    assert len(fake.faults.pending) == 5
    requests_ = [
        ("GET", "/customers/ext_a%2Fb"),  # 502
        ("GET", "/customers/ext_a%2Fb"),  # 503
        ("POST", "/customers"),  # 500
        ("GET", "/customers"),  # 504
        ("GET", "/customers"),
        ("POST", "/customers"),  # 500
    ]
    assert [api(*request).status_code for request in requests_] == [502, 503, 500, 504, 200, 500]
    assert fake.faults.pending == []


def test_fault_for_all_requests_lasts_until_cleared(fake: FakeDub, api: Any) -> None:
    fake.faults.add(faults.Status(503), times=None)
    assert {api("GET", "/customers").status_code for _ in range(5)} == {503}
    fake.faults.clear()
    assert api("GET", "/customers").status_code == 200


def random_statuses(seed: int, count: int, *, queued: bool = False, threads: int = 1) -> list[int]:
    with FakeDub() as fake:
        shares = {faults.Status(500): 0.2, faults.Status(503, {"Retry-After": "1"}): 0.3}
        fake.faults.randomly(shares, seed=seed)
        if queued:
            fake.faults.add(faults.Status(418))

        def ask() -> None:
            session = fake.session()
            for _ in range(count // threads):
                session.get(f"{fake.base_url}/customers")

        workers = [threading.Thread(target=ask) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return [request.status or 0 for request in fake.requests]


def test_random_faults_follow_their_shares_and_seed() -> None:
    statuses = random_statuses(1, 600)
    assert statuses == random_statuses(1, 600)
    assert statuses != random_statuses(2, 600)
    assert 80 < statuses.count(500) < 160
    assert 130 < statuses.count(503) < 230
    # A queued fault takes the place of what its request would have met, and shifts no other.
    assert random_statuses(1, 600, queued=True)[1:] == statuses[1:]


def test_random_faults_in_threads_have_the_single_thread_counts() -> None:
    alone, together = random_statuses(3, 400), random_statuses(3, 400, threads=4)
    assert sorted(alone) == sorted(together)


def test_faults_with_equal_arguments_are_equal() -> None:
    assert faults.Status(503, {"a": "b"}) == faults.Status(503, {"a": "b"})
    assert hash(faults.Status(503, {"a": "b"}, body=[1])) == hash(
        faults.Status(503, {"a": "b"}, body=[1])
    )
    assert repr(faults.Truncate(3)) == "Truncate(bytes=3)"
    assert len({faults.DropBefore(), faults.DropBefore(), faults.DropAfter()}) == 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: faults.Status(99),
        lambda: faults.Truncate(-1),
        lambda: faults.Delay(-1),
        lambda: faults.Delay(float("inf")),
        lambda: faults.Drip(0),
        lambda: faults.Garbage(status=500),
        lambda: faults.RateLimited(1, "minutes"),  # type: ignore[arg-type]
        lambda: FakeDub().faults.add(faults.DropAfter(), times=0),
        lambda: FakeDub().faults.randomly({faults.DropAfter(): -0.1}, seed=1),
        lambda: FakeDub().faults.randomly(
            {faults.DropAfter(): 0.6, faults.DropBefore(): 0.5}, seed=1
        ),
    ],
)
def test_fault_out_of_range_raises_value_error(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: faults.Status("503"),  # type: ignore[arg-type]
        lambda: faults.Truncate(1.5),  # type: ignore[arg-type]
        lambda: faults.Delay("1"),  # type: ignore[arg-type]
        lambda: faults.Garbage({}),  # type: ignore[arg-type]
        lambda: faults.RateLimited("2", "unix"),
        lambda: FakeDub().faults.add(faults.DropAfter),  # type: ignore[arg-type]
        lambda: FakeDub().faults.randomly({503: 0.1}, seed=1),  # type: ignore[dict-item]
    ],
)
def test_fault_of_wrong_type_raises_type_error(make: Callable[[], object]) -> None:
    with pytest.raises(TypeError):
        make()


def test_latency_delays_every_response() -> None:
    slept: list[float] = []
    with FakeDub(latency=0.05) as fake:
        session = fake.session(sleep=slept.append)
        fake.faults.add(faults.Delay(1))
        for _ in range(2):
            session.get(f"{fake.base_url}/customers")
    assert slept == [1.05, 0.05]


@pytest.mark.parametrize("seconds", [1e15, -1e15, math.inf, math.nan, 10**400])
def test_retry_after_out_of_range_raises_value_error(seconds: float) -> None:
    with pytest.raises(ValueError, match="retry_after must be from -1e9 to 1e9"):
        faults.RateLimited(seconds, form="http_date")


@pytest.mark.parametrize("name", ["Content-Length", "transfer-encoding", "Connection"])
def test_status_fault_with_connection_header_raises_value_error(name: str) -> None:
    with pytest.raises(ValueError, match=f"must not contain {name}"):
        faults.Status(503, {name: "1"})


@pytest.mark.parametrize(
    "target",
    [
        {"path": "customers"},
        {"path": ""},
        {"path": "/customers?country=GB"},
        {"method": "FOO"},
        {"method": ""},
    ],
)
def test_fault_for_an_impossible_method_or_path_raises(
    fake: FakeDub, target: dict[str, str]
) -> None:
    name = next(iter(target))
    with pytest.raises(ValueError, match=f"^{name} must "):
        fake.faults.add(faults.DropAfter(), **target)  # type: ignore[arg-type]
    assert fake.faults.queue == []


@pytest.mark.parametrize("path", ["*", "*customers", "/customers*"])
def test_fault_applies_to_a_path_that_matches_the_pattern(
    fake: FakeDub, api: Any, path: str
) -> None:
    fake.faults.add(faults.Status(418), method="get", path=path)
    assert api("GET", "/customers?country=GB").status_code == 418
