"""A small, typed client for Dub.co's customers API.

The package also has these public modules:

- ``declare``: decorators and annotations for further endpoints
- ``models``: requests, responses and errors
- ``retries``: retry policies, retry budgets and clocks
- ``types``: the types of the keyword options
- ``utils``: ``RateLimit``, and the retry classes at the import path of the official SDK
- ``testing``: a fake server
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._internal.lazy_getattr import make_lazy_getattr
from ._internal.version import __version__

if TYPE_CHECKING:
    from . import declare, models, retries, utils
    from ._client import AsyncDub, Dub
    from ._concurrency.tasks import amap_unordered
    from ._concurrency.threads import map_unordered
    from ._customers.async_consumer import AsyncCustomersConsumer, AsyncCustomersWithRawResponse
    from ._customers.async_pages import AsyncCustomerIterator, AsyncCustomerPage
    from ._customers.consumer import CustomersConsumer
    from ._customers.pages import CustomerIterator, CustomerPage
    from ._customers.raw import CustomersWithRawResponse
    from ._declarative.async_consumer import AsyncDubConsumer
    from ._declarative.consumer import DubConsumer
    from ._http.deadline_adapter import DeadlineAdapter
    from ._rate_limit.rate_limit import RateLimit
    from .models import components, errors, operations
    from .models.components import Customer
    from .models.response import RawResponse, Response
    from .models.unset import UNSET, Unset
    from .retries import BackoffStrategy, Clock, RateLimitStatus, RetryBudget, RetryConfig

__all__ = [
    "UNSET",
    "AsyncCustomerIterator",
    "AsyncCustomerPage",
    "AsyncCustomersConsumer",
    "AsyncCustomersWithRawResponse",
    "AsyncDub",
    "AsyncDubConsumer",
    "BackoffStrategy",
    "Clock",
    "Customer",
    "CustomerIterator",
    "CustomerPage",
    "CustomersConsumer",
    "CustomersWithRawResponse",
    "DeadlineAdapter",
    "Dub",
    "DubConsumer",
    "RateLimit",
    "RateLimitStatus",
    "RawResponse",
    "Response",
    "RetryBudget",
    "RetryConfig",
    "Unset",
    "__version__",
    "amap_unordered",
    "components",
    "declare",
    "errors",
    "map_unordered",
    "models",
    "operations",
    "retries",
    "utils",
]

_LOCATIONS = {
    "UNSET": ".models.unset:UNSET",
    "AsyncCustomerIterator": "._customers.async_pages:AsyncCustomerIterator",
    "AsyncCustomerPage": "._customers.async_pages:AsyncCustomerPage",
    "AsyncCustomersConsumer": "._customers.async_consumer:AsyncCustomersConsumer",
    "AsyncCustomersWithRawResponse": "._customers.async_consumer:AsyncCustomersWithRawResponse",
    "AsyncDub": "._client:AsyncDub",
    "AsyncDubConsumer": "._declarative.async_consumer:AsyncDubConsumer",
    "BackoffStrategy": ".retries:BackoffStrategy",
    "Clock": ".retries:Clock",
    "Customer": ".models.components:Customer",
    "CustomerIterator": "._customers.pages:CustomerIterator",
    "CustomerPage": "._customers.pages:CustomerPage",
    "CustomersConsumer": "._customers.consumer:CustomersConsumer",
    "CustomersWithRawResponse": "._customers.raw:CustomersWithRawResponse",
    "DeadlineAdapter": "._http.deadline_adapter:DeadlineAdapter",
    "Dub": "._client:Dub",
    "DubConsumer": "._declarative.consumer:DubConsumer",
    "RateLimit": "._rate_limit.rate_limit:RateLimit",
    "RateLimitStatus": ".retries:RateLimitStatus",
    "RawResponse": ".models.response:RawResponse",
    "Response": ".models.response:Response",
    "RetryBudget": ".retries:RetryBudget",
    "RetryConfig": ".retries:RetryConfig",
    "Unset": ".models.unset:Unset",
    "map_unordered": "._concurrency.threads:map_unordered",
    "amap_unordered": "._concurrency.tasks:amap_unordered",
    "components": ".models.components",
    "declare": ".declare",
    "errors": ".models.errors",
    "models": ".models",
    "operations": ".models.operations",
    "retries": ".retries",
    "utils": ".utils",
}

if not TYPE_CHECKING:  # with __getattr__, a type checker accepts any name
    __getattr__ = make_lazy_getattr(__name__, _LOCATIONS)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
