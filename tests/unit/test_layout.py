"""Check the layout of the package: small folders, short modules, import contracts."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "dub_uplink"
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
MODULES = sorted(PACKAGE.rglob("*.py"))
NOT_COUNTED = {"__init__.py", "__main__.py", "py.typed", "__pycache__"}

pytestmark = pytest.mark.skipif(not MODULES, reason="the package is missing")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def entries(folder: Path) -> set[str]:
    return {
        path.stem
        for path in folder.iterdir()
        if path.name not in NOT_COUNTED and (path.suffix == ".py" or path.is_dir())
    }


def layers() -> dict[str, list[str]]:
    """Return the modules in the layers contract of each folder."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts: list[dict[str, Any]] = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    return {
        container: re.findall(r"\w+", " ".join(contract["layers"]))
        for contract in contracts
        if contract["type"] == "layers" and contract["exhaustive"]
        for container in contract["containers"]
    }


def test_every_package_has_an_import_contract() -> None:
    assert set(layers()) == {dotted(folder) for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS, ids=dotted)
def test_import_contract_names_every_module(folder: Path) -> None:
    assert entries(folder) - set(layers()[dotted(folder)]) == set()


@pytest.mark.parametrize("module", MODULES, ids=dotted)
def test_module_has_fewer_than_400_lines(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) < 400


def test_package_root_has_at_most_15_entries() -> None:
    assert len(entries(PACKAGE)) <= 15


@pytest.mark.parametrize("folder", FOLDERS, ids=dotted)
def test_package_has_at_most_12_modules(folder: Path) -> None:
    assert len([path for path in folder.glob("*.py") if path.name not in NOT_COUNTED]) <= 12
