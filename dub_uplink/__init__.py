"""A small, typed client of Dub.co's customers API.

Everything a user needs is here, in ``models`` (what travels, and the errors), in ``utils`` (the
retry policies, under the seed's path) and in ``testing`` (a fake server).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import models, retries, utils
from .client import AsyncDub, Dub
from .consumer import DubConsumer
from .customers import CustomersConsumer
from .deadline_adapter import DeadlineAdapter
from .endpoints import endpoint
from .models import components, errors, operations
from .models.components import Customer
from .models.response import Response
from .models.unset import UNSET, Unset
from .pagination import CustomerIterator, CustomerPage
from .ratelimit import RateLimit
from .retries import BackoffStrategy, Clock, RateLimitStatus, RetryBudget, RetryConfig
from .version import __version__

if TYPE_CHECKING:
    from .aio import AsyncCustomersConsumer, AsyncDubConsumer
    from .aio_pagination import AsyncCustomerIterator, AsyncCustomerPage

__all__ = [
    "UNSET",
    "AsyncCustomerIterator",
    "AsyncCustomerPage",
    "AsyncCustomersConsumer",
    "AsyncDub",
    "AsyncDubConsumer",
    "BackoffStrategy",
    "Clock",
    "Customer",
    "CustomerIterator",
    "CustomerPage",
    "CustomersConsumer",
    "DeadlineAdapter",
    "Dub",
    "DubConsumer",
    "RateLimit",
    "RateLimitStatus",
    "Response",
    "RetryBudget",
    "RetryConfig",
    "Unset",
    "__version__",
    "components",
    "endpoint",
    "errors",
    "models",
    "operations",
    "retries",
    "utils",
]

#: What only asynchronous programs use, and where it is: loaded when it is asked for.
_ASYNCHRONOUS = {
    "AsyncCustomerIterator": ".aio_pagination",
    "AsyncCustomerPage": ".aio_pagination",
    "AsyncCustomersConsumer": ".aio",
    "AsyncDubConsumer": ".aio",
}


if not TYPE_CHECKING:  # to a type checker every name would be one of the package's

    def __getattr__(name: str) -> Any:
        if name not in _ASYNCHRONOUS:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(_ASYNCHRONOUS[name], __name__), name)
        globals()[name] = found
        return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_ASYNCHRONOUS})
