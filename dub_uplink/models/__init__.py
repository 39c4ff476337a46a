"""What travels: dataclasses and exceptions."""

from . import components, errors, operations
from .unset import UNSET, Unset

__all__ = ["UNSET", "Unset", "components", "errors", "operations"]
