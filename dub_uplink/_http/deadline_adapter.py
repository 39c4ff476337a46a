"""Apply deadlines to whole responses of the ``requests`` library.

``requests`` and ``urllib3`` pass their timeouts to the socket. A socket timeout restarts with every
byte, so a server that sends one byte at a time never causes a timeout. This module checks a
deadline before each read from the socket.
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
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError

from .._internal.config import POOL_WAIT_SHARE
from .connection_errors import PoolTimeout, RepeatedRequest

#: `requests` passes this value by default. Without this value, urllib3 retries three times.
_NO_RETRIES = urllib3.Retry(0, read=False)


class _RequestTimeout(urllib3.Timeout):
    """A ``urllib3`` timeout that ends at ``expires_at``, a monotonic time in seconds."""

    expires_at: float
    connect_seconds: float

    def remaining(self) -> float:
        """Return the seconds until ``expires_at``, at least 0."""
        return max(self.expires_at - time.monotonic(), 0.0)

    def clone(self) -> urllib3.Timeout:
        return self

    def start_connect(self) -> float:
        return self.expires_at

    @property
    def connect_timeout(self) -> float:
        seconds_left = self.expires_at - time.monotonic()
        if seconds_left <= 0:
            raise PoolTimeout("timed out before the request was sent")
        return min(self.connect_seconds, seconds_left)

    @property
    def read_timeout(self) -> float:
        return max(self.expires_at - time.monotonic(), 0.0)


class Deadline(_RequestTimeout):
    """A ``urllib3`` timeout that starts at its creation and is valid for one request.

    ``urllib3`` starts an ordinary timeout only after the wait for a pooled connection, and restarts
    it for each retry. If the caller's adapter repeats the request, this class raises an error.

    Args:
        seconds: time limit of the whole request.
        connect_seconds: time limit of connecting to one address of the host.
    """

    def __init__(self, seconds: float, *, connect_seconds: float) -> None:
        super().__init__(total=seconds)
        self.seconds = seconds
        self.expires_at = time.monotonic() + seconds
        self.connect_seconds = connect_seconds
        self._is_used = False
        #: The response, or the exception that sending the request raised.
        self._outcome: Any = None

    def clone(self) -> urllib3.Timeout:
        """Return the timeout of the request. ``urllib3`` calls this method when a request starts.

        Raises:
            RepeatedRequest: ``urllib3`` has called this method before.
        """
        if self._is_used:
            raise RepeatedRequest("the adapter tried to repeat the request; disable its retries")
        self._is_used = True
        request_timeout = object.__new__(_RequestTimeout)
        vars(request_timeout).update(vars(self))
        return request_timeout

    def send_once(self, send: Callable[[], Any]) -> Any:
        """Send the request at the first call. Later calls return or raise the stored outcome."""
        if self._outcome is None:
            try:
                self._outcome = send()
            except Exception as error:
                self._outcome = error
                raise
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


class NumericDeadline(Deadline, float):
    """A deadline that is also a number of seconds.

    Adapters of a caller's session get this object as their timeout and may calculate with it. If an
    adapter passes the object on to an inner adapter, the inner adapter sends only one request.
    """

    def __new__(cls, seconds: float, **_: float) -> NumericDeadline:
        return float.__new__(cls, seconds)


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until ``expires_at``, a monotonic time in seconds.

    If ``expires_at`` is ``None``, the socket's timeout applies from the creation of the reader.
    """

    def __init__(self, sock: Any, expires_at: float | None) -> None:
        super().__init__()
        self.reached_end = False
        self._sock = sock
        self._raw = sock.makefile("rb", 0)  # by position: fake sockets use other parameter names
        if expires_at is None and hasattr(sock, "gettimeout"):  # missing in pyOpenSSL
            timeout = sock.gettimeout()
            expires_at = None if timeout is None else time.monotonic() + timeout
        self._expires_at = expires_at

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the stream that http.client reads a response from."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._expires_at is not None:
            seconds_left = self._expires_at - time.monotonic()
            if seconds_left <= 0:
                raise TimeoutError("timed out while reading the response")
            self._sock.settimeout(seconds_left)
        count: int = self._raw.readinto(buffer)
        self.reached_end = count == 0
        return count

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
            super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(
        self, sock: Any, *args: Any, expires_at: float | None = None, **kwargs: Any
    ) -> None:
        reader: Any = _DeadlineReader(sock, expires_at)
        self._reader = reader
        super().__init__(reader, *args, **kwargs)

    def begin(self) -> None:
        super().begin()
        while 100 <= self.status < 200 and self.status != http.HTTPStatus.SWITCHING_PROTOCOLS:
            # http.client skips only status 100, and returns a 103 as the final response. The next
            # request on the connection then gets the actual response. Skip each 1XX but 101.
            self.headers = self.msg = None  # type: ignore[assignment]
            super().begin()
        # http.client does not raise an error if the stream ends within the headers.
        if self._reader.reached_end:
            raise http.client.RemoteDisconnected("Remote end closed connection within its headers")


def _make_view(original: Any, mixin: Any, deadline: Deadline | None) -> Any:
    """Create a view: an object with the attributes of ``original`` and the methods of ``mixin``.

    ``original`` does not get the methods. Both objects share one ``__dict__``, so that an attribute
    set on the view is also set on ``original``.
    """
    original_class: Any = type(original)
    view = object.__new__(_make_view_class(original_class, mixin))
    object.__setattr__(view, "__dict__", vars(original))
    object.__setattr__(view, "_original", original)
    object.__setattr__(view, "_deadline", deadline)
    return view


@functools.lru_cache(maxsize=64)
def _make_view_class(original_class: Any, mixin: Any) -> Any:
    slots = ("_original", "_deadline")
    namespace: dict[str, Any] = {
        name: _make_forwarding_property(name)
        for base in original_class.__mro__
        for name, value in vars(base).items()
        if isinstance(value, MemberDescriptorType) and name not in slots
    }
    # An inherited __del__ would close the resources of the original when the view is
    # garbage-collected. The empty __del__ prevents this.
    namespace |= {"__slots__": slots, "__del__": lambda _: None}
    bases = (original_class,) if issubclass(original_class, mixin) else (mixin, original_class)
    metaclass: Any = type(original_class)
    return metaclass(original_class.__name__, bases, namespace)


def _make_forwarding_property(name: str) -> property:
    """Return a property that accesses a slot of the original. Slots are not in ``__dict__``."""
    return property(
        lambda view: getattr(view._original, name),
        lambda view, value: setattr(view._original, name, value),
        lambda view: delattr(view._original, name),
    )


def _connect(connect: Callable[..., object], *args: Any) -> None:
    """Connect. Raise ``ConnectTimeoutError`` on a timeout.

    Set ``while_connecting`` on any other exception, to show that no request was sent.
    """
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
    """Close the socket that ``ssl`` leaves open if a reset arrives before the handshake.

    ``urllib3`` cannot close this socket, because ``ssl`` has detached it from the socket object
    that ``urllib3`` holds. Python 3.13 closes it: https://github.com/python/cpython/issues/113280
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        sock = frame.f_locals.get("self")
        if isinstance(sock, ssl.SSLSocket):
            sock.close()


class _DeadlineResponsesMixin:
    """A mixin for the view of a ``urllib3`` pool. It gives each response a deadline.

    The view uses the connections of the original pool. It sets attributes on a connection only for
    the duration of one request.
    """

    __slots__ = ()

    def _prepare_proxy(self, conn: Any) -> None:
        parent: Any = super()
        vars(conn).update(response_class=_DeadlineResponse, debuglevel=0)
        _connect(parent._prepare_proxy, conn)

    def _make_request(self, conn: Any, *args: Any, **kwargs: Any) -> Any:
        parent: Any = super()
        if not isinstance(conn, http.client.HTTPConnection):  # a vcrpy connection
            return parent._make_request(conn, *args, **kwargs)
        conn_attributes = vars(conn)
        # http.client prints the token if a program has set the debug level of the class.
        conn_attributes["debuglevel"] = 0
        conn_attributes["response_class"] = _DeadlineResponse
        deadline = kwargs.get("timeout")
        try:
            if isinstance(deadline, _RequestTimeout):
                conn_attributes["response_class"] = functools.partial(
                    _DeadlineResponse, expires_at=deadline.expires_at
                )
                if conn.sock is None:
                    # The connect timeout applies to each address of a host, so connecting can end
                    # after the deadline. Connect now: urllib3 then checks the deadline before it
                    # sends the request.
                    _connect(conn.connect)
            return parent._make_request(conn, *args, **kwargs)
        except ssl.SSLEOFError:
            # Before Python 3.11.9 and 3.12.3, a write to a reset connection raises this error even
            # if a TLS alert has arrived. recv() raises the error of the alert:
            # https://github.com/python/cpython/issues/115627
            if isinstance(conn.sock, ssl.SSLSocket):  # only after the handshake
                conn.sock.recv(1)
            raise
        finally:
            del conn_attributes["debuglevel"], conn_attributes["response_class"]


class _SingleRequestMixin(_DeadlineResponsesMixin):
    """A mixin for the view of a pool. The view sends one request, without retries.

    The response must be complete by the deadline.
    """

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
        **kwargs: Any,
    ) -> Any:
        parent: Any = super()
        deadline = self._deadline
        kwargs |= {"timeout": deadline, "pool_timeout": deadline.remaining() * POOL_WAIT_SHARE}
        return deadline.send_once(
            lambda: parent.urlopen(method, url, body, headers, _NO_RETRIES, *args, **kwargs)
        )


def _make_pool_view(pool: Any, deadline: Deadline | None) -> Any:
    if not isinstance(pool, urllib3.HTTPConnectionPool):
        return pool
    return _make_view(
        pool, _DeadlineResponsesMixin if deadline is None else _SingleRequestMixin, deadline
    )


class _AdapterMixin:
    __slots__ = ()
    _deadline: Deadline | None

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:  # requests before 2.32
        parent: Any = super()
        return _make_pool_view(parent.get_connection(*args, **kwargs), self._deadline)

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        parent: Any = super()
        pool = parent.get_connection_with_tls_context(*args, **kwargs)
        return _make_pool_view(pool, self._deadline)


class _SessionMixin:
    __slots__ = ()
    _deadline: Deadline

    def get_adapter(self, *args: Any, **kwargs: Any) -> Any:
        parent: Any = super()
        adapter = parent.get_adapter(*args, **kwargs)
        if not isinstance(adapter, HTTPAdapter):
            return adapter
        return _make_view(adapter, _AdapterMixin, self._deadline)


def with_deadline(session: requests.Session, deadline: Deadline) -> requests.Session:
    """Create a view of a caller's session. The view sends only one request.

    The response must be complete by the deadline. The adapters keep their settings and pools, but
    do not retry. The view has no effect on an adapter that another adapter wraps.
    """
    view: requests.Session = _make_view(session, _SessionMixin, deadline)
    return view


class DeadlineAdapter(HTTPAdapter):
    """An adapter for ``requests`` whose timeout limits the whole response: headers and body.

    A client that creates its own session uses this adapter automatically. To apply the limit to
    other requests, mount it on your session: ``session.mount("https://", DeadlineAdapter())``.
    """

    __module__ = "dub_uplink"

    #: The key and the pool of the last request. A request with an equal key uses this pool.
    _last_pool: tuple[Any, Any] | None = None

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        # Cache the pool, because a client has one server. Looking the pool up takes a tenth of the
        # time of a request.
        origin = (request.url or "").split("/", 3)[:3]
        key = origin, verify, cert, proxies and dict(proxies)
        cached = self._last_pool
        # urllib3 sets the attribute `pool` to None when a connection pool is closed.
        if cached is not None and cached[0] == key and cached[1].pool is not None:
            return cached[1]
        pool = super().get_connection_with_tls_context(request, verify, proxies, cert)
        pool = _make_pool_view(pool, None)
        self._last_pool = key, pool
        return pool

    def get_connection(self, *args: Any, **kwargs: Any) -> Any:  # requests before 2.32
        return _make_pool_view(super().get_connection(*args, **kwargs), None)

    def close(self) -> None:
        self._last_pool = None
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            # urllib3 closes a pool when it is garbage-collected. A traceback may delay that.
            pools = manager.pools
            for pool in filter(None, map(pools.get, pools.keys())):
                pool.close()
        super().close()
