"""Replay recorded exchanges with the routes of Dub through the client.

A server on a socket sends each recorded response, which must become the right object or error,
field by field. The client must send each recorded request unchanged, or must reject it. Some
recorded requests cannot be made with the client.
"""

from __future__ import annotations

import collections
import contextlib
import datetime as dt
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dub_uplink import CustomersConsumer
from dub_uplink.models import components, errors, operations

RECORDED = Path(__file__).with_name("customers.jsonl")
CREATED_AT = "2026-08-21T21:14:02.000Z"
CREATED = dt.datetime(2026, 8, 21, 21, 14, 2, tzinfo=dt.timezone.utc)


def steps() -> list[tuple[str, dict[str, Any]]]:
    """Return all exchanges with the names of their scenarios and values for placeholders."""
    exchanges = []
    for line in RECORDED.read_text(encoding="utf-8").splitlines():
        scenario = json.loads(line)
        for number, step in enumerate(scenario["steps"], 1):
            exchanges.append((f"{scenario['scenario']}, {number}", filled(step)))
    return exchanges


def filled(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: filled(item) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item) for item in value]
    if value == "<datetime>":
        return CREATED_AT
    if value == "<name>":
        return "Brave Falcon"
    return re.sub(r"^(/customers/)?\$(\d+)\.id$", r"\1cus_\2", value) if _text(value) else value


def _text(value: Any) -> bool:
    return isinstance(value, str)


STEPS = steps()
EACH = pytest.mark.parametrize(
    "step", [step for _, step in STEPS], ids=[name.replace(" ", "-") for name, _ in STEPS]
)
NUMBERS = {"page", "pageSize"}


def call(request: dict[str, Any], customers: CustomersConsumer) -> Callable[[], Any]:
    """Return the call of the client for a recorded request."""
    method, customer_id = request["method"], request["path"].removeprefix("/customers").lstrip("/")
    query = {name: typed(name, value) for name, value in request.get("query", {}).items()}
    if method == "POST":
        return lambda: customers.create(request["json"])
    if method == "PATCH":
        return lambda: customers.update(customer_id, request["json"])
    if method == "DELETE":
        return lambda: customers.delete(customer_id)
    if customer_id:
        return lambda: customers.get({"id": customer_id, **query})
    return lambda: customers.list(query)


def typed(name: str, value: str) -> Any:
    """Return a query value with the type of the argument."""
    if name in NUMBERS and value.isdecimal():
        return int(value)
    return {"true": True, "false": False}.get(value, value)


def handling(request: dict[str, Any]) -> str:
    """Return whether the client sends, rejects, or cannot make a recorded request."""
    authorization = request.get("headers", {"Authorization": "Bearer dub_test"})
    if not authorization.get("Authorization", "").startswith("Bearer "):
        return "cannot be made: no bearer token"
    if "body" in request:
        return "cannot be made: not JSON"
    return "refused" if refused(request) else "sent"


def refused(request: dict[str, Any]) -> bool:
    """Return whether the client must reject a request that the server rejects or shortens."""
    body, query = request.get("json", {}), request.get("query", {})
    if request["method"] in ("POST", "PATCH"):
        if not isinstance(body, dict) or "nickname" in body:
            return True
        if request["method"] == "POST" and not isinstance(body.get("externalId"), str):
            return True
        return body.get("externalId", "") is None or isinstance(body.get("name"), int)
    return (
        query.get("includeExpandedFields") == "yes"
        or query.get("sortBy") == "name"
        or query.get("pageSize") in ("101", "abc")
        or query.get("page") == "1001"
        or {"startingAfter", "endingBefore"} <= set(query)
        or {"startingAfter", "page"} <= set(query)
        or {"startingAfter", "sortBy"} <= set(query)
    )


def test_recorded_requests_are_all_replayed() -> None:
    counted = collections.Counter(handling(step["request"]) for _, step in STEPS)
    assert counted == {
        "sent": 100,
        "refused": 14,
        "cannot be made: not JSON": 2,
        "cannot be made: no bearer token": 2,
    }


@EACH
def test_recorded_request_is_sent_or_rejected_by_the_client(
    step: dict[str, Any], serving: Callable[..., Any]
) -> None:
    request, recorded = step["request"], step["response"]
    server = serving(recorded["status"], json.dumps(recorded["json"]))
    token = request.get("headers", {}).get("Authorization", "Bearer dub_test")
    token = token.removeprefix("Bearer ")
    with CustomersConsumer(token, server_url=server.url, retry_config=None) as customers:
        client_call = call(request, customers) if "body" not in request else None
        if handling(request) == "refused":
            assert client_call is not None
            with pytest.raises((ValueError, TypeError)):
                client_call()
            assert server.received == []
        elif handling(request) == "sent":
            assert client_call is not None
            fails = recorded["status"] >= 400
            with pytest.raises(errors.APIStatusError) if fails else contextlib.nullcontext():
                client_call()
            assert len(server.received) == 1
            sent = server.received[0]
            assert sent.method == request["method"]
            assert sent.path == request["path"]
            assert sent.query == request.get("query", {})
            assert sent.headers["authorization"] == f"Bearer {token}"
            body = json.loads(sent.body) if sent.body else None
            assert body == request.get("json")


def expected_customer(body: dict[str, Any]) -> components.Customer:
    """Return the customer for a recorded body of twelve fields."""
    assert len(body) == 12
    return components.Customer(
        id=body["id"],
        name=body["name"],
        email=body["email"],
        avatar=body["avatar"],
        external_id=body["externalId"],
        stripe_customer_id=body["stripeCustomerId"],
        country=body["country"],
        sales=body["sales"],
        sale_amount=body["saleAmount"],
        created_at=CREATED if body["createdAt"] == CREATED_AT else pytest.fail("another date"),
        first_sale_at=body["firstSaleAt"],
        subscription_canceled_at=body["subscriptionCanceledAt"],
        program_id=None,
        link=None,
        partner=None,
        discount=None,
        extra={},
    )


def expected(method: str, body: Any) -> Any:
    if method == "DELETE":
        assert set(body) == {"id"}
        return operations.DeleteCustomerResponseBody(body["id"])
    if isinstance(body, list):
        return [expected_customer(customer) for customer in body]
    return expected_customer(body)


CLASSES = {
    400: errors.BadRequest,
    401: errors.Unauthorized,
    404: errors.NotFound,
    409: errors.Conflict,
    422: errors.UnprocessableEntity,
}


@EACH
def test_recorded_response_returns_a_model_or_raises_an_error(
    step: dict[str, Any], serving: Callable[..., Any]
) -> None:
    recorded, method = step["response"], step["request"]["method"]
    server = serving(recorded["status"], json.dumps(recorded["json"]))
    with CustomersConsumer("dub_test", server_url=server.url, retry_config=None) as customers:
        listed = step["request"]["path"] == "/customers" and method == "GET"
        calls: dict[str, Callable[[], Any]] = {
            "GET": customers.list if listed else lambda: customers.get("cus_1"),
            "POST": lambda: customers.create({"external_id": "user_1"}),
            "PATCH": lambda: customers.update("cus_1", {"name": "Ada"}),
            "DELETE": lambda: customers.delete("cus_1"),
        }
        if recorded["status"] < 300:
            assert calls[method]() == expected(method, recorded["json"])
            return
        with pytest.raises(errors.APIStatusError) as caught:
            calls[method]()
    error, detail = caught.value, recorded["json"]["error"]
    assert type(error) is CLASSES[recorded["status"]]
    assert error.status_code == recorded["status"]
    assert (error.code, error.doc_url) == (detail["code"], detail["doc_url"])
    assert error.message == detail["message"]
    assert error.data == errors.ErrorData(errors.ErrorDetail(**detail))
    assert json.loads(error.body) == recorded["json"]
    assert str(error) == f"{recorded['status']} {detail['code']}: {detail['message']}"


def test_each_recorded_error_status_has_an_error_class() -> None:
    counted = collections.Counter(step["response"]["status"] for _, step in STEPS)
    assert counted == {200: 25, 201: 63, 400: 3, 401: 3, 404: 6, 409: 2, 422: 16}
