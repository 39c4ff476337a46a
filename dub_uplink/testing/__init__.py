"""A fake of Dub's customers API for tests, with faults on demand.

A client reaches a ``FakeDub`` over HTTP, or without a socket through a ``requests.Session``.
``faults`` contains the faults that a fake can inject. ``no_sleep`` skips the waits of clients.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._internal.lazy_getattr import make_lazy_getattr

if TYPE_CHECKING:
    from . import faults
    from ._api.store import StoredCustomer
    from ._clock import SkippingClock, no_sleep
    from ._fake import FakeDub
    from ._messages import Request
    from ._session import NetworkRefused
    from ._settings import Settings

__all__ = [
    "FakeDub",
    "NetworkRefused",
    "Request",
    "Settings",
    "SkippingClock",
    "StoredCustomer",
    "faults",
    "no_sleep",
]

_LOCATIONS = {
    "FakeDub": "._fake:FakeDub",
    "NetworkRefused": "._session:NetworkRefused",
    "Request": ".faults:Request",  # its type hints need `faults` in this module
    "Settings": "._settings:Settings",
    "SkippingClock": "._clock:SkippingClock",
    "StoredCustomer": "._api.store:StoredCustomer",
    "faults": ".faults",
    "no_sleep": "._clock:no_sleep",
}

# Hide __getattr__ from type checkers: a module with __getattr__ accepts any name.
if not TYPE_CHECKING:
    __getattr__ = make_lazy_getattr(__name__, _LOCATIONS)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
