"""Test the metadata in setup.cfg, and compare it with the files that repeat it."""

from __future__ import annotations

import configparser
import os
import re
from collections.abc import Iterable
from importlib.metadata import distribution, version
from pathlib import Path

import pytest

import dub_uplink

ROOT = Path(__file__).resolve().parents[2]
BOUND = re.compile(r"^(?P<name>[A-Za-z0-9_-]+)>=(?P<version>[0-9.]+)(,<[0-9.]+)?$")


def setup_cfg() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config


def declared_requirements() -> list[str]:
    config = setup_cfg()
    extras = config["options.extras_require"]
    groups = [
        config["options"]["install_requires"],
        *(group for extra, group in extras.items() if extra != "dev"),
    ]
    return sorted({line for group in groups for line in group.split("\n") if line})


def named(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[\[<>=~; ]", line)[0] for line in requirements if line}


def test_base_install_requires_exactly_four_libraries() -> None:
    names = [
        re.split(r"[<>=]", line)[0]
        for line in setup_cfg()["options"]["install_requires"].split("\n")
        if line
    ]
    assert sorted(names) == ["marshmallow", "requests", "tenacity", "uplink"]


def test_every_requirement_has_a_lower_bound() -> None:
    assert [line for line in declared_requirements() if not BOUND.match(line)] == []


@pytest.mark.promise("lower-bounds-are-tested")
def test_mindeps_environment_installs_lower_bounds_of_setup_cfg() -> None:
    pins = (ROOT / "tests" / "packaging" / "lower-bounds.txt").read_text(encoding="utf-8")
    pinned = sorted(line for line in pins.splitlines() if line and not line.startswith("#"))
    bounds = [BOUND.match(line) for line in declared_requirements()]
    assert pinned == sorted({f"{m['name']}=={m['version']}" for m in bounds if m})


@pytest.mark.promise("lower-bounds-are-tested")
@pytest.mark.skipif(os.environ.get("TOX_ENV_NAME") != "mindeps", reason="for tox -e mindeps")
@pytest.mark.parametrize("requirement", declared_requirements())
def test_mindeps_environment_has_the_oldest_versions(requirement: str) -> None:
    bound = BOUND.match(requirement)
    assert bound is not None
    release, oldest = version(bound["name"]), bound["version"]
    assert re.sub(r"(\.0)+$", "", release) == re.sub(r"(\.0)+$", "", oldest)


def test_installed_metadata_matches_setup_cfg() -> None:
    metadata = distribution("dub-uplink").metadata
    expected = setup_cfg()["metadata"]
    assert metadata["Name"] == expected["name"] == "dub-uplink"
    assert metadata["Version"] == expected["version"]
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"


@pytest.mark.parametrize("minor", range(11, 16))
def test_every_supported_python_is_classified_and_tested(minor: int) -> None:
    assert f"Programming Language :: Python :: 3.{minor}" in setup_cfg()["metadata"]["classifiers"]
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    assert f"py3{minor}" in re.split(r"[,\s]+", tox["tox"]["env_list"])


def test_dev_extra_includes_every_other_extra() -> None:
    extras = setup_cfg()["options.extras_require"]
    included = re.search(r"^dub-uplink\[(.+)\]$", extras["dev"], re.MULTILINE)
    assert included is not None
    assert set(included[1].split(",")) == set(extras) - {"dev"}


@pytest.mark.parametrize("section", ["testenv", "testenv:lint", "testenv:typing", "testenv:docs"])
def test_dev_extra_installs_what_tox_installs(section: str) -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini", encoding="utf-8")
    dev = setup_cfg()["options.extras_require"]["dev"]
    assert named(tox[section]["deps"].split("\n")) <= named(dev.split("\n"))


def test_setup_py_is_a_shim_and_pyproject_holds_no_metadata() -> None:
    shim = (ROOT / "setup.py").read_text(encoding="utf-8")
    assert re.findall(r"^setup\(.*", shim, re.MULTILINE) == ['setup(cmdclass={"sdist": Sdist})']
    assert "[project]" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_ci_runs_the_test_command_of_the_readme() -> None:
    readme = ROOT / "README.rst"
    if not readme.exists():
        pytest.skip("there is no README.rst yet")
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    command = re.search(r"^test_command='(.+)'$", ci, re.MULTILINE)
    assert command is not None
    assert command[1] in (line.strip() for line in readme.read_text(encoding="utf-8").splitlines())


def test_every_file_has_the_version_of_setup_cfg() -> None:
    expected = setup_cfg()["metadata"]["version"]
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {expected}\n" in citation
    assert dub_uplink.__version__ == expected


def test_pre_commit_and_dev_extra_have_equal_ruff_versions() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    dev = setup_cfg()["options.extras_require"]["dev"]
    assert re.findall(r"ruff==\S+", dev) == re.findall(r"ruff==\S+", hooks) != []


@pytest.mark.parametrize("name", ["README.rst", "examples/README.rst", "docs/index.rst"])
def test_docs_contain_no_link_to_a_package_index(name: str) -> None:
    assert "pypi.org" not in (ROOT / name).read_text(encoding="utf-8")


def test_changelog_starts_with_the_current_version() -> None:
    version = setup_cfg()["metadata"]["version"]
    headings = re.findall(
        r"^(\d+\.\d+\.\d+) \(.+\)\n-+$",
        (ROOT / "CHANGELOG.rst").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert headings[0] == version
