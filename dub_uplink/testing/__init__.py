"""A fake of Dub's customers API for tests, with faults on demand.

Imports only the client's public names.

``FakeDub`` answers mounted on a ``requests.Session`` or served on a socket; ``faults`` is what can
go wrong; ``no_sleep`` lets retries pass without waiting.
"""

from __future__ import annotations

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
