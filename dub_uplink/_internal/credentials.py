"""Hold the token so that no repr, log, traceback or pickle shows it."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Awaitable
from typing import Any, cast

TOKEN_ENV = "DUB_API_KEY"
_TOKEN_PATTERN = re.compile(r"[!-~]+")  # what a header carries unchanged


class RedactedStr(str):
    """A string whose repr is redacted.

    Tracebacks print local variables by ``repr``, so the header value travels through requests as
    this class and not as a plain string.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'Bearer ***'"

    def __getitem__(self, index: Any) -> RedactedStr:
        # rich prints a slice of a long string, which would otherwise be a plain string.
        return RedactedStr(super().__getitem__(index))


class TokenProvider:
    """The token, or the callable that returns it for every attempt.

    The constructor accepts anything and raises nothing, so that a client's constructor can wrap its
    argument at once: no frame of this package then shows a token, not even an invalid one.
    """

    __slots__ = ("_source",)

    def __init__(self, source: object) -> None:
        self._source: Any = source._source if isinstance(source, TokenProvider) else source

    def resolve(self, *, asynchronous: bool) -> None:
        """Check the token when the client is made.

        Args:
            asynchronous: whether the client can await the callable.

        Raises:
            TypeError: the token is neither a string nor a callable that this client can call.
            ValueError: there is no token, or a header cannot carry it.
        """
        if self._source is None:
            self._source = os.environ.get(TOKEN_ENV)
            if not self._source:
                raise ValueError(
                    f"no token: pass token=… or set the environment variable {TOKEN_ENV}"
                )
        if isinstance(self._source, str):
            self._source = _authorization_value(self._source)
        elif not callable(self._source):
            raise TypeError(
                "token must be a string or a callable that returns one,"
                f" not {type(self._source).__name__}"
            )
        elif not asynchronous and is_coroutine_function(self._source):
            raise TypeError("token is an async function, which only AsyncDub awaits")

    def authorization(self) -> RedactedStr:
        """Return the value of the ``Authorization`` header.

        Raises:
            TypeError: the callable did not return a string.
            ValueError: it returned a string that a header cannot carry.
        """
        if isinstance(self._source, RedactedStr):
            return self._source
        return _authorization_value(self._source())

    async def authorization_async(self) -> RedactedStr:
        """Return the value of the ``Authorization`` header; the callable may be asynchronous.

        Raises:
            TypeError: the callable did not return a string.
            ValueError: it returned a string that a header cannot carry.
        """
        if isinstance(self._source, RedactedStr):
            return self._source
        token = self._source()
        if inspect.isawaitable(token):
            token = await cast("Awaitable[object]", token)
        return _authorization_value(token)

    def __repr__(self) -> str:
        return "TokenProvider(***)"


def is_coroutine_function(function: object) -> bool:
    """Return whether calling ``function`` makes a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - an object may have an async __call__
    )


def _authorization_value(token: object) -> RedactedStr:
    type_name = type(token).__name__
    if inspect.iscoroutine(token):
        token.close()  # or Python warns that it was never awaited
    # From here on no local variable shows the token, whatever it is.
    token = RedactedStr(token) if isinstance(token, str) else None
    if token is None:
        raise TypeError(f"the token callable returned {type_name}, not a string")
    if not _TOKEN_PATTERN.fullmatch(token):
        # None of these messages may show the token.
        if not token.strip():
            raise ValueError("the token is empty; check where it comes from")
        if token != token.strip():
            raise ValueError("the token begins or ends with whitespace; strip() it")
        raise ValueError(
            "the token contains a space, a control or a non-ASCII character; copy it again"
        )
    return RedactedStr(f"Bearer {token}")
