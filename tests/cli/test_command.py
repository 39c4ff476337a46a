"""The command as a whole: its help, its version, and what it says to a mistake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dub_uplink.cli.commands import cli

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]


def test_help_names_every_command_and_gives_examples(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "Usage: dub-uplink" in done.stdout
    assert "demo" in done.stdout
    assert "serve" in done.stdout
    assert " dub-uplink serve --port 8000 --token dub_test\n" in done.stdout


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_each_command_has_help_within_80_columns(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "--help"])
    assert done.exit_code == 0
    assert max(len(line) for line in done.output.splitlines()) <= 80


def test_version_is_that_of_the_distribution(run: Run) -> None:
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"dub-uplink {version('dub-uplink')}\n")


def test_the_console_script_is_the_same_command(
    environment: dict[str, str], tmp_path: Path
) -> None:
    script = shutil.which("dub-uplink", path=str(Path(sys.executable).parent))
    assert script is not None
    done = subprocess.run(
        [script, "--version"],
        capture_output=True,
        check=False,
        cwd=tmp_path,
        env=environment,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, f"dub-uplink {version('dub-uplink')}\n")


@pytest.mark.parametrize("arguments", [("nonsense",), ("serve", "--port", "70000")])
def test_a_mistyped_command_is_told_without_a_traceback(
    run: Run, arguments: tuple[str, ...]
) -> None:
    done = run(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("Usage: dub-uplink")
    assert "Traceback" not in done.stderr
