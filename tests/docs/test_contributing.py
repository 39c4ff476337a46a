"""Check that the files in CONTRIBUTING exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "CONTRIBUTING.rst"

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="CONTRIBUTING is missing")


def named_paths() -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return sorted(set(re.findall(r"``([\w./-]+(?:/|\.(?:py|rst|txt|toml|jsonl)))``", text)))


@pytest.mark.parametrize("path", named_paths())
def test_files_named_in_contributing_exist(path: str) -> None:
    assert any((folder / path).exists() for folder in (ROOT, ROOT / "dub_uplink"))
