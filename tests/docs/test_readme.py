"""The README says what is so: its Python runs, and it renders."""

from __future__ import annotations

import doctest
import warnings
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.rst"
FLAGS = doctest.ELLIPSIS


def test_the_readmes_python_does_what_it_shows() -> None:
    results = doctest.testfile(str(README), module_relative=False, optionflags=FLAGS)
    assert results.attempted > 20
    assert results.failed == 0


def test_the_two_commands_are_in_the_first_screen() -> None:
    first_screen = README.read_text("utf-8").splitlines()[:30]
    assert sum("dub-uplink demo" in line for line in first_screen) == 1
    assert sum(line.endswith(".venv/bin/tox") for line in first_screen) == 1


def test_the_readme_renders_without_a_warning() -> None:
    core = pytest.importorskip("docutils.core", reason="docutils is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        html = core.publish_string(
            README.read_text("utf-8"),
            writer_name="html5",
            settings_overrides={"report_level": 1, "halt_level": 2, "raw_enabled": False},
        )
    assert b"The ten lines that matter" in html
