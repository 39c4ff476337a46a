"""Printable text, terminals, and input from a file or stdin."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any


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
