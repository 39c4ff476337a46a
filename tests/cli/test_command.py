"""The command as a whole: its help, its version, and what it says to a mistake."""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from dub_uplink.cli.commands import cli


def test_help_names_every_command_and_gives_examples() -> None:
    done = CliRunner().invoke(cli, ["--help"], prog_name="dub-uplink", terminal_width=80)
    assert done.exit_code == 0
    assert "Usage: dub-uplink" in done.output
    assert "  demo " in done.output
    assert "  serve " in done.output
    assert " dub-uplink serve --port 8000 --token dub_test\n" in done.output


@pytest.mark.parametrize("command", ["demo", "serve"])
def test_each_command_has_help_within_80_columns(command: str) -> None:
    done = CliRunner().invoke(cli, [command, "--help"], terminal_width=80)
    assert done.exit_code == 0
    assert max(len(line) for line in done.output.splitlines()) <= 80


def test_the_console_script_is_there_and_tells_the_version_of_the_distribution(
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


@pytest.mark.parametrize("arguments", [["nonsense"], ["serve", "--port", "70000"], ["demo", "-x"]])
def test_a_mistyped_command_is_told_with_its_usage(arguments: list[str]) -> None:
    done = CliRunner().invoke(cli, arguments, prog_name="dub-uplink")
    assert done.exit_code == 2
    assert done.output.startswith("Usage: dub-uplink")
    assert "Error: " in done.output
