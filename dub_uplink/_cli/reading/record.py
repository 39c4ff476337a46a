"""The record that is read from a file of any format."""

from __future__ import annotations

from typing import Any, NamedTuple


class Record(NamedTuple):
    """A record of a file.

    Attributes:
        line: the position of its start, counted from 1 in the unit of the file.
        content: a list of cells, or a JSON object; empty if there is a ``problem``.
        problem: why the record cannot be read, or an empty string.
        note: a remark on the record, or an empty string.
    """

    line: int
    content: Any
    problem: str = ""
    note: str = ""
