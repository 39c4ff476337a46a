"""Every public name of the fake's Python API has the same effect by curl."""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import datetime as dt
import inspect
import itertools
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
import requests
import werkzeug.test

from dub_uplink import testing
from dub_uplink.testing import FakeDub, Request, Settings, StoredCustomer, faults
from dub_uplink.testing._clock import FakeClock
from dub_uplink.testing._messages import Delivery, FakeResponse

if TYPE_CHECKING:
    from .conftest import Curl

Check: TypeAlias = Callable[[FakeDub, "Curl"], object]
Response: TypeAlias = tuple[int, Any]
NEW = {"externalId": "new", "country": "GB"}
CHECKS: dict[str, Check] = {}
# What HTTP cannot express.
ONLY_IN_PYTHON = {
    "FakeDub.token": "HTTP never shows an API key; PATCH settings sets it",
    "Fault": "a subclass is code; data expresses each fixed response",
    "Fault.apply": "a subclass is code; data expresses each fixed response",
    "NetworkRefused": "a session in Python raises it; curl connects where it is sent",
    "SkippingClock": "the clock of a client in Python",
    "no_sleep": "skips the waits of clients in Python",
}


def covers(*names: str) -> Callable[[Check], Check]:
    """Register a check for names of the Python API."""

    def register(check: Check) -> Check:
        CHECKS.update(dict.fromkeys(names, check))
        return check

    return register


@covers("FakeDub(token)", "Settings.tokens")
def check_tokens(fake: FakeDub, curl: Curl) -> None:
    shown = curl.admin("PATCH", "settings", {"tokens": ["dub_one", "dub_two"]})
    assert shown["tokens"] == ["[token]", "[token]"]
    statuses = [
        curl.api("GET", "/customers", token=token)[0]
        for token in ("dub_one", "dub_two", "dub_test")
    ]
    assert statuses == [200, 200, 401]
    assert (fake.token, fake.settings.tokens) == ("dub_one", ("dub_one", "dub_two"))


@covers("FakeDub(base_url)", "FakeDub.base_url")
def check_base_url(fake: FakeDub, curl: Curl) -> None:
    with FakeDub(base_url="http://dub.test") as other, other.serve(admin=True) as url:
        assert curl.at(url).admin("GET", "state")["baseUrl"] == other.base_url
        other.add_many(2)
        headers = {"Authorization": "Bearer dub_test"}
        by_session = other.session().get("http://dub.test/customers", headers=headers)
        # curl sends a request for this URL to the fake, too.
        connection = ["--connect-to", f"dub.test:80:{url.removeprefix('http://')}"]
        by_curl = curl.at("http://dub.test", *connection).api("GET", "/customers")
    assert by_curl == (200, by_session.json())
    assert len(by_curl[1]) == 2


@covers("FakeDub.session", "FakeDub.wsgi_app")
def check_session(fake: FakeDub, curl: Curl) -> None:
    by_curl, by_session, by_wsgi = (
        exchange(other, send)
        for other, send in itertools.chain([(fake, curl.api)], callers_in_process())
    )
    assert by_curl == by_session == by_wsgi
    assert [status for status, _ in by_curl[0]] == [201, 503, 200, 404]
    assert [(customer.id, customer.name) for customer in by_curl[1]] == [("cus_1", "Ada")]


def exchange(
    fake: FakeDub, send: Callable[[str, str, Any], Response]
) -> tuple[list[Response], list[StoredCustomer], Sequence[tuple[object, ...]]]:
    """Send requests; return the responses, and the customers and requests of the fake."""
    fake.clock.freeze()
    fake.clock.set(dt.datetime(2030, 1, 1, tzinfo=dt.timezone.utc))
    fake.use_ids(["cus_1"])
    fake.faults.add(faults.Status(503), method="PATCH")
    responses = [
        send("POST", "/customers?a=%20b", {"externalId": "a", "country": "GB"}),
        send("PATCH", "/customers/cus_1", {"name": "lost"}),
        send("PATCH", "/customers/ext_a", {"name": "Ada"}),
        send("GET", "/customers/ext_b%2Fc", None),
    ]
    recorded = [
        (one.method, one.path, one.query_string, one.body, one.status, one.fault)
        for one in fake.requests
    ]
    return responses, fake.customers, recorded


def callers_in_process() -> Iterator[tuple[FakeDub, Callable[[str, str, Any], Response]]]:
    """Yield two fakes: one is called through its session, the other as a WSGI application."""
    headers = {"Authorization": "Bearer dub_test"}

    def encode(body: Any) -> str | None:
        return None if body is None else json.dumps(body)

    def decode(text: str) -> Any:
        return json.loads(text) if text.startswith("{") else text

    with FakeDub() as fake, fake.session() as session:

        def by_session(method: str, path: str, body: Any) -> Response:
            url = fake.base_url + path
            response = session.request(method, url, data=encode(body), headers=headers)
            return response.status_code, decode(response.text)

        yield fake, by_session
    with FakeDub() as fake:
        client = werkzeug.test.Client(fake.wsgi_app)

        def by_wsgi(method: str, path: str, body: Any) -> Response:
            environ = {"REQUEST_URI": path}
            response = client.open(
                path, method=method, data=encode(body), headers=headers, environ_overrides=environ
            )
            return response.status_code, decode(response.text)

        yield fake, by_wsgi


@contextlib.contextmanager
def served_process(*options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run ``dub-uplink serve``; yield its URL and the process. Stop it as Ctrl-C does."""
    command = [sys.executable, "-m", "dub_uplink", "serve", "--port", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            found = (re.search(r"running at (\S+)", line) for line in process.stdout)
            yield next(match[1] for match in found if match), process
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=20) == 0


@covers("FakeDub.serve", "FakeDub(database)")
def check_process(fake: FakeDub, curl: Curl) -> None:
    with tempfile.TemporaryDirectory() as folder:
        options = ("--database", f"{folder}/customers.sqlite3")
        with served_process(*options) as (url, _):
            assert curl.at(url).api("POST", "/customers", NEW)[0] == 201
        with served_process(*options) as (url, _):
            (customer,) = curl.at(url).api("GET", "/customers")[1]
            assert curl.at(url).admin("GET", "state")["baseUrl"] == url
    assert customer["externalId"] == "new"


@covers("FakeDub.close")
def check_shutdown(fake: FakeDub, curl: Curl) -> None:
    assert curl.admin("POST", "shutdown") == {"closed": True}
    assert curl.statuses(1) == [410]
    with pytest.raises(RuntimeError, match="the fake is closed"):
        fake.session().get(f"{fake.base_url}/customers")
    with served_process() as (url, process):
        assert curl.at(url).admin("POST", "shutdown") == {"closed": True}
        assert process.wait(timeout=20) == 0


@covers("FakeDub(expired)", "Settings.expired")
def check_expired_tokens(fake: FakeDub, curl: Curl) -> None:
    shown = curl.admin("PATCH", "settings", {"expired": ["dub_old"]})
    assert shown["expired"] == ["[token]"]
    status, body = curl.api("GET", "/customers", token="dub_old")
    assert (status, body["error"]["message"]) == (401, "Unauthorized: Access token expired.")
    assert "Invalid" in curl.api("GET", "/customers", token="dub_expired")[1]["error"]["message"]


@covers("FakeDub(keep_requests)", "Settings.keep_requests")
def check_kept_requests(fake: FakeDub, curl: Curl) -> None:
    curl.statuses(3)
    curl.admin("PATCH", "settings", {"keepRequests": 2})
    assert [request["number"] for request in curl.admin("GET", "requests")] == [2, 3]
    curl.statuses(2)
    assert [request["number"] for request in curl.admin("GET", "requests")] == [4, 5]


@covers("FakeDub(ids)", "FakeDub.use_ids", "FakeDub.next_ids")
def check_ids(fake: FakeDub, curl: Curl) -> None:
    assert curl.admin("POST", "ids", {"ids": ["cus_1", "cus_2"]}) == {"ids": ["cus_1", "cus_2"]}
    assert curl.api("POST", "/customers", NEW)[1]["id"] == "cus_1"
    assert curl.admin("GET", "ids") == {"ids": fake.next_ids} == {"ids": ["cus_2"]}
    curl.admin("POST", "customers/seed", {"count": 2})
    ids = {customer["id"] for customer in curl.admin("GET", "customers")}
    assert len(ids) == 3
    assert ids > {"cus_1", "cus_2"}


@covers(
    "FakeDub(now)", "FakeDub.clock", "FakeClock.freeze", "FakeClock.unfreeze", "FakeClock.frozen"
)
def check_frozen_clock(fake: FakeDub, curl: Curl) -> None:
    moment = "2030-01-01T00:00:00.000Z"
    clock = curl.admin("POST", "clock", {"set": moment, "frozen": True})
    assert (clock["now"], clock["frozen"]) == (moment, True)
    created = [
        curl.api("POST", "/customers", {**NEW, "externalId": name})[1]["createdAt"] for name in "ab"
    ]
    assert created == [moment, moment]
    assert curl.admin("POST", "clock", {"advance": 1.5})["now"] == "2030-01-01T00:00:01.500Z"
    # A function can return any times: set one before each request.
    for moment in (
        "2029-01-01T00:00:00.000Z",
        "2031-01-01T00:00:00.000Z",
        "2030-01-01T00:00:01.500Z",
    ):
        curl.admin("POST", "clock", {"set": moment})
        body = {**NEW, "externalId": moment}
        assert curl.api("POST", "/customers", body)[1]["createdAt"] == moment
    assert not curl.admin("POST", "clock", {"frozen": False})["frozen"]
    time.sleep(0.01)
    later = curl.admin("GET", "clock")["now"]
    assert "2030-01-01T00:00:01.500Z" < later < "2030-01-01T00:00:30"


@covers("FakeClock.advance", "FakeClock.set", "FakeClock.reset", "FakeClock.offset")
def check_moved_clock(fake: FakeDub, curl: Curl) -> None:
    assert curl.admin("POST", "clock", {"advance": 60})["offset"] == 60
    assert curl.admin("POST", "clock", {"set": "2030-01-01T00:00:00Z"})["now"][:4] == "2030"
    curl.admin("POST", "clock", {"frozen": True})
    curl.admin("POST", "customers", NEW, status=201)
    clock = curl.admin("DELETE", "clock")
    assert (clock["offset"], clock["frozen"]) == (0, False)
    assert fake.customer_count == 1


@covers("FakeClock.time", "FakeClock.milliseconds")
def check_time(fake: FakeDub, curl: Curl) -> None:
    curl.admin("POST", "clock", {"set": "1970-01-02T00:00:00.250Z", "frozen": True})
    assert curl.admin("GET", "clock")["now"] == "1970-01-02T00:00:00.250Z"
    assert (fake.clock.time(), fake.clock.milliseconds()) == (86_400.25, 86_400_250)


@covers("FakeDub(role)", "Settings.role", "FakeDub.configure", "FakeDub.settings")
def check_role(fake: FakeDub, curl: Curl) -> None:
    curl.admin("PATCH", "settings", {"role": "viewer"})
    assert curl.admin("GET", "settings")["role"] == fake.settings.role == "viewer"
    assert curl.api("POST", "/customers", NEW)[0] == 403


@covers("FakeDub(plan)", "Settings.plan")
def check_plan(fake: FakeDub, curl: Curl) -> None:
    curl.admin("PATCH", "settings", {"plan": "pro"})
    assert curl.statuses(1) == [403]


@covers("FakeDub(default_program)", "Settings.default_program")
def check_default_program(fake: FakeDub, curl: Curl) -> None:
    assert curl.statuses(1, path="/customers?programId=x") == [404]
    curl.admin("PATCH", "settings", {"defaultProgram": "prog_1"})
    assert curl.statuses(1, path="/customers?programId=x") == [200]


@covers("FakeDub(rate_limit)", "Settings.rate_limit", "Settings.limit")
def check_rate_limit(fake: FakeDub, curl: Curl) -> None:
    curl.admin("PATCH", "settings", {"rateLimit": 1})
    assert curl.statuses(2) == [200, 429]
    limit = curl.admin("GET", "state")["rateLimit"]
    assert (limit["limit"], limit["remaining"], limit["enforced"]) == (1, 0, True)


@covers("FakeDub(window)", "Settings.window")
def check_window(fake: FakeDub, curl: Curl) -> None:
    curl.admin("PATCH", "settings", {"rateLimit": 1, "window": 3600})
    assert curl.statuses(1) == [200]
    for seconds, status in ((3000, 429), (600, 200)):
        curl.admin("POST", "clock", {"advance": seconds})
        assert curl.statuses(1) == [status]


@covers("FakeDub(latency)", "Settings.latency")
def check_latency(fake: FakeDub, curl: Curl) -> None:
    curl.admin("PATCH", "settings", {"latency": 0.2})
    curl.statuses(1)
    assert curl.admin("GET", "requests")[0]["ms"] >= 200


@covers("FakeDub.customers", "FakeDub.customer_count", "FakeDub.clear_customers")
def check_customers(fake: FakeDub, curl: Curl) -> None:
    fake.add_many(3)
    shown = [customer["externalId"] for customer in curl.admin("GET", "customers")]
    assert sorted(shown) == sorted(customer.external_id for customer in fake.customers)
    assert curl.admin("GET", "state")["customers"] == 3
    assert curl.admin("DELETE", "customers")["customers"] == 0


@covers("FakeDub.add_many")
def check_seed(fake: FakeDub, curl: Curl) -> None:
    assert curl.admin("POST", "customers/seed", {"count": 3})["added"] == 3
    assert [customer.external_id for customer in fake.customers] == ["user_1", "user_2", "user_3"]


CUSTOMER: dict[str, Any] = {
    "id": "cus_1",
    "external_id": "a",
    "name": "Ada",
    "email": "ada@example.com",
    "avatar": "https://example.com/a.png",
    "stripe_customer_id": "cus_stripe",
    "country": "GB",
    "created_at": "2020-01-01T00:00:00.000Z",
    "sales": 2,
    "sale_amount": 4000,
    "first_sale_at": "2020-02-01T00:00:00.500Z",
    "subscription_canceled_at": "2021-01-01T00:00:00.000Z",
    "program_id": "prog_1",
    "link": {"id": "link_9"},
    "partner": {"name": "Acme"},
    "discount": {"amount": 5},
}


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


@covers(
    "FakeDub.add",
    *(f"FakeDub.add({name})" for name in CUSTOMER),
    *(f"StoredCustomer.{name}" for name in CUSTOMER),
)
def check_customer(fake: FakeDub, curl: Curl) -> None:
    sent = {camel(name): value for name, value in CUSTOMER.items()}
    curl.admin("POST", "customers", sent, status=201)
    (shown,) = curl.admin("GET", "customers")
    assert shown.keys() == sent.keys()
    for name in ("link", "partner", "discount"):
        assert sent[name].items() <= shown.pop(name).items()
        del sent[name]
    assert shown == sent
    (stored,) = fake.customers
    assert [getattr(stored, name) for name in ("id", "sale_amount", "country")] == [
        "cus_1",
        4000,
        "GB",
    ]


@covers(
    "FakeDub.requests",
    "FakeDub.handle",
    *(
        f"Request.{name}"
        for name in (
            *("method", "path", "query_string", "query", "headers", "body", "json"),
            *("status", "fault", "ms", "number", "copy"),
        )
    ),
)
def check_requests(fake: FakeDub, curl: Curl) -> None:
    fake.faults.add(faults.Status(503))
    curl.api("POST", "/customers?a=1&a=%20", NEW)
    (shown,) = curl.admin("GET", "requests")
    (request,) = fake.requests
    assert shown == {
        "number": 1,
        "method": "POST",
        "path": "/customers",
        "query": {"a": " "},
        "queryString": "a=1&a=%20",
        "headers": {name: request.headers[name] for name in shown["headers"]},
        "body": NEW,
        "bodyBase64": base64.b64encode(request.body).decode(),
        "status": 503,
        "ms": pytest.approx(request.ms, abs=0.1),
        "fault": {"fault": "Status", "code": 503},
    }
    assert set(request.headers) - set(shown["headers"]) == {"authorization"}


@covers("FakeDub.clear_requests")
def check_deleted_requests(fake: FakeDub, curl: Curl) -> None:
    curl.statuses(2)
    assert curl.admin("DELETE", "requests")["requests"] == {"kept": 0, "last": 2}


@covers("FakeDub.clear", "Faults.clear")
def check_clear(fake: FakeDub, curl: Curl) -> None:
    fake.add_many(1)
    curl.statuses(1)
    curl.admin("POST", "faults", {"fault": "DropAfter"})
    curl.admin("PATCH", "settings", {"plan": "enterprise"})
    for path in ("customers", "requests", "faults"):
        curl.admin("DELETE", path)
    assert (fake.customers, fake.requests, fake.faults.queue) == ([], [], [])
    assert fake.settings.plan == "enterprise"


@covers("FakeDub.reset")
def check_reset(fake: FakeDub, curl: Curl) -> None:
    fake.add_many(1)
    curl.admin("PATCH", "settings", {"tokens": ["dub_new"], "keepRequests": 1})
    curl.admin("POST", "clock", {"frozen": True})
    curl.admin("POST", "ids", {"ids": ["cus_1"]})
    assert curl.admin("POST", "reset")["settings"]["keepRequests"] == 10_000
    assert (fake.customers, fake.token, fake.clock.frozen) == ([], "dub_test", False)
    assert curl.admin("GET", "ids") == {"ids": []}
    assert curl.statuses(1) == [200]


@covers("FakeDub.faults", "Faults.add", "Faults.queue", "Faults.pending", "Faults.next")
def check_queue(fake: FakeDub, curl: Curl) -> None:
    sent = {"fault": "Status", "code": 503, "times": 2, "method": "GET", "path": "/customers"}
    curl.admin("POST", "faults", sent)
    assert fake.faults.pending == [faults.Status(503)] * 2
    assert curl.statuses(1) == [503]
    assert curl.admin("GET", "faults")["queued"] == [{**sent, "times": 1}]


@covers("QueuedFault.fault", "QueuedFault.times", "QueuedFault.method", "QueuedFault.path")
def check_queued_fault(fake: FakeDub, curl: Curl) -> None:
    fault = {"fault": "Status", "code": 503}
    (queued,) = curl.admin("POST", "faults", fault)["queued"]
    assert queued == {**fault, "times": 1, "method": None, "path": None}


@covers("QueuedFault.matches")
def check_matching(fake: FakeDub, curl: Curl) -> None:
    curl.admin("POST", "faults", {"fault": "Status", "code": 503, "path": "/customers/*"})
    assert curl.statuses(1) == [200]
    assert curl.statuses(1, path="/customers/a") == [503]


@covers("Faults.randomly", "Faults.shares", "Faults.seed")
def check_random_faults(fake: FakeDub, curl: Curl) -> None:
    sent = {"random": [{"fault": "Status", "code": 500, "share": 1}], "seed": "a"}
    assert curl.admin("POST", "faults", sent) == {"queued": [], **sent}
    assert curl.statuses(2) == [500, 500]
    assert (fake.faults.shares, fake.faults.seed) == ({faults.Status(500): 1}, "a")


FAULTS: dict[str, dict[str, Any]] = {
    "Status": {"code": 503, "headers": {"A": "b"}, "body": {"c": 1}, "carriedOut": True},
    "RateLimited": {"retryAfter": 2, "form": "unix"},
    "DropBefore": {},
    "DropAfter": {},
    "Truncate": {"bytes": 3},
    "Delay": {"seconds": 0.5},
    "Drip": {"bytesPerSecond": 100},
    "Garbage": {"body": "x", "contentType": "a/b", "status": 201},
}


def register_fault(name: str, fields: dict[str, Any]) -> None:
    cls = getattr(faults, name)

    @covers(name, f"{name}.apply", *(f"{name}.{field.name}" for field in dataclasses.fields(cls)))
    def check_fault(fake: FakeDub, curl: Curl) -> None:
        curl.admin("POST", "faults", {"fault": name, **fields})
        (fault,) = fake.faults.pending
        assert type(fault) is cls
        values = {camel(one.name): getattr(fault, one.name) for one in dataclasses.fields(cls)}
        assert values == fields
        curl.api("GET", "/customers/count")
        assert curl.admin("GET", "requests")[0]["fault"] == {"fault": name, **fields}


class Teapot(faults.Fault):
    """A subclass with a fixed response."""

    def apply(self, execute: Callable[[], FakeResponse], now: float) -> Delivery:
        execute()
        headers = {"Content-Type": "a/b", "Retry-After": "1"}
        return Delivery(FakeResponse(418, headers, b"\xff\0"))


def test_status_fault_replaces_a_subclass_with_a_fixed_response(fake: FakeDub, curl: Curl) -> None:
    fake.faults.add(Teapot())
    fields: dict[str, Any] = {
        "code": 418,
        "headers": {"Content-Type": "a/b", "Retry-After": "1"},
        "bodyBase64": base64.b64encode(b"\xff\0").decode(),
        "carriedOut": True,
    }
    curl.admin("POST", "faults", {"fault": "Status", **fields})
    responses: list[tuple[int, bytes, dict[str, str]]] = []
    for number in range(2):
        response = requests.post(
            f"{curl.url}/customers",
            json={**NEW, "externalId": f"new_{number}"},
            headers={"Authorization": "Bearer dub_test"},
            timeout=20,
            proxies={"no_proxy": "*"},
        )
        responses.append((response.status_code, response.content, dict(response.headers)))
    assert responses[0] == responses[1]
    assert responses[0][:2] == (418, b"\xff\0")
    assert fake.customer_count == 2


for _name, _fields in FAULTS.items():
    register_fault(_name, _fields)


# One of the names of each check.
FIRST_NAMES = {check: name for name, check in reversed(CHECKS.items())}


@pytest.mark.parametrize("name", sorted(FIRST_NAMES.values()))
def test_admin_api_has_the_effect_of_each_python_method(
    fake: FakeDub, curl: Curl, name: str
) -> None:
    CHECKS[name](fake, curl)


def public_names() -> Iterator[str]:
    """Return the public names of the package, and the arguments of a fake and its customers."""
    for name in inspect.signature(FakeDub).parameters:
        yield f"FakeDub({name})"
    for name in inspect.signature(FakeDub.add).parameters:
        if name != "self":
            yield f"FakeDub.add({name})"
    fake = FakeDub()
    of_module = [cls for cls in vars(faults).values() if inspect.isclass(cls)]
    public = [cls for cls in of_module if cls.__module__ == faults.__name__]
    classes = (FakeDub, FakeClock, Settings, Request, StoredCustomer, *public)
    yield from {*testing.__all__} - {cls.__name__ for cls in classes} - {"faults"}
    for cls in classes:
        if issubclass(cls, faults.Fault):
            yield cls.__name__
        fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
        names = {*dir(cls), *(field.name for field in fields)}
        if cls is FakeDub:
            names |= vars(fake).keys()
        yield from (f"{cls.__name__}.{name}" for name in names if not name.startswith("_"))


def test_each_public_method_is_compared_with_admin_api_or_exempt() -> None:
    assert set(public_names()) == {*CHECKS, *ONLY_IN_PYTHON}
    assert not CHECKS.keys() & ONLY_IN_PYTHON


def test_admin_api_docs_mention_every_python_method() -> None:
    page = Path(__file__).parents[3] / "docs" / "admin-api.rst"
    section = page.read_text(encoding="utf-8").partition("Python and HTTP\n---")[2]
    shown = set(re.findall(r"``(FakeDub\(\w+|fake[.\w]*)", section))
    owners = {"FakeDub": "fake", "FakeClock": "fake.clock", "Faults": "fake.faults"}
    names = {name.rstrip(")") for name in public_names() if not name.startswith("FakeDub.add(")}
    expected = {name for name in names if name.startswith("FakeDub(")}
    for name in names - expected:
        owner, _, member = name.rpartition(".")
        if owner in owners:
            expected.add(f"{owners[owner]}.{member}")
    assert shown == expected


def test_admin_ids_with_an_existing_id_returns_409(fake: FakeDub, curl: Curl) -> None:
    curl.admin("POST", "customers", {"id": "cus_1"}, status=201)
    error = curl.admin("POST", "ids", {"ids": ["cus_2", "cus_1"]}, status=409)["error"]
    assert error["field"] == "ids"
    assert fake.next_ids == []
