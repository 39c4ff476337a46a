"""Connect to a Redis server by its URL."""

from __future__ import annotations

import importlib
import os
from typing import Any
from urllib.parse import urlsplit

_URL_SCHEMES = ("redis", "rediss", "unix")
#: The time limit in seconds for connecting, and for the wait for each response.
_SOCKET_TIMEOUT = 1.0


class RedisConnection:
    """A connection to a Redis server.

    This class uses the connection class of redis-py, because redis-py's client is slower. Only the
    worker thread of a process uses the connection. A forked child opens a new connection.

    Attributes:
        errors: redis-py's exception module.
        generation: a number that changes with each new connection. A new connection may lead to
            another server.

    Raises:
        TypeError: the URL is not a string.
        ValueError: redis-py cannot open the URL.
        ImportError: redis-py is not installed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._pool, self.errors = _make_pool(url)
        self._connection: Any = None
        self._pid = 0
        self.generation = 0
        self._is_open = False  # whether the connection has received a response

    def execute(self, *command: Any) -> Any:
        """Send a command and return its response.

        After a failover, the old connection is closed or returns an error such as READONLY.
        Therefore a command that fails on a reused connection is sent again on a new connection.
        After a timeout, it is not sent again. Commands must be idempotent. The exceptions are those
        of redis-py.
        """
        is_reused = self._is_open and self._pid == os.getpid()
        try:
            return self._exchange(command)
        except (self.errors.NoScriptError, self.errors.TimeoutError):
            raise
        except Exception:
            if not is_reused:
                raise
        return self._exchange(command)

    def _exchange(self, command: tuple[Any, ...]) -> Any:
        if self._pid != os.getpid():
            self._connection, self._pid = _make_connection(self._pool), os.getpid()
        try:
            self._connection.send_command(*command)
            response = self._connection.read_response()
        except self.errors.NoScriptError:
            self._is_open = True
            raise
        except Exception:
            # Close the connection. The next command then resolves the host name again, and cannot
            # read a late response to this command.
            self.close()
            raise
        self._is_open = True
        return response

    def close(self) -> None:
        """Close the connection. The next command opens a new connection."""
        self._is_open = False
        self.generation += 1
        if self._pid == os.getpid():
            self._connection.disconnect()

    def __str__(self) -> str:
        url = urlsplit(self._url)
        # Omit the user, the password and the query. The query may also contain a password.
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


def _make_connection(pool: Any) -> Any:
    """Create an unconnected connection.

    ``pool.make_connection()`` raises an exception after ``max_connections`` connections.
    """
    return pool.connection_class(**pool.connection_kwargs)


def _make_pool(url: object) -> tuple[Any, Any]:
    """Return a connection pool for the URL, and redis-py's exception module.

    The message for an invalid URL does not quote the URL, which may contain a password. The
    exception has no cause, because the message of the cause may quote the URL.
    """
    if not isinstance(url, str):
        raise TypeError(f"storage must be a URL or None, not {type(url).__name__}")
    try:
        parts = urlsplit(url)
        _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError(
            "storage has an invalid host or port; use a URL such as redis://localhost:6379"
        ) from None
    if parts.scheme not in _URL_SCHEMES or not url.startswith(f"{parts.scheme}://"):
        raise ValueError(
            "storage must be a URL that begins with redis://, rediss:// or unix://; Sentinel,"
            " Cluster and other storages are not supported; for Valkey write redis://"
        )
    try:
        redis: Any = importlib.import_module("redis")
    except ImportError as error:
        raise ImportError(
            'storage=… needs redis-py; run  pip install "dub-uplink[redis]"'
        ) from error
    try:
        pool = redis.ConnectionPool.from_url(
            url,
            socket_timeout=_SOCKET_TIMEOUT,
            socket_connect_timeout=_SOCKET_TIMEOUT,
            protocol=2,  # RESP3 starts with HELLO, which Redis 5 does not support
        )
        _make_connection(pool)  # validates the options in the query; does not connect
    except (TypeError, ValueError, redis.RedisError):
        raise ValueError(
            "storage has an option in its query that redis-py does not accept; remove the option"
        ) from None
    return pool, redis.exceptions
