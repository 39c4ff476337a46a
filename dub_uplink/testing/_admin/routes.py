"""The routes of the admin API and their handlers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .._api.limits import PLAN_LIMITS
from .._api.routes import ROLES
from .._api.store import DuplicateKey, customer_from_row
from .._fault_values import MAX_INTEGER
from .._settings import MAX_RATE_LIMIT, MAX_SECONDS, MIN_WINDOW
from .fault_json import faults_to_json, parse_queued_fault, parse_random_faults
from .fields import (
    AdminError,
    Check,
    anything,
    boolean,
    check_fields,
    choice,
    distinct_strings,
    dub_id,
    expansion,
    given,
    identifier,
    integer,
    integer_text,
    moment,
    nullable,
    number,
    text,
    token,
)
from .masking import make_redactor
from .views import (
    CUSTOMER_FIELDS,
    SETTING_FIELDS,
    clock_to_json,
    customer_to_json,
    request_to_json,
    settings_to_json,
    state_to_json,
)

if TYPE_CHECKING:
    from .._fake import FakeDub

MAX_SEED_COUNT = 1_000_000
#: The maximum size, in bytes, of a listed body. Larger bodies make lists slow.
DEFAULT_MAX_BODY = 2**20

#: A function that executes a request and returns the response as a JSON value. The arguments are
#: the fake, the fields of the request, and the secrets to redact.
Handler: TypeAlias = Callable[["FakeDub", dict[str, Any], frozenset[str]], Any]


@dataclasses.dataclass(frozen=True)
class Route:
    """A route of the admin API.

    Attributes:
        method: The HTTP method.
        path: The path, relative to ``/_fake/``.
        handle: The function that executes a request.
        fields: The checks for the fields: of the query for ``GET``, otherwise of the JSON body. If
            ``None``, the handler checks the fields.
        required: The names of required fields.
        status: The status of a successful response.
    """

    method: str
    path: str
    handle: Handler
    fields: Mapping[str, Check] | None = dataclasses.field(default_factory=dict[str, Check])
    required: tuple[str, ...] = ()
    status: int = 200


def _get_state(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    return state_to_json(fake, secrets)


def _list_requests(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    requests = fake._requests.after(arguments.get("after", 0), arguments.get("limit", 1000))
    max_body = arguments.get("maxBody", DEFAULT_MAX_BODY)
    return [request_to_json(request, secrets, max_body) for request in requests]


def _delete_requests(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    fake.clear_requests()
    return state_to_json(fake, secrets)


def _list_customers(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    with fake._lock:
        rows = fake._store.newest(arguments.get("before"), arguments.get("limit", 100))
    return [customer_to_json(customer_from_row(row)) for row in rows]


def _add_customer(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    fields = {CUSTOMER_FIELDS[name]: value for name, value in arguments.items()}
    for name in ("sales", "sale_amount"):
        if fields.get(name, 0) is None:
            del fields[name]
    try:
        return customer_to_json(fake.add(**fields))
    except DuplicateKey as error:
        names = {field: name for name, field in CUSTOMER_FIELDS.items()}
        name = names[error.field]
        raise AdminError(
            409, f"'{name}' is taken by another customer; give another value", name
        ) from None


def _delete_customers(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    fake.clear_customers()
    return state_to_json(fake, secrets)


def _seed_customers(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    try:
        added = fake.add_many(arguments["count"])
    except DuplicateKey:
        raise AdminError(
            409, "'ids' contains the id of a stored customer; set other ids with POST ids", "ids"
        ) from None
    return {"added": added, "customers": fake.customer_count}


def _list_faults(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    return faults_to_json(fake.faults, make_redactor(secrets))


def _add_faults(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    if "random" in arguments or "seed" in arguments:
        checks = {"random": anything, "seed": _check_seed}
        values = check_fields(arguments, checks, required=("random", "seed"))
        shares = parse_random_faults(values["random"])
        try:
            fake.faults.randomly(shares, seed=values["seed"])
        except ValueError:
            total = sum(shares.values())
            raise AdminError(
                422, f"the sum of all 'share' values must be at most 1, not {total:g}", "share"
            ) from None
    else:
        fault, options = parse_queued_fault(arguments)
        fake.faults.add(fault, **options)
    return faults_to_json(fake.faults, make_redactor(secrets))


def _delete_faults(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    fake.faults.clear()
    return faults_to_json(fake.faults, make_redactor(secrets))


def _change_clock(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    if not arguments:
        raise AdminError(
            422, "give 'advance' (seconds), 'set' (a time) or 'frozen' (true or false)", "advance"
        )
    if {"advance", "set"} <= arguments.keys():
        raise AdminError(422, "'advance' cannot be combined with 'set'; give one", "advance")
    clock = fake.clock
    was_frozen = clock.frozen
    try:
        # Freeze first, because a running clock moves on after ``set``.
        if arguments.get("frozen"):
            clock.freeze()
        if "set" in arguments:
            clock.set(arguments["set"])
        elif "advance" in arguments:
            clock.advance(arguments["advance"])
        if not arguments.get("frozen", True):
            clock.unfreeze()
    except ValueError as error:
        if arguments.get("frozen") and not was_frozen:
            clock.unfreeze()
        name = "set" if "set" in arguments else "advance"
        raise AdminError(422, f"'{name}' cannot be applied: {given(str(error))}", name) from None
    return clock_to_json(fake)


def _reset_clock(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    fake.clock.reset()
    return clock_to_json(fake)


def _list_ids(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    return {"ids": make_redactor(secrets).json(fake.next_ids)}


def _set_ids(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    try:
        fake.use_ids(arguments["ids"])
    except DuplicateKey:
        raise AdminError(
            409, "'ids' contains the id of a stored customer; remove it from the array", "ids"
        ) from None
    return _list_ids(fake, arguments, secrets)


def _change_settings(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    fake.configure(**{SETTING_FIELDS[name]: value for name, value in arguments.items()})
    return settings_to_json(fake)


def _reset(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    fake.reset()
    return state_to_json(fake, secrets)


def _shutdown(fake: FakeDub, arguments: dict[str, Any], secrets: frozenset[str]) -> Any:
    fake.close()
    return {"closed": True}


def _check_seed(value: Any) -> int | str:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError("must be an integer or a string")
    return value


_OPTIONAL_TEXT = nullable(text)
_OPTIONAL_MOMENT = nullable(moment)
_CUSTOMER_CHECKS: dict[str, Check] = {
    "id": nullable(dub_id),
    "name": _OPTIONAL_TEXT,
    "email": _OPTIONAL_TEXT,
    "avatar": _OPTIONAL_TEXT,
    "externalId": _OPTIONAL_TEXT,
    "stripeCustomerId": _OPTIONAL_TEXT,
    "country": _OPTIONAL_TEXT,
    "sales": nullable(integer(0)),
    "saleAmount": nullable(integer(-MAX_INTEGER)),
    "createdAt": _OPTIONAL_MOMENT,
    "firstSaleAt": _OPTIONAL_MOMENT,
    "subscriptionCanceledAt": _OPTIONAL_MOMENT,
    "programId": _OPTIONAL_TEXT,
    "link": nullable(expansion),
    "partner": nullable(expansion),
    "discount": nullable(expansion),
}
_SETTINGS_CHECKS: dict[str, Check] = {
    "role": choice(*ROLES),
    "plan": choice(*PLAN_LIMITS),
    "defaultProgram": nullable(identifier),
    "rateLimit": nullable(integer(0, MAX_RATE_LIMIT)),
    "window": number(MIN_WINDOW, MAX_SECONDS),
    "latency": number(0, MAX_SECONDS),
    "tokens": distinct_strings(token, 1),
    "expired": distinct_strings(token),
    "keepRequests": integer(0),
}

ROUTES = (
    Route("GET", "state", _get_state),
    Route(
        "GET",
        "requests",
        _list_requests,
        {"after": integer_text(0), "limit": integer_text(1, 1000), "maxBody": integer_text(0)},
    ),
    Route("DELETE", "requests", _delete_requests),
    Route(
        "GET", "customers", _list_customers, {"before": identifier, "limit": integer_text(1, 1000)}
    ),
    Route("POST", "customers", _add_customer, _CUSTOMER_CHECKS, status=201),
    Route("DELETE", "customers", _delete_customers),
    Route(
        "POST",
        "customers/seed",
        _seed_customers,
        {"count": integer(0, MAX_SEED_COUNT)},
        required=("count",),
    ),
    Route("GET", "faults", _list_faults),
    Route("POST", "faults", _add_faults, fields=None),
    Route("DELETE", "faults", _delete_faults),
    Route("GET", "clock", lambda fake, arguments, secrets: clock_to_json(fake)),
    Route("POST", "clock", _change_clock, {"advance": number(0), "set": moment, "frozen": boolean}),
    Route("DELETE", "clock", _reset_clock),
    Route("GET", "ids", _list_ids),
    Route("POST", "ids", _set_ids, {"ids": distinct_strings(dub_id)}, required=("ids",)),
    Route("GET", "settings", lambda fake, arguments, secrets: settings_to_json(fake)),
    Route("PATCH", "settings", _change_settings, _SETTINGS_CHECKS),
    Route("POST", "reset", _reset),
    Route("POST", "shutdown", _shutdown),
)
