"""Test a create, a retry and an error with libraries that replace or observe HTTP clients."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import requests

from dub_uplink import BackoffStrategy, Dub, RetryConfig, errors
from dub_uplink.testing import FakeDub, faults

URL = "https://api.dub.co/customers"
CREATED = {"id": "cus_1", "externalId": "user_1", "name": "Ada"}
REFUSED = {"error": {"code": "not_found", "message": "No such customer."}}
REQUEST = {"external_id": "user_1", "country": "GB"}
SHORT_RETRIES = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 3_000), True)


def create_and_get(customers: Any) -> None:
    """Create a customer with one retry, then get a customer that does not exist."""
    assert customers.create(request=REQUEST).external_id == "user_1"
    with pytest.raises(errors.NotFound):
        customers.get("cus_none")


@pytest.fixture
def failing(fake: FakeDub, served: str) -> str:
    """Serve a fake that responds 503 to the first POST."""
    fake.faults.add(faults.Status(503), method="POST")
    return served


def test_calls_under_responses_create_retry_and_raise() -> None:
    responses = pytest.importorskip("responses")
    with responses.RequestsMock() as mock, Dub("dub_x", retry_config=SHORT_RETRIES) as dub:
        mock.post(URL, status=503)
        mock.post(URL, json=CREATED, status=201)
        mock.get(f"{URL}/cus_none", json=REFUSED, status=404)
        create_and_get(dub.customers)
        assert len(mock.calls) == 3


@pytest.mark.parametrize("own", [True, False])
def test_calls_under_requests_mock_create_retry_and_raise(own: bool) -> None:
    requests_mock = pytest.importorskip("requests_mock")
    session = None if own else requests.Session()
    with (
        requests_mock.Mocker(session=session) as mock,
        Dub("dub_x", client=session, retry_config=SHORT_RETRIES) as dub,
    ):
        mock.post(URL, [{"status_code": 503}, {"json": CREATED, "status_code": 201}])
        mock.get(f"{URL}/cus_none", json=REFUSED, status_code=404)
        create_and_get(dub.customers)
        assert mock.call_count == 3


def test_vcrpy_records_and_replays_calls(
    fake: FakeDub, failing: str, tmp_path: Path, token: str
) -> None:
    vcr = pytest.importorskip("vcr")
    recorder = vcr.VCR(cassette_library_dir=str(tmp_path), filter_headers=["authorization"])
    for _ in range(2):  # the second run replays the recording
        with (
            recorder.use_cassette("calls.yaml", allow_playback_repeats=False) as cassette,
            Dub(token, server_url=failing, retry_config=SHORT_RETRIES) as dub,
        ):
            create_and_get(dub.customers)
    assert cassette.play_count == 3
    assert len(fake.requests) == 3
    assert token not in (tmp_path / "calls.yaml").read_text()


def test_calls_under_requests_cache_create_retry_and_raise(failing: str, token: str) -> None:
    requests_cache = pytest.importorskip("requests_cache")
    session = requests_cache.CachedSession(backend="memory")
    with Dub(token, server_url=failing, client=session, retry_config=SHORT_RETRIES) as dub:
        create_and_get(dub.customers)
        before = dub.customers.get("ext_user_1")
        dub.customers.update("ext_user_1", {"name": "Grace"})
        assert dub.customers.get("ext_user_1") == before, "not from the cache"


@pytest.mark.parametrize("headers", [False, True], ids=["plain", "cache-control"])
def test_lookup_is_never_served_from_requests_cache(
    fake: FakeDub, served: str, token: str, headers: bool
) -> None:
    """A cached 404 would turn an applied create into a false conflict."""
    requests_cache = pytest.importorskip("requests_cache")
    session = requests_cache.CachedSession(
        backend="memory", allowable_codes=(200, 404), cache_control=headers
    )
    with Dub(token, server_url=served, client=session, retry_config=SHORT_RETRIES) as dub:
        with pytest.raises(errors.NotFound):
            dub.customers.get("ext_user_1")
        fake.faults.add(faults.DropAfter(), method="POST", times=1)
        assert dub.customers.create(request=REQUEST).external_id == "user_1"
    lookups = [r for r in fake.requests if r.method == "GET"]
    assert len(lookups) == 2
    assert sorted(lookups[1].headers["cache-control"].replace(" ", "").split(",")) == [
        "no-cache",
        "no-store",
    ]


def test_write_is_never_served_from_requests_cache(fake: FakeDub, served: str, token: str) -> None:
    requests_cache = pytest.importorskip("requests_cache")
    methods = ("GET", "POST", "PATCH", "DELETE")
    session = requests_cache.CachedSession(
        backend="memory", allowable_methods=methods, allowable_codes=(200, 201, 404, 409)
    )
    with Dub(token, server_url=served, client=session, retry_config=SHORT_RETRIES) as dub:
        for _ in range(2):
            dub.customers.create(request=REQUEST)
            dub.customers.update("ext_user_1", {"name": "Grace"})
            dub.customers.delete("ext_user_1")
    assert [r.method for r in fake.requests] == ["POST", "PATCH", "DELETE"] * 2


def test_ensure_ignores_a_404_cached_by_requests_cache(
    fake: FakeDub, served: str, token: str
) -> None:
    requests_cache = pytest.importorskip("requests_cache")
    session = requests_cache.CachedSession(backend="memory", allowable_codes=(200, 404))
    with Dub(token, server_url=served, client=session, retry_config=SHORT_RETRIES) as dub:
        with pytest.raises(errors.NotFound):
            dub.customers.get("ext_user_1")
        other = fake.add(external_id="user_1", country="GB")
        ensured = dub.customers.ensure(REQUEST, http_headers={"X-Team": "growth"})
    assert ensured.id == other.id
    assert [r.method for r in fake.requests] == ["GET", "POST", "GET"]
    assert fake.requests[-1].headers["x-team"] == "growth"


def test_no_cache_header_makes_iterate_and_count_current(
    fake: FakeDub, served: str, token: str
) -> None:
    requests_cache = pytest.importorskip("requests_cache")
    session = requests_cache.CachedSession(backend="memory")
    headers = {"Cache-Control": "no-cache"}
    with Dub(token, server_url=served, client=session) as dub:
        assert list(dub.customers.iterate()) == []
        assert dub.customers.count() == 0
        fake.add(external_id="user_1")
        assert list(dub.customers.iterate()) == [], "the documented limit of a cache"
        assert dub.customers.count() == 0
        assert len(list(dub.customers.iterate(http_headers=headers))) == 1
        assert dub.customers.count(http_headers=headers) == 1


MOCKET = """
import json, sys, requests
from mocket import Mocket, Mocketizer
from mocket.mocks.mockhttp import Entry, Response
from dub_uplink import BackoffStrategy, Dub, RetryConfig, errors

retries = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 3_000), True)
created, refused = sys.argv[1:]
for server in ("http://dub.localhost", "https://api.dub.co"):
    for client in (None, requests.Session()):
        with Mocketizer(strict_mode=True):
            url = f"{server}/customers"
            Entry.register(Entry.POST, url, Response(status=503), Response(created, 201))
            Entry.single_register(Entry.GET, f"{url}/cus_none", refused, status=404)
            with Dub("dub_x", server_url=server, client=client, retry_config=retries) as dub:
                request = {"external_id": "user_1", "country": "GB"}
                assert dub.customers.create(request=request).external_id == "user_1"
                try:
                    dub.customers.get("cus_none")
                except errors.NotFound:
                    pass
            assert len(Mocket.request_list()) == 3
print("completed")
"""


def test_calls_under_strict_mocket_create_retry_and_raise() -> None:
    """Use another process, because mocket does not restore the TLS of urllib3."""
    pytest.importorskip("mocket")
    completed = subprocess.run(
        [sys.executable, "-c", MOCKET, json.dumps(CREATED), json.dumps(REFUSED)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert completed.stdout.strip() == "completed", completed.stderr


def spans_of(exporter: Any) -> list[tuple[str, int]]:
    kept = [dict(span.attributes or {}) for span in exporter.get_finished_spans()]
    return [
        (
            str(span.get("http.request.method", span.get("http.method"))),
            int(span.get("http.response.status_code", span.get("http.status_code", 0))),
        )
        for span in kept
    ]


@pytest.fixture
def exporter() -> Any:
    pytest.importorskip("opentelemetry.sdk")
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    return InMemorySpanExporter()


@pytest.fixture
def tracing(exporter: Any) -> Any:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


EXPECTED = [("POST", 503), ("POST", 201), ("GET", 404)]


@pytest.mark.parametrize("own", [True, False])
def test_opentelemetry_traces_each_attempt(
    failing: str, token: str, exporter: Any, tracing: Any, own: bool
) -> None:
    module = pytest.importorskip("opentelemetry.instrumentation.requests")
    instrumentor = module.RequestsInstrumentor()
    instrumentor.instrument(tracer_provider=tracing)
    try:
        client = None if own else requests.Session()
        with Dub(token, server_url=failing, client=client, retry_config=SHORT_RETRIES) as dub:
            create_and_get(dub.customers)
    finally:
        instrumentor.uninstrument()
    assert spans_of(exporter) == EXPECTED
    assert token not in repr([vars(span) for span in exporter.get_finished_spans()])


@pytest.mark.parametrize("own", [True, False])
def test_opentelemetry_traces_each_attempt_of_aiohttp(
    failing: str, connect_async: Any, exporter: Any, tracing: Any, own: bool
) -> None:
    module = pytest.importorskip("opentelemetry.instrumentation.aiohttp_client")
    instrumentor = module.AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=tracing)
    try:
        make = (lambda: None) if own else aiohttp.ClientSession
        create_and_get(connect_async(failing, client=make, retry_config=SHORT_RETRIES))
    finally:
        instrumentor.uninstrument()
    assert spans_of(exporter) == EXPECTED


def test_calls_under_aioresponses_create_retry_and_raise(connect_async: Any) -> None:
    aioresponses = pytest.importorskip("aioresponses").aioresponses
    if "stream_writer" in inspect.signature(aiohttp.ClientResponse).parameters:
        pytest.skip("aioresponses 0.7.9 cannot make a response of aiohttp 3.14")
    customers = connect_async("https://api.dub.co", retry_config=SHORT_RETRIES)
    with aioresponses() as mock:
        mock.post(URL, status=503)
        mock.post(URL, status=201, payload=CREATED)
        mock.get(f"{URL}/cus_none", status=404, payload=REFUSED)
        create_and_get(customers)
        assert sum(len(calls) for calls in mock.requests.values()) == 3


GEVENT = """
from gevent import monkey
monkey.patch_all()
import sys, time, gevent, requests
from dub_uplink import BackoffStrategy, Dub, RetryConfig, errors
from dub_uplink.testing import FakeDub, faults

retries = RetryConfig("backoff", BackoffStrategy(1, 5, 1.5, 3_000), True)
with FakeDub() as fake, fake.serve() as url:
    for client in (None, requests.Session()):
        fake.faults.add(faults.Status(503), method="POST")
        with Dub(fake.token, server_url=url, client=client, retry_config=retries) as dub:
            name = "own" if client is None else "given"
            assert dub.customers.create(request={"external_id": name, "country": "GB"}).id
            try:
                dub.customers.get("cus_none")
            except errors.NotFound:
                pass
            fake.faults.add(faults.Delay(0.2), times=20, method="GET")
            started = time.monotonic()
            jobs = [gevent.spawn(dub.customers.get, f"ext_{name}") for _ in range(20)]
            assert len({job.get().id for job in jobs}) == 1
            assert time.monotonic() - started < 2, "greenlets wait side by side"
print("completed")
"""


def test_calls_under_gevent_run_concurrently() -> None:
    pytest.importorskip("gevent")
    completed = subprocess.run(
        [sys.executable, "-c", GEVENT], capture_output=True, text=True, check=False, timeout=60
    )
    assert completed.stdout.strip() == "completed", completed.stderr
