"""Printable text, terminals, and input from a file or stdin."""

from __future__ import annotations

import contextlib
import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

_LATEST_INTERRUPT = 0.1  # seconds after which Ctrl-C ends a question at the latest


def printable(text: str) -> str:
    """Return the text on one line, with control characters replaced by spaces."""
    if text.isprintable():
        return text.strip()
    return "".join(c if c.isprintable() else " " for c in text).strip()


# What a spreadsheet would run, or send somewhere, as soon as the file is opened (CWE-1236); with
# apostrophes before it, so that a cell with an apostrophe differs from an escaped one.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?[0-9][0-9 .,]*")


def escape_formula(cell: Any) -> Any:
    """Return a cell that a spreadsheet shows as it is, with an apostrophe before it if need be."""
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell):
        return f"'{cell}"
    return cell


def unescape_formula(cell: str) -> str:
    """Return the cell of which :func:`escape_formula` made this one."""
    return cell[1:] if cell[:1] == "'" and _FORMULA.match(cell) else cell


def can_ask() -> bool:
    """Return whether stdin and stderr are terminals, so that a question can be asked."""
    return is_terminal(sys.stdin) and is_terminal(sys.stderr)


@contextlib.contextmanager
def interruptible_input() -> Iterator[None]:
    """Let Ctrl-C end a question that is asked within the context; for the main thread.

    Python handles a signal between two instructions, or when the signal interrupts a read. After a
    signal just before the read begins, ``input`` would wait for a line all the same. A timer
    interrupts the read repeatedly, and Python handles the signal then.
    """
    if sys.platform == "win32":  # which has no such timer, and no signal at Ctrl-C
        yield
        return
    before = signal.signal(signal.SIGALRM, lambda _signum, _frame: None)
    signal.setitimer(signal.ITIMER_REAL, _LATEST_INTERRUPT, _LATEST_INTERRUPT)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def confirm(question: str) -> bool:
    """Ask on the terminal, and return whether the reply is yes; Ctrl-C raises ``click.Abort``."""
    with interruptible_input():
        return click.confirm(question, err=True)


def is_terminal(stream: object) -> bool:
    """Return whether a stream is a terminal; ``None`` is a closed one, as after ``<&-``."""
    isatty = getattr(stream, "isatty", None)
    return isatty is not None and bool(isatty())


def content_of(path: str) -> bytes:
    """Return the bytes of a file, or with ``-`` those of stdin.

    Raises:
        OSError: The file cannot be read.
    """
    if path != "-":
        return Path(path).read_bytes()
    stdin: Any = sys.stdin
    return b"" if stdin is None else bytes(stdin.buffer.read())
