"""The sdist and the wheel as they would be uploaded: what is in them, and what is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path, PurePosixPath

import pytest

pytest.importorskip("build")
pytest.importorskip("setuptools", minversion="77")

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("setup.cfg", "setup.py", "pyproject.toml", "tox.ini", "toxfile.py", "MANIFEST.in")
TEXTS = ("LICENSE", "README.rst", "CHANGELOG.rst", "CONTRIBUTING.rst")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a fresh sdist, and of the wheel made from that sdist."""
    # From a copy, so that the build leaves nothing in the checkout and takes nothing stale from it.
    source = tmp_path_factory.mktemp("source") / "dub_uplink"
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
    for package in ("dub_uplink", "tests"):
        shutil.copytree(ROOT / package, source / package, ignore=ignored)
    for name in SOURCES + TEXTS:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source / name)
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
        capture_output=True,
        text=True,
        check=False,
        cwd=out,
        # A build that is traced for coverage takes three times as long.
        env={name: value for name, value in os.environ.items() if "COVERAGE" not in name},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel_names(built: Path) -> list[str]:
    (wheel,) = built.glob("*.whl")
    assert wheel.name == "dub_uplink-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def sdist_names(built: Path) -> list[str]:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        return [str(PurePosixPath(*PurePosixPath(n).parts[1:])) for n in archive.getnames()]


def test_the_wheel_holds_every_module_and_nothing_else(wheel_names: list[str]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("dub_uplink/**/*.py")}
    packed = {name for name in wheel_names if ".dist-info/" not in name}
    assert packed == modules | {"dub_uplink/py.typed"}


def test_the_wheel_carries_the_licence(wheel_names: list[str]) -> None:
    assert "dub_uplink-0.1.0.dist-info/licenses/LICENSE" in wheel_names


def test_the_sdist_can_run_its_own_tests(sdist_names: list[str]) -> None:
    assert {"setup.cfg", "setup.py", "pyproject.toml", "tox.ini", "LICENSE"} <= set(sdist_names)
    tests = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/**/*.py")}
    assert tests <= set(sdist_names)
    assert not [name for name in sdist_names if "__pycache__" in name]


def test_the_metadata_names_the_extras_and_the_entry_points(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read("dub_uplink-0.1.0.dist-info/METADATA").decode())
        entry_points = archive.read("dub_uplink-0.1.0.dist-info/entry_points.txt").decode()
    assert {"cli", "testing"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["Description-Content-Type"] == "text/x-rst"
    assert "dub-uplink = dub_uplink.cli:main" in entry_points
    assert "dub_uplink = dub_uplink.testing.plugin" in entry_points
