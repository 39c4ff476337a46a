"""Runs the installed command: as a process, also at a terminal, or within this one.

What depends on the process (signals, pipes, colours, the encoding) is tested in one; the rest needs
none, and a process takes most of a second.
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

# What would make the output depend on who runs the tests.
UNWANTED = ("CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "TERM")
UNWANTED += ("PYTHONUNBUFFERED",)  # a failure to write then comes when the buffer is flushed


@pytest.fixture(scope="session")
def environment(unmeasured_processes: None) -> dict[str, str]:
    """The environment of a plain 80-column terminal without an API key."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in UNWANTED and not name.startswith("DUB_")
    }
    return {**kept, "COLUMNS": "80", "TERM": "xterm-256color", "PYTHONUTF8": "1"}


@pytest.fixture(scope="session")
def run(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Call it with the arguments of ``dub-uplink``; ``env`` adds variables."""
    # From an empty directory, so that it is the installed package that runs.
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
    """A fake in the place of Dub, and the variables that lead to it."""
    fake = FakeDub(token="dub_test", default_program="prog_1")
    with fake.serve() as url:
        yield fake, {"DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url}


@pytest.fixture
def invoke(live: tuple[FakeDub, dict[str, str]]) -> Iterator[Callable[..., Result]]:
    """Call it with the arguments of ``dub-uplink``, to run them on ``live`` within this process.

    ``env`` adds variables; those that are ``None`` are taken away.
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
    """As ``invoke``, for tests that tell stdout from stderr."""
    from click.testing import CliRunner

    from dub_uplink._cli.commands import cli

    # Until 8.2 click mixed the two unless told otherwise.
    mixes = "mix_stderr" in inspect.signature(CliRunner).parameters
    options: dict[str, Any] = {"mix_stderr": False} if mixes else {}
    before = signal.getsignal(signal.SIGINT)

    def invoke(*arguments: str, env: dict[str, Any] | None = None) -> Result:
        runner = CliRunner(**options)
        return runner.invoke(cli, arguments, prog_name="dub-uplink", env={**live[1], **(env or {})})

    yield invoke
    signal.signal(signal.SIGINT, before)


# Makes the terminal on its standard input the one that /dev/tty and Ctrl-C mean.
AT_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """Python at a terminal of so many columns; ``shown`` is what was on it so far."""

    def __init__(self, arguments: tuple[str, ...], env: dict[str, str], columns: int) -> None:
        import fcntl
        import termios

        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        command = [sys.executable, *arguments]
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-E", "-c", AT_TERMINAL, *command],
            env={name: value for name, value in env.items() if name != "COLUMNS"},
            stderr=theirs,
            stdin=theirs,
            stdout=theirs,
        )
        os.close(theirs)
        self.shown = ""

    def wait_for(self, text: str, seconds: float = 30) -> None:
        """Read on until a text is shown."""
        end = time.monotonic() + seconds
        while text not in self.shown:
            assert time.monotonic() < end, self.shown
            assert self._read(0.2), self.shown

    def send(self, keys: str) -> None:
        """Type something; ``\\x03`` is Ctrl-C."""
        os.write(self._ours, keys.encode())

    def finish(self, seconds: float = 30) -> int:
        """Read on to the end, and return the exit status."""
        end = time.monotonic() + seconds
        while self._read(0.2):
            assert time.monotonic() < end, self.shown
        return self.process.wait(timeout=seconds)

    def close(self) -> None:
        """End what is still running."""
        self.process.kill()
        self.process.wait()
        os.close(self._ours)

    def _read(self, seconds: float) -> bool:
        if select.select([self._ours], [], [], seconds)[0]:
            try:
                got = os.read(self._ours, 65536)
            except OSError:  # on Linux, the end
                return False
            self.shown += got.decode("utf-8", "replace").replace("\r\n", "\n")
            return bool(got)
        return True


@pytest.fixture
def terminal(environment: dict[str, str]) -> Iterator[Callable[..., Terminal]]:
    """Start the command at a terminal: ``terminal(*arguments, env=…, columns=80)``.

    With ``code``, a program of Python runs in its place.
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
