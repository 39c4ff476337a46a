"""Run the command as a process, in a terminal, or within the process of the tests.

Tests of signals, pipes, colours and encodings start a process. The other tests do not, because a
process takes most of a second.
"""

from __future__ import annotations

import contextlib
import inspect
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from dub_uplink.testing import FakeDub

pytest.importorskip("click")
pytest.importorskip("rich")

if TYPE_CHECKING:
    from click.testing import Result

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# Variables of the developer's environment that change the output.
UNWANTED = ("CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TERM")
UNWANTED += ("PYTHONUNBUFFERED",)  # it moves write errors from the flush to the write


@pytest.fixture(scope="session")
def environment(unmeasured_processes: None) -> dict[str, str]:
    """Return the environment of an 80-column terminal without an API key."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if name not in UNWANTED and not name.startswith("DUB_")
    }
    return {**variables, "COLUMNS": "80", "TERM": "xterm-256color", "PYTHONUTF8": "1"}


@pytest.fixture(scope="session")
def run(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Run ``dub-uplink`` with these arguments in a process; ``env`` adds variables."""
    # The empty directory makes Python import the installed package.
    empty = tmp_path_factory.mktemp("empty")

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "dub_uplink", *arguments],
            capture_output=True,
            check=False,
            cwd=empty,
            encoding="utf-8",
            env={**environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            timeout=60,
        )

    return run


@pytest.fixture
def live() -> Iterator[tuple[FakeDub, dict[str, str]]]:
    """Serve a fake and return it with the variables that point to it."""
    fake = FakeDub(token="dub_test", default_program="prog_1")
    with fake.serve() as url:
        yield fake, {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}


@pytest.fixture
def invoke(live: tuple[FakeDub, dict[str, str]]) -> Iterator[Callable[..., Result]]:
    """Run ``dub-uplink`` with these arguments on ``live`` within this process.

    ``env`` adds variables; ``None`` removes one.
    """
    from click.testing import CliRunner

    from dub_uplink._cli.commands import cli

    # A complete import or export ignores Ctrl-C until the process ends.
    before = signal.getsignal(signal.SIGINT)

    def invoke(
        *arguments: str, input: str | bytes | None = None, env: dict[str, Any] | None = None
    ) -> Result:
        return CliRunner().invoke(
            cli, arguments, prog_name="dub-uplink", input=input, env={**live[1], **(env or {})}
        )

    yield invoke
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def invoke_apart(live: tuple[FakeDub, dict[str, str]]) -> Iterator[Callable[..., Result]]:
    """Like ``invoke``, with separate stdout and stderr."""
    from click.testing import CliRunner

    from dub_uplink._cli.commands import cli

    # Before click 8.2, CliRunner mixes the two by default.
    mixes = "mix_stderr" in inspect.signature(CliRunner).parameters
    options: dict[str, Any] = {"mix_stderr": False} if mixes else {}
    before = signal.getsignal(signal.SIGINT)

    def invoke(*arguments: str, env: dict[str, Any] | None = None) -> Result:
        runner = CliRunner(**options)
        return runner.invoke(cli, arguments, prog_name="dub-uplink", env={**live[1], **(env or {})})

    yield invoke
    signal.signal(signal.SIGINT, before)


# Makes the terminal on the standard input the controlling terminal of the process.
AT_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A Python process in a terminal with a number of columns; ``shown`` is its output."""

    def __init__(self, arguments: tuple[str, ...], env: dict[str, str], columns: int) -> None:
        import fcntl
        import termios

        self._controller, tty = os.openpty()
        fcntl.ioctl(tty, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command = [sys.executable, *arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", AT_TERMINAL, *command],
            env={name: value for name, value in env.items() if name != "COLUMNS"},
            stderr=tty,
            stdin=tty,
            stdout=tty,
        )
        os.close(tty)
        self.shown = ""

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Read the output until it contains a text."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            assert self._read(0.2), self.shown

    def send(self, keys: str) -> None:
        """Send keys; ``\\x03`` is Ctrl-C."""
        os.write(self._controller, keys.encode())

    def finish(self, seconds: float = 30) -> int:
        """Read the output to its end, and return the exit status."""
        end = time.monotonic() + seconds
        while self._read(0.2):
            assert time.monotonic() < end, self.shown
        return self.process.wait(timeout=seconds)

    def close(self) -> None:
        """Kill the process."""
        self.process.kill()
        self.process.wait()
        os.close(self._controller)

    def _read(self, seconds: float) -> bool:
        if select.select([self._controller], [], [], seconds)[0]:
            try:
                data = os.read(self._controller, 65536)
            except OSError:  # Linux raises this at the end of the output
                return False
            self.shown += data.decode("utf-8", "replace").replace("\r\n", "\n")
            return bool(data)
        return True


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start the command in a terminal: ``terminal(*arguments, env=…, columns=80)``.

    ``code`` runs a Python program instead of the command.
    """
    pytest.importorskip("termios")
    with contextlib.ExitStack() as stack:

        def start(
            *arguments: str, env: dict[str, str] | None = None, columns: int = 80, code: str = ""
        ) -> Terminal:
            program = ("-c", code) if code else ("-m", "dub_uplink")
            variables = {**environment, **(env or {})}
            started = Terminal((*program, *arguments), variables, columns)
            stack.callback(started.close)
            return started

        yield start
