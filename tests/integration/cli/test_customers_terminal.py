"""Test terminals and their keys, pipes, full disks, signals and shells."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink.testing import FakeDub

if TYPE_CHECKING:
    from collections.abc import Callable

    Live = tuple[FakeDub, dict[str, str]]
    Run = Callable[..., subprocess.CompletedProcess[str]]

COMMAND = [sys.executable, "-m", "dub_uplink"]


@pytest.fixture
def shell(environment: dict[str, str], live: Live, tmp_path: Path) -> Callable[..., Any]:
    """Run a line of bash in which ``$DUB`` is the command, on ``live``."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")

    def shell(line: str, **env: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [bash, "--norc", "-c", line],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            env={**environment, **live[1], "DUB": " ".join(COMMAND), **env},
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    return shell


def test_terminal_table_fits_the_width_and_follows_no_color(terminal: Any, live: Live) -> None:
    fake, env = live
    fake.add(external_id="user_1", name="永" * 30, email="\x1b[31mred\x07@example.com")
    for columns, more in ((72, {"NO_COLOR": "1"}), (200, {})):
        shown = terminal("customers", "list", env={**env, **more}, columns=columns)
        assert shown.finish() == 0
        header, row = shown.shown.splitlines()
        assert ("\x1b" in header) == (not more)
        assert fake.customers[0].id in row
        assert "\x1b[31m" not in row
        wide = sum(2 if char == "永" else 1 for char in row)
        assert wide <= columns
        assert ("…" in row) == (columns == 72)


def test_list_with_a_next_page_prints_a_hint(terminal: Any, live: Live) -> None:
    live[0].add_many(3)
    shown = terminal("customers", "list", "--page-size", "2", env=live[1])
    assert shown.finish() == 0
    assert (
        shown.shown.splitlines()[-1]
        == "There are more customers; list them with --all or --limit N."
    )


def test_api_key_prompt_does_not_show_the_typed_key(terminal: Any, live: Live) -> None:
    fake, env = live
    shown = terminal("customers", "list", env={"DUB_SERVER_URL": env["DUB_SERVER_URL"]})
    shown.wait_for("Dub API key: ")
    shown.send("dub_test\n")
    assert shown.finish() == 0
    assert "dub_test" not in shown.shown
    assert shown.shown.endswith("No customers.\n")
    assert fake.requests[0].status == 200


def test_ctrl_c_at_the_api_key_prompt_exits_without_traceback(terminal: Any) -> None:
    shown = terminal("customers", "list")
    shown.wait_for("Dub API key: ")
    shown.send("\x03")
    assert shown.finish() == 130
    assert "Traceback" not in shown.shown


@pytest.mark.parametrize(("keys", "left"), [("n\n", 2), ("y\n", 1)])
def test_delete_on_a_terminal_lists_customers_and_asks(
    terminal: Any, live: Live, keys: str, left: int
) -> None:
    fake, env = live
    fake.add(external_id="user_1", name="Ada", email="ada@example.com")
    fake.add(external_id="user_2")
    shown = terminal("customers", "delete", "ext_user_1", "ext_nobody", env=env)
    shown.wait_for("[y/N]: ")
    assert [fake.customers[n].external_id for n in (0, 1)] == ["user_1", "user_2"]
    assert re.search(r"cus_\w+ +user_1 +Ada +ada@example\.com", shown.shown)
    assert "Error: ext_nobody: 404 not_found" in shown.shown
    shown.send(keys)
    assert shown.finish() == {"n\n": 1, "y\n": 4}[keys]
    assert len(fake.customers) == left
    assert ("Nothing was deleted." in shown.shown) == (keys == "n\n")


def test_delete_without_existing_customers_does_not_ask(terminal: Any, live: Live) -> None:
    shown = terminal("customers", "delete", "ext_nobody", env=live[1])
    assert shown.finish() == 4
    assert shown.shown.startswith("Error: ext_nobody: 404 not_found")
    assert "[y/N]" not in shown.shown


def test_rate_limit_wait_is_shown_on_a_terminal(terminal: Any, live: Live) -> None:
    from dub_uplink.testing import faults

    fake, env = live
    fake.faults.add(faults.Status(429, headers={"Retry-After": "1"}))
    shown = terminal("customers", "list", env=env)
    assert shown.finish() == 0
    assert re.search(r"^429, attempt 1; retrying in \d s$", shown.shown, re.MULTILINE)


def test_closed_output_pipe_ends_the_command_without_message(shell: Any, live: Live) -> None:
    live[0].add_many(3_000)
    done = shell('$DUB customers list --all | head -1; echo "${PIPESTATUS[0]}"')
    first, status = done.stdout.splitlines()
    assert (first[:8], status, done.stderr) == (b'{"id": "', b"141", b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_unwritable_output_prints_an_error(shell: Any, live: Live) -> None:
    live[0].add_many(2)
    full, closed = "$DUB customers list >/dev/full", "$DUB customers list >&-"
    done = shell(f"{full}; echo $?; {closed}; echo $?; $DUB customers delete x <&- 2>&-; echo $?")
    assert done.stdout == b"1\n1\n2\n"
    assert done.stderr.decode().splitlines() == [
        "Error: cannot write the output: No space left on device.",
        "Error: the standard output is closed; redirect it to a file, or leave out >&-.",
    ]
    assert len(live[0].requests) == 1


def test_non_utf_8_argument_is_rejected_and_output_escaped(shell: Any, live: Live) -> None:
    live[0].add(external_id="user_1", name="Zoë 永")
    line = "$DUB customers update ext_user_1 --name $'Zo\\xeb'; echo $?; $DUB customers list"
    latin = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "latin-1", "LC_ALL": "C.UTF-8"}
    done = shell(line, **latin)
    status, found = done.stdout.splitlines()
    assert status == b"2"
    assert "byte 0xeb at position 3 is not UTF-8" in done.stderr.decode()
    assert b'"name": "Zo\\u00eb \\u6c38"' in found


def test_ctrl_c_while_waiting_for_a_response_exits_immediately(terminal: Any, serving: Any) -> None:
    server = serving(raw=b"", then="hold")
    env = {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": server.url}
    shown = terminal("customers", "list", "-v", env=env)
    wait_until_asked(server, shown)
    shown.send("\x03")
    assert shown.finish() == 130
    assert "Traceback" not in shown.shown


def python(code: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, cwd=home, text=True
    )


def test_ctrl_c_while_loading_modules_exits_without_traceback(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from dub_uplink._cli import main\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'dub_uplink._cli.lazy_group': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Stop())\n"
        "main()\n"
    )
    done = python(code, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def wait_until_asked(server: Any, shown: Any) -> None:
    while not server.received:
        assert shown.process.poll() is None
        signal.sigtimedwait([], 0.01)


def test_help_loads_neither_commands_nor_client_libraries(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.argv = ['dub-uplink', 'customers', '-h']\n"
        "from dub_uplink._cli import main\n"
        "try: main()\n"
        "finally:\n"
        "    names = {'rich.console', 'requests', 'uplink', 'werkzeug', 'dub_uplink.testing'}\n"
        "    names.add('dub_uplink._cli.customers.write')\n"
        "    print(sorted(names & set(sys.modules)), file=sys.stderr)\n"
    )
    done = python(code, tmp_path)
    assert (done.returncode, done.stderr) == (0, "[]\n")


@pytest.fixture
def on_path(tmp_path: Path) -> str:
    """Return a PATH on which ``dub-uplink`` is the command under test."""
    script = tmp_path / "bin" / "dub-uplink"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n')
    script.chmod(0o755)
    return f"{script.parent}:{os.environ['PATH']}"


def test_bash_completion_suggests_commands_and_values(shell: Any, on_path: str) -> None:
    # Do what readline does at a Tab: call the function with the words, then read COMPREPLY.
    done = shell(
        """
        eval "$(dub-uplink completion bash)"
        complete -p dub-uplink || exit 1
        at() { COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
               _dub_uplink_completion dub-uplink; echo "${COMPREPLY[*]}"; }
        at dub-uplink customers ""
        at dub-uplink customers list --sort-by f
        """,
        PATH=on_path,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    commands, values = done.stdout.decode().splitlines()[-2:]
    assert {"list", "get", "create", "update", "delete"} <= set(commands.split())
    assert values == "firstSaleAt"


@pytest.mark.parametrize("name", ["zsh", "fish"])
def test_zsh_and_fish_completion_scripts_call_the_command(invoke: Any, name: str) -> None:
    done = invoke("completion", name)
    assert done.exit_code == 0
    assert f"_DUB_UPLINK_COMPLETE={name}_complete" in done.output
    if shell := shutil.which(name):
        checked = subprocess.run([shell, "-n"], input=done.output.encode(), check=False)
        assert checked.returncode == 0
