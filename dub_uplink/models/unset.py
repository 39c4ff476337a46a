"""The sentinel for "not given", told apart from ``None``, which is sent as ``null``."""

from __future__ import annotations

import enum
from typing import Final, Literal


class Unset(enum.Enum):
    """The type of :data:`UNSET`; an enum, so that type checkers can narrow it away."""

    UNSET = "UNSET"

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    __str__ = __repr__


#: A field that was not given: it is not sent. ``None`` on a nullable field is sent as ``null``.
UNSET: Final = Unset.UNSET
