"""Types of arguments: the sentinel for an omitted field, and the keyword options of operations.

Annotate your own method with one of the option types to forward its keywords to an operation::

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
