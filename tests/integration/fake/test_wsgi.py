"""The fake as a WSGI application, through werkzeug's own client."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dub_uplink.testing import FakeDub, faults

werkzeug_test = pytest.importorskip("werkzeug.test", reason="werkzeug is not installed")
KEY = {"Authorization": "Bearer dub_test"}


def test_wsgi_application_returns_the_responses_of_the_fake(fake: FakeDub) -> None:
    client = werkzeug_test.Client(fake.wsgi_app)
    body = {"externalId": "a/b ü", "country": "GB"}
    created = client.post("/customers", json=body, headers=KEY)
    assert (created.status_code, created.mimetype) == (201, "application/json")
    found = client.get("/customers/ext_a%2Fb%20%C3%BC?includeExpandedFields=true", headers=KEY)
    assert found.json["id"] == created.json["id"]
    assert client.get("/customers?email=x", headers=KEY).json == []
    assert client.get("/customers").status_code == 401
    redirect = client.get("/customers/", headers=KEY)
    assert (redirect.status_code, redirect.headers["Location"]) == (308, "/customers")
    wrong = client.put("/customers", headers=KEY)
    assert (wrong.status_code, wrong.data) == (405, b"")
    assert fake.requests[0].headers["authorization"] == "Bearer dub_test"


def test_wsgi_drop_fault_raises_and_truncate_fault_truncates(fake: FakeDub) -> None:
    client = werkzeug_test.Client(fake.wsgi_app)
    fake.faults.add(faults.DropAfter())
    with pytest.raises(ConnectionResetError):
        client.post("/customers", json={"externalId": "a", "country": "GB"}, headers=KEY)
    assert len(fake.customers) == 1
    fake.faults.add(faults.Truncate(3))
    assert len(client.get("/customers/ext_a", headers=KEY).data) == 3


def test_wsgi_app_without_werkzeug_raises_with_install_command() -> None:
    code = (
        "import sys; sys.modules['werkzeug'] = sys.modules['werkzeug.wrappers'] = None\n"
        "from dub_uplink.testing import FakeDub\n"
        "fake = FakeDub()\n"
        "assert fake.session().get('https://api.dub.co/customers').status_code == 401\n"
        "try: fake.wsgi_app\n"
        "except ImportError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "pip install 'dub-uplink[testing]'" in done.stdout
