"""The mounted fake: what requests makes of its answers, and that nothing else is reached."""

from __future__ import annotations

import io
import pickle
from typing import Any

import pytest
import requests
import urllib3

from dub_uplink.testing import FakeDub, NetworkRefused, faults

KEY = {"Authorization": "Bearer dub_test"}


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/customers",
        "http://api.dub.co/customers",
        "https://api.dub.co:8443/customers",
        "https://api.dub.co.example.com/customers",
        "https://api.dub.com/customers",
        "https://eu.api.dub.co/customers",
        "http://127.0.0.1:9/",
    ],
)
def test_fake_session_rejects_requests_to_other_hosts(fake: FakeDub, url: str) -> None:
    with pytest.raises(NetworkRefused) as caught:
        fake.session().get(url, headers=KEY)
    assert url in str(caught.value)
    assert "server_url" in str(caught.value)
    assert "dub_test" not in str(caught.value)
    # What a client takes for a failed connection it would try again.
    assert not isinstance(caught.value, (requests.RequestException, OSError))
    assert fake.requests == []


@pytest.mark.parametrize(
    "url", ["https://api.dub.co:443/customers", "HTTPS://API.DUB.CO/customers"]
)
def test_fake_session_accepts_spellings_of_the_base_url(fake: FakeDub, url: str) -> None:
    assert fake.session().get(url, headers=KEY).json() == []


def test_fake_session_base_url_may_have_port_and_prefix() -> None:
    with FakeDub(base_url="http://localhost:3000/api/") as fake:
        session = fake.session()
        assert session.get("http://localhost:3000/api/customers", headers=KEY).json() == []
        assert session.get("http://localhost:3000/api", headers=KEY).status_code == 404
        assert fake.requests[0].path == "/customers"
        for url in ("http://localhost:3000/customers", "http://localhost:3000/apix/customers"):
            with pytest.raises(NetworkRefused):
                session.get(url)


def test_fake_session_ignores_the_environment(
    fake: FakeDub, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine api.dub.co login x password y\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert fake.session().get(f"{fake.base_url}/customers", headers=KEY).status_code == 200


def test_fake_session_response_has_every_attribute(fake: FakeDub) -> None:
    fake.add(external_id="a", name="Åda")
    answer = fake.session().get(f"{fake.base_url}/customers/ext_a", headers=KEY)
    assert (answer.ok, answer.reason, answer.encoding) == (True, "OK", "utf-8")
    assert answer.url == f"{fake.base_url}/customers/ext_a"
    assert answer.request.headers["Authorization"] == "Bearer dub_test"
    assert answer.raw.status == 200
    assert answer.raw.read() == b""
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert pickle.loads(pickle.dumps(answer)).json()["name"] == "Åda"
    answer.close()


def test_fake_session_response_can_be_streamed(fake: FakeDub) -> None:
    fake.add(external_id="a", name="Åda")
    url = f"{fake.base_url}/customers/ext_a"
    session = fake.session()
    whole = session.get(url, headers=KEY).content
    answer = session.get(url, headers=KEY, stream=True)
    assert b"".join(answer.iter_content(7)) == whole
    assert session.get(url, headers=KEY, stream=True).raw.read() == whole


@pytest.mark.parametrize(
    "body",
    [
        '{"externalId": "a", "country": "GB"}',
        b'{"externalId": "a", "country": "GB"}',
        bytearray(b'{"externalId": "a", "country": "GB"}'),
        io.BytesIO(b'{"externalId": "a", "country": "GB"}'),
        io.StringIO('{"externalId": "a", "country": "GB"}'),
        iter([b'{"externalId": "a",', b' "country": "GB"}']),
    ],
    ids=["text", "bytes", "bytearray", "file", "text-file", "chunks"],
)
def test_fake_session_accepts_every_body_type(fake: FakeDub, body: Any) -> None:
    answer = fake.session().post(f"{fake.base_url}/customers", data=body, headers=KEY)
    assert answer.status_code == 201


def test_fake_session_total_timeout_limits_a_slow_body(fake: FakeDub) -> None:
    slept: list[float] = []
    session = fake.session(sleep=slept.append)
    fake.faults.add(faults.Drip(1), times=None)
    prepared = session.prepare_request(requests.Request("GET", f"{fake.base_url}/customers"))
    settings: dict[str, Any] = {"timeout": urllib3.Timeout(connect=5, total=30)}
    answer = session.send(prepared, stream=True, **settings)
    with pytest.raises(requests.ConnectionError):
        _ = answer.content
    assert 29 < sum(slept) <= 31
    # Without a total, every byte on its own is in time, as with requests itself.
    assert session.send(prepared, timeout=30).status_code == 401


def test_fake_session_delay_above_total_timeout_times_out(fake: FakeDub) -> None:
    slept: list[float] = []
    session = fake.session(sleep=slept.append)
    fake.faults.add(faults.Delay(31))
    prepared = session.prepare_request(requests.Request("GET", f"{fake.base_url}/customers"))
    settings: dict[str, Any] = {"timeout": urllib3.Timeout(connect=5, total=30)}
    with pytest.raises(requests.ReadTimeout):
        session.send(prepared, **settings)
    assert sum(slept) == pytest.approx(30, abs=0.5)
