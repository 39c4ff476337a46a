"""SECURITY.rst promises nothing that no test holds."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "SECURITY.rst").read_text(encoding="utf-8")
TEST = re.compile(r"``(tests/[\w/]+\.py)::(\w+)``")
TITLE = re.compile(r"^(.+)\n-+$", re.MULTILINE)
NO_PROMISES = {"Reporting", "What is not promised", "Fuzzing"}


def sections() -> dict[str, list[str]]:
    """The entries below each title."""
    _, *parts = TITLE.split(TEXT)
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {title: re.split(r"^- ", body, flags=re.MULTILINE)[1:] for title, body in pairs}


def test_every_promise_names_a_test_and_says_never() -> None:
    promised = {title: found for title, found in sections().items() if title not in NO_PROMISES}
    assert len(promised) >= 7
    for title, promises in promised.items():
        assert promises, title
        for promise in promises:
            assert TEST.search(promise), promise
            assert "never" in promise, promise


def test_every_test_that_is_named_is_there() -> None:
    named = TEST.findall(TEXT)
    assert len(named) > 40
    for path, name in named:
        source = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^(async )?def {name}\(", source, re.MULTILINE), f"{path}::{name}"


def test_every_file_of_safety_tests_holds_a_promise() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in ROOT.glob("tests/safety/test_*.py")}
    assert files <= {path for path, _ in TEST.findall(TEXT)}
