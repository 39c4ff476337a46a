"""Check the Python code, the figures, the paths and the markup of the README."""

from __future__ import annotations

import doctest
import json
import re
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = ROOT / "README.rst"
TEXT = README.read_text("utf-8")


def test_readme_python_examples_print_the_shown_output() -> None:
    results = doctest.testfile(str(README), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 8
    assert results.failed == 0


def test_readme_start_shows_the_demo_and_test_commands() -> None:
    first_screen = TEXT.splitlines()[:30]
    assert sum("dub-uplink demo" in line for line in first_screen) == 1
    assert sum(line.endswith(".venv/bin/tox") for line in first_screen) == 1


def test_files_named_in_the_readme_exist() -> None:
    named = set(re.findall(r"``((?:[\w-]+/)*[\w-]+\.rst)``|image:: (\S+)", TEXT))
    assert len(named) > 15
    assert [name for pair in named for name in pair if name and not (ROOT / name).exists()] == []


def test_readme_figures_match_the_measurements() -> None:
    """Compare the figures in the alternative text with the results."""
    results = ROOT / "benchmarks" / "results" / "speed.json"
    if not results.exists():
        pytest.skip("benchmarks/ is missing")
    cases = {}
    for case in json.loads(results.read_text("utf-8"))["cases"].values():
        medians = case["medians"]
        if medians["official"] is not None:
            ratios = [medians[client] / medians["floor"] for client in ("ours", "official")]
            cases[case["title"]] = "{:.2f} ({:.2f})".format(*ratios)
    alternative = re.search(r":alt: (.*?)\n\n", TEXT, re.DOTALL)
    assert alternative is not None
    text = " ".join(alternative[1].split())
    for title in ("get", "list of 100", "iterate over 10,000"):
        assert f"{title} {cases[title]}" in text
    assert f"import and first call {cases['import, client, first call']}" in text


def test_readme_renders_without_warnings() -> None:
    core = pytest.importorskip("docutils.core", reason="docutils is not installed")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        html = core.publish_string(
            TEXT,
            writer_name="html5",
            settings_overrides={"report_level": 1, "halt_level": 2, "raw_enabled": False},
        )
    assert b"Test your own code" in html
