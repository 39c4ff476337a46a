"""Convert customers, requests and the state of a fake to JSON for the admin API."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

from .._messages import Request
from .fault_json import fault_json, faults_json
from .masking import Redactor, make_redactor, request_redactor

if TYPE_CHECKING:
    from .._api.store import StoredCustomer
    from .._fake import FakeDub

#: The field of ``StoredCustomer`` for each field of JSON.
CUSTOMER_FIELDS = {
    "id": "id",
    "name": "name",
    "email": "email",
    "avatar": "avatar",
    "externalId": "external_id",
    "stripeCustomerId": "stripe_customer_id",
    "country": "country",
    "sales": "sales",
    "saleAmount": "sale_amount",
    "createdAt": "created_at",
    "firstSaleAt": "first_sale_at",
    "subscriptionCanceledAt": "subscription_canceled_at",
    "programId": "program_id",
    "link": "link",
    "partner": "partner",
    "discount": "discount",
}
#: The field of ``Settings`` for each field of JSON.
SETTING_FIELDS = {
    "role": "role",
    "plan": "plan",
    "defaultProgram": "default_program",
    "rateLimit": "rate_limit",
    "window": "window",
    "latency": "latency",
    "tokens": "tokens",
    "expired": "expired",
    "keepRequests": "keep_requests",
}
_MAX_SHOWN_BODY = 2**20  # bytes; larger bodies would make lists of requests slow
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")


def timestamp(moment: dt.datetime) -> str:
    """Format a time like Dub: in UTC, with milliseconds."""
    text = moment.astimezone(dt.timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def customer_json(customer: StoredCustomer) -> dict[str, Any]:
    """Convert a stored customer to JSON. A missing name is ``null``, not a random name."""
    values = {name: getattr(customer, field) for name, field in CUSTOMER_FIELDS.items()}
    return {
        name: timestamp(value) if isinstance(value, dt.datetime) else value
        for name, value in values.items()
    }


def request_json(request: Request, secrets: frozenset[str]) -> dict[str, Any]:
    """Convert a recorded request to JSON, without its token and other secrets."""
    redactor = request_redactor(request, secrets)
    headers = {
        name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS
    }
    size = len(request.body)
    is_shown = size <= _MAX_SHOWN_BODY
    return {
        "number": request.number,
        "method": redactor.text(request.method),
        "path": redactor.text(request.path),
        "query": redactor.json(request.query),
        "queryString": redactor.text(request.query_string),
        "headers": redactor.json(headers),
        "body": _body_json(request.body, redactor) if is_shown else f"[{size:,} bytes, not shown]",
        "bodyBase64": base64.b64encode(redactor.bytes(request.body)).decode() if is_shown else None,
        "status": None if request.ms is None else request.status,
        "ms": None if request.ms is None else round(request.ms, 1),
        "fault": None if request.fault is None else fault_json(request.fault, redactor),
    }


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a number of JSON")
    return value


def _body_json(body: bytes, redactor: Redactor) -> Any:
    """Return the parsed JSON of a body, without secrets; ``None`` if the body is empty.

    A body that is not JSON, or has too many nested levels, is returned as text.
    """
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text, parse_float=_parse_finite, parse_constant=_parse_finite)
        json.dumps(value)
        return redactor.json(value)
    except (ValueError, RecursionError):
        return redactor.text(text)


def clock_json(fake: FakeDub) -> dict[str, Any]:
    """Return the time of the fake's clock, its offset in seconds, and whether it is frozen."""
    now = dt.datetime.fromtimestamp(fake.clock.time(), dt.timezone.utc)
    clock = fake.clock
    return {"now": timestamp(now), "offset": round(clock.offset, 3), "frozen": clock.frozen}


def settings_json(fake: FakeDub) -> dict[str, Any]:
    """Return the settings, with ``[token]`` for each API key."""
    settings = fake.settings
    values = {name: getattr(settings, field) for name, field in SETTING_FIELDS.items()}
    return {
        **values,
        "tokens": ["[token]"] * len(settings.tokens),
        "expired": ["[token]"] * len(settings.expired),
    }


def state_json(fake: FakeDub, secrets: frozenset[str]) -> dict[str, Any]:
    """Return all data of the admin page except requests and customers."""
    settings = fake.settings
    with fake._lock:
        used = fake._limiter.used(fake.clock.milliseconds())
    recorded, last = fake._requests.span()
    return {
        "customers": fake.customer_count,
        "requests": {"kept": recorded, "last": last},
        "faults": faults_json(fake.faults, make_redactor(secrets)),
        "clock": clock_json(fake),
        "settings": settings_json(fake),
        "rateLimit": {
            "limit": settings.limit,
            "used": used,
            "remaining": max(settings.limit - used, 0),
            "window": settings.window,
            "enforced": settings.rate_limit is not None,
        },
    }
