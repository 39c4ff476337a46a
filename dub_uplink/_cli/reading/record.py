"""What every format yields: a record with its place in the file."""

from __future__ import annotations

from typing import Any, NamedTuple


class Record(NamedTuple):
    """A record of a file; ``line`` is where it begins, counted from 1 in the file's unit.

    ``content`` is a list of cells, or an object of JSON; it is empty where ``problem`` says why
    there is none. ``note`` says what is remarkable.
    """

    line: int
    content: Any
    problem: str = ""
    note: str = ""
