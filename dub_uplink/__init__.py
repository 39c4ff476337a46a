"""A small, typed client of Dub.co's customers API.

Everything a user needs is here, in ``models`` (what travels, and the errors), in ``utils`` (the
retry policies, under the seed's path) and in ``testing`` (a fake server).
"""

from __future__ import annotations

from . import models, retries, utils
from .aio import AsyncCustomersConsumer, AsyncDubConsumer
from .aio_pagination import AsyncCustomerIterator, AsyncCustomerPage
from .backend import DeadlineAdapter
from .client import AsyncDub, Dub
from .consumer import DubConsumer
from .customers import CustomersConsumer
from .endpoints import endpoint
from .models import components, errors, operations
from .models.components import Customer
from .models.response import Response
from .models.unset import UNSET, Unset
from .pagination import CustomerIterator, CustomerPage
from .retries import BackoffStrategy, Clock, RateLimitStatus, RetryBudget, RetryConfig
from .version import __version__

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
