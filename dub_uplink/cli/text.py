"""Text of others, made safe to show.

Imports nothing of ours.
"""

from __future__ import annotations


def printable(text: str) -> str:
    """Text on one line, without the control characters that would steer a terminal."""
    if text.isprintable():
        return text.strip()
    return "".join(c if c.isprintable() else " " for c in text).strip()
