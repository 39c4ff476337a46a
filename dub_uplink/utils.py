"""Re-export ``RateLimit``, and the retry classes at the import path of the official SDK."""

from ._rate_limit.rate_limit import RateLimit
from .retries import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "RateLimit", "RetryConfig"]
