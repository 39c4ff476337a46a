"""Return the JSON of what the admin API shows: customers, requests and the state of a fake."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

from .._messages import Request
from .fault_json import fault_json, faults_json
from .masking import Mask, mask_for, mask_of

if TYPE_CHECKING:
    from .._api.store import StoredCustomer
    from .._fake import FakeDub

#: Field of a customer's JSON: field of the stored customer.
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
#: Field of the settings' JSON: field of the settings.
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
_SECRET_HEADERS = ("authorization", "proxy-authorization", "cookie")


def timestamp(moment: dt.datetime) -> str:
    """Return a time as Dub writes it."""
    text = moment.astimezone(dt.timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def customer_json(customer: StoredCustomer) -> dict[str, Any]:
    """Return every stored field; a missing name is ``null``, not an invented one."""
    values = {name: getattr(customer, field) for name, field in CUSTOMER_FIELDS.items()}
    return {
        name: timestamp(value) if isinstance(value, dt.datetime) else value
        for name, value in values.items()
    }


def request_json(request: Request, secrets: frozenset[str]) -> dict[str, Any]:
    """Return a recorded request without its token and the secrets."""
    mask = mask_of(request, secrets)
    headers = {
        name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS
    }
    return {
        "number": request.number,
        "method": mask.text(request.method),
        "path": mask.text(request.path),
        "query": mask.json(request.query),
        "queryString": mask.text(request.query_string),
        "headers": mask.json(headers),
        "body": _body(request.body, mask),
        "bodyBase64": base64.b64encode(mask.bytes(request.body)).decode(),
        "status": request.status,
        "ms": None if request.ms is None else round(request.ms, 1),
        "fault": None if request.fault is None else fault_json(request.fault, mask),
    }


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a number of JSON")
    return value


def _body(body: bytes, mask: Mask) -> Any:
    """Return the parsed JSON of a body without the secrets, ``None`` if it is empty.

    A body that is not JSON, or is nested deeply, is returned as text.
    """
    if not body:
        return None
    text = body.decode("utf-8", "replace")
    try:
        value = json.loads(text, parse_float=_finite, parse_constant=_finite)
        json.dumps(value)
        return mask.json(value)
    except (ValueError, RecursionError):
        return mask.text(text)


def clock_json(fake: FakeDub) -> dict[str, Any]:
    """Return the fake's time, the seconds by which it was moved, and whether it is frozen."""
    now = dt.datetime.fromtimestamp(fake.clock.time(), dt.timezone.utc)
    clock = fake.clock
    return {"now": timestamp(now), "offset": round(clock.offset, 3), "frozen": clock.frozen}


def settings_json(fake: FakeDub) -> dict[str, Any]:
    """Return the settings, with a mask for each API key."""
    settings = fake.settings
    shown = {name: getattr(settings, field) for name, field in SETTING_FIELDS.items()}
    return {
        **shown,
        "tokens": ["[token]"] * len(settings.tokens),
        "expired": ["[token]"] * len(settings.expired),
    }


def state_json(fake: FakeDub, secrets: frozenset[str]) -> dict[str, Any]:
    """Return all that the page shows but for the requests and customers themselves."""
    settings = fake.settings
    with fake._lock:
        used = fake._limiter.used(fake.clock.milliseconds())
    kept, last = fake._requests.span()
    return {
        "customers": fake.customer_count,
        "requests": {"kept": kept, "last": last},
        "faults": faults_json(fake.faults, mask_for(secrets)),
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
