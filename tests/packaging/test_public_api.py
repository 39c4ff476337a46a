"""Compare the public names and their signatures with ``public_api.txt``.

That file shows changes of the public API in reviews. Write it with
``python tests/packaging/test_public_api.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STORED = Path(__file__).with_name("public_api.txt")
MODULES = (
    "dub_uplink",
    "dub_uplink.declare",
    "dub_uplink.models",
    "dub_uplink.models.components",
    "dub_uplink.models.errors",
    "dub_uplink.models.operations",
    "dub_uplink.retries",
    "dub_uplink.testing",
    "dub_uplink.testing.faults",
    "dub_uplink.types",
    "dub_uplink.utils",
)


def public_api() -> str:
    """Return one line for each public name: its signature, its type, or its original name."""
    import griffe

    import dub_uplink

    package: Any = griffe.load(
        "dub_uplink",
        search_paths=[str(Path(dub_uplink.__file__).parents[1])],
        resolve_aliases=True,
        allow_inspection=False,
    )
    lines: list[str] = []
    for path in MODULES:
        module = package if path == package.path else package[path.partition(".")[2]]
        names = module.exports or [
            name
            for name, member in module.members.items()
            if not name.startswith("_") and not member.is_alias
        ]
        for name in sorted({*map(str, names)} - {"__version__"}):
            lines += described(f"{path}.{name}", module.members[name])
    return "\n".join([*lines, ""])


def described(path: str, member: Any) -> Iterator[str]:
    """Yield a line for a name of a public module, and for each public member of a class."""
    target = member.final_target if member.is_alias else member
    if target.is_module:
        yield f"module {path} = {target.path}"
    elif target.path != path and target.module.path in MODULES:
        yield f"{path} = {target.path}"
    elif target.is_class:
        yield f"class {path}({', '.join(map(str, target.bases))})"
        for name, one in sorted(target.all_members.items()):
            if not name.startswith("_") or (name.startswith("__") and one.is_function):
                yield from described_value(f"{path}.{name}", one)
    else:
        yield from described_value(path, target)


def described_value(path: str, member: Any) -> Iterator[str]:
    """Yield the signature of each overload of a function, or the type or value of an attribute."""
    target = member.final_target if member.is_alias else member
    if target.is_function:
        prefix = "async " if "async" in target.labels else ""
        for overload in target.overloads or [target]:
            yield prefix + path.rpartition(".")[0] + "." + overload.signature(name=target.name)
    elif target.annotation:
        yield f"{path}: {target.annotation}"
    else:
        yield f"{path} = {target.value}"


def test_public_api_matches_the_stored_list() -> None:
    pytest.importorskip("griffe", reason="griffe is not installed")
    assert public_api() == STORED.read_text(encoding="utf-8")


if __name__ == "__main__":
    STORED.write_text(public_api(), encoding="utf-8")
