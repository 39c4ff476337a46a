"""Define a record, which the readers of all file formats yield."""

from __future__ import annotations

from typing import Any, NamedTuple


class ZeroPadded(int):
    """An integer that a workbook shows with leading zeros. ``shown`` is the text with the zeros."""

    shown: str

    def __new__(cls, value: int, shown: str) -> ZeroPadded:
        """Create an integer with its text ``shown``."""
        number = super().__new__(cls, value)
        number.shown = shown
        return number


class Record(NamedTuple):
    """A record of a file.

    Attributes:
        line: where the record starts: the number of a line, a sheet row or a JSON item, from 1.
        content: a list of cells, or a JSON object; empty if there is a ``problem``.
        problem: why the record cannot be read; empty if it can.
        note: a remark for the user on the record; may be empty.
    """

    line: int
    content: Any
    problem: str = ""
    note: str = ""
