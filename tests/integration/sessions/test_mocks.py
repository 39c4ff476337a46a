"""Test that libraries that mock requests work with a client."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import requests_mock
import responses

from dub_uplink import CustomersConsumer, Dub, RetryConfig, errors
from dub_uplink.testing import FakeDub, no_sleep

CUSTOMER = {"id": "cus_1", "externalId": "user_1", "name": "Ada"}
REFUSAL = {"error": {"code": "not_found", "message": "No such customer."}}


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


@pytest.fixture
def dub() -> Iterator[Dub]:
    """Return a client of Dub's URL without settings for a mock."""
    with Dub("dub_x") as dub:
        yield dub


def test_responses_mocks_every_operation(dub: Dub, mocked: responses.RequestsMock) -> None:
    url = "https://api.dub.co/customers"
    mocked.get(url, json=[CUSTOMER], match=[responses.matchers.query_param_matcher({"page": "1"})])
    mocked.post(
        url,
        json=CUSTOMER,
        status=201,
        match=[
            responses.matchers.json_params_matcher({"externalId": "user_1"}),
            responses.matchers.header_matcher({"Authorization": "Bearer dub_x"}),
        ],
    )
    mocked.get(f"{url}/ext_user_1", json=CUSTOMER)
    mocked.patch(f"{url}/cus_1", json={**CUSTOMER, "name": "Grace"})
    mocked.delete(f"{url}/cus_1", json={"id": "cus_1"})
    assert [c.id for c in dub.customers.list(page=1)] == ["cus_1"]
    assert dub.customers.create({"external_id": "user_1"}).name == "Ada"
    assert dub.customers.get("ext_user_1").external_id == "user_1"
    assert dub.customers.update("cus_1", {"name": "Grace"}).name == "Grace"
    assert dub.customers.delete("cus_1").id == "cus_1"


def test_responses_mocks_a_given_session(mocked: responses.RequestsMock) -> None:
    mocked.get("https://api.dub.co/customers/cus_1", json=CUSTOMER)
    with requests.Session() as session:
        assert Dub("dub_x", client=session).customers.get("cus_1").name == "Ada"


def test_responses_can_fail_and_be_retried(dub: Dub, mocked: responses.RequestsMock) -> None:
    url = "https://api.dub.co/customers/cus_1"
    mocked.get(url, body=requests.ConnectionError("gone"))
    mocked.get(url, status=503, body="<html>", headers={"Retry-After": "3"})
    mocked.get(url, status=404, json=REFUSAL)
    with no_sleep() as clock, pytest.raises(errors.NotFound) as caught:
        dub.customers.get("cus_1")
    assert caught.value.attempts == 3
    assert len(clock.slept) == 2


def test_requests_mock_mocks_every_operation(dub: Dub) -> None:
    url = "https://api.dub.co/customers"
    with requests_mock.Mocker() as mock:
        mock.get(f"{url}?country=GB", json=[CUSTOMER])
        mock.post(url, json=CUSTOMER, status_code=201)
        mock.get(f"{url}/cus_1", json=CUSTOMER)
        mock.patch(f"{url}/cus_1", json=CUSTOMER)
        mock.delete(f"{url}/cus_1", json={"id": "cus_1"})
        assert [c.id for c in dub.customers.list(country="GB")] == ["cus_1"]
        assert dub.customers.create({"external_id": "user_1"}).name == "Ada"
        assert dub.customers.get("cus_1").external_id == "user_1"
        assert dub.customers.update("cus_1").name == "Ada"
        assert dub.customers.delete("cus_1").id == "cus_1"
        sent: Any = mock.request_history
    assert [r.method for r in sent] == ["GET", "POST", "GET", "PATCH", "DELETE"]
    assert {r.headers["Authorization"] for r in sent} == {"Bearer dub_x"}
    assert (sent[1].json(), sent[3].json()) == ({"externalId": "user_1"}, {})


def test_requests_mock_on_a_session_fails_and_retries() -> None:
    adapter = requests_mock.Adapter()
    url = "https://dub.example/customers/cus_1"
    adapter.register_uri(
        "GET",
        url,
        [
            {"exc": requests.ConnectTimeout},
            {"status_code": 502, "text": "<html>"},
            {"status_code": 200, "json": CUSTOMER},
        ],
    )
    with requests.Session() as session, no_sleep() as clock:
        session.mount("https://", adapter)
        customers = CustomersConsumer(
            "dub_x",
            server_url="https://dub.example",
            client=session,
            retry_config=RetryConfig(),
        )
        assert customers.get("cus_1").name == "Ada"
    assert len(clock.slept) == 2


def test_requests_mock_exception_becomes_a_dub_error(dub: Dub) -> None:
    with requests_mock.Mocker() as mock:
        mock.get("https://api.dub.co/customers/x", status_code=404, text=json.dumps(REFUSAL))
        with pytest.raises(errors.NotFound, match="No such customer"):
            dub.customers.get("x")


def test_vcrpy_records_and_plays_back(tmp_path: Path, client: Any) -> None:
    vcr = pytest.importorskip("vcr", reason="vcrpy is not installed")
    recorder = vcr.VCR(cassette_library_dir=str(tmp_path), filter_headers=["authorization"])
    with FakeDub() as fake:
        fake.add(external_id="user_1", name="Ada", country="GB")
        with fake.serve() as url:
            dub = Dub("dub_test", server_url=url, client=client)
            before = dub.customers.get("ext_user_1")  # the pool keeps its connection
            with recorder.use_cassette("get.yaml"):
                recorded = dub.customers.get("ext_user_1")
            assert "dub_test" not in (tmp_path / "get.yaml").read_text()
    with recorder.use_cassette("get.yaml") as cassette:  # the server is closed
        assert dub.customers.get("ext_user_1") == recorded == before
    assert cassette.play_count == 1
    with pytest.raises(errors.APIConnectionError):
        dub.customers.get("ext_user_1", retries=None)
