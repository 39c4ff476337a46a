"""Convert customers, requests and the state of a fake to JSON for the admin API."""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
from typing import TYPE_CHECKING, Any

from .._messages import Request
from .fault_json import fault_to_json, faults_to_json
from .masking import Redactor, make_redactor, make_request_redactor

if TYPE_CHECKING:
    from .._api.store import StoredCustomer
    from .._fake import FakeDub

#: The field of ``StoredCustomer`` for each JSON field.
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
#: The field of ``Settings`` for each JSON field.
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


def format_time(moment: dt.datetime) -> str:
    """Format a time as Dub does: in UTC, with milliseconds."""
    text = moment.astimezone(dt.timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def customer_to_json(customer: StoredCustomer) -> dict[str, Any]:
    """Convert a stored customer to JSON.

    A missing name stays ``null``. Dub's API returns the email or a random name.
    """
    values = {name: getattr(customer, field) for name, field in CUSTOMER_FIELDS.items()}
    return {
        name: format_time(value) if isinstance(value, dt.datetime) else value
        for name, value in values.items()
    }


def request_to_json(request: Request, secrets: frozenset[str], max_body: int) -> dict[str, Any]:
    """Convert a recorded request to JSON. Omit or redact secrets.

    A body of more than ``max_body`` bytes is not shown.
    """
    headers = {
        name: value for name, value in request.headers.items() if name not in _SECRET_HEADERS
    }
    query = request.query
    is_shown = len(request.body) <= max_body
    texts = [request.method, request.path, request.query_string]
    for mapping in (query, headers):
        texts += [*mapping, *mapping.values()]
    if is_shown:
        texts.append(request.body.decode("utf-8", "surrogateescape"))
    redactor = make_request_redactor(request, secrets, "\n".join(texts))
    if not is_shown:
        body, body_base64 = f"[{len(request.body):,} bytes, not shown]", None
    else:
        body = _body_to_json(request.body, redactor)
        body_base64 = base64.b64encode(redactor.bytes(request.body)).decode()
    return {
        "number": request.number,
        "method": redactor.text(request.method),
        "path": redactor.text(request.path),
        "query": redactor.json(query),
        "queryString": redactor.text(request.query_string),
        "headers": redactor.json(headers),
        "body": body,
        "bodyBase64": body_base64,
        "status": None if request.ms is None else request.status,
        "ms": None if request.ms is None else round(request.ms, 1),
        "fault": None
        if request.fault is None
        else fault_to_json(request.fault, make_request_redactor(request, secrets)),
    }


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a JSON number")
    return value


def _body_to_json(body: bytes, redactor: Redactor) -> Any:
    """Parse a JSON body and redact secrets. Return ``None`` if the body is empty.

    If the body is not JSON or has too many nested levels, return it as redacted text.
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


def clock_to_json(fake: FakeDub) -> dict[str, Any]:
    """Return the time of the fake's clock, its offset in seconds, and whether it is frozen."""
    time, offset, frozen = fake.clock._read()
    now = dt.datetime.fromtimestamp(time, dt.timezone.utc)
    return {"now": format_time(now), "offset": round(offset, 3), "frozen": frozen}


def settings_to_json(fake: FakeDub) -> dict[str, Any]:
    """Return the settings. Replace each API key with ``[token]``."""
    settings = fake.settings
    values = {name: getattr(settings, field) for name, field in SETTING_FIELDS.items()}
    return {
        **values,
        "tokens": ["[token]"] * len(settings.tokens),
        "expired": ["[token]"] * len(settings.expired),
    }


def state_to_json(fake: FakeDub, secrets: frozenset[str]) -> dict[str, Any]:
    """Return the URL and instance, counts, faults, clock, settings and rate limit of a fake."""
    settings = fake.settings
    with fake._lock:
        used_count = fake._limiter.max_requests_of_a_key(fake.clock.milliseconds())
    recorded_count, last_number = fake._requests.count_and_last_number()
    return {
        "customers": fake.customer_count,
        "requests": {"kept": recorded_count, "last": last_number},
        "faults": faults_to_json(fake.faults, make_redactor(secrets)),
        "clock": clock_to_json(fake),
        "settings": settings_to_json(fake),
        "rateLimit": {
            "limit": settings.limit,
            "used": used_count,
            "remaining": max(settings.limit - used_count, 0),
            "window": settings.window,
            "enforced": settings.rate_limit is not None,
        },
        "baseUrl": fake.base_url,
        "instance": fake._requests.instance,
    }
