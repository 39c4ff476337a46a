"""Run each example with its command and a served fake."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from dub_uplink.testing import FakeDub

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"

pytestmark = pytest.mark.skipif(not EXAMPLES.exists(), reason="examples/ is missing")


def command(example: str) -> list[str]:
    """Return the command at the top of an example, with the scripts of this interpreter."""
    text = (EXAMPLES / example).read_text(encoding="utf-8").replace("\\\n", "")
    found = re.search(r"^    DUB_API_KEY=\S+ DUB_SERVER_URL=\S+ +(\S.*)$", text, re.MULTILINE)
    assert found is not None
    program, *arguments = shlex.split(found[1])
    return [sys.executable, *([] if program == "python" else ["-m", program]), *arguments]


@pytest.fixture
def fake() -> Iterator[FakeDub]:
    with FakeDub() as fake:
        yield fake


@pytest.fixture
def environment(fake: FakeDub, tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment variables of the examples, for a served fake."""
    with fake.serve() as url:
        yield {
            **{name: value for name, value in os.environ.items() if "PYTEST" not in name},
            "DUB_API_KEY": fake.token,
            "DUB_SERVER_URL": url,
            "CELERY_HOME": str(tmp_path),
        }


@pytest.fixture
def run(environment: dict[str, str]) -> Callable[[list[str]], str]:
    """Run a command and return its output."""

    def run(arguments: list[str]) -> str:
        done = subprocess.run(
            arguments,
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.fixture
def running(environment: dict[str, str], tmp_path: Path) -> Callable[[list[str]], Any]:
    """Run a command in the background until the ``with`` block ends."""

    @contextlib.contextmanager
    def running(arguments: list[str]) -> Iterator[subprocess.Popen[bytes]]:
        with (tmp_path / "output").open("w") as output:
            process = subprocess.Popen(
                arguments, cwd=ROOT, env=environment, stdout=output, stderr=output
            )
            try:
                yield process
            finally:
                process.kill()  # a worker takes up to five seconds to stop
                process.wait()

    return running


def needs(library: str) -> Any:
    missing = importlib.util.find_spec(library) is None
    return pytest.mark.skipif(missing, reason=f"{library} is not installed")


def test_import_script_example_imports_a_file_and_can_be_rerun(
    run: Callable[[list[str]], str], fake: FakeDub
) -> None:
    assert run(command("import_csv.py")) == "2 created\n1 existed\n1 rejected\n"
    assert run(command("import_csv.py")) == "0 created\n3 existed\n1 rejected\n"
    assert sorted(customer.external_id for customer in fake.customers) == ["user_1", "user_2"]


def test_example_pytest_suite_passes(run: Callable[[list[str]], str], fake: FakeDub) -> None:
    output = run([*command("test_shop.py"), "-q", "-p", "no:cacheprovider"])
    assert re.search(r"^7 passed in ", output, re.MULTILINE)
    assert {request.method for request in fake.requests} == {"GET", "POST", "DELETE"}
    assert fake.customers == []


@needs("fastapi")
@needs("uvicorn")
def test_web_example_returns_customers_and_dub_errors(
    running: Callable[[list[str]], Any], fake: FakeDub
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = str(found.getsockname()[1])
    url = f"http://127.0.0.1:{port}/users/user_1"
    arguments = [port if part == "8080" else part for part in command("fastapi_app.py")]
    with running(arguments) as process:
        while process.poll() is None:  # pytest-timeout bounds the time
            with contextlib.suppress(requests.ConnectionError):
                missing = requests.get(url, timeout=60)
                break
            time.sleep(0.05)
        signed_up = requests.put(f"{url}?email=ada@example.com&country=GB", timeout=60)
        found_again = requests.get(url, timeout=60)
        refused = requests.put(f"{url}2?email=nobody&country=GB", timeout=60)
    assert missing.status_code == 404
    assert signed_up.status_code == 200
    assert found_again.json()["id"] == signed_up.json()["id"] == fake.customers[0].id
    assert refused.status_code == 422
    assert len(fake.customers) == 1


@needs("celery")
def test_worker_example_creates_a_customer_once(
    running: Callable[[list[str]], Any], run: Callable[[list[str]], str], fake: FakeDub
) -> None:
    sign_up = [sys.executable, "examples/celery_worker.py", "user_1", "ada@example.com", "GB"]
    with running(command("celery_worker.py")):
        first, second = run(sign_up), run(sign_up)
    assert first == second == fake.customers[0].id + "\n"
    assert [request.method for request in fake.requests] == ["GET", "POST", "GET"]
