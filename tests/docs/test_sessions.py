"""Run the shell sessions of the pages and compare the output of each command."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from dub_uplink.testing import FakeDub

pytest.importorskip("click")

PAGE = Path(__file__).parents[2] / "docs" / "cli-transfer.rst"
BLOCK = re.compile(
    r"^\.\. code-block:: (?P<language>text|console)\n(?:   :caption: (?P<file>\S+)\n)?\n"
    r"(?P<text>(?:   .*\n|\n)+)",
    re.MULTILINE,
)
COMMAND = re.compile(r"^\$ (?P<command>.*(?:\n> .*)*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)

pytestmark = [
    pytest.mark.skipif(not PAGE.exists(), reason="docs/ is missing"),
    pytest.mark.skipif(os.name != "posix", reason="the sessions are those of a shell"),
]


def test_import_page_commands_print_the_documented_output(
    fake_as_dub: FakeDub, tmp_path: Path
) -> None:
    fake_as_dub.add(external_id="1003", country="GB")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "PATH": path, "PYTHONUTF8": "1"}
    encodings = iter(["cp1252", "utf-8-sig"])
    commands = 0
    for block in BLOCK.finditer(PAGE.read_text("utf-8")):
        text = textwrap.dedent(block["text"]).strip("\n") + "\n"
        if block["file"]:
            (tmp_path / block["file"]).write_bytes(text.encode(next(encodings)))
        elif block["language"] == "console":
            for step in COMMAND.finditer(text):
                done = subprocess.run(
                    step["command"].replace("\n> ", "\n"),
                    shell=True,
                    cwd=tmp_path,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    encoding="utf-8",
                    check=False,
                )
                # The page wraps long lines.
                assert done.stdout.split() == step["output"].split(), step["command"]
                commands += 1
    assert commands == 6
