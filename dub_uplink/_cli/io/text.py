"""Make text safe for terminals and spreadsheets; read from terminals, files and stdin."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

_INTERRUPT_INTERVAL = 0.1  # maximum seconds until Ctrl-C ends a question


def printable(text: str) -> str:
    """Return text on one line: replace control characters by spaces, and strip spaces."""
    if text.isprintable():
        return text.strip()
    return "".join(c if c.isprintable() else " " for c in text).strip()


# A cell that a spreadsheet would run as a formula when the file is opened (CWE-1236). Leading
# apostrophes also match, so that unescaping restores a cell that starts with an apostrophe.
_FORMULA_PATTERN = re.compile(r"'*[=+\-@\t\r]")
_NUMBER_PATTERN = re.compile(r"[+-]?[0-9][0-9 .,]*")


def escape_formula(cell: Any) -> Any:
    """Put an apostrophe before a cell that a spreadsheet would run as a formula."""
    if (
        isinstance(cell, str)
        and _FORMULA_PATTERN.match(cell)
        and not _NUMBER_PATTERN.fullmatch(cell)
    ):
        return f"'{cell}"
    return cell


def unescape_formula(cell: str) -> str:
    """Undo :func:`escape_formula`."""
    return cell[1:] if cell[:1] == "'" and _FORMULA_PATTERN.match(cell) else cell


def can_prompt() -> bool:
    """Return whether a question can be asked: stdin and stderr are terminals."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


@contextlib.contextmanager
def interruptible_input() -> Iterator[None]:
    """Let Ctrl-C end a question in the context at any time. Use it in the main thread only.

    Python can lose an interrupt in two ways. If a signal arrives just before the read starts,
    Python handles the signal only after the user has entered a line. And ``input`` discards an
    exception that is raised while ``input`` flushes the prompt. Therefore a timer interrupts the
    read every 0.1 seconds, and repeats an interrupt that has not ended the question.
    """
    if sys.platform == "win32":  # no timer there, and Ctrl-C is not a signal
        yield
        return
    ticks = 0  # Ctrl-C sets 1, and each tick of the timer then adds 1

    def on_interrupt(_signum: int, _frame: FrameType | None) -> None:
        nonlocal ticks
        ticks = 1
        raise KeyboardInterrupt

    def on_timer(_signum: int, _frame: FrameType | None) -> None:
        # An interrupt that is not discarded ends the context, and the timer, before `ticks` is 3.
        nonlocal ticks
        if ticks:
            ticks += 1
        if ticks > 2:
            ticks = 0
            raise KeyboardInterrupt

    handlers = {signal.SIGALRM: signal.signal(signal.SIGALRM, on_timer)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        handlers[signal.SIGINT] = signal.signal(signal.SIGINT, on_interrupt)
    signal.setitimer(signal.ITIMER_REAL, _INTERRUPT_INTERVAL, _INTERRUPT_INTERVAL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for signum, handler in handlers.items():
            signal.signal(signum, handler)


def confirm(question: str) -> bool:
    """Ask on the terminal, and return whether the user confirms. Ctrl-C raises ``click.Abort``."""
    with interruptible_input():
        return click.confirm(question, err=True)


def is_terminal(stream: object) -> bool:
    """Return whether a stream is a terminal. A stream closed by ``<&-`` is ``None``."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


def read_input(path: str) -> bytes:
    """Read a file, or stdin if the path is ``-``.

    Raises:
        OSError: The file cannot be read.
    """
    if path != "-":
        return Path(path).read_bytes()
    stdin: Any = sys.stdin
    return b"" if stdin is None else bytes(stdin.buffer.read())
