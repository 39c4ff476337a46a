"""Load the public names of a package when they are first used.

pytest imports the package for its plugin, the command for its version: neither is to wait for what
it does not use.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_getattr(package: str, locations: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package (PEP 562).

    ``locations`` has for each name ``module:attribute``, or the module that it is, both relative to
    the package.
    """

    def get(name: str) -> Any:
        if name not in locations:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = locations[name].partition(":")
        value = importlib.import_module(module, package)
        if attribute:
            value = getattr(value, attribute)
        setattr(sys.modules[package], name, value)  # so that it is asked for once
        return value

    return get
