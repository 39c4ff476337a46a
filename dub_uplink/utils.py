"""The seed's import path for the retry classes, and the rate limit beside them."""

from ._rate_limit.rate_limit import RateLimit
from .retries import BackoffStrategy, RetryConfig

__all__ = ["BackoffStrategy", "RateLimit", "RetryConfig"]
