"""Re-export the retry classes, under the official SDK's import path, and ``RateLimit``."""

from ._rate_limit.rate_limit import RateLimit
from .retries import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "RateLimit", "RetryConfig"]
