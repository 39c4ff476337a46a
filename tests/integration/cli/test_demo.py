"""Test ``dub-uplink demo`` with the embedded fake, and its live mode without a network."""

from __future__ import annotations

import ast
import contextlib
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner

from dub_uplink._cli.commands import cli
from dub_uplink._cli.demo.command import parse_steps
from dub_uplink._cli.demo.tour import live_tour, tour
from dub_uplink.testing import FakeDub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Run = Callable[..., subprocess.CompletedProcess[str]]

COMMAND = [sys.executable, "-m", "dub_uplink", "demo"]


@pytest.fixture(scope="module")
def demo(run: Run) -> subprocess.CompletedProcess[str]:
    """Run a demo to its end, with a pipe as output."""
    return run("demo")


def test_demo_shows_every_step(demo: subprocess.CompletedProcess[str]) -> None:
    assert (demo.returncode, demo.stderr) == (0, "")
    for text in (
        "s.customers.create(",
        "s.customers.get(",
        "s.customers.update(",
        "s.customers.list(",
        "s.customers.delete(",
        "ada@example.com",
        "Ada Lovelace",
        "429, attempt 1; retrying in 1.",
        "404 not_found: Customer not found.",
        "7 steps in",
    ):
        assert text in demo.stdout


def test_demo_steps_show_the_executed_code() -> None:
    steps = parse_steps(tour)
    assert len(steps) == 7
    lines = {line.strip() for line in Path(tour.__code__.co_filename).read_text().splitlines()}
    for step in steps:
        ast.parse(step.code)
        assert {line.strip() for line in step.code.splitlines()} <= lines
    # The demo shows every statement of the tour, without docstring, comments and yields.
    shown = "\n".join(step.code for step in steps)
    assert shown.count("s.customers.") == Path(tour.__code__.co_filename).read_text().split(
        "def live_tour"
    )[0].count("s.customers.")


def test_demo_output_in_a_pipe_has_no_colour_and_short_lines(
    demo: subprocess.CompletedProcess[str],
) -> None:
    assert "\x1b" not in demo.stdout
    assert max(len(line) for line in demo.stdout.splitlines()) <= 80
    assert [line for line in demo.stdout.splitlines() if line != line.rstrip()] == []


def test_demo_follows_force_color_and_no_color(
    run: Run, live: tuple[FakeDub, dict[str, str]]
) -> None:
    colour = re.compile(r"\x1b\[[0-9;]*3[0-9]")
    env = {**live[1], "FORCE_COLOR": "1"}
    assert colour.search(run("demo", "--live", env=env).stdout)
    assert not colour.search(run("demo", "--live", env={**env, "NO_COLOR": "1"}).stdout)


def test_demo_escapes_control_characters_in_names(
    run: Run, live: tuple[FakeDub, dict[str, str]]
) -> None:
    fake, env = live
    fake.add(external_id="user_1", name="\x1b[2J\x07[bold]Zoë\u202e")
    ascii_only = {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
    done = run("demo", "--live", env={**env, **ascii_only})
    assert (done.returncode, done.stderr) == (0, "")
    assert "[2J [bold]Zo?" in done.stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\uffff]", done.stdout)


@pytest.fixture
def started(environment: dict[str, str], tmp_path: Path) -> Callable[..., Any]:
    """Start a demo: ``with started() as (process, out, err)``."""

    @contextlib.contextmanager
    def start(**env: str) -> Iterator[tuple[subprocess.Popen[str], IO[str], IO[str]]]:
        with subprocess.Popen(
            COMMAND,
            cwd=tmp_path,
            env={**environment, **env},
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            yield process, process.stdout, process.stderr

    return start


def test_demo_closed_pipe_shows_no_traceback(started: Any) -> None:
    with started() as (process, out, err):
        out.readline()
        out.close()
        assert err.read() == ""
        process.wait(timeout=30)


def test_demo_ctrl_c_exits_without_traceback(started: Any, repeat_measurement: Any) -> None:
    def status() -> int:
        with started(PYTHONUNBUFFERED="1") as (process, out, err):
            for line in out:
                if "rate limit" in line:
                    break
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert "Traceback" not in out.read() + err.read()
            ended: int = process.wait(timeout=30)
            return ended

    # 0 if the demo was complete before the signal, on a busy machine
    assert repeat_measurement(status, lambda ended: ended != 0) != 0


def test_demo_live_without_a_network_prints_one_line(run: Run) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        done = run("demo", "--live", env={"DUB_API_KEY": "dub_secret", "DUB_SERVER_URL": url})
    assert done.returncode == 5
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "dub_secret" not in done.stdout + done.stderr


def test_demo_live_without_api_key_names_the_variable() -> None:
    done = CliRunner().invoke(cli, ["demo", "--live"])
    assert done.exit_code == 3
    assert done.output.count("\n") == 1
    assert "DUB_API_KEY" in done.output


@pytest.mark.parametrize("customers", [0, 3])
def test_demo_live_changes_no_customer(
    live: tuple[FakeDub, dict[str, str]], customers: int
) -> None:
    fake, env = live
    fake.add_many(customers)
    done = CliRunner().invoke(cli, ["demo", "--live"], env={**env, "COLUMNS": "120"})
    assert done.exit_code == 0
    assert max(len(line) for line in done.output.splitlines()) <= 100
    assert [c.id for c in fake.customers if c.id not in done.output] == []
    assert {request.method for request in fake.requests} == {"GET"}
    assert len(fake.requests) == (2 if customers else 1)
    assert ("no customers yet" in done.output) == (customers == 0)


def test_demo_live_with_an_invalid_api_key_exits_with_3(
    live: tuple[FakeDub, dict[str, str]],
) -> None:
    env = {**live[1], "DUB_API_KEY": "dub_wrong"}
    done = CliRunner().invoke(cli, ["demo", "--live"], env=env)
    assert done.exit_code == 3
    assert done.output.splitlines()[-1].startswith("Error: 401 unauthorized: ")


def test_demo_live_sends_only_reads() -> None:
    code = "\n".join(step.code for step in parse_steps(live_tour))
    assert set(re.findall(r"s\.customers\.(\w+)", code)) == {"list", "get"}
