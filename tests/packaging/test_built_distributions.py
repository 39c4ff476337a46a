"""Test the contents of the sdist and the wheel."""

from __future__ import annotations

import hashlib
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
SETTINGS = (".editorconfig", ".gitignore", ".pre-commit-config.yaml", ".readthedocs.yaml")
TEXTS = (
    *("LICENSE", "README.rst", "CHANGELOG.rst", "CITATION.cff", "CONTRIBUTING.rst"),
    *("RELEASING.rst", "SECURITY.rst"),
)
#: Directories that are packed completely.
TREES = (".ci", ".github", "benchmarks", "docs", "dub_uplink", "examples", "tests")
NO_SOURCE = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info", "_build", ".*")


def build(directory: Path, umask: int, root: Path = ROOT) -> Path:
    """Build an sdist and a wheel from it, and return their directory."""
    # Build from a copy, so that old build files of the checkout have no effect.
    source, out = directory / "source", directory / "dist"
    for tree in TREES:
        if (root / tree).exists():
            shutil.copytree(root / tree, source / tree, ignore=NO_SOURCE)
    for name in SOURCES + SETTINGS + TEXTS:
        shutil.copy(root / name, source / name)
    source.joinpath("tests", "__pycache__").mkdir()
    # Files that no distribution may contain.
    (source / ".env").write_text("DUB_API_KEY=dub_x")
    (source / "tests" / "__pycache__" / "stale.pyc").write_bytes(b"")
    before = os.umask(umask)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)],
            capture_output=True,
            text=True,
            check=False,
            cwd=directory,
        )
    finally:
        os.umask(before)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built"), 0o022)


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
        files = [PurePosixPath(member.name) for member in archive if member.isfile()]
    return [str(PurePosixPath(*path.parts[1:])) for path in files]


@pytest.mark.promise("builds-are-reproducible")
def test_wheel_contains_exactly_the_modules(built: Path, wheel_names: list[str]) -> None:
    source = built.parent / "source"
    modules = {path.relative_to(source).as_posix() for path in source.glob("dub_uplink/**/*.py")}
    packed = {name for name in wheel_names if ".dist-info/" not in name}
    data = {"dub_uplink/py.typed", "dub_uplink/testing/_admin/page.html"}
    assert packed == modules | data


def test_wheel_metadata_directory_contains_only_expected_files(
    wheel_names: list[str],
) -> None:
    about = "dub_uplink-0.1.0.dist-info/"
    needed = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"}
    packed = {name.removeprefix(about) for name in wheel_names if name.startswith(about)}
    assert packed == needed | {"licenses/LICENSE"}


@pytest.mark.promise("builds-are-reproducible")
def test_sdist_contains_exactly_the_repository(built: Path, sdist_names: list[str]) -> None:
    source = built.parent / "source"
    expected = {path for tree in TREES for path in (source / tree).rglob("*") if path.is_file()}
    names = {path.relative_to(source).as_posix() for path in expected}
    names |= {*SOURCES, *SETTINGS, *TEXTS}
    about = "PKG-INFO SOURCES.txt dependency_links.txt entry_points.txt requires.txt top_level.txt"
    generated = {"PKG-INFO"} | {f"dub_uplink.egg-info/{name}" for name in about.split()}
    stale = {"tests/__pycache__/stale.pyc"}
    assert set(sdist_names) == (names - stale) | generated


@pytest.mark.promise("builds-are-reproducible")
def test_two_builds_create_identical_distributions(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    again = build(
        tmp_path, 0o077, built.parent / "source"
    )  # in another directory, at another time, with another umask
    hashes = [
        {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in out.iterdir()}
        for out in (built, again)
    ]
    assert len(hashes[0]) == 2
    assert hashes[0] == hashes[1]


def test_wheel_metadata_declares_extras_and_entry_points(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        metadata = Parser().parsestr(archive.read("dub_uplink-0.1.0.dist-info/METADATA").decode())
        entry_points = archive.read("dub_uplink-0.1.0.dist-info/entry_points.txt").decode()
    assert {"cli", "testing"} <= set(metadata.get_all("Provides-Extra", []))
    assert metadata["Description-Content-Type"] == "text/x-rst"
    assert "dub-uplink = dub_uplink._cli:main" in entry_points
    assert "dub_uplink = dub_uplink.testing.plugin" in entry_points
