"""The seed's import path for the sentinel of a field that was not given."""

from .models.unset import UNSET, Unset

__all__ = ["UNSET", "Unset"]
