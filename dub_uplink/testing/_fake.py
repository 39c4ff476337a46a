"""FakeDub: a fake workspace with customers, a clock, faults, a session and a server."""

from __future__ import annotations

import dataclasses
import datetime as dt
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ._api.expansions import complete_discount, complete_link, complete_partner
from ._api.generated import generate_rows
from ._api.ids import CustomerIdGenerator
from ._api.limits import RateLimiter
from ._api.routes import CustomersApi
from ._api.store import (
    Store,
    StoredCustomer,
    check_id_format,
    customer_from_row,
    from_milliseconds,
)
from ._clock import FakeClock
from ._fault_values import check_integer
from ._messages import Delivery, FakeResponse, Request
from ._request_log import RequestLog
from ._settings import Settings, make_workspace
from .faults import Faults

if TYPE_CHECKING:
    import requests

    from ._app import App
    from ._server import Server


class FakeDub:
    """A fake of Dub's customers API with the server's checks and messages, and faults on demand.

    Thread-safe.

    Args:
        token: The valid API key or keys.
        expired: The expired API key or keys. A key in both ``token`` and ``expired`` is expired.
        role: The role of the API keys in the workspace: ``owner``, ``member``, ``viewer`` or
            ``billing``.
        plan: The workspace's plan: ``free``, ``trial``, ``pro``, ``business``, ``advanced`` or
            ``enterprise``. The customers API rejects ``free`` and ``pro``.
        default_program: The id of the workspace's program. A filter by program or partner uses
            this program instead of the requested program. If ``None``, the filter gets a 404.
        rate_limit: The number of requests that each API key may send in a ``window``. With 0,
            every request gets a 429. With ``None``, no request gets a 429, and the headers of
            errors contain the limit of the plan.
        window: The window of the rate limit, in seconds.
        now: A function that returns the time as an aware datetime or Unix seconds. The default is
            the wall clock.
        ids: A function that returns the id of a new customer. By default, ids are random and have
            Dub's format.
        database: The path of a SQLite file for the customers. By default, they are in memory.
        base_url: The server URL. ``session()`` passes requests for this URL to the fake.
        latency: The delay of every response, in seconds.
        keep_requests: How many of the latest requests the fake keeps in ``requests``.

    Raises:
        ValueError: a role, plan, token, URL or number is invalid.
        sqlite3.Error: ``database`` is not a SQLite file, or is read-only.
    """

    __module__ = "dub_uplink.testing"

    def __init__(
        self,
        token: str | Iterable[str] = "dub_test",
        *,
        expired: str | Iterable[str] = ("dub_expired",),
        role: str = "owner",
        plan: str = "business",
        default_program: str | None = None,
        rate_limit: int | None = None,
        window: float = 60.0,
        now: Callable[[], dt.datetime | float] | None = None,
        ids: Callable[[], str] | None = None,
        database: str | None = None,
        base_url: str = "https://api.dub.co",
        latency: float = 0.0,
        keep_requests: int = 10_000,
    ) -> None:
        if "://" not in base_url:
            raise ValueError(f"base_url must be a URL such as https://api.dub.co, not {base_url!r}")
        tokens: tuple[Any, Any] = (token, expired)  # Settings converts them to tuples
        settings = Settings(
            role, plan, default_program, rate_limit, window, latency, *tokens, keep_requests
        )
        self.base_url: str = base_url.rstrip("/")
        self._settings = self._initial_settings = settings
        self.clock: FakeClock = FakeClock(now)
        self.faults: Faults = Faults()
        self._ids_function = ids
        self._next_ids: deque[str] = deque()
        self._id_generator = CustomerIdGenerator()
        self._store = Store(database)
        self._lock = threading.RLock()
        self._requests = RequestLog(keep_requests)
        self._limiter = RateLimiter(settings.limit, window, enforced=rate_limit is not None)
        workspace = make_workspace(settings)
        # Keep former API keys too, because recorded requests may contain them.
        self._secrets = workspace.tokens | workspace.expired
        self._api = CustomersApi(self._store, workspace, self._limiter, self.clock, self._new_id)

    def session(self, *, sleep: Callable[[float], object] | None = None) -> requests.Session:
        """Return a session that passes requests for ``base_url`` to this fake, without a socket.

        Other requests raise ``NetworkRefused``.

        Args:
            sleep: A function to call with the seconds of each delay. By default, the session calls
                ``time.sleep``, and ``no_sleep()`` skips the delay.
        """
        from ._session import make_session  # noqa: PLC0415 - a served fake does not need the requests library

        return make_session(self, sleep)

    def serve(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        admin: bool = False,
        admin_token: str | None = None,
    ) -> Server:
        """Serve this fake over HTTP until the server is closed: ``with fake.serve() as url:``.

        Args:
            host: The address to listen on.
            port: The port; 0 selects a free port.
            admin: Whether to serve the admin API and the admin page under ``/_fake/``.
            admin_token: The token that every request to the admin API needs; required if
                ``admin`` is true and ``host`` is not a loopback address.

        Raises:
            OSError: the port is in use.
            ValueError: ``admin_token`` is missing, invalid, or given although ``admin`` is false.
        """
        from ._server import Server  # noqa: PLC0415 - most fakes are not served

        return Server(self, host, port, admin=admin, admin_token=admin_token)

    @property
    def wsgi_app(self) -> App:
        """Return this fake as a WSGI application; raise ``ImportError`` without werkzeug."""
        from ._app import App  # noqa: PLC0415 - the rest of the fake needs no werkzeug

        return App(self)

    def handle(self, request: Request) -> Delivery:
        """Execute a request or apply its fault. Return how to deliver the response.

        If the response is delayed, the caller sets ``request.ms`` when it sends the response.
        """
        self._store.check_open()
        started = time.perf_counter()
        self._requests.append(request)
        fault = request.fault = self.faults.next(request)
        delivery = Delivery(None)  # for ``finally``, if the fault raises an exception
        try:
            if fault is None:
                delivery = Delivery(self._execute(request))
            else:
                delivery = fault.apply(lambda: self._execute(request), self.clock.time())
            delivery.delay += self._settings.latency
            request.status = None if delivery.response is None else delivery.response.status
        finally:
            # The caller sets the duration of a delayed response.
            if not delivery.total_delay:
                request.ms = (time.perf_counter() - started) * 1000
        return delivery

    def _execute(self, request: Request) -> FakeResponse:
        with self._lock:
            self._store.check_open()
            return self._api.handle(request)

    def _new_id(self) -> str:
        custom_id = self._next_custom_id()
        return self._id_generator(self.clock.milliseconds()) if custom_id is None else custom_id

    def _next_custom_id(self) -> str | None:
        if self._next_ids:
            return self._next_ids.popleft()
        if self._ids_function is None:
            return None
        custom_id = self._ids_function()
        check_id_format(custom_id)
        return custom_id

    @property
    def token(self) -> str:
        """Return the first valid API key."""
        return self._settings.tokens[0]

    @property
    def settings(self) -> Settings:
        """Return the current settings."""
        return self._settings

    def configure(self, **changes: Any) -> Settings:
        """Change settings for the next requests, and return all settings.

        Args:
            **changes: Fields of :class:`Settings`, such as ``role="viewer"``. A new rate limit
                counts earlier requests too.

        Raises:
            TypeError: a name is not a field of ``Settings``, or a value has the wrong type.
            ValueError: a role, plan, token or number is invalid.
        """
        with self._lock:
            settings = dataclasses.replace(self._settings, **changes)
            workspace = self._api.workspace = make_workspace(settings)
            self._secrets |= workspace.tokens | workspace.expired
            self._requests.resize(settings.keep_requests)
            self._limiter.configure(
                settings.limit, settings.window, enforced=settings.rate_limit is not None
            )
            self._settings = settings
        return settings

    @property
    def next_ids(self) -> list[str]:
        """Return the remaining ids of ``use_ids``."""
        with self._lock:
            return list(self._next_ids)

    def use_ids(self, ids: Iterable[str]) -> None:
        """Use ``ids`` for the next new customers. Discard the unused ids of an earlier call.

        Raises:
            ValueError: an id is empty or repeated, begins with ``ext_``, or belongs to a customer.
        """
        new_ids = deque(ids)
        with self._lock:
            if not all(new_ids) or len(set(new_ids)) < len(new_ids):
                raise ValueError(f"each id must be unique and not empty: {list(new_ids)}")
            for customer_id in new_ids:
                self._store.check_id(customer_id)
            self._next_ids = new_ids

    @property
    def customers(self) -> list[StoredCustomer]:
        """Return copies of the customers, sorted by id."""
        with self._lock:
            rows = self._store.all()
        return [customer_from_row(row) for row in rows]

    @property
    def customer_count(self) -> int:
        """Return the number of customers; faster than ``len(fake.customers)``."""
        with self._lock:
            return len(self._store)

    @property
    def requests(self) -> list[Request]:
        """Return copies of the recorded requests, the oldest first."""
        return self._requests.after(0)

    def add(
        self,
        *,
        external_id: str | None = None,
        id: str | None = None,
        name: str | None = None,
        email: str | None = None,
        avatar: str | None = None,
        stripe_customer_id: str | None = None,
        country: str | None = None,
        created_at: dt.datetime | None = None,
        sales: int = 0,
        sale_amount: int = 0,
        first_sale_at: dt.datetime | None = None,
        subscription_canceled_at: dt.datetime | None = None,
        program_id: str | None = None,
        link: Mapping[str, Any] | None = None,
        partner: Mapping[str, Any] | None = None,
        discount: Mapping[str, Any] | None = None,
    ) -> StoredCustomer:
        """Store a customer without the checks of the API, and return the customer.

        As after an import in Dub, the id contains the current time, not ``created_at``.
        ``sale_amount`` is in cents. ``link``, ``partner`` and ``discount`` accept keys in
        snake_case or camelCase. Missing keys get defaults. Unknown keys are kept.

        Raises:
            ValueError: another customer has the id, ``external_id`` or ``stripe_customer_id``. The
                id begins with ``ext_``. A date has no time zone. A number is out of range.
            TypeError: ``sales`` or ``sale_amount`` is not an integer.
        """
        check_integer("sales", sales, 0)
        check_integer("sale_amount", sale_amount)
        for label, moment in (
            ("created_at", created_at),
            ("first_sale_at", first_sale_at),
            ("subscription_canceled_at", subscription_canceled_at),
        ):
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{label} has no time zone, such as timezone.utc: {moment!r}")
        with self._lock:
            customer_id = self._new_id() if id is None else id
            customer = StoredCustomer(
                id=customer_id,
                name=name,
                email=email,
                avatar=avatar,
                external_id=f"user_{customer_id.removeprefix('cus_')}"
                if external_id is None
                else external_id,
                stripe_customer_id=stripe_customer_id,
                country=country,
                created_at=created_at or from_milliseconds(self.clock.milliseconds()),
                sales=sales,
                sale_amount=sale_amount,
                first_sale_at=first_sale_at,
                subscription_canceled_at=subscription_canceled_at,
                program_id=program_id,
                link=None if link is None else complete_link(link),
                partner=None if partner is None else complete_partner(partner),
                discount=None if discount is None else complete_discount(discount),
            )
            self._store.check_id(customer_id)
            self._store.add(customer)
            row = self._store.get(customer_id)
        assert row is not None
        return customer_from_row(row)

    def add_many(self, count: int) -> int:
        """Add the customers ``user_1`` to ``user_<count>``, and return how many were added.

        Customers that exist are skipped. Creation times are one second apart; the last customer has
        the current time. Adding a million customers takes about ten seconds, and blocks requests.

        Raises:
            ValueError: a stored customer has an id of ``use_ids``, or the constructor's ``ids``
                returned an invalid id. No customer is added.
        """
        with self._lock:
            custom_ids = self._next_ids.copy()
            now = self.clock.milliseconds()
            try:
                return self._store.add_missing(
                    generate_rows(self._store, count, now, self._next_custom_id)
                )
            except BaseException:
                self._next_ids = custom_ids
                raise

    def clear(self) -> None:
        """Remove all customers, recorded requests and faults."""
        self.faults.clear()
        self.clear_customers()
        self.clear_requests()

    def clear_customers(self) -> None:
        """Remove every customer."""
        with self._lock:
            self._store.clear()

    def clear_requests(self) -> None:
        """Remove every recorded request. The numbering of requests continues."""
        self._requests.clear()

    def reset(self) -> None:
        """Restore the initial state of the fake.

        Remove all customers, recorded requests, faults and ids of ``use_ids``. Restore the
        settings, the clock and the rate limit.
        """
        with self._lock:
            self.clear()
            self.configure(**dataclasses.asdict(self._initial_settings))
            self.clock.reset()
            self._limiter.reset()
            self._id_generator = CustomerIdGenerator()
            self._next_ids.clear()

    def close(self) -> None:
        """Close the database. Later requests raise ``RuntimeError``; over HTTP, they get a 410."""
        with self._lock:
            self._store.close()

    def __enter__(self) -> FakeDub:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FakeDub(base_url={self.base_url!r})"
