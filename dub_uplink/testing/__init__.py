"""A fake of Dub's customers API for tests, with faults on demand.

Imports only the client's public names, and the way to load a name when it is asked for.

``FakeDub`` answers mounted on a ``requests.Session`` or served on a socket; ``faults`` is what can
go wrong; ``no_sleep`` lets retries pass without waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._internal.lazy_getattr import lazy_getattr

if TYPE_CHECKING:
    from . import faults
    from .clock import SkippingClock, no_sleep
    from .fake import FakeDub
    from .messages import Request
    from .session import NetworkRefused
    from .store import StoredCustomer

__all__ = [
    "FakeDub",
    "NetworkRefused",
    "Request",
    "SkippingClock",
    "StoredCustomer",
    "faults",
    "no_sleep",
]

_WHERE = {
    "FakeDub": ".fake:FakeDub",
    "NetworkRefused": ".session:NetworkRefused",
    "Request": ".messages:Request",
    "SkippingClock": ".clock:SkippingClock",
    "StoredCustomer": ".store:StoredCustomer",
    "faults": ".faults",
    "no_sleep": ".clock:no_sleep",
}

if not TYPE_CHECKING:  # to a type checker every name would be one of the package's
    __getattr__ = lazy_getattr(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
