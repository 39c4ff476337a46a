"""What ``import dub_uplink`` loads, told by a fresh process."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import dub_uplink

#: Extras, and what only some calls need.
NOT_LOADED = (
    "aiohttp",
    "click",
    "difflib",
    "dub_uplink.aio",
    "dub_uplink.aiohttp_backend",
    "dub_uplink.cli",
    "dub_uplink.testing",
    "pytest",
    "rich",
    "tenacity",
    "twisted",
    "werkzeug",
)


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh process has after a statement."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(done.stdout))


@pytest.fixture(scope="module")
def by_dub_uplink() -> set[str]:
    return loaded_by("import dub_uplink")


@pytest.fixture(scope="module")
def by_uplink() -> set[str]:
    """uplink loads aiohttp, pydantic and twisted by itself where it finds them."""
    return loaded_by("import uplink")


@pytest.mark.parametrize("name", NOT_LOADED)
def test_the_package_does_not_load(name: str, by_dub_uplink: set[str], by_uplink: set[str]) -> None:
    assert name not in by_dub_uplink - by_uplink


def test_the_names_of_the_asynchronous_client_are_there_when_they_are_asked_for() -> None:
    loaded = loaded_by("from dub_uplink import *; AsyncCustomersConsumer, AsyncCustomerPage")
    assert "dub_uplink.aio" in loaded
    assert {"AsyncCustomersConsumer", "AsyncDub"} <= set(dir(dub_uplink))
    with pytest.raises(AttributeError, match="no attribute 'AsyncThing'"):
        dub_uplink.AsyncThing  # noqa: B018


def test_the_comparison_can_fail(by_dub_uplink: set[str], by_uplink: set[str]) -> None:
    assert "dub_uplink.customers" in by_dub_uplink - by_uplink
