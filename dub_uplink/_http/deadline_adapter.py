"""Deadlines for whole responses over requests.

A socket's own timeout restarts with every byte it receives, so a server that drips its headers or
its body is never late. Neither requests nor urllib3 bounds a whole response: both pass their
timeouts to the socket. The connections of this module compare each read with a deadline.
"""

from __future__ import annotations

import functools
import http.client
import io
import ssl
import sys
import time
import traceback
from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

import requests
import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError

from .connection_errors import PoolTimeout, RepeatedRequest

#: What requests passes where nothing is set: urllib3's own default is three retries.
_NO_RETRIES = urllib3.Retry(0, read=False)


class _Running(urllib3.Timeout):
    """The timeout of a request that ends at ``expires``, by ``time.monotonic``."""

    expires: float
    connect: float

    def left(self) -> float:
        """Return the seconds that are left, at least 0."""
        return max(self.expires - time.monotonic(), 0.0)

    def clone(self) -> urllib3.Timeout:
        return self

    def start_connect(self) -> float:
        return self.expires

    @property
    def connect_timeout(self) -> float:
        left = self.expires - time.monotonic()
        if left <= 0:
            raise PoolTimeout("timed out before the request was sent")
        return min(self.connect, left)

    @property
    def read_timeout(self) -> float:
        return max(self.expires - time.monotonic(), 0.0)


class Deadline(_Running):
    """A urllib3 timeout that runs from its creation and serves one request.

    urllib3 starts its own timeouts after the wait for a pooled connection, and again for each of
    its retries. A retry that a caller's adapter makes below this client is refused here.
    """

    def __init__(self, seconds: float, *, connect: float) -> None:
        super().__init__(total=seconds)
        self.seconds = seconds
        self.expires = time.monotonic() + seconds
        self.connect = connect
        self._is_used = False
        #: The response of the one request, or what it failed with.
        self._outcome: Any = None

    def clone(self) -> urllib3.Timeout:
        """Return the timeout of one request; urllib3 asks once for each.

        Raises:
            RepeatedRequest: a request was made with it before.
        """
        if self._is_used:
            raise RepeatedRequest("the session's adapter tried to repeat the request")
        self._is_used = True
        running = object.__new__(_Running)
        vars(running).update(vars(self))
        return running

    def once(self, send: Callable[[], Any]) -> Any:
        """Send the one request, or return its outcome again to a retry loop of the caller's."""
        if self._outcome is None:
            try:
                self._outcome = send()
            except Exception as error:
                self._outcome = error
                raise
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class _DeadlineReader(io.RawIOBase):
    """A socket's bytes until ``expires``, or for as long as the socket's timeout is now."""

    def __init__(self, sock: Any, expires: float | None) -> None:
        super().__init__()
        self.ended = False
        self._sock = sock
        self._raw = sock.makefile("rb", 0)  # by position: doubles of sockets name it differently
        if expires is None and hasattr(sock, "gettimeout"):  # pyOpenSSL's has none
            timeout = sock.gettimeout()
            expires = None if timeout is None else time.monotonic() + timeout
        self._expires = expires

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._expires is not None:
            left = self._expires - time.monotonic()
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
    """What http.client reads a response from: an object with ``makefile``."""

    def __init__(self, sock: Any, expires: float | None) -> None:
        self.reader = _DeadlineReader(sock, expires)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self.reader)


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, expires: float | None = None, **kwargs: Any) -> None:
        stream: Any = _DeadlineStream(sock, expires)
        self._reader = stream.reader
        super().__init__(stream, *args, **kwargs)

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            # http.client takes a 103 for the response, and the response for that of the next
            # request.
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        # http.client takes the end of the stream for the end of the headers.
        if self._reader.ended:
            raise http.client.RemoteDisconnected("Remote end closed connection within its headers")


def _view(original: Any, mixin: Any, deadline: Deadline | None) -> Any:
    """Return an object that shares the attributes of ``original`` and has the methods of ``mixin``.

    The caller's object is never changed, and what its own methods set while they run on the view
    is set on both.
    """
    cls: Any = type(original)
    view = object.__new__(_view_class(cls, mixin))
    object.__setattr__(view, "__dict__", vars(original))
    object.__setattr__(view, "_original", original)
    object.__setattr__(view, "_deadline", deadline)
    return view


@functools.lru_cache(maxsize=64)
def _view_class(cls: Any, mixin: Any) -> Any:
    names = ("_original", "_deadline")
    namespace: dict[str, Any] = {
        name: _forward(name)
        for base in cls.__mro__
        for name, value in vars(base).items()
        if isinstance(value, MemberDescriptorType) and name not in names
    }
    # Dropping a view closes nothing; that is for the original.
    namespace |= {"__slots__": names, "__del__": lambda _: None}
    bases = (cls,) if issubclass(cls, mixin) else (mixin, cls)
    metaclass: Any = type(cls)
    return metaclass(cls.__name__, bases, namespace)


def _forward(name: str) -> property:
    """Return a property for a slot, which is no part of the attributes that a view shares."""
    return property(
        lambda view: getattr(view._original, name),
        lambda view, value: setattr(view._original, name, value),
        lambda view: delattr(view._original, name),
    )


def _connect(connect: Callable[..., object], *args: Any) -> None:
    """Connect; what the TLS handshake or a proxy fails with is marked: nothing was sent."""
    try:
        connect(*args)
    except TimeoutError:
        raise ConnectTimeoutError("timed out while connecting") from None
    except Exception as error:
        if sys.version_info < (3, 13):
            _close_detached(error)
        vars(error)["while_connecting"] = True
        raise


def _close_detached(error: Exception) -> None:
    """Close the socket that ``ssl`` leaves open where a reset arrives before the handshake.

    urllib3 cannot close it: its own socket object was detached. Python 3.13 closes it itself:
    https://github.com/python/cpython/issues/113280
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        sock = frame.f_locals.get("self")
        if isinstance(sock, ssl.SSLSocket):
            sock.close()


class _DeadlinePool:
    """A urllib3 pool whose responses end at a deadline.

    The connections are those of the pool. What is set on one lasts for one request.
    """

    __slots__ = ()

    def _prepare_proxy(self, conn: Any) -> None:
        pool: Any = super()
        vars(conn).update(response_class=_DeadlineResponse, debuglevel=0)
        _connect(pool._prepare_proxy, conn)

    def _make_request(self, conn: Any, *args: Any, **settings: Any) -> Any:
        pool: Any = super()
        if not isinstance(conn, http.client.HTTPConnection):  # vcrpy's
            return pool._make_request(conn, *args, **settings)
        set_here = vars(conn)
        set_here["debuglevel"] = 0  # set on http.client's own class, it prints the token
        set_here["response_class"] = _DeadlineResponse
        deadline = settings.get("timeout")
        try:
            if isinstance(deadline, _Running):
                set_here["response_class"] = functools.partial(
                    _DeadlineResponse, expires=deadline.expires
                )
                if conn.sock is None:
                    # Each address of a host may take the whole timeout; nothing is sent after it.
                    _connect(conn.connect)
            return pool._make_request(conn, *args, **settings)
        except ssl.SSLEOFError:
            # Before 3.11.9 and 3.12.3 a write to a reset connection ends so, and urllib3 does not
            # read the alert that arrived before: https://github.com/python/cpython/issues/115627
            if isinstance(conn.sock, ssl.SSLSocket):  # not before the handshake
                conn.sock.recv(1)
            raise
        finally:
            del set_here["debuglevel"], set_here["response_class"]


class _PoolView(_DeadlinePool):
    """A pool for the one request of an attempt, whatever a caller's adapter passes to it."""

    __slots__ = ()
    _deadline: Deadline

    def urlopen(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Any = None,
        retries: Any = None,
        *args: Any,
        **settings: Any,
    ) -> Any:
        pool: Any = super()
        deadline = self._deadline
        settings |= {"timeout": deadline, "pool_timeout": deadline.left()}
        return deadline.once(
            lambda: pool.urlopen(method, url, body, headers, _NO_RETRIES, *args, **settings)
        )


def _pool_view(pool: Any, deadline: Deadline | None) -> Any:
    if not isinstance(pool, urllib3.HTTPConnectionPool):
        return pool
    return _view(pool, _DeadlinePool if deadline is None else _PoolView, deadline)


class _AdapterView:
    __slots__ = ()
    _deadline: Deadline | None

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:  # requests before 2.32
        adapter: Any = super()
        return _pool_view(adapter.get_connection(*args, **kwargs), self._deadline)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        adapter: Any = super()
        pool = adapter.get_connection_with_tls_context(*args, **kwargs)
        return _pool_view(pool, self._deadline)


class _SessionView:
    __slots__ = ()
    _deadline: Deadline

    def get_adapter(self, *args: Any, **kwargs: Any) -> Any:
        session: Any = super()
        adapter = session.get_adapter(*args, **kwargs)
        if not isinstance(adapter, HTTPAdapter):
            return adapter
        return _view(adapter, _AdapterView, self._deadline)


def with_deadline(session: requests.Session, deadline: Deadline) -> requests.Session:
    """Return a view of a caller's session for one request, which ends at a deadline.

    Its adapters keep their settings and pools, and repeat nothing: one attempt is one request. An
    adapter inside another one is not reached.
    """
    view: requests.Session = _view(session, _SessionView, deadline)
    return view


def wraps_adapter(adapter: Any) -> bool:
    """Return whether an adapter sends through another one or a session, which no view reaches."""
    for value in getattr(adapter, "__dict__", {}).values():
        kept = value.values() if isinstance(value, dict) else value
        if not isinstance(kept, (list, tuple, set, type({}.values()))):
            kept = (value,)
        if any(isinstance(one, (BaseAdapter, requests.Session)) for one in kept):
            return True
    return False


class DeadlineAdapter(HTTPAdapter):
    """A requests adapter whose timeout bounds the whole response, headers and body.

    A client that makes its own session mounts it. Mount it on a session of your own to get the
    same bound for your own requests: ``session.mount("https://", DeadlineAdapter())``.
    """

    __module__ = "dub_uplink"

    #: The pool of the last request, and what it was chosen by.
    _last: tuple[Any, Any] | None = None

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        # A client sends to one server, and to choose its pool is a tenth of requests' own time.
        origin = (request.url or "").split("/", 3)[:3]
        key = origin, verify, cert, proxies and dict(proxies)
        last = self._last
        if last is not None and last[0] == key and last[1].pool is not None:  # not closed since
            return last[1]
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        pool = _pool_view(pool, None)
        self._last = key, pool
        return pool

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:  # requests before 2.32
        return _pool_view(super().get_connection(*args, **kwargs), None)

    def close(self) -> None:
        self._last = None
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            # urllib3 closes a pool when it is garbage-collected, which a traceback may delay.
            pools = manager.pools
            for pool in filter(None, map(pools.get, pools.keys())):
                pool.close()
        super().close()
