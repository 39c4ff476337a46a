"""Make text safe for terminals and spreadsheets, and read user input."""

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

#: The interval of the timer, in seconds. After Ctrl-C, a prompt ends within two intervals.
_INTERRUPT_INTERVAL = 0.1


def make_printable(text: str) -> str:
    """Put text on one line: replace unprintable characters by spaces, and strip the text."""
    if text.isprintable():
        return text.strip()
    return "".join(c if c.isprintable() else " " for c in text).strip()


#: Matches a cell that a spreadsheet runs as a formula (CWE-1236). A formula after apostrophes also
#: matches. Escaping adds one more apostrophe, and unescaping removes one.
_FORMULA_PATTERN = re.compile(r"'*[=+\-@\t\r]")
_NUMBER_PATTERN = re.compile(r"[+-]?[0-9][0-9 .,]*")


def escape_formula(cell: Any) -> Any:
    """Put an apostrophe before a cell that a spreadsheet runs as a formula."""
    if (
        isinstance(cell, str)
        and _FORMULA_PATTERN.match(cell)
        and not _NUMBER_PATTERN.fullmatch(cell)
    ):
        return f"'{cell}"
    return cell


def unescape_formula(cell: str) -> str:
    """Remove the apostrophe that :func:`escape_formula` adds."""
    return cell[1:] if cell[:1] == "'" and _FORMULA_PATTERN.match(cell) else cell


def can_prompt() -> bool:
    """Return whether a prompt is possible: stdin and stderr must be terminals."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


@contextlib.contextmanager
def interruptible_input() -> Iterator[None]:
    """Let Ctrl-C end a prompt inside the ``with`` block. Use it only in the main thread.

    By default, Ctrl-C has no effect in two cases. If the signal arrives just before the read
    starts, Python handles the signal only after the user has entered a line. If the signal arrives
    while ``input`` flushes the prompt, ``input`` discards the exception. Therefore, a timer
    interrupts the read every 0.1 seconds. If the prompt is still open after Ctrl-C, the timer
    raises ``KeyboardInterrupt`` again.
    """
    if sys.platform == "win32":  # Windows has no such timer
        yield
        return
    ticks = 0  # Ctrl-C sets 1; after that, each tick of the timer adds 1

    def on_interrupt(_signum: int, _frame: FrameType | None) -> None:
        nonlocal ticks
        ticks = 1
        raise KeyboardInterrupt

    def on_timer(_signum: int, _frame: FrameType | None) -> None:
        # At 3, the prompt has discarded the first KeyboardInterrupt. Raise it again.
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
    """Prompt for yes or no, and return ``True`` for yes. Ctrl-C raises ``click.Abort``."""
    with interruptible_input():
        return click.confirm(question, err=True)


def is_terminal(stream: object) -> bool:
    """Return whether a stream is a terminal; ``False`` for ``None``, which is a closed stream."""
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
