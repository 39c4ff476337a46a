"""Test the fake with the official SDKs for Python and TypeScript, and with curl.

Each SDK runs in a separate environment, which pip or npm creates in the directory ``DUB_PEERS``.
The tox environment ``peers`` sets this variable.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dub_uplink.testing import FakeDub

HERE = Path(__file__).parent
EXAMPLE = HERE.parents[1] / "examples" / "vitest"
KEPT = os.environ.get("DUB_PEERS")
needs_sdks = pytest.mark.skipif(
    not KEPT, reason="runs where DUB_PEERS names a directory: tox -e peers"
)


@pytest.fixture
def fake() -> Iterator[FakeDub]:
    with FakeDub() as fake:
        for number in range(1, 6):
            fake.add(
                external_id=f"user_{number}",
                name=f"User {number}",
                email=f"user_{number}@example.com",
                country="GB",
                sale_amount=number * 100,
                partner={"name": "Acme"},
                link={},
                discount={},
                program_id="prog_1",
            )
        yield fake


def interpreter_with(requirement: str) -> Path:
    """Return the Python of an environment with a requirement; create it if it is missing."""
    home = Path(KEPT or "").resolve() / requirement.replace("==", "-")
    python = home / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    if not (home / "complete").exists():
        venv.create(home, clear=True, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, requirement], check=True)
        (home / "complete").touch()
    return python


def run(requirement: str, script: str, argument: str) -> dict[str, Any]:
    done = subprocess.run(
        [interpreter_with(requirement), "-I", HERE / script, argument],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@needs_sdks
def test_current_official_sdk_works_with_the_fake_server(fake: FakeDub) -> None:
    with fake.serve() as url:
        seen = run("dub==0.39.0", "sdk_0_39.py", url)
    assert seen == {
        "get": ["user_3", "User 3", 300, "Acme"],
        "list": ["user_5", "user_4", "user_3", "user_2", "user_1"],
        "cursor": ["user_2", "user_1"],
        "update": ["Grace", "GB"],
        "delete": True,
        "not found": "not_found",
        "deleted cursor": "Invalid cursor: the provided ID does not exist.",
        "wrong key": "Unauthorized: Invalid API key.",
    }
    assert [customer.external_id for customer in fake.customers] == [
        "user_1",
        "user_2",
        "user_4",
        "user_5",
    ]


@needs_sdks
def test_official_sdk_of_2024_works_except_create(fake: FakeDub) -> None:
    with fake.serve() as url:
        seen = run("dub==0.14.1", "sdk_0_14.py", url)
    assert seen == {
        "get": ["user_3", "User 3"],
        "list": ["user_5", "user_4", "user_3", "user_2", "user_1"],
        "update": "Grace",
        "delete": True,
        "not found": "not_found",
        "create": "invalid_type: country: Invalid input: expected string, received undefined",
    }


#: The statements of ``docs/compare.rst`` about other clients.
COMPARED: dict[str, dict[str, Any]] = {
    "dub==0.39.0": {
        "calls": [
            *("delete", "delete_async", "get", "get_async"),
            *("list", "list_async", "update", "update_async"),
        ],
        "options": ["retries", "server_url", "timeout_ms", "http_headers"],
        "error": None,
        "unknown field kept": False,
        "unknown parameter sent": False,
        "tokens of the repeated call": 1,
        "requests without retries": 1,
        "repeated": ["PATCH", "PATCH", "PATCH"],
        "key": False,
        "wrong argument": "ValidationError",
        "slow response": None,
        "views": False,
        "raw": False,
        "requests of one's own": False,
        "client": "httpx",
        "log": "NoOpLogger",
        "webhooks": False,
        "scripts": [],
    },
    "openai==3.57.0": {
        "options": ["extra_headers", "extra_query", "extra_body", "timeout"],
        "error": None,
        "unknown field kept": True,
        "unknown parameter sent": True,
        "tokens of the repeated call": 3,
        "requests with default retries": 3,
        "key": False,
        "wrong argument sent": True,
        "slow response": None,
        "views": "OpenAI",
        "raw": [200, "application/json", "Model"],
        "requests of one's own": [True, True],
        "client": "httpx2",
        "pages iterate": True,
        "webhooks": [True],
        "scripts": [],
    },
    "stripe==16.1.0": {
        "calls": [
            *("create", "create_async", "delete", "delete_async"),
            *("delete_discount", "delete_discount_async", "list", "list_async"),
            *("retrieve", "retrieve_async", "search", "search_async", "update", "update_async"),
        ],
        "options": [
            *("api_key", "content_type", "headers", "idempotency_key"),
            *("max_network_retries", "stripe_account", "stripe_context", "stripe_version"),
        ],
        "error": None,
        "unknown field kept": True,
        "unknown parameter sent": True,
        "requests with default retries": [1, 3],
        "key": True,
        "wrong argument sent": True,
        "slow response": None,
        "views": False,
        "raw": [200, "StripeResponse"],
        "requests of one's own": True,
        "clients": [
            *("RequestsClient", "HTTPXClient", "AIOHTTPClient", "PycurlClient", "UrllibClient"),
        ],
        "key is a string": "<class 'str'>",
        "pages iterate": True,
        "webhooks": True,
        "from plain data": "cus_1",
        "scripts": [],
    },
}


@needs_sdks
@pytest.mark.parametrize("requirement", COMPARED)
def test_comparison_table_of_the_docs_matches_the_measurements(requirement: str) -> None:
    name = requirement.partition("==")[0]
    assert run(requirement, "compared.py", name) == COMPARED[requirement]


@pytest.fixture(scope="module")
def npm_home() -> Path:
    """Copy the vitest example and install its packages if missing; return the directory."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    home = Path(KEPT or "").resolve() / "vitest"
    shutil.copytree(EXAMPLE, home, dirs_exist_ok=True)
    shutil.copy(HERE / "sdk_typescript.mjs", home)
    command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return home


def run_node(home: Path, *command: str) -> str:
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, str(home / "node_modules" / ".bin"), os.environ["PATH"]])
    done = subprocess.run(
        [shutil.which(command[0], path=path) or command[0], *command[1:]],
        cwd=home,
        env={**os.environ, "PATH": path, "CI": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_sdks
def test_official_typescript_sdk_works_with_the_fake_server(fake: FakeDub, npm_home: Path) -> None:
    with fake.serve() as url:
        seen = json.loads(run_node(npm_home, "node", "sdk_typescript.mjs", url))
    assert seen == {
        "get": ["user_3", "User 3", 300, "Acme"],
        "iterated": ["user_5", "user_4", "user_3", "user_2", "user_1"],
        "pages": [["user_5", "user_4"], ["user_3", "user_2"], ["user_1"]],
        "cursor": ["user_2", "user_1"],
        "update": ["Grace", "GB"],
        "delete": True,
        "not found": ["NotFound", 404, "not_found"],
        "conflict": ["Conflict", 409, "A customer with this external ID already exists."],
        "invalid": ["UnprocessableEntity", 422, "invalid_format: email: Invalid email address"],
        "deleted cursor": "Invalid cursor: the provided ID does not exist.",
        "wrong key": ["Unauthorized", 401, "Unauthorized: Invalid API key."],
    }
    left = [customer.external_id for customer in fake.customers]
    assert left == ["user_1", "user_2", "user_4", "user_5"]


@needs_sdks
def test_documented_vitest_example_passes(npm_home: Path) -> None:
    assert "4 passed" in run_node(npm_home, "vitest", "run")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_commands_work_with_the_fake_server(fake: FakeDub, tmp_path: Path) -> None:
    def curl(*arguments: str) -> tuple[int, str]:
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20"]
        key = ["--header", "Authorization: Bearer dub_test"]
        status = ["--write-out", "\n%{http_code}"]
        done = subprocess.run(
            [*command, *key, *status, *arguments], capture_output=True, text=True, check=True
        )
        body, _, code = done.stdout.rpartition("\n")
        return int(code), body

    large = tmp_path / "large.json"
    # Before it sends more than a megabyte, curl sends "Expect: 100-continue".
    large.write_text(
        json.dumps({"externalId": "large", "country": "GB", "padding": "x" * 2_000_000})
    )
    as_json = ("--header", "Content-Type: application/json", "--data")
    with fake.serve() as url:
        customers = f"{url}/customers"
        status, body = curl(customers, *as_json, '{"externalId": "new", "country": "GB"}')
        assert (status, json.loads(body)["externalId"]) == (201, "new")
        status, body = curl(customers, *as_json, f"@{large}")
        assert (status, len(fake.requests[-1].body) > 2_000_000) == (201, True)
        status, body = curl(customers, "--header", "Transfer-Encoding: chunked", "--data", "{")
        assert (status, json.loads(body)["error"]["code"]) == (400, "bad_request")
        status, body = curl("--get", customers, "--data", "pageSize=2&sortOrder=asc")
        assert [one["externalId"] for one in json.loads(body)] == ["user_1", "user_2"]
        status, body = curl("--request", "PATCH", f"{customers}/ext_new", *as_json, '{"name":"x"}')
        assert (status, json.loads(body)["name"]) == (200, "x")
        assert curl("--request", "DELETE", f"{customers}/ext_new")[0] == 200
        assert curl(f"{customers}/ext_new")[0] == 404
        assert curl("--location", f"{customers}/")[0] == 200
        assert curl("--request", "PUT", customers) == (405, "")
        # Two requests over one connection.
        assert curl(f"{customers}/ext_user_1", f"{customers}/ext_user_2")[0] == 200
    assert len(fake.requests) == 12
