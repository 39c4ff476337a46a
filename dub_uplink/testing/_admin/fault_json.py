"""Convert faults to JSON and back: ``{"fault": "Status", "code": 503}``."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import re
from collections.abc import Mapping
from email.utils import format_datetime
from typing import Any

from .. import faults
from .._fault_values import MIN_SPEED, check_headers, is_number
from .fields import (
    AdminError,
    Check,
    anything,
    base64_bytes,
    boolean,
    check_fields,
    choice,
    header_value,
    headers,
    http_method,
    integer,
    nullable,
    number,
    path_pattern,
    text,
)
from .masking import Redactor


def _check_status_headers(value: Any) -> dict[str, str]:
    checked = headers(value)
    try:
        check_headers(checked)
    except ValueError as error:
        raise ValueError(str(error).removeprefix("headers ")) from None
    return checked


def _check_retry_after(value: Any) -> Any:
    try:
        return header_value(value) if isinstance(value, str) else number()(value)
    except ValueError:
        raise ValueError("must be a number or a valid header value") from None


_PARAMETER_CHECKS: dict[type[faults.Fault], dict[str, Check]] = {
    faults.Status: {
        "code": integer(200, 599),
        "headers": nullable(_check_status_headers),
        "body": anything,
        "bodyBase64": base64_bytes,
        "carriedOut": boolean,
    },
    faults.RateLimited: {
        "retryAfter": nullable(_check_retry_after),
        "form": nullable(choice("seconds", "http_date", "unix", "unix_ms")),
    },
    faults.DropBefore: {},
    faults.DropAfter: {},
    faults.Truncate: {"bytes": integer(0)},
    faults.Delay: {"seconds": number(0)},
    faults.Drip: {"bytesPerSecond": number(MIN_SPEED)},
    faults.Garbage: {
        "body": text,
        "bodyBase64": base64_bytes,
        "contentType": header_value,
        "status": integer(200, 299),
    },
}
_CLASS_BY_NAME = {fault_class.__name__: fault_class for fault_class in _PARAMETER_CHECKS}
_QUEUE_FIELDS: dict[str, Check] = {
    "times": nullable(integer(1)),
    "method": nullable(http_method),
    "path": nullable(path_pattern),
}
_NAME_CHECK = choice(*_CLASS_BY_NAME)


def _to_snake_case(name: str) -> str:
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def _to_camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def parse_fault(
    arguments: Mapping[str, Any], other_checks: Mapping[str, Check]
) -> tuple[faults.Fault, dict[str, Any]]:
    """Parse a fault from a JSON object. Return the fault and the values of ``other_checks``.

    Raises:
        AdminError: a field is unknown, missing or has a wrong value.
    """
    if "fault" not in arguments:
        raise AdminError(
            422, f"'fault' is missing; give one of {', '.join(_CLASS_BY_NAME)}", "fault"
        )
    name_field = {"fault": arguments["fault"]}
    fault_class = _CLASS_BY_NAME[check_fields(name_field, {"fault": _NAME_CHECK})["fault"]]
    values = check_fields(
        arguments, {"fault": _NAME_CHECK, **_PARAMETER_CHECKS[fault_class], **other_checks}
    )
    del values["fault"]
    other_values = {name: values.pop(name) for name in other_checks if name in values}
    if "bodyBase64" in values:
        if "body" in values:
            raise AdminError(
                422, "'bodyBase64' cannot be combined with 'body'; give one", "bodyBase64"
            )
        values["body"] = values.pop("bodyBase64")
    for field in dataclasses.fields(fault_class):  # type: ignore[arg-type]  # every fault is a dataclass
        if field.default is dataclasses.MISSING and _to_camel_case(field.name) not in values:
            name = _to_camel_case(field.name)
            raise AdminError(422, f"'{name}' is missing; add it to the fault", name)
    try:
        return fault_class(
            **{_to_snake_case(name): value for name, value in values.items()}
        ), other_values
    except (TypeError, ValueError):  # only RateLimited checks two fields together
        raise AdminError(
            422,
            "with 'form', 'retryAfter' must be a number of seconds from -1e9 to 1e9",
            "retryAfter",
        ) from None


def parse_queued_fault(arguments: Mapping[str, Any]) -> tuple[faults.Fault, dict[str, Any]]:
    """Parse a queued fault. Return the fault and its ``times``, ``method`` and ``path``."""
    return parse_fault(arguments, _QUEUE_FIELDS)


def parse_random_faults(arguments: Any) -> dict[faults.Fault, float]:
    """Parse random faults. Return each fault with its share; see :meth:`Faults.randomly`."""
    if not isinstance(arguments, list) or not all(isinstance(item, dict) for item in arguments):
        raise AdminError(
            422, "'random' must be an array of faults, each with its own 'share'", "random"
        )
    shares: dict[faults.Fault, float] = {}
    for item in arguments:
        fault, options = parse_fault(item, {"share": number(0, 1)})
        if "share" not in options:
            raise AdminError(422, "'share' is missing; add it to each fault of 'random'", "share")
        shares[fault] = shares.get(fault, 0) + options["share"]
    return shares


def fault_to_json(fault: faults.Fault, redactor: Redactor) -> dict[str, Any]:
    """Convert a fault to JSON, without secrets and without default values."""
    fields: dict[str, Any] = {"fault": type(fault).__name__}
    if type(fault) not in _PARAMETER_CHECKS:
        return fields
    for field in dataclasses.fields(fault):  # type: ignore[arg-type]  # every fault is a dataclass
        value = getattr(fault, field.name)
        if value == field.default:
            continue
        if isinstance(value, bytes):
            fields["bodyBase64"] = base64.b64encode(redactor.bytes(value)).decode()
        elif isinstance(value, dt.datetime):
            fields[_to_camel_case(field.name)] = format_datetime(
                value.astimezone(dt.timezone.utc), usegmt=True
            )
        elif field.name == "form" or (is_number(value) and field.name != "body"):
            fields[_to_camel_case(field.name)] = value
        else:
            try:
                fields[_to_camel_case(field.name)] = redactor.json(value)
            except ValueError:
                fields[_to_camel_case(field.name)] = "nested too deeply"
    return fields


def faults_to_json(queue: faults.Faults, redactor: Redactor) -> dict[str, Any]:
    """Convert all queued and random faults to JSON, without secrets."""
    with queue._lock:  # read all three in one step
        queued_faults, shares, seed = queue.queue, queue.shares, queue.seed
    return {
        "queued": [
            {
                **fault_to_json(queued.fault, redactor),
                "times": queued.times,
                "method": queued.method,
                "path": redactor.json(queued.path),
            }
            for queued in queued_faults
        ],
        "random": [
            {**fault_to_json(fault, redactor), "share": share} for fault, share in shares.items()
        ],
        "seed": redactor.json(seed),
    }
