"""Run the signup service and the nightly batch as processes that share a rate limit in Redis."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from dub_uplink.testing import FakeDub, faults

pytest.importorskip("fastapi")
pytest.importorskip("redis")
pytest.importorskip("uvicorn")

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
LIMIT = 5  # requests per second

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="examples/ is missing")


def command(example: str) -> list[str]:
    text = (EXAMPLES / example).read_text(encoding="utf-8").replace("\\\n", "")
    found = re.search(r"^    DUB_API_KEY=\S+ DUB_SERVER_URL=\S+ +(\S.*)$", text, re.MULTILINE)
    assert found is not None
    program, *arguments = shlex.split(found[1])
    return [sys.executable, *([] if program == "python" else ["-m", program]), *arguments]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:  # pytest-timeout bounds it
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.05)
    pytest.fail(f"{process.args!r} ended with {process.returncode}")


@contextlib.contextmanager
def running(arguments: list[str], port: int, env: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, cwd=ROOT, env=env, stdout=output, stderr=output)
        try:
            wait_for(port, process)
            yield
        finally:
            process.kill()
            process.wait()


@pytest.fixture
def fake() -> Iterator[FakeDub]:
    # The window of the server is shorter, because a busy machine may send requests late.
    with FakeDub(rate_limit=LIMIT, window=0.3) as fake:
        yield fake


@pytest.fixture
def env(fake: FakeDub, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment of both processes, with Redis and a served fake."""
    redis_server = shutil.which("redis-server")
    if redis_server is None:
        pytest.skip("there is no redis-server here; Debian has it in the package redis-server")
    port = free_port()
    redis = [redis_server, "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with running(redis, port, dict(os.environ), tmp_path / "redis.log"), fake.serve() as url:
        yield {
            **os.environ,
            "DUB_API_KEY": fake.token,
            "DUB_SERVER_URL": url,
            "DUB_RATE_LIMIT": str(LIMIT),
            "DUB_RATE_LIMIT_STORAGE": f"redis://127.0.0.1:{port}",
            "DUB_RATE_WINDOW": "1",
            "SIGNUPS_DATABASE": str(tmp_path / "signups.sqlite3"),
        }


@pytest.fixture
def service(env: dict[str, str], tmp_path: Path) -> Iterator[str]:
    """Start the service and return the URL for signups."""
    port = free_port()
    arguments = [str(port) if part == "8081" else part for part in command("signup_service.py")]
    with running(arguments, port, env, tmp_path / "service.log"):
        yield f"http://127.0.0.1:{port}/signups"


def sign_up(service: str, user_id: str) -> str | None:
    """Sign a user up and return the id of the customer, or ``None`` without a customer."""
    user = {"external_id": user_id, "email": f"{user_id}@example.com", "country": "GB"}
    response = requests.post(service, json=user, timeout=60)
    assert response.status_code == 201
    dub_id: str | None = response.json()["dub_id"]
    return dub_id


def run_batch(env: dict[str, str]) -> str:
    batch = command("nightly_batch.py")
    done = subprocess.run(
        batch, cwd=ROOT, env=env, check=False, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_signup_example_creates_one_customer(
    service: str, fake: FakeDub, env: dict[str, str]
) -> None:
    dub_id = sign_up(service, "ada")
    assert dub_id is not None
    assert sign_up(service, "ada") == dub_id
    assert [customer.id for customer in fake.customers] == [dub_id]
    assert run_batch(env) == "0 created, 0 failed\n"


def test_batch_example_creates_customers_missed_in_an_outage(
    service: str, fake: FakeDub, env: dict[str, str]
) -> None:
    fake.faults.add(faults.Status(503), times=None)
    assert sign_up(service, "ada") is None
    fake.faults.clear()
    assert run_batch(env) == "1 created, 0 failed\n"
    assert [customer.external_id for customer in fake.customers] == ["ada"]
    assert run_batch(env) == "0 created, 0 failed\n"


def test_batch_example_leaves_existing_customers_unchanged(
    service: str, fake: FakeDub, env: dict[str, str]
) -> None:
    fake.faults.add(faults.Status(503), times=None)
    assert sign_up(service, "ada") is None
    fake.faults.clear()
    fake.add(external_id="ada", email="lovelace@example.com", country="GB")
    assert run_batch(env) == "1 created, 0 failed\n"
    assert len(fake.customers) == 1


def test_service_and_batch_examples_share_one_rate_limit(
    service: str, fake: FakeDub, env: dict[str, str]
) -> None:
    assert sign_up(service, "ada") is not None
    left = [f"left_{number}" for number in range(10)]
    with contextlib.closing(sqlite3.connect(env["SIGNUPS_DATABASE"])) as users, users:
        rows = [(user, f"{user}@example.com", "GB") for user in left]
        users.executemany("INSERT INTO users VALUES (?, ?, ?, NULL)", rows)
    new = [f"new_{number}" for number in range(10)]
    before = len(fake.requests)
    with (
        ThreadPoolExecutor(2) as visitors,
        subprocess.Popen(command("nightly_batch.py"), cwd=ROOT, env=env) as batch,
    ):
        while len(fake.requests) == before and batch.poll() is None:
            time.sleep(0.01)
        started = time.monotonic()
        signed_up = list(visitors.map(lambda user: sign_up(service, user), new))
    assert batch.returncode == 0
    elapsed = time.monotonic() - started
    statuses = [request.status for request in fake.requests[before:]]
    assert len(statuses) >= 5 * LIMIT
    assert statuses.count(429) <= 2  # a busy machine may send a request late
    assert elapsed > len(statuses) / LIMIT - 1.5  # seconds; each process alone takes 2 seconds less
    assert any(signed_up)
    run_batch(env)
    stored = [customer.external_id or "" for customer in fake.customers]
    assert sorted(stored) == sorted(["ada", *left, *new])
