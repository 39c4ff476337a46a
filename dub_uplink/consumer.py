"""The base class of the consumers, typed and without uplink's reference cycles.

Imports nothing of ours.
"""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import uplink
from uplink.interfaces import Annotation


class _HoldBackInit(type(uplink.Consumer)):  # type: ignore[misc]
    """Keeps uplink from wrapping constructors whose arguments are no annotations of its own.

    The wrapper ties the constructor's arguments, the token among them, into a reference cycle and
    looks at them again at every call.
    """

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Any:
        init = namespace.get("__init__")
        if init is None or _is_annotated(init):
            return super().__new__(mcs, name, bases, namespace)
        rest = {key: value for key, value in namespace.items() if key != "__init__"}
        cls = super().__new__(mcs, name, bases, rest)
        type.__setattr__(cls, "__init__", init)
        return cls


def _is_annotated(init: Any) -> bool:
    """Whether uplink finds something of its own on a constructor's arguments."""
    found = getattr(init, "__annotations__", {}).values()
    return bool(vars(init)) or any(
        isinstance(a, Annotation) or (inspect.isclass(a) and issubclass(a, Annotation))
        for a in found
    )


if TYPE_CHECKING:

    class Consumer:
        """What a type checker sees of ``uplink.Consumer``, which has no types."""

        session: Any
        exceptions: Any

        def __init__(
            self, base_url: str = "", client: Any = None, *, hooks: tuple[Any, ...] = ()
        ) -> None: ...

else:

    class Consumer(uplink.Consumer, metaclass=_HoldBackInit):
        """The base of the consumers: ``uplink.Consumer`` with plain constructors."""
