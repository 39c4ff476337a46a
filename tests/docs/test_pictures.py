"""The pictures that are drawn from the code are what the code is now."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def test_the_flow_of_a_call_is_drawn_from_todays_imports() -> None:
    pytest.importorskip("grimp", reason="grimp is not installed")
    done = subprocess.run(
        [sys.executable, str(DOCS / "draw_call_flow.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
