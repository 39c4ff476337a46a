"""Every entry of the admin API, called with curl, and its effect on Dub's API."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink.testing import FakeDub, faults

if TYPE_CHECKING:
    from .conftest import Curl


def test_admin_state_has_every_section(fake: FakeDub, curl: Curl) -> None:
    curl.api("GET", "/customers")
    fake.add_many(2)
    state = curl.admin("GET", "state")
    assert state["baseUrl"] == "https://api.dub.co"
    assert (state["customers"], state["requests"]) == (2, {"kept": 1, "last": 1})
    assert state["faults"] == {"queued": [], "random": [], "seed": None}
    assert state["rateLimit"] == {
        "limit": 1200,
        "used": 1,
        "remaining": 1199,
        "window": 60,
        "enforced": False,
    }
    assert state["clock"]["offset"] == 0
    assert state["settings"]["role"] == "owner"
    with FakeDub().serve(admin=True) as url:
        other = curl.at(url).admin("GET", "state")
    assert state["instance"] == curl.admin("POST", "reset")["instance"] != other["instance"]


def test_recorded_request_in_admin_api_has_every_field(fake: FakeDub, curl: Curl) -> None:
    fake.faults.add(faults.Status(503, {"Retry-After": "1"}), method="GET")
    curl.api("POST", "/customers?a=1&b=%20x", {"externalId": "a", "country": "GB"})
    curl.api("GET", "/customers/ext_a%2Fb")
    first, second = curl.admin("GET", "requests")
    assert (first["number"], first["method"], first["path"]) == (1, "POST", "/customers")
    assert first["query"] == {"a": "1", "b": " x"}
    assert first["body"] == {"externalId": "a", "country": "GB"}
    assert (first["status"], first["fault"]) == (201, None)
    assert 0 < first["ms"] < 20_000
    assert (second["path"], second["body"], second["status"]) == ("/customers/ext_a%2Fb", None, 503)
    assert second["fault"] == {"fault": "Status", "code": 503, "headers": {"Retry-After": "1"}}
    assert (first["queryString"], second["queryString"]) == ("a=1&b=%20x", "")
    sent = b'{"externalId": "a", "country": "GB"}'
    assert [base64.b64decode(one["bodyBase64"]) for one in (first, second)] == [sent, b""]


def test_admin_api_lists_requests_after_a_number(curl: Curl) -> None:
    curl.statuses(4)
    numbers = [one["number"] for one in curl.admin("GET", "requests?after=1&limit=2")]
    assert numbers == [2, 3]
    assert curl.admin("GET", "requests?after=4") == []
    assert curl.admin("GET", "requests?after=400") == []


def test_requests_beyond_keep_requests_are_dropped(curl_at: Callable[[str], Curl]) -> None:
    with FakeDub(keep_requests=2) as fake, fake.serve(admin=True) as url:
        curl = curl_at(url)
        curl.statuses(4)
        for after, numbers in ((0, [3, 4]), (2, [3, 4]), (3, [4])):
            kept = curl.admin("GET", f"requests?after={after}")
            assert [one["number"] for one in kept] == numbers


def test_recorded_request_of_a_dropped_connection_has_no_status(fake: FakeDub, curl: Curl) -> None:
    fake.faults.add(faults.DropBefore())
    assert curl.api("GET", "/customers")[0] == 0
    (dropped,) = curl.admin("GET", "requests")
    assert (dropped["status"], dropped["fault"]) == (None, {"fault": "DropBefore"})


def test_recorded_duration_includes_delays(fake: FakeDub, curl: Curl) -> None:
    fake.faults.add(faults.Delay(0.2))
    fake.faults.add(faults.Drip(20))
    curl.statuses(2)
    delayed, slow = curl.admin("GET", "requests")
    assert 200 <= delayed["ms"] < 20_000
    assert 100 <= slow["ms"] < 20_000


@pytest.mark.parametrize(
    ("sent", "shown"),
    [("{", "{"), ('"text"', "text"), ("NaN", "NaN"), ("1e999", "1e999"), ("\ud800", "???")],
)
def test_body_that_is_not_json_is_shown_as_text(
    fake: FakeDub, curl: Curl, sent: str, shown: str
) -> None:
    fake.session().post(f"{fake.base_url}/customers", data=sent.encode("utf-8", "surrogatepass"))
    (request,) = curl.admin("GET", "requests")
    assert request["body"] == shown.replace("?", "\ufffd")


def test_deleting_recorded_requests_keeps_the_numbering(curl: Curl) -> None:
    curl.statuses(2)
    assert curl.admin("DELETE", "requests")["requests"] == {"kept": 0, "last": 2}
    assert curl.admin("GET", "requests") == []
    curl.statuses(1)
    assert [one["number"] for one in curl.admin("GET", "requests")] == [3]


def test_admin_api_adds_a_customer_with_every_field(curl: Curl) -> None:
    body = {
        "id": "cus_1",
        "name": "Ada",
        "email": "ada@example.com",
        "avatar": "https://example.com/a.png",
        "externalId": "a",
        "stripeCustomerId": "cus_stripe",
        "country": "GB",
        "sales": 2,
        "saleAmount": 4000,
        "createdAt": "2020-01-01T00:00:00.000Z",
        "firstSaleAt": "2020-02-01T02:00:00.500+02:00",
        "subscriptionCanceledAt": "2021-01-01T00:00:00Z",
        "programId": "prog_1",
        "link": {"id": "link_9", "key": "ada"},
        "partner": {"name": "Acme"},
        "discount": {"amount": 5},
    }
    added = curl.admin("POST", "customers", body, status=201)
    assert added["firstSaleAt"] == "2020-02-01T00:00:00.500Z"
    status, shown = curl.api("GET", "/customers/ext_a?includeExpandedFields=true")
    assert status == 200
    assert shown == {name: added[name] for name in shown}
    assert shown["createdAt"] == "2020-01-01T00:00:00.000Z"
    assert (shown["sales"], shown["saleAmount"], shown["programId"]) == (2, 4000, "prog_1")
    assert shown["link"]["shortLink"] == "https://dub.sh/ada"
    assert (shown["partner"]["name"], shown["discount"]["amount"]) == ("Acme", 5)


def test_admin_api_customer_without_fields_gets_default_ids(curl: Curl) -> None:
    nulls = {"id": None, "externalId": None, "sales": None, "saleAmount": None, "link": None}
    added = curl.admin("POST", "customers", nulls, status=201)
    assert added["id"].startswith("cus_")
    assert added["externalId"].startswith("user_")
    assert (added["sales"], added["saleAmount"], added["name"]) == (0, 0, None)


@pytest.mark.parametrize("field", ["id", "externalId", "stripeCustomerId"])
def test_admin_add_with_a_duplicate_unique_field_returns_409(curl: Curl, field: str) -> None:
    curl.admin("POST", "customers", {field: "one"}, status=201)
    error = curl.admin("POST", "customers", {field: "one"}, status=409)["error"]
    assert error["field"] == field
    assert f"'{field}'" in error["message"]


def test_customers_are_listed_by_pages_of_descending_ids(curl: Curl) -> None:
    for number in range(5):
        curl.admin("POST", "customers", {"id": f"cus_{number}"}, status=201)
    page = curl.admin("GET", "customers?limit=2")
    assert [one["id"] for one in page] == ["cus_4", "cus_3"]
    page = curl.admin("GET", "customers?before=cus_3")
    assert [one["id"] for one in page] == ["cus_2", "cus_1", "cus_0"]


def test_admin_delete_of_customers_keeps_requests_and_faults(fake: FakeDub, curl: Curl) -> None:
    fake.add_many(3)
    curl.admin("POST", "faults", {"fault": "DropAfter"})
    state = curl.admin("DELETE", "customers")
    assert (state["customers"], len(state["faults"]["queued"])) == (0, 1)


def test_customers_seed_adds_generated_customers_once(curl: Curl) -> None:
    seeded = curl.admin("POST", "customers/seed", {"count": 1000})
    assert seeded == {"added": 1000, "customers": 1000}
    assert curl.api("GET", "/customers/count") == (200, "1000")
    assert curl.admin("POST", "customers/seed", {"count": 1001})["added"] == 1


def test_queued_faults_are_listed_with_their_remaining_times(curl: Curl) -> None:
    fault = {"fault": "Status", "code": 503, "times": 2, "method": "get", "path": "/customers*"}
    queued = curl.admin("POST", "faults", fault)["queued"]
    assert queued == [{**fault, "method": "GET"}]
    assert curl.api("POST", "/customers", {"externalId": "a", "country": "GB"})[0] == 201
    assert curl.statuses(1) == [503]
    assert curl.admin("GET", "faults")["queued"] == [{**fault, "method": "GET", "times": 1}]
    assert curl.statuses(2) == [503, 200]
    assert curl.admin("GET", "faults")["queued"] == []


def test_fault_for_all_requests_can_be_deleted(curl: Curl) -> None:
    curl.admin("POST", "faults", {"fault": "Status", "code": 500, "times": None})
    assert curl.statuses(3) == [500, 500, 500]
    assert curl.admin("DELETE", "faults") == {"queued": [], "random": [], "seed": None}
    assert curl.statuses(1) == [200]


FAULTS: list[tuple[dict[str, Any], faults.Fault]] = [
    ({"fault": "Status", "code": 503}, faults.Status(503)),
    (
        {
            "fault": "Status",
            "code": 500,
            "headers": {"A": "b"},
            "body": {"error": None},
            "carriedOut": True,
        },
        faults.Status(500, {"A": "b"}, {"error": None}, carried_out=True),
    ),
    ({"fault": "Status", "code": 200, "body": "ä"}, faults.Status(200, body="ä")),
    ({"fault": "Status", "code": 200, "bodyBase64": "/wA="}, faults.Status(200, body=b"\xff\0")),
    ({"fault": "RateLimited"}, faults.RateLimited()),
    ({"fault": "RateLimited", "retryAfter": None}, faults.RateLimited(None)),
    ({"fault": "RateLimited", "retryAfter": 2}, faults.RateLimited(2)),
    (
        {"fault": "RateLimited", "retryAfter": "Wed, 21 Oct 2026 07:28:00 GMT"},
        faults.RateLimited("Wed, 21 Oct 2026 07:28:00 GMT"),
    ),
    (
        {"fault": "RateLimited", "retryAfter": 2.5, "form": "unix_ms"},
        faults.RateLimited(2.5, "unix_ms"),
    ),
    ({"fault": "DropBefore"}, faults.DropBefore()),
    ({"fault": "DropAfter"}, faults.DropAfter()),
    ({"fault": "Truncate", "bytes": 3}, faults.Truncate(3)),
    ({"fault": "Delay", "seconds": 0.5}, faults.Delay(0.5)),
    ({"fault": "Drip", "bytesPerSecond": 10}, faults.Drip(10)),
    ({"fault": "Garbage"}, faults.Garbage()),
    (
        {"fault": "Garbage", "bodyBase64": "AAE=", "contentType": "a/b", "status": 201},
        faults.Garbage(b"\0\1", "a/b", 201),
    ),
]


@pytest.mark.parametrize(("sent", "fault"), FAULTS)
def test_each_fault_is_queued_and_listed_with_the_sent_fields(
    fake: FakeDub, curl: Curl, sent: dict[str, Any], fault: faults.Fault
) -> None:
    shown = curl.admin("POST", "faults", sent)["queued"]
    assert fake.faults.pending == [fault]
    assert shown == [{**sent, "times": 1, "method": None, "path": None}]


def test_admin_api_accepts_every_fault_class() -> None:
    every = {
        cls.__name__
        for cls in vars(faults).values()
        if isinstance(cls, type) and issubclass(cls, faults.Fault) and cls is not faults.Fault
    }
    assert {sent["fault"] for sent, _ in FAULTS} == every


def test_drop_after_fault_executes_the_request(fake: FakeDub, curl: Curl) -> None:
    curl.admin("POST", "faults", {"fault": "DropAfter", "method": "POST"})
    assert curl.api("POST", "/customers", {"externalId": "a", "country": "GB"})[0] == 0
    assert len(fake.customers) == 1


def test_admin_api_sets_random_faults_with_shares_and_seed(fake: FakeDub, curl: Curl) -> None:
    shares = [
        {"fault": "Status", "code": 500, "share": 0.5},
        {"fault": "Status", "code": 502, "share": 0.5},
    ]
    sent = {"random": shares, "seed": 7}
    assert curl.admin("POST", "faults", sent) == {"queued": [], **sent}
    received = curl.statuses(8)
    with FakeDub() as other:
        other.faults.randomly({faults.Status(500): 0.5, faults.Status(502): 0.5}, seed=7)
        session = other.session()
        url = f"{other.base_url}/customers"
        assert received == [session.get(url).status_code for _ in range(8)]
    assert curl.admin("POST", "faults", {"random": [], "seed": 7})["random"] == []


def test_admin_api_advances_the_clock(fake: FakeDub, curl: Curl) -> None:
    fake.configure(rate_limit=1)
    assert curl.statuses(2) == [200, 429]
    clock = curl.admin("POST", "clock", {"advance": 60})
    assert clock["offset"] == 60
    assert curl.statuses(1) == [200]


def test_admin_api_sets_the_clock_ahead_and_back(fake: FakeDub, curl: Curl) -> None:
    fake.configure(rate_limit=1)
    for year in ("2035", "2019"):
        clock = curl.admin("POST", "clock", {"set": f"{year}-08-21T12:00:00.000Z"})
        assert clock["now"].startswith(f"{year}-08-21T12:00:0")
        body = {"externalId": f"user_{year}", "country": "GB"}
        # The limit of a window that is now in the future does not apply.
        status, created = curl.api("POST", "/customers", body)
        assert (status, created["createdAt"][:13]) == (201, f"{year}-08-21T12")


SETTINGS: list[tuple[dict[str, Any], tuple[str, str], int]] = [
    ({"role": "viewer"}, ("DELETE", "/customers/ext_user_1"), 403),
    ({"role": "member"}, ("DELETE", "/customers/ext_user_1"), 200),
    ({"plan": "pro"}, ("GET", "/customers"), 403),
    ({"rateLimit": 0}, ("GET", "/customers"), 429),
    ({"defaultProgram": "prog_1"}, ("GET", "/customers?programId=x"), 200),
    ({"rateLimit": 5, "window": 0.5, "latency": 0.01}, ("GET", "/customers"), 200),
]


@pytest.mark.parametrize(("change", "request_", "status"), SETTINGS)
def test_changed_setting_applies_to_the_next_request(
    fake: FakeDub, curl: Curl, change: dict[str, Any], request_: tuple[str, str], status: int
) -> None:
    fake.add_many(1)
    before = curl.admin("GET", "settings")
    assert curl.admin("PATCH", "settings", change) == {**before, **change}
    assert curl.api(*request_)[0] == status
    assert curl.admin("GET", "settings") == {**before, **change}


def test_latency_setting_delays_responses(fake: FakeDub, curl: Curl) -> None:
    curl.admin("PATCH", "settings", {"latency": 0.2})
    curl.statuses(1)
    assert fake.requests[0].ms is not None
    assert fake.requests[0].ms >= 200


def test_new_rate_limit_setting_counts_requests_before_change(curl: Curl) -> None:
    curl.statuses(3)
    curl.admin("PATCH", "settings", {"rateLimit": 4})
    assert curl.statuses(2) == [200, 429]
    curl.admin("PATCH", "settings", {"rateLimit": None})
    assert curl.statuses(1) == [200]


def test_admin_reset_restores_the_initial_state(curl_at: Callable[[str], Curl]) -> None:
    with FakeDub(rate_limit=3, role="member") as fake, fake.serve(admin=True) as url:
        curl = curl_at(url)
        start = curl.admin("GET", "state")
        curl.admin("POST", "customers/seed", {"count": 5})
        curl.admin("POST", "faults", {"fault": "DropAfter", "method": "PATCH", "times": 5})
        curl.admin("POST", "faults", {"random": [{"fault": "DropAfter", "share": 0}], "seed": "a"})
        curl.admin("POST", "clock", {"set": "2035-01-01T00:00:00Z"})
        curl.admin("PATCH", "settings", {"role": "viewer", "plan": "pro", "rateLimit": 1})
        assert curl.statuses(2) == [403, 429]
        state = curl.admin("POST", "reset")
        assert state == {
            **start,
            "clock": state["clock"],
            "requests": {"kept": 0, "last": 2},
        }
        assert state["clock"]["offset"] == 0
        assert curl.statuses(4) == [200, 200, 200, 429]
