"""A schema as a plain function from JSON to a model.

May import the schemas.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import marshmallow


def compile_loader(schema: marshmallow.Schema) -> Callable[[Any], Any]:
    """The function that does what ``schema.load`` does."""
    return schema.load
