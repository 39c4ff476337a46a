"""The settings of a fake."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from .._internal.credentials import TOKEN_PATTERN
from ._api.limits import PLAN_LIMITS
from ._api.routes import ROLES, Workspace
from ._fault_values import check_integer, is_number

MAX_RATE_LIMIT = 1_000_000
#: The shortest window in seconds: one millisecond, the precision of the fake's clock.
MIN_WINDOW = 0.001
#: The longest window and latency, in seconds.
MAX_SECONDS = 1e9


@dataclasses.dataclass(frozen=True)
class Settings:
    """The settings of a fake. :meth:`FakeDub.configure` changes them.

    Args:
        role: The role of the API keys.
        plan: The plan of the workspace.
        default_program: The id of the workspace's program; ``None`` for no program.
        rate_limit: The number of requests that each API key may send in a ``window``. With 0, every
            request gets a 429. With ``None``, no request gets a 429.
        window: The window of the rate limit, in seconds.
        latency: The delay of every response, in seconds.
        tokens: The valid API keys.
        expired: The expired API keys. An API key in both ``tokens`` and ``expired`` is expired.
        keep_requests: How many of the latest requests the fake keeps in ``requests``.

    Raises:
        TypeError: a value has the wrong type.
        ValueError: a role, plan, token or number is invalid.
    """

    __module__ = "dub_uplink.testing"

    role: str = "owner"
    plan: str = "business"
    default_program: str | None = None
    rate_limit: int | None = None
    window: float = 60.0
    latency: float = 0.0
    tokens: tuple[str, ...] = dataclasses.field(default=("dub_test",), repr=False)
    expired: tuple[str, ...] = dataclasses.field(default=("dub_expired",), repr=False)
    keep_requests: int = 10_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "tokens", _as_tuple(self.tokens))
        object.__setattr__(self, "expired", _as_tuple(self.expired))
        if not self.tokens or not all(self.tokens):
            raise ValueError("token must not be empty; give at least one API key")
        for name, tokens in (("token", self.tokens), ("expired", self.expired)):
            if not all(
                map(TOKEN_PATTERN.fullmatch, tokens)
            ):  # the message must not contain the token
                raise ValueError(f"{name} must consist of visible ASCII characters, without spaces")
            if len(set(tokens)) < len(tokens):
                raise ValueError(f"{name} must not contain the same API key twice")
        check_integer("keep_requests", self.keep_requests, 0)
        if self.role not in ROLES:
            raise ValueError(f"role must be one of {', '.join(ROLES)}, not {self.role!r}")
        if self.plan not in PLAN_LIMITS:
            raise ValueError(f"plan must be one of {', '.join(PLAN_LIMITS)}, not {self.plan!r}")
        _check_default_program(self.default_program)
        if self.rate_limit is not None:
            check_integer("rate_limit", self.rate_limit, 0, MAX_RATE_LIMIT)
        for name, seconds in (("window", self.window), ("latency", self.latency)):
            if not is_number(seconds):
                raise TypeError(f"{name} must be a number, not {seconds!r}")
        if not MIN_WINDOW <= self.window <= MAX_SECONDS:
            raise ValueError(
                f"window must be from {MIN_WINDOW} to {MAX_SECONDS:g} seconds, not {self.window}"
            )
        if not 0 <= self.latency <= MAX_SECONDS:
            raise ValueError(
                f"latency must be from 0 to {MAX_SECONDS:g} seconds, not {self.latency}"
            )

    @property
    def limit(self) -> int:
        """Return ``rate_limit``, or the limit of the plan if ``rate_limit`` is ``None``."""
        return PLAN_LIMITS[self.plan] if self.rate_limit is None else self.rate_limit


def _check_default_program(program: object) -> None:
    if program is not None and not isinstance(program, str):
        raise TypeError(f"default_program must be text or None, not {program!r}")
    if program == "":
        raise ValueError("default_program must not be empty; give an id, or None")


def _as_tuple(tokens: str | Iterable[str]) -> tuple[str, ...]:
    return (tokens,) if isinstance(tokens, str) else tuple(tokens)


def make_workspace(settings: Settings) -> Workspace:
    """Create the workspace that the settings describe."""
    return Workspace(
        frozenset(settings.tokens),
        frozenset(settings.expired),
        settings.role,
        settings.plan,
        settings.default_program,
    )
