"""Requests and responses as dataclasses, and the exceptions."""

from . import components, errors, operations
from .unset import UNSET, Unset

__all__ = ["UNSET", "Unset", "components", "errors", "operations"]
