"""Extreme and invalid values: numbers, ids, faults, settings and long bodies."""

from __future__ import annotations

import http.client
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dub_uplink.testing import FakeDub, Settings, faults
from dub_uplink.testing._api.store import DuplicateKey
from dub_uplink.testing._messages import Delivery, FakeResponse, Request


class Admin:
    """Send requests to a served fake as text, because ``json`` cannot produce some numbers."""

    def __init__(self, url: str) -> None:
        self.host = url.removeprefix("http://")

    def send(
        self, method: str, path: str, body: str | None = None
    ) -> tuple[int, str, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.host, timeout=30)
        headers = {"Content-Type": "application/json", "Authorization": "Bearer dub_test"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response.status, text, response

    def error(self, method: str, path: str, body: str) -> tuple[int, str | None, str]:
        status, text, _ = self.send(method, f"/_fake/{path}", body)
        error = json.loads(text)["error"]
        return status, error["field"], error["message"]

    def requests(self, query: str = "") -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = json.loads(self.send("GET", f"/_fake/requests{query}")[1])
        return listed


@pytest.fixture
def admin(fake: FakeDub) -> Iterator[Admin]:
    with fake.serve(admin=True) as url:
        yield Admin(url)


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9" * 5000, "-" + "9" * 5000])
@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("customers", '{"partner": {"x": %s}}', "partner"),
        ("customers", '{"link": {"x": [%s]}}', "link"),
        ("customers", '{"discount": {"amount": %s}}', "discount"),
        ("customers", '{"sales": %s}', "sales"),
        ("customers/seed", '{"count": %s}', "count"),
        ("faults", '{"fault": "Status", "code": 503, "body": {"x": %s}}', "body"),
        ("faults", '{"fault": "Delay", "seconds": %s}', "seconds"),
        ("faults", '{"random": [{"fault": "Delay", "seconds": %s}], "seed": 1}', "random"),
        ("clock", '{"advance": %s}', "advance"),
    ],
)
def test_admin_number_beyond_the_maximum_returns_422_with_field(
    fake: FakeDub, admin: Admin, path: str, body: str, field: str, number: str
) -> None:
    assert admin.error("POST", path, body % number)[:2] == (422, field)
    assert (fake.customers, fake.faults.queue, fake.faults.shares) == ([], [], {})


def test_admin_number_beyond_float_range_error_has_the_maximum(admin: Admin) -> None:
    message = admin.error("POST", "customers", '{"partner": {"x": 1e400}}')[2]
    assert message.startswith("'partner' must not contain a number above 1.8e308")


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_add_with_a_number_beyond_json_raises_value_error(fake: FakeDub, value: float) -> None:
    with pytest.raises(ValueError, match=r"partner .*JSON"):
        fake.add(partner={"x": [value]})
    assert fake.customers == []


def test_admin_page_is_served_with_and_without_a_final_slash(admin: Admin) -> None:
    # A browser may have cached Dub's permanent redirect from /_fake/ to /_fake.
    pages = [admin.send("GET", path) for path in ("/_fake", "/_fake/")]
    assert [status for status, _, _ in pages] == [200, 200]
    assert pages[0][1] == pages[1][1]


@pytest.mark.parametrize(
    ("seconds", "header"),
    [(1_209_600, "1209600"), (1_209_600.5, "1209600.5"), (2.0, "2"), (1e-7, "0.0000001")],
)
def test_retry_after_seconds_has_only_decimal_digits(
    fake: FakeDub, admin: Admin, seconds: float, header: str
) -> None:
    fake.faults.add(faults.RateLimited(seconds, "seconds"))
    response = admin.send("GET", "/customers")[2]
    assert response.headers["Retry-After"] == header


@pytest.mark.parametrize("speed", [5e-324, 1e-10])
def test_drip_below_the_minimum_speed_is_rejected(admin: Admin, speed: float) -> None:
    with pytest.raises(ValueError, match="bytes_per_second must be at least 1e-09"):
        faults.Drip(speed)
    body = json.dumps({"fault": "Drip", "bytesPerSecond": speed})
    assert admin.error("POST", "faults", body)[:2] == (422, "bytesPerSecond")


def test_drip_at_the_minimum_speed_logs_no_error(
    fake: FakeDub, admin: Admin, caplog: pytest.LogCaptureFixture
) -> None:
    fake.faults.add(faults.Drip(1e-9))
    connection = http.client.HTTPConnection(admin.host, timeout=1)
    connection.request("GET", "/customers", headers={"Authorization": "Bearer dub_test"})
    response = connection.getresponse()
    with pytest.raises(TimeoutError):
        response.read()
    connection.close()
    assert caplog.text == ""


def test_mounted_session_waits_for_a_very_slow_body(fake: FakeDub) -> None:
    fake.faults.add(faults.Drip(1e-9))
    headers = {"Authorization": "Bearer dub_test"}
    url = f"{fake.base_url}/customers/ext_a"
    client = threading.Thread(target=lambda: fake.session().get(url, headers=headers), daemon=True)
    client.start()
    client.join(0.5)
    assert client.is_alive()


def test_seed_uses_queued_ids_only_for_new_customers(fake: FakeDub) -> None:
    fake.add_many(2)
    fake.use_ids(["cus_a", "cus_b"])
    assert fake.add_many(3) == 1
    assert fake.next_ids == ["cus_b"]
    assert fake.customers[-1].id == "cus_a"


def test_seed_with_a_queued_id_of_a_customer_returns_409(fake: FakeDub, admin: Admin) -> None:
    fake.use_ids(["cus_a", "cus_b"])
    fake.add(id="cus_b")
    assert admin.error("POST", "customers/seed", '{"count": 3}')[:2] == (409, "ids")
    with pytest.raises(DuplicateKey):
        fake.add_many(3)
    assert fake.customer_count == 1
    assert fake.next_ids == ["cus_a", "cus_b"]


@pytest.mark.parametrize(
    "make",
    [
        lambda fake: fake.faults.add(faults.DropAfter(), times=1.5),
        lambda fake: fake.faults.add(faults.DropAfter(), times=True),
        lambda fake: faults.Garbage(status=200.5),  # type: ignore[arg-type]
        lambda fake: fake.configure(role="viewer", keep_requests=2.5),
        lambda fake: fake.configure(role="viewer", rate_limit=2.5),
        lambda fake: fake.configure(role="viewer", rate_limit="2"),
        lambda fake: fake.configure(role="viewer", window="60"),
        lambda fake: fake.configure(role="viewer", latency=None),
        lambda fake: fake.configure(role="viewer", default_program=1),
        lambda fake: fake.add(sales="x"),
        lambda fake: fake.add(sale_amount=1.5),
    ],
)
def test_value_of_a_wrong_type_raises_type_error(
    fake: FakeDub, make: Callable[[FakeDub], object]
) -> None:
    with pytest.raises(TypeError, match=r"^\w+ must be "):
        make(fake)
    assert (fake.settings, fake.customers, fake.faults.queue) == (Settings(), [], [])


@pytest.mark.parametrize(
    "make",
    [
        lambda fake: fake.configure(role="viewer", keep_requests=2**70),
        lambda fake: fake.add(sales=-1),
        lambda fake: fake.add(sales=2**70),
        lambda fake: fake.add(sale_amount=2**70),
        lambda fake: fake.add(sale_amount=-(2**70)),
    ],
)
def test_value_out_of_range_raises_value_error(
    fake: FakeDub, make: Callable[[FakeDub], object]
) -> None:
    with pytest.raises(ValueError, match=r"^\w+ must be "):
        make(fake)
    assert (fake.settings, fake.customers) == (Settings(), [])


def test_rejected_settings_leave_the_role_unchanged(fake: FakeDub, api: Any) -> None:
    with pytest.raises(TypeError):
        fake.configure(role="viewer", keep_requests=2.5)
    api.create("a")


def test_bracket_in_a_path_pattern_is_literal(fake: FakeDub, admin: Admin) -> None:
    fake.faults.add(faults.Status(418), path="/customers/ext_[a]*")
    assert admin.send("GET", "/customers/ext_a1")[0] == 404
    assert admin.send("GET", "/customers/ext_[a]1")[0] == 418


class _BrokenFault(faults.Fault):
    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        raise RuntimeError("a bug in the fault")


def test_request_whose_fault_raises_has_a_duration(fake: FakeDub) -> None:
    fake.faults.add(_BrokenFault())
    with pytest.raises(RuntimeError):
        fake.handle(Request("GET", "/customers"))
    (request,) = fake.requests
    assert request.status is None
    assert request.ms is not None


@pytest.mark.parametrize("fault", [faults.Delay(1), faults.Drip(300)], ids=["delay", "drip"])
def test_request_has_no_duration_until_it_is_sent(
    fake: FakeDub, admin: Admin, fault: faults.Fault
) -> None:
    fake.faults.add(fault)
    client = threading.Thread(target=admin.send, args=("GET", "/customers/ext_a"))
    client.start()
    while not fake.requests:
        time.sleep(0.01)
    (running,) = admin.requests()
    client.join()
    (sent,) = admin.requests()
    assert (running["status"], running["ms"], running["fault"] is None) == (None, None, False)
    assert (sent["status"], sent["ms"] >= 300) == (404, True)


def test_admin_405_response_has_an_allow_header(admin: Admin) -> None:
    for path, methods in (("", "GET, HEAD"), ("state", "GET, HEAD"), ("clock", "")):
        method = "PUT" if path == "clock" else "POST"
        status, _, response = admin.send(method, f"/_fake/{path}", "{}")
        assert status == 405
        assert response.headers["Allow"] == (methods or "GET, HEAD, POST, DELETE")


def test_fault_body_that_is_not_base64_returns_422_with_reason(admin: Admin) -> None:
    for text in ("?", "\u00e4", "a"):
        body = json.dumps({"fault": "Status", "code": 503, "bodyBase64": text})
        status, field, message = admin.error("POST", "faults", body)
        assert (status, field) == (422, "bodyBase64")
        assert message.startswith("'bodyBase64' must be base64; got ")


def test_empty_admin_token_raises_value_error(fake: FakeDub) -> None:
    with pytest.raises(ValueError, match="admin_token must not be empty"):
        fake.serve(admin=True, admin_token="")


@pytest.mark.parametrize(("size", "shown"), [(2**20, True), (2**20 + 1, False)])
def test_recorded_body_above_1_mib_is_not_shown(admin: Admin, size: int, shown: bool) -> None:
    admin.send("POST", "/customers", "a" * size)
    (request,) = admin.requests()
    assert request["body"] == ("a" * size if shown else "[1,048,577 bytes, not shown]")
    assert (request["bodyBase64"] is None) == (not shown)


def test_recorded_body_up_to_max_body_is_shown(admin: Admin) -> None:
    admin.send("POST", "/customers", "a" * 2**21)
    for limit, is_shown in ((2**21, True), (2**21 - 1, False)):
        (request,) = admin.requests(f"?maxBody={limit}")
        assert (request["body"] == "a" * 2**21) == is_shown
