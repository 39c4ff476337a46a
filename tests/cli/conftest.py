"""Runs the installed command: as a process of its own, as a user's shell would, or in this one.

What depends on the process (signals, pipes, colours, the encoding) is tested in one; the rest needs
none, and a process takes most of a second.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from dub_uplink.testing import FakeDub

pytest.importorskip("click")
pytest.importorskip("rich")

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# What would make the output depend on who runs the tests.
UNWANTED = ("CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TERM")


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment of a plain 80-column terminal without an API key."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in UNWANTED and not name.startswith("DUB_")
    }
    return {**kept, "COLUMNS": "80", "TERM": "xterm-256color", "PYTHONUTF8": "1"}


@pytest.fixture(scope="session")
def run(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Call it with the arguments of ``dub-uplink``; ``env`` adds variables."""
    # From an empty directory, so that it is the installed package that runs.
    empty = tmp_path_factory.mktemp("empty")

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dub_uplink", *arguments],
            capture_output=True,
            check=False,
            cwd=empty,
            encoding="utf-8",
            env={**environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    return run


@pytest.fixture
def live() -> Iterator[tuple[FakeDub, dict[str, str]]]:
    """A fake in the place of Dub, and the variables that lead to it."""
    fake = FakeDub(token="dub_test")
    with fake.serve() as url:
        yield fake, {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}
