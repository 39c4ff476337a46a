"""Run the curl commands of the pages and compare their output."""

from __future__ import annotations

import doctest
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from dub_uplink.testing import FakeDub
from dub_uplink.testing._admin.routes import ROUTES

DOCS = Path(__file__).parents[2] / "docs"
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
CONSOLE = re.compile(r"^\.\. code-block:: console\n\n((?:   .*\n|\n)+)", re.MULTILINE)
SERVED = "http://127.0.0.1:8000"

pytestmark = [
    pytest.mark.skipif(not DOCS.exists(), reason="docs/ is missing"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


def sessions(page: Path) -> list[tuple[str, str]]:
    """Return the curl commands of a page with their output."""
    found = []
    for block in CONSOLE.findall(page.read_text(encoding="utf-8")):
        for session in textwrap.dedent(block).split("$ ")[1:]:
            lines = session.replace("\\\n", "").splitlines()
            if lines[0].startswith("curl "):
                found.append((lines[0], "\n".join(lines[1:]).strip() + "\n"))
    return found


@pytest.mark.parametrize("name", ["admin-api.rst", "testing-any-language.rst"])
def test_documented_curl_commands_print_the_shown_output(name: str) -> None:
    checker = doctest.OutputChecker()
    commands = sessions(DOCS / name)
    assert len(commands) > 1
    with FakeDub() as fake, fake.serve(admin=True) as url:
        for command, expected in commands:
            done = subprocess.run(
                ["bash", "-c", f"{command.replace(SERVED, url)} --noproxy '*' --max-time 20"],
                capture_output=True,
                text=True,
                check=False,
            )
            printed = done.stdout.strip() + "\n"
            assert checker.check_output(expected, printed, FLAGS), f"{command}\n{printed}"


def test_admin_page_documents_every_route() -> None:
    page = (DOCS / "admin-api.rst").read_text(encoding="utf-8")
    commands = " ".join(command for command, _ in sessions(DOCS / "admin-api.rst"))
    for route in ROUTES:
        assert f"``{route.method} /_fake/{route.path}``" in page
        assert f"/_fake/{route.path}" in commands
