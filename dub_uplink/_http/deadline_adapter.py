"""Connections whose time-out bounds the whole answer, and the requests adapter that uses them."""

from __future__ import annotations

import contextlib
import copy
import functools
import http.client
import io
import os
import queue
import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from .._internal.fork_safety import after_fork_in_child


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes until a moment, not until a pause.

    A socket's own time-out starts again with every byte, so that a server that drips its headers
    or its body is never late.
    """

    def __init__(self, sock: Any) -> None:
        super().__init__()
        self.ended = False
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        count: int = self._raw.readinto(buffer)
        self.ended = count == 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class _DeadlineStream:
    """What http.client asks of a socket to read from it."""

    def __init__(self, sock: Any) -> None:
        self.reader = _DeadlineReader(sock)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.reader)


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        stream: Any = _DeadlineStream(sock)
        self._reader = stream.reader
        super().__init__(stream, *args, **kwargs)

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            # http.client takes a 103 for the answer, and the answer for that of the next request.
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        # http.client takes the end of the stream for the end of the headers.
        if self._reader.ended:
            raise http.client.RemoteDisconnected("Remote end closed connection within its headers")


def _let_go(connection: Any) -> None:
    """Close this process's end of a socket that is another's, without a word to the server."""
    sock, connection.sock = connection.sock, None
    with contextlib.suppress(OSError, AttributeError):
        # Not by its `close`, which waits until nobody reads from it: that thread is not here.
        os.close(getattr(sock, "socket", sock).detach())  # urllib3 wraps that of TLS within TLS


class _Connection(HTTPConnection):
    response_class = _DeadlineResponse
    debuglevel = 0  # set on http.client's own class it would print the token

    def connect(self) -> None:
        super().connect()
        after_fork_in_child(self, _let_go)


class _TLSConnection(HTTPSConnection):
    response_class = _DeadlineResponse
    debuglevel = 0

    def connect(self) -> None:
        super().connect()
        after_fork_in_child(self, _let_go)


class _Idle(queue.LifoQueue[Any]):
    """urllib3's queue of the connections that wait; a forked process begins without any."""

    def __init__(self, maxsize: int = 0) -> None:
        super().__init__(maxsize)
        after_fork_in_child(self, _Idle._renew)

    def _renew(self) -> None:
        super().__init__(self.maxsize)  # with locks that nobody holds
        for _ in range(self.maxsize):
            self.put(None)  # as urllib3 begins: a place without a connection


# A class that someone has put in the place of urllib3's own goes first: vcrpy records so.


class _Pool(HTTPConnectionPool):
    QueueCls = _Idle

    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]
        stock = HTTPConnectionPool.ConnectionCls
        return _Connection if stock is HTTPConnection else stock


class _TLSPool(HTTPSConnectionPool):
    QueueCls = _Idle

    @property
    def ConnectionCls(self) -> Any:  # type: ignore[override]
        stock = HTTPSConnectionPool.ConnectionCls
        return _TLSConnection if stock is HTTPSConnection else stock


_POOLS: dict[str, Any] = {"http": _Pool, "https": _TLSPool}


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter whose time-out bounds the whole answer, headers and body.

    A client that makes its own session mounts it. Mount it on a session of your own to get the
    same bound there: ``session.mount("https://", DeadlineAdapter())``.
    """

    #: The pool of the last request, and what it was chosen by.
    _last: tuple[Any, Any] | None = None

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        if isinstance(manager, urllib3.ProxyManager):
            manager.pool_classes_by_scheme = _POOLS
        return manager

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        # A client asks one server: working out its pool anew is a tenth of requests' own time.
        origin = (request.url or "").split("/", 3)[:3]
        key = origin, verify, cert, proxies and dict(proxies)
        last = self._last
        if last is not None and last[0] == key and last[1].pool is not None:  # not closed since
            return last[1]
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        self._last = key, pool
        return pool

    def close(self) -> None:
        self._last = None
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            # urllib3 closes a pool when it is garbage-collected, which a traceback may delay.
            pools = manager.pools
            for pool in filter(None, map(pools.get, pools.keys())):
                pool.close()
        super().close()


# A session of the caller's is neither changed nor left without a bound. What follows looks at it:
# the same settings and the same pools, and in these, beside its own, connections of ours.


def with_deadline(session: requests.Session) -> requests.Session:
    """The caller's session, for one request: with ours in the place of requests' own adapter.

    It shares the session's attributes, so that what one of its own methods sets is set. Adapters of
    another class are used as they are.
    """
    if any(vars(kind).get("__slots__") for kind in type(session).__mro__):
        return session  # what is in those is not in its attributes
    kind: Any = type(session)
    view: requests.Session = object.__new__(_bounded_kind(kind))
    view.__dict__ = vars(session)
    return view


@functools.lru_cache(maxsize=64)
def _bounded_kind(kind: type[requests.Session]) -> type[requests.Session]:
    class Bounded(kind):  # type: ignore[misc, valid-type]
        def get_adapter(self, url: Any) -> Any:
            adapter = super().get_adapter(url)
            return _DeadlineView(adapter) if type(adapter) is HTTPAdapter else adapter

        def __del__(self) -> None:
            """Nothing: it is the session that is to be closed, when that is dropped."""

    return Bounded


class _DeadlineView(DeadlineAdapter):
    def __init__(self, adapter: HTTPAdapter) -> None:
        vars(self).update(vars(adapter))
        self.poolmanager = _beside(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        # Kept, and one day closed, by the caller's adapter.
        return _beside(HTTPAdapter.proxy_manager_for(self, proxy, **kwargs))


def _beside(manager: Any) -> Any:
    stock = urllib3.poolmanager.pool_classes_by_scheme
    if getattr(manager, "pool_classes_by_scheme", None) is not stock:
        return manager  # SOCKS, or something of the caller's
    view = copy.copy(manager)
    view.pool_classes_by_scheme = _POOLS
    view.key_fn_by_scheme = {
        scheme: functools.partial(_key, key) for scheme, key in manager.key_fn_by_scheme.items()
    }
    return view


def _key(key: Any, request_context: dict[str, Any]) -> Any:
    return DeadlineAdapter, key(request_context)
