"""Store the token so that it does not appear in a repr, a log, a traceback or a pickle."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Awaitable
from typing import Any, cast

TOKEN_ENV = "DUB_API_KEY"
#: One or more of the characters that are safe in a header value.
TOKEN_PATTERN = re.compile(r"[!-~]+")


class RedactedStr(str):
    """A string whose repr is redacted.

    Some tracebacks print local variables with ``repr``. Therefore the HTTP library gets the value
    of the ``Authorization`` header as an instance of this class.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return "'Bearer ***'"

    def __getitem__(self, index: Any) -> RedactedStr:
        # rich prints a slice of a long string. `str.__getitem__` returns an unredacted `str`.
        return RedactedStr(super().__getitem__(index))


class TokenProvider:
    """Stores the token, or the callable that returns the token for each attempt.

    The constructor never raises an exception. Therefore a client can wrap its argument ``token``
    first. No traceback then shows an invalid token in a frame of this package.
    """

    __slots__ = ("_source",)

    def __init__(self, source: object) -> None:
        #: The token or a callable. :meth:`resolve` replaces a token with the header value.
        self._source: Any = source._source if isinstance(source, TokenProvider) else source

    def resolve(self, *, asynchronous: bool) -> None:
        """Validate the token. If there is no token, read it from the environment first.

        Args:
            asynchronous: whether the client can await a coroutine function.

        Raises:
            TypeError: the token is neither a string nor a callable, or is a coroutine function that
                the client cannot await.
            ValueError: there is no token, or the token is empty or contains a character that is not
                allowed in a header.
        """
        if self._source is None:
            self._source = os.environ.get(TOKEN_ENV)
            if not self._source:
                raise ValueError(
                    f"no token: pass token=… or set the environment variable {TOKEN_ENV}"
                )
        if isinstance(self._source, str):
            self._source = _make_authorization(self._source)
        elif not callable(self._source):
            raise TypeError(
                "token must be a string or a callable that returns one,"
                f" not {type(self._source).__name__}"
            )
        elif not asynchronous and is_coroutine_function(self._source):
            raise TypeError("token is an async function; pass a regular function, or use AsyncDub")

    def authorization(self) -> RedactedStr:
        """Return the value of the ``Authorization`` header.

        Raises:
            TypeError: the callable did not return a string.
            ValueError: the returned string is empty or contains a character that is not allowed in
                a header.
        """
        if isinstance(self._source, RedactedStr):
            return self._source
        return _make_authorization(self._source())

    async def authorization_async(self) -> RedactedStr:
        """Return the value of the ``Authorization`` header. Await an asynchronous callable.

        Raises:
            TypeError: the callable did not return a string.
            ValueError: the returned string is empty or contains a character that is not allowed in
                a header.
        """
        if isinstance(self._source, RedactedStr):
            return self._source
        token = self._source()
        if inspect.isawaitable(token):
            token = await cast("Awaitable[object]", token)
        return _make_authorization(token)

    def __repr__(self) -> str:
        return "TokenProvider(***)"


def is_coroutine_function(function: object) -> bool:
    """Return whether calling ``function`` returns a coroutine."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - an object may have an async __call__
    )


def _make_authorization(token: object) -> RedactedStr:
    type_name = type(token).__name__
    if inspect.iscoroutine(token):
        token.close()  # otherwise Python warns that the coroutine was never awaited
    # Replace the local variable, because tracebacks may show it.
    token = RedactedStr(token) if isinstance(token, str) else None
    if token is None:
        raise TypeError(f"the token callable returned {type_name}, not a string")
    if not TOKEN_PATTERN.fullmatch(token):
        # These messages must not show the token.
        if not token.strip():
            raise ValueError(
                f"the token is empty; check the argument token or the variable {TOKEN_ENV}"
            )
        if token != token.strip():
            raise ValueError("the token begins or ends with whitespace; strip() it")
        raise ValueError(
            "the token contains a space, a control or a non-ASCII character; copy it again"
        )
    return RedactedStr(f"Bearer {token}")
