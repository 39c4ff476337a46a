"""A fake that nobody closes closes its database, so that ``python -W error`` has nothing to say."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dub_uplink import Dub, errors
from dub_uplink.testing import FakeDub

FORGOTTEN = {
    "dropped": "FakeDub()",
    "used": "fake = FakeDub(); fake.add(); fake.session(); del fake; gc.collect()",
    "kept": "fake = FakeDub(); fake.add()",
    "in a cycle": "fake = FakeDub(); fake.me = fake; del fake; gc.collect()",
    "served": "\nwith FakeDub().serve() as url: pass",
    "closed twice": "\nwith FakeDub() as fake: fake.close()",
    "in another thread": (
        "thread = threading.Thread(target=FakeDub); thread.start(); thread.join(); gc.collect()"
    ),
}


def run(*arguments: str, cwd: Path, error: str = "error") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", error, *arguments],
        cwd=cwd,
        env={"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("code", FORGOTTEN.values(), ids=list(FORGOTTEN))
def test_unclosed_fake_emits_no_resource_warning(tmp_path: Path, code: str) -> None:
    imports = "import gc, threading; from dub_uplink.testing import FakeDub; "
    done = run("-c", imports + code, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_request_to_a_closed_fake_raises_without_retry() -> None:
    fake = FakeDub()
    client = Dub("dub_test", client=fake.session())
    fake.close()
    with pytest.raises(RuntimeError, match=r"the fake is closed; send requests before close\(\)"):
        client.customers.count()
    assert fake.requests == []


def test_request_to_a_closed_served_fake_returns_410() -> None:
    fake = FakeDub()
    with fake.serve() as url, Dub("dub_test", server_url=url) as client:
        fake.close()
        started = time.monotonic()
        with pytest.raises(errors.DubError, match=r"410.*the fake is closed; start it again"):
            client.customers.count()
        assert time.monotonic() - started < 5


def test_pytest_fixtures_close_the_fake_and_the_client(tmp_path: Path) -> None:
    suite = tmp_path / "test_suite.py"
    suite.write_text(
        "from dub_uplink.testing import FakeDub\n"
        "from dub_uplink.testing.plugin import dub, fake_dub\n"
        "def test_fixtures(dub, fake_dub):\n"
        "    assert dub.customers.list() == []\n"
        "def test_own():\n"
        "    assert FakeDub().customers == []\n"
    )
    # Plugins of pytest may warn of other things.
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        "-W",
        "error::pytest.PytestUnraisableExceptionWarning",
    ]
    done = run("-m", "pytest", *options, str(suite), cwd=tmp_path, error="error::ResourceWarning")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_database_of_an_unclosed_fake_is_complete(tmp_path: Path) -> None:
    database = str(tmp_path / "dub.sqlite")
    FakeDub(database=database).add(external_id="a")
    gc.collect()
    with FakeDub(database=database) as fake:
        assert [customer.external_id for customer in fake.customers] == ["a"]
    assert [path.name for path in tmp_path.iterdir()] == ["dub.sqlite"]


def test_demo_command_emits_no_resource_warning(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    pytest.importorskip("click")
    done = run("-m", "dub_uplink", "demo", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
