"""Test the files in dist/ in new environments; ``tox -e release`` runs these tests."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RELEASE = os.environ.get("DUB_RELEASE")

pytestmark = pytest.mark.skipif(RELEASE is None, reason="for tox -e release")

LIST_CUSTOMERS = """
from dub_uplink import Dub, errors
try:
    Dub("dub_test", server_url="http://127.0.0.1:9", retry_config=None).customers.list()
except errors.APIConnectionError as error:
    print(type(error).__name__)
"""


def install(python: Path, requirement: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", requirement],
        check=True,
    )


@pytest.mark.parametrize(("name", "pattern"), [("wheel", "*.whl"), ("sdist", "*.tar.gz")])
def test_installed_distribution_imports_and_runs_in_a_new_venv(name: str, pattern: str) -> None:
    (distribution,) = ROOT.joinpath("dist").glob(pattern)
    home = Path(RELEASE or "", name)
    # Without pip, because the SBOM lists all distributions in the environment of the wheel.
    venv.create(home, clear=True, with_pip=False)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    install(scripts / "python", str(distribution))
    # -I makes the checkout unavailable for imports.
    client = [scripts / "python", "-I", "-c", LIST_CUSTOMERS]
    assert subprocess.run(client, check=True, capture_output=True, text=True).stdout == (
        "APIConnectionError\n"
    )


def test_installed_command_runs_in_a_new_venv() -> None:
    (wheel,) = ROOT.joinpath("dist").glob("*.whl")
    home = Path(RELEASE or "", "command")
    venv.create(home, clear=True, with_pip=False)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    install(scripts / "python", f"{wheel}[cli]")
    demo = subprocess.run(
        [scripts / "dub-uplink", "demo"], check=True, capture_output=True, encoding="utf-8"
    )
    assert "ada@example.com" in demo.stdout
