"""Load the public names of a package when they are first used.

pytest imports the package for its plugin, the command for its version: neither is to wait for what
it does not use.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy_getattr(package: str, where: Mapping[str, str]) -> Callable[[str], Any]:
    """The ``__getattr__`` of a package (PEP 562).

    ``where`` has for each name ``module:attribute``, or the module that it is, both relative to
    the package.
    """

    def get(name: str) -> Any:
        if name not in where:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = where[name].partition(":")
        found = importlib.import_module(module, package)
        if attribute:
            found = getattr(found, attribute)
        setattr(sys.modules[package], name, found)  # so that it is asked for once
        return found

    return get
