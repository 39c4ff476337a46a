"""A small, typed client of Dub.co's customers API.

Everything a user needs is here, in ``models`` (what travels, and the errors), in ``utils`` (the
retry policies, under the seed's path) and in ``testing`` (a fake server).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .names import on_demand
from .version import __version__

if TYPE_CHECKING:
    from . import models, retries, utils
    from .aio import AsyncCustomersConsumer, AsyncDubConsumer
    from .aio_pagination import AsyncCustomerIterator, AsyncCustomerPage
    from .bulk import as_they_end
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
    "as_they_end",
    "components",
    "endpoint",
    "errors",
    "models",
    "operations",
    "retries",
    "utils",
]

_WHERE = {
    "UNSET": ".models.unset:UNSET",
    "AsyncCustomerIterator": ".aio_pagination:AsyncCustomerIterator",
    "AsyncCustomerPage": ".aio_pagination:AsyncCustomerPage",
    "AsyncCustomersConsumer": ".aio:AsyncCustomersConsumer",
    "AsyncDub": ".client:AsyncDub",
    "AsyncDubConsumer": ".aio:AsyncDubConsumer",
    "BackoffStrategy": ".retries:BackoffStrategy",
    "Clock": ".retries:Clock",
    "Customer": ".models.components:Customer",
    "CustomerIterator": ".pagination:CustomerIterator",
    "CustomerPage": ".pagination:CustomerPage",
    "CustomersConsumer": ".customers:CustomersConsumer",
    "DeadlineAdapter": ".deadline_adapter:DeadlineAdapter",
    "Dub": ".client:Dub",
    "DubConsumer": ".consumer:DubConsumer",
    "RateLimit": ".ratelimit:RateLimit",
    "RateLimitStatus": ".retries:RateLimitStatus",
    "Response": ".models.response:Response",
    "RetryBudget": ".retries:RetryBudget",
    "RetryConfig": ".retries:RetryConfig",
    "Unset": ".models.unset:Unset",
    "as_they_end": ".bulk:as_they_end",
    "components": ".models.components",
    "endpoint": ".endpoints:endpoint",
    "errors": ".models.errors",
    "models": ".models",
    "operations": ".models.operations",
    "retries": ".retries",
    "utils": ".utils",
}

if not TYPE_CHECKING:  # to a type checker every name would be one of the package's
    __getattr__ = on_demand(__name__, _WHERE)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
