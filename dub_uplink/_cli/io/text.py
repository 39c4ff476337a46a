"""Printable text, terminals, and input from a file or stdin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any


def printable(text: str) -> str:
    """Return the text on one line, with control characters replaced by spaces."""
    if text.isprintable():
        return text.strip()
    return "".join(c if c.isprintable() else " " for c in text).strip()


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
