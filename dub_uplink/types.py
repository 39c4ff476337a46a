"""Types of arguments: the sentinel for an omitted field, and the keyword options of operations.

To forward keywords from your own method to an operation, annotate them with an option type::

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
