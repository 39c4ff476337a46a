"""Types of arguments: the sentinel of a field that is not given, and the keywords of operations.

The keywords are for methods that override an operation or pass its arguments on::

    def newest(self, **options: Unpack[ListOptions]) -> CustomerPage:
        return self.list(**options)
"""

from ._customers.parameters import (
    CountOptions,
    ExpandOptions,
    IterateOptions,
    ListOptions,
    UpdateOptions,
)
from ._declarative.parameters import BodyOptions, CallOptions
from .models.unset import UNSET, Unset

__all__ = [
    "UNSET",
    "BodyOptions",
    "CallOptions",
    "CountOptions",
    "ExpandOptions",
    "IterateOptions",
    "ListOptions",
    "Unset",
    "UpdateOptions",
]
