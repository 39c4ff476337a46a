"""Load the public names of a package at their first use.

pytest imports this package to load the plugin. The command ``dub-uplink`` imports this package to
read the version. Lazy loading keeps both imports fast.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def make_lazy_getattr(package: str, locations: Mapping[str, str]) -> Callable[[str], Any]:
    """Create a ``__getattr__`` function for a package (PEP 562).

    Args:
        package: the name of the package.
        locations: maps each public name to ``module:attribute``, or to ``module`` if the name is a
            module. ``module`` is relative to the package.
    """

    def load_name(name: str) -> Any:
        if name not in locations:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module, _, attribute = locations[name].partition(":")
        loaded_object = importlib.import_module(module, package)
        if attribute:
            loaded_object = getattr(loaded_object, attribute)
        # Later uses of the name do not call this function.
        setattr(sys.modules[package], name, loaded_object)
        return loaded_object

    return load_name
