"""The page on testing is right: its snippets run, as the files that they say they are."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "testing.rst"
BLOCK = re.compile(r"\.\. code-block:: python\n   :caption: (\S+)\n\n((?:   .*\n|\n)+)")


@pytest.mark.skipif(not PAGE.exists(), reason="docs/testing.rst is not beside the tests")
def test_snippets_of_the_page_run(tmp_path: Path) -> None:
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) >= 8
    for name, code in blocks:
        if "import responses" not in code or importlib.util.find_spec("responses"):
            (tmp_path / name).write_text(textwrap.dedent(code))
    (tmp_path / "conftest.py").write_text("from dub_uplink.testing.plugin import dub, fake_dub\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join(path for path in [str(tmp_path), *sys.path] if path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
