"""Define ``UNSET``, the sentinel for an omitted field."""

from __future__ import annotations

import enum
from typing import Final, Literal


class Unset(enum.Enum):
    """The type of :data:`UNSET`: an enum, so that type checkers can narrow ``str | Unset``."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    __str__ = __repr__


#: The value of a field that is not sent. ``None`` in a nullable field is sent as ``null``.
UNSET: Final = Unset.UNSET
