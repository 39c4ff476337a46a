"""Run the Python code of the documentation as sessions, snippets or files.

The code of a page runs in one namespace from top to bottom. ``DUB_API_KEY`` and ``DUB_SERVER_URL``
point to a served fake. Snippets may use ``await``. A block with a caption is a file, and a test if
its name is that of a test. Blocks that import a library that is not installed are skipped.
"""

from __future__ import annotations

import ast
import asyncio
import doctest
import importlib.util
import inspect
import os
import re
import subprocess
import sys
import textwrap
import types
from pathlib import Path
from typing import Any

import pytest

import dub_uplink
from dub_uplink import Dub, testing
from dub_uplink.testing import FakeDub

DOCS = Path(__file__).parents[2] / "docs"
README = DOCS.parent / "README.rst"
PAGES = sorted(DOCS.rglob("*.rst"))
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
BLOCK = re.compile(
    r"^\.\. code-block:: python\n(?:   :caption: (?P<file>\S+)\n)?\n(?P<code>(?:   .*\n|\n)+)",
    re.MULTILINE,
)
NAMED = re.compile(r"``((?:benchmarks|docs|examples|tests)/[\w./-]+\.\w+)``")
IMPORT = re.compile(r"^\s*(?:import|from) (\w+)", re.MULTILINE)

pytestmark = pytest.mark.skipif(not DOCS.exists(), reason="docs/ is missing")
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(DOCS).as_posix())


def blocks(page: Path) -> list[tuple[str | None, str]]:
    """Return each Python block with its file name, or ``None``."""
    matches = BLOCK.finditer(page.read_text(encoding="utf-8"))
    return [(block["file"], textwrap.dedent(block["code"])) for block in matches]


def missing_library(code: str) -> str | None:
    """Return the first imported library that is not installed."""
    for name in IMPORT.findall(code):
        if importlib.util.find_spec(name) is None and not any(
            file == f"{name}.py" for page in PAGES for file, _ in blocks(page)
        ):
            return str(name)
    return None


@pages
def test_documented_python_sessions_print_the_shown_output(
    page: Path, fake_as_dub: FakeDub, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: dict[str, Any] = {}
    if page.parent != DOCS:  # The examples of the reference start with the imports at its top.
        names = {name: getattr(dub_uplink, name) for name in dub_uplink.__all__}
        names |= {name: getattr(testing, name) for name in testing.__all__}
        names |= {"asyncio": asyncio, "dub_uplink": dub_uplink, "fake": fake_as_dub, "s": Dub()}
        if page.stem == "async" and importlib.util.find_spec("aiohttp") is None:
            pytest.skip("aiohttp is not installed")
    if page.stem == "testing":  # Some examples mount fakes at the URL of Dub.
        monkeypatch.delenv("DUB_SERVER_URL")
    results = doctest.testfile(str(page), module_relative=False, optionflags=FLAGS, globs=names)
    assert results.failed == 0


@pages
def test_python_snippets_of_the_docs_run(
    page: Path, fake_as_dub: FakeDub, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_as_dub.add_many(3)
    snippets = [code for file, code in blocks(page) if file is None]
    if not snippets:
        return
    module = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)  # Django imports routes by name
    names = vars(module)

    async def run() -> None:
        for code in snippets:
            compiled = compile(code, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            if inspect.iscoroutine(coroutine := eval(compiled, names)):
                await coroutine

    try:
        if any("await " in code or "async " in code for code in snippets):
            asyncio.run(run())
            return
        for code in snippets:  # Run the code without a running event loop, like a user's script.
            exec(compile(code, str(page), "exec"), names)
    except ImportError as error:
        if error.name is not None and error.name.startswith("dub_uplink"):
            raise  # The page imports a name that the package does not have.
        pytest.skip(f"not installed: {error}")


def test_test_files_shown_in_the_docs_pass(tmp_path: Path) -> None:
    files = [(file, code) for page in PAGES for file, code in blocks(page) if file is not None]
    ((_, first),) = blocks(README)
    files.append(("test_first.py", first))
    assert len(files) > 9
    names = [name for name, _ in files]
    assert sorted(set(names)) == sorted(names)
    for name, code in files:
        if missing_library(code) is None:
            (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "conftest.py").write_text("from dub_uplink.testing.plugin import dub, fake_dub\n")
    # Unclosed resources fail the test; plugins of pytest may emit other warnings.
    python = ["-W", "error::ResourceWarning"]
    options = ["-W", "error::pytest.PytestUnraisableExceptionWarning"]
    completed = subprocess.run(
        [
            sys.executable,
            *python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            *options,
            str(tmp_path),
        ],
        cwd=tmp_path,
        env={"PYTHONPATH": os.pathsep.join(path for path in [str(tmp_path), *sys.path] if path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert completed.returncode == 0, completed.stdout + completed.stderr


@pages
def test_every_python_block_of_the_docs_is_tested(page: Path) -> None:
    """Check that no ``::`` block contains Python code, because no test would run it."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"(?<!\.\. )[^:\n]::\n\n((?:   .*\n|\n)+)", text):
        assert not re.search(r"^\s*(import |from \w+ import|def |with |s\.)", block, re.MULTILINE)


@pages
def test_files_named_on_pages_exist(page: Path) -> None:
    named = NAMED.findall(page.read_text(encoding="utf-8"))
    root = DOCS.parent
    folders = {path.name for path in root.iterdir()}  # the sdist does not contain the benchmarks
    expected = [name for name in named if name.partition("/")[0] in folders]
    assert [name for name in expected if not (root / name).exists()] == []
