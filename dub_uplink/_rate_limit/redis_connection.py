"""The connection to a Redis server, opened from a URL and used by one thread."""

from __future__ import annotations

import importlib
import os
from typing import Any
from urllib.parse import urlsplit

_SCHEMES = ("redis", "rediss", "unix")
_SOCKET_TIMEOUT = 1.0  # seconds, for connecting and for each response


class RedisConnection:
    """A connection of redis-py without its client, which takes longer than the exchange itself.

    Only the worker thread of a process calls it. A forked child opens a connection of its own.

    Attributes:
        errors: redis-py's module of exceptions.
        generation: changes with each new connection, which may lead to another server.

    Raises:
        TypeError: the URL is not a string.
        ValueError: the URL is not one that redis-py can open.
        ImportError: redis-py is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool, self.errors = _make_pool(url)
        self._connection: Any = None
        self._pid = 0
        self.generation = 0
        self._is_open = False  # whether a response was read on the connection

    def execute(self, *command: Any) -> Any:
        """Send a command and return its response.

        A connection that was open may lead to a server that is no longer the right one: it was
        closed, or it responds with an error such as READONLY after a failover. The command is then
        sent once more on a new connection, so it must be one that may be executed twice.

        Raises what redis-py raises.
        """
        reused = self._is_open and self._pid == os.getpid()
        try:
            return self._exchange(command)
        except (self.errors.NoScriptError, self.errors.TimeoutError):
            raise
        except Exception:
            if not reused:
                raise
        return self._exchange(command)

    def _exchange(self, command: tuple[Any, ...]) -> Any:
        if self._pid != os.getpid():
            self._connection, self._pid = self._pool.make_connection(), os.getpid()
        try:
            self._connection.send_command(*command)
            response = self._connection.read_response()
        except self.errors.NoScriptError:
            self._is_open = True
            raise
        except Exception:
            # The next attempt resolves the name again. After a timeout this connection would also
            # give it the response of this command.
            self.close()
            raise
        self._is_open = True
        return response

    def close(self) -> None:
        """Close the connection; the next command opens it again."""
        self._is_open = False
        self.generation += 1
        if self._pid == os.getpid():
            self._connection.disconnect()

    def __str__(self) -> str:
        url = urlsplit(self._url)
        # The user, the password and the query, which may hold them, are left out.
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _make_pool(url: object) -> tuple[Any, Any]:
    """Return a connection pool for the URL and redis-py's module of exceptions.

    Messages contain nothing of the URL, and exceptions have no cause: either may hold a password.
    """
    if not isinstance(url, str):
        raise TypeError(f"storage must be a URL or None, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("storage is not a URL: its host or port cannot be read") from None
    if parts.scheme not in _SCHEMES or not url.startswith(f"{parts.scheme}://"):
        raise ValueError(
            "storage must be a URL that begins with redis://, rediss:// or unix://; Sentinel,"
            " Cluster and other storages are not supported; for Valkey write redis://"
        )
    try:
        redis: Any = importlib.import_module("redis")
    except ImportError as error:
        raise ImportError(
            'storage=… needs redis-py: run  pip install "dub-uplink[redis]"'
        ) from error
    try:
        pool = redis.ConnectionPool.from_url(
            url,
            socket_timeout=_SOCKET_TIMEOUT,
            socket_connect_timeout=_SOCKET_TIMEOUT,
            protocol=2,  # RESP3 begins with HELLO, which Redis 5 does not know
        )
        pool.make_connection()  # checks the options in the query; sends nothing
    except (TypeError, ValueError, redis.RedisError):
        raise ValueError(
            "storage has an option in its query that redis-py does not accept"
        ) from None
    return pool, redis.exceptions
