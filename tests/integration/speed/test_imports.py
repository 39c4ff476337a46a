"""Test which modules an import of the package loads in a new process."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from typing import Any

import pytest

import dub_uplink
import dub_uplink.testing

#: Extras, and modules that only some calls need.
NOT_LOADED = (
    "aiohttp",
    "click",
    "difflib",
    "dub_uplink._customers.async_consumer",
    "dub_uplink._http.aiohttp_backend",
    "dub_uplink._cli",
    "dub_uplink._declarative.schema_compiler",
    "dub_uplink.testing",
    "pytest",
    "rich",
    "tenacity",
    "twisted",
    "werkzeug",
)


def loaded_by(statement: str) -> set[str]:
    """Return the modules that a statement loads in a new process."""
    script = f"{statement}\nimport json, sys\nprint(json.dumps(sorted(sys.modules)))"
    completed = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    return set(json.loads(completed.stdout))


@pytest.fixture(scope="module")
def by_dub_uplink() -> set[str]:
    return loaded_by("from dub_uplink import Dub")


@pytest.fixture(scope="module")
def by_uplink() -> set[str]:
    """Return the modules of uplink, which imports aiohttp, pydantic and twisted if installed."""
    return loaded_by("import uplink")


@pytest.mark.parametrize("name", NOT_LOADED)
def test_package_import_does_not_load_unneeded_module(
    name: str, by_dub_uplink: set[str], by_uplink: set[str]
) -> None:
    assert name not in by_dub_uplink - by_uplink


def test_lazy_name_is_loaded_on_access() -> None:
    nothing = loaded_by("pass")
    loaded = loaded_by("import dub_uplink") - nothing
    assert {name for name in loaded if name.startswith("dub_uplink")} == {
        "dub_uplink",
        "dub_uplink._internal",
        "dub_uplink._internal.lazy_getattr",
        "dub_uplink._internal.version",
    }
    assert not {"marshmallow", "requests", "uplink", "urllib3"} & loaded


@pytest.mark.parametrize("package", [dub_uplink, dub_uplink.testing], ids=["client", "testing"])
def test_every_public_name_resolves(package: Any) -> None:
    assert {*package._LOCATIONS} == {*package.__all__} - {"__version__"}
    assert {*package.__all__} <= {*dir(package)}
    for name, where in package._LOCATIONS.items():
        found = getattr(package, name)
        module, _, attribute = where.partition(":")
        if not attribute:
            assert found.__name__ == package.__name__ + module
        elif inspect.isclass(found):
            assert found.__name__ == attribute


def test_pytest_plugin_loads_only_itself() -> None:
    loaded = loaded_by("import dub_uplink.testing.plugin") - loaded_by("import pytest")
    ours = {name for name in loaded if name.startswith("dub_uplink")}
    assert ours == {
        "dub_uplink",
        "dub_uplink._internal",
        "dub_uplink._internal.lazy_getattr",
        "dub_uplink.testing",
        "dub_uplink.testing.plugin",
        "dub_uplink._internal.version",
    }
    assert not {"marshmallow", "requests", "uplink", "urllib3", "werkzeug"} & loaded


def test_async_client_classes_load_on_access() -> None:
    loaded = loaded_by("from dub_uplink import *; AsyncCustomersConsumer, AsyncCustomerPage")
    assert "dub_uplink._customers.async_consumer" in loaded
    assert {"AsyncCustomersConsumer", "AsyncDub"} <= set(dir(dub_uplink))
    with pytest.raises(AttributeError, match="no attribute 'AsyncThing'"):
        dub_uplink.AsyncThing  # noqa: B018


def test_import_test_detects_a_loaded_module(by_dub_uplink: set[str], by_uplink: set[str]) -> None:
    assert "dub_uplink._customers.consumer" in by_dub_uplink - by_uplink
