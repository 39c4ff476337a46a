"""Test the help, the version and the usage errors of the command."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from dub_uplink._cli.commands import cli
from dub_uplink._cli.lazy_group import LazyGroup


def test_help_lists_every_command_and_examples() -> None:
    done = CliRunner().invoke(cli, ["--help"], prog_name="dub-uplink", terminal_width=80)
    assert done.exit_code == 0
    assert "Usage: dub-uplink" in done.output
    assert "  demo " in done.output
    assert "  serve " in done.output
    assert " dub-uplink serve --port 8000 --token dub_test\n" in done.output


def test_console_script_prints_the_version(environment: dict[str, str], tmp_path: Path) -> None:
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


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["serve", "--port", "70000"], ["demo", "-x"], ["--nothing"]]
)
def test_usage_error_is_printed_in_one_line_with_a_hint(
    arguments: list[str],
) -> None:
    done = CliRunner().invoke(cli, arguments, prog_name="dub-uplink")
    assert (done.exit_code, done.output.count("\n")) == (2, 1)
    assert done.output.startswith("Error: ")
    assert "  Hint: see  dub-uplink " in done.output
    assert done.output.endswith(" --help\n")


def every_command(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    context = click.Context(group)
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        found.append((*path, name))
        if isinstance(command, click.Group):
            found += every_command(command, (*path, name))
    return found


@pytest.mark.parametrize("path", every_command(cli), ids="-".join)
def test_help_of_every_command_fits_80_columns(path: tuple[str, ...]) -> None:
    for option in ("--help", "-h"):
        done = CliRunner().invoke(cli, [*path, option], prog_name="dub-uplink", terminal_width=80)
        assert done.exit_code == 0
        assert max(len(line) for line in done.output.splitlines()) <= 80


@pytest.mark.parametrize("path", [p for p in every_command(cli) if p[0] == "customers"])
def test_help_of_customers_commands_has_examples(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(cli, [*path, "-h"], prog_name="dub-uplink", terminal_width=80)
    assert f"Examples:\n    dub-uplink {path[0]}" in done.output


def test_lazily_loaded_command_has_the_name_of_the_list_entry() -> None:
    context = click.Context(cli)
    for group in (cli, cli.get_command(context, "customers")):
        assert isinstance(group, LazyGroup)
        for name, lazy in group.lazy.items():
            assert lazy.load().name == name
            assert lazy.help


def command_at(path: tuple[str, ...]) -> click.Command:
    command: click.Command = cli
    for name in path:
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None, name
        command = found
    return command


EXAMPLE = re.compile(r"^ *(?:[A-Z_]+=\S+ )*dub-uplink ([^|>\n]+)", re.MULTILINE)


@pytest.mark.parametrize("path", [(), *every_command(cli)], ids="-".join)
def test_every_example_in_the_help_is_accepted(path: tuple[str, ...]) -> None:
    for example in EXAMPLE.findall(command_at(path).epilog or ""):
        words = shlex.split(example)
        depth = 2 if words[0] == "customers" else 1
        command = command_at(tuple(words[:depth]))
        # Below the root command: click caches the help option with the names of the context.
        root = click.Context(cli, **cli.context_settings)
        command.make_context(command.name, words[depth:], parent=root)
