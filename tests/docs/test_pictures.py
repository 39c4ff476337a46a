"""Check that the pictures of the documentation are those that their scripts draw."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def check(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(DOCS / script), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )


def test_call_flow_picture_is_current() -> None:
    pytest.importorskip("grimp", reason="grimp is not installed")
    done = check("draw_call_flow.py")
    assert done.returncode == 0, done.stderr


def test_retry_timeline_picture_is_current() -> None:
    done = check("draw_retry_timeline.py")
    assert done.returncode == 0, done.stderr
