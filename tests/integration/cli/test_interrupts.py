"""Test that Ctrl-C ends an import or export without lost or duplicate customers."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dub_uplink.testing import FakeDub, faults

pytest.importorskip("click")

from dub_uplink._cli.interrupts import Interrupted, InterruptHandler
from dub_uplink._cli.lazy_group import LazyCommand
from dub_uplink._cli.startup import end_on_ctrl_c

soak: Any = pytest.importorskip("benchmarks.interrupts")

PROMPT = "Stopping. Press Ctrl-C again to end at once."


@pytest.mark.parametrize("kind", ["import", "export"])
def test_job_with_random_interrupts_ends_with_a_complete_result(kind: str) -> None:
    result = soak.Result()
    size = {"import": 200, "export": 2_000}[kind]
    soak.complete(kind, size, 4, 1.0, result)
    assert (result.failures, result.jobs[kind]) == ([], 1)


@pytest.mark.parametrize("handler", [signal.default_int_handler, signal.SIG_IGN])
def test_interrupt_while_modules_are_imported_ends_the_process(handler: Any) -> None:
    previous = signal.signal(signal.SIGINT, handler)
    try:
        with end_on_ctrl_c():
            during = signal.getsignal(signal.SIGINT)
        after = signal.getsignal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, previous)
    # A process that a shell started in the background continues to ignore SIGINT.
    assert during is (signal.SIG_IGN if handler is signal.SIG_IGN else signal.SIG_DFL)
    assert after is handler


def test_command_is_imported_while_an_interrupt_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = "import signal\ncommand = signal.getsignal(signal.SIGINT)\n"
    (tmp_path / "probe.py").write_text(module)
    package: Any = sys.modules["dub_uplink._cli"]
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    assert LazyCommand("probe:command", "").load() is signal.SIG_DFL


@pytest.fixture
def start(
    environment: dict[str, str], tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    processes = []

    def start(url: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "dub_uplink", "customers", *arguments],
            cwd=tmp_path,
            env={**environment, "DUB_API_KEY": "dub_test", "DUB_SERVER_URL": url},
            stderr=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def wait_for_requests(fake: FakeDub, count: int) -> None:
    end = time.monotonic() + 30
    while len(fake.requests) < count:
        assert time.monotonic() < end
        time.sleep(0.01)


def test_second_interrupt_ends_the_process_immediately(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("external_id,country\na,GB\n")
    with FakeDub() as fake, fake.serve() as url:
        fake.faults.add(faults.Delay(60), times=None)
        process = start(url, "import", "a.csv")
        assert process.stderr is not None
        wait_for_requests(fake, 1)
        process.send_signal(signal.SIGINT)
        assert [process.stderr.readline(), process.stderr.readline()] == ["\n", f"{PROMPT}\n"]
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == 130


@pytest.mark.parametrize("rows", ["a,GB\n", "a,GB\nb,GB\n"])
def test_interrupt_after_a_complete_import_keeps_the_exit_code(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, rows: str
) -> None:
    (tmp_path / "a.csv").write_text("external_id,country\n" + rows)
    with FakeDub() as fake, fake.serve() as url:
        fake.add(external_id="b", country="GB")
        process = start(url, "import", "a.csv")
        while not fake.customer_count > 1 and process.poll() is None:
            time.sleep(0.001)
        journal = tmp_path / "a.csv.journal"
        while journal.exists() and process.poll() is None:
            time.sleep(0.0001)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, "Stopping" in err) == ("b," in rows, False)


@pytest.mark.parametrize("arguments", [("import", "a.csv"), ("export", "b.csv")])
def test_interrupt_ends_a_retry_wait(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "a.csv").write_text("external_id,country\na,GB\n")
    with FakeDub() as fake, fake.serve() as url:
        fake.faults.add(faults.RateLimited(60), times=None)
        process = start(url, *arguments)
        wait_for_requests(fake, 1)
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130


def test_interrupt_handler_raises_only_when_checked() -> None:
    before = signal.getsignal(signal.SIGINT)
    with InterruptHandler() as interrupt:
        interrupt.check()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted):
            interrupt.check()
        with pytest.raises(Interrupted):
            interrupt.make_clock().sleep(0)
    assert signal.getsignal(signal.SIGINT) is before


def test_ignored_interrupt_stays_ignored_after_the_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        with InterruptHandler() as interrupt:
            interrupt.ignore()
            signal.raise_signal(signal.SIGINT)
            interrupt.check()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupt_handler_leaves_an_ignored_signal_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with InterruptHandler() as interrupt:
            signal.raise_signal(signal.SIGINT)
            interrupt.check()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# Python calls the hook before it reads from the terminal, after its last check for signals.
INTERRUPT_BEFORE_READ = """
import ctypes
from dub_uplink._cli.io.text import interruptible_input

hook = ctypes.c_void_p.in_dll(ctypes.pythonapi, "PyOS_InputHook")
hook.value = ctypes.cast(ctypes.pythonapi.PyErr_SetInterrupt, ctypes.c_void_p).value
try:
    with interruptible_input():
        input("Ready? ")
except KeyboardInterrupt:
    print("interrupted")
"""


def test_interrupt_before_reading_the_reply_ends_the_prompt(terminal: Callable[..., Any]) -> None:
    shown = terminal(code=INTERRUPT_BEFORE_READ)
    shown.wait_for("interrupted", 10)
    assert shown.finish() == 0


#: ``input`` clears the exception of a flush: https://github.com/python/cpython, builtin_input_impl.
INTERRUPT_IN_FLUSH = """
import os, signal, sys
from dub_uplink._cli.io.text import confirm

class Stream:
    def __getattr__(self, name):
        return getattr(sys.__stderr__, name)

    def flush(self):
        sys.__stderr__.flush()
        if "[y/N]" in written:
            written.clear()
            os.kill(os.getpid(), signal.SIGINT)

    def write(self, text):
        written.extend(["[y/N]"] if "[y/N]" in text else [])
        return sys.__stderr__.write(text)

written = []
sys.stderr = Stream()
try:
    confirm("Ready?")
except BaseException as error:
    sys.__stdout__.write(f"interrupted: {type(error).__name__}")
"""


def test_interrupt_while_flushing_a_prompt_ends_the_prompt(terminal: Callable[..., Any]) -> None:
    shown = terminal(code=INTERRUPT_IN_FLUSH)
    shown.wait_for("interrupted: Abort", 10)
    assert shown.finish() == 0


def test_prompt_leaves_no_running_timer(terminal: Callable[..., Any]) -> None:
    code = """
import signal
from dub_uplink._cli.io.text import confirm

print(confirm("Ready?"), signal.getitimer(signal.ITIMER_REAL), signal.getsignal(signal.SIGALRM))
"""
    shown = terminal(code=code)
    shown.wait_for("[y/N]")
    time.sleep(0.3)  # several alarms
    shown.send("y\n")
    assert shown.finish() == 0
    assert "True (0.0, 0.0) 0" in shown.shown
