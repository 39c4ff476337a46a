"""Test that a create, an update and a delete are applied once if responses are lost."""

from __future__ import annotations

from typing import Any

import pytest
import uplink

from dub_uplink import CustomersConsumer, Response, declare
from dub_uplink.models import errors
from dub_uplink.testing import faults

BODY = {"external_id": "user_1", "email": "ada@example.com", "name": "Ada", "country": "GB"}
#: Failures after which the server has applied the request.
APPLIED = [
    faults.DropAfter(),
    faults.Truncate(0),
    faults.Truncate(17),
    faults.Status(500, carried_out=True),
    faults.Status(502, carried_out=True),
    faults.Status(503, carried_out=True),
    faults.Status(504, carried_out=True),
]
#: Failures after which the server may have applied the request, and has not.
NOT_APPLIED = [faults.DropBefore(), *(faults.Status(code) for code in (500, 502, 503, 504))]
IDS = ["user_1", "ext_1", "a/b", "a b", "ü€😀", "100%", "?q=1#x", "..", ".", "%2F", "a+b", "=&;"]


def requests_of(fake: Any) -> list[str]:
    return [f"{request.method} {request.path}" for request in fake.requests]


@pytest.mark.parametrize("fault", APPLIED, ids=str)
def test_create_with_a_lost_response_returns_the_customer(
    fake: Any, on_fake: Any, fault: Any
) -> None:
    fake.faults.add(fault)
    created = on_fake().create(BODY)
    [stored] = fake.customers
    assert created.id == stored.id
    assert (created.external_id, created.email, created.name) == ("user_1", BODY["email"], "Ada")
    assert requests_of(fake) == ["POST /customers", "POST /customers", "GET /customers/ext_user_1"]
    assert [request.status for request in fake.requests][1:] == [409, 200]


@pytest.mark.parametrize("fault", NOT_APPLIED, ids=str)
def test_create_dropped_before_execution_is_sent_again(fake: Any, on_fake: Any, fault: Any) -> None:
    fake.faults.add(fault)
    created = on_fake().create(BODY)
    assert [customer.id for customer in fake.customers] == [created.id]
    assert requests_of(fake) == ["POST /customers"] * 2


def test_create_with_several_lost_responses_is_applied_once(fake: Any, on_fake: Any) -> None:
    for fault in (faults.DropBefore(), faults.DropAfter(), faults.Status(500), faults.Truncate(3)):
        fake.faults.add(fault)
    fake.faults.add(faults.DropBefore(), method="GET")
    fake.faults.add(faults.Status(503), method="GET")
    created = on_fake().create(BODY)
    assert [customer.id for customer in fake.customers] == [created.id]


@pytest.mark.parametrize("external_id", IDS)
def test_lookup_after_a_lost_response_encodes_the_external_id(
    fake: Any, on_fake: Any, external_id: str
) -> None:
    client = on_fake()
    body = {"external_id": external_id, "country": "GB"}
    fake.faults.add(faults.DropAfter())
    created = client.create(body)
    fake.faults.add(faults.DropAfter())
    renamed = client.update(f"ext_{external_id}", {"external_id": f"{external_id}/2"})
    assert renamed.id == created.id
    fake.faults.add(faults.DropAfter())
    assert client.delete(f"ext_{external_id}/2").id == f"ext_{external_id}/2"
    assert fake.customers == []


@pytest.mark.parametrize("external_id", ["a/b ü", "?", "%41"])
def test_lookup_over_a_socket_encodes_the_external_id(
    wire: Any, step: Any, http_response: Any, connect: Any, external_id: str
) -> None:
    customer = {"id": "cus_1", "externalId": external_id, "country": "GB"}
    conflict = {"error": {"code": "conflict", "message": "exists"}}
    server = wire(step(b"", "close"), http_response(409, conflict), http_response(200, customer))
    client = connect(server.url + "/proxied/dub")
    assert client.create({"external_id": external_id, "country": "GB"}).id == "cus_1"
    encoded = {"a/b ü": "a%2Fb%20%C3%BC", "?": "%3F", "%41": "%2541"}[external_id]
    assert server.seen[-1] == f"GET /proxied/dub/customers/ext_{encoded}"


@pytest.mark.parametrize(
    "existing",
    [
        {"email": "other@example.com"},
        {"email": None},
        {"name": "Grace"},
        {"country": "US"},
        {"stripe_customer_id": "cus_stripe"},
    ],
    ids=str,
)
def test_create_retry_with_id_in_use_raises_conflict(
    fake: Any, on_fake: Any, existing: dict[str, Any]
) -> None:
    fake.add(**{**BODY, **existing})
    fake.faults.add(faults.DropBefore())
    with pytest.raises(errors.Conflict) as caught:
        on_fake().create(BODY)
    assert requests_of(fake)[-1] == "GET /customers/ext_user_1"
    assert caught.value.attempts == 3
    assert caught.value.code == "conflict"
    assert len(fake.customers) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"external_id": "user_1", "country": "GB"},  # the server generates a name
        {
            "external_id": "user_1",
            "country": "GB",
            "email": "a@example.com",
        },  # or uses the email
        {"external_id": "user_1", "country": "GB", "name": None, "email": None},
        {"external_id": "user_1", "country": "GB", "name": ""},
        {"external_id": "user_1", "country": "GB", "avatar": "https://example.com/a.png"},
        {"external_id": "user_1", "country": "GB", "stripe_customer_id": "cus_stripe"},
        {**BODY, "name": "Ада ❤"},
    ],
    ids=str,
)
def test_lookup_ignores_server_generated_fields(
    fake: Any, on_fake: Any, body: dict[str, Any]
) -> None:
    fake.faults.add(faults.DropAfter())
    assert on_fake().create(body).id == fake.customers[0].id


def test_lookup_accepts_a_server_without_countries(
    wire: Any, step: Any, http_response: Any, connect: Any
) -> None:
    """The server of 2024 returns neither country nor Stripe id."""
    customer = {"id": "1", "externalId": "user_1", "name": "Ada", "email": BODY["email"]}
    server = wire(step(b"", "reset"), http_response(409, {}), http_response(200, customer))
    assert connect(server.url).create(BODY).id == "1"


@pytest.mark.parametrize("fault", [*NOT_APPLIED, faults.Status(500)], ids=str)
def test_create_with_stripe_id_in_use_raises_conflict(fake: Any, on_fake: Any, fault: Any) -> None:
    fake.add(external_id="other", stripe_customer_id="cus_stripe")
    fake.faults.add(fault)
    with pytest.raises(errors.Conflict):
        on_fake().create({**BODY, "stripe_customer_id": "cus_stripe"})
    assert [request.status for request in fake.requests][1:] == [409, 404]


def test_409_on_the_first_attempt_raises_without_lookup(fake: Any, on_fake: Any) -> None:
    fake.add(**BODY)  # an identical customer
    with pytest.raises(errors.Conflict) as caught:
        on_fake().create(BODY)
    assert caught.value.attempts == 1
    assert requests_of(fake) == ["POST /customers"]


def test_truncated_409_on_the_first_attempt_raises_conflict(
    fake: Any, on_fake: Any, timeline: Any
) -> None:
    """The status shows that nothing was applied; the request is repeated for the full error."""
    fake.add(**BODY)
    fake.faults.add(faults.Truncate(20))
    with pytest.raises(errors.Conflict):
        on_fake().create(BODY)
    assert requests_of(fake) == ["POST /customers"] * 2


@pytest.mark.parametrize("times", [1, 3])
def test_create_retry_after_a_429_raises_conflict_without_lookup(
    fake: Any, on_fake: Any, times: int
) -> None:
    fake.add(**BODY)
    fake.faults.add(faults.RateLimited(1, "unix_ms"), times=times)
    with pytest.raises(errors.Conflict):
        on_fake().create(BODY)
    assert requests_of(fake) == ["POST /customers"] * (times + 1)


def test_create_retry_after_refused_connection_raises_conflict(
    fake: Any, connect: Any, script: Any, timeline: Any
) -> None:
    from requests.exceptions import ConnectionError as Failed
    from urllib3.exceptions import MaxRetryError, NewConnectionError

    refused = NewConnectionError(None, "Failed: [Errno 111]")  # type: ignore[arg-type]
    refused.__cause__ = ConnectionRefusedError(111, "Connection refused")
    failed = Failed(MaxRetryError(None, "/", refused))  # type: ignore[arg-type]
    session, adapter = script(failed, (0, 409, {}))
    with pytest.raises(errors.APIStatusError) as caught:
        connect("https://api.dub.co", client=session).create(BODY)
    assert caught.value.status_code == 409
    assert len(adapter.timeouts) == 2


def test_create_with_lost_response_then_429_returns_customer(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.DropAfter())
    fake.faults.add(faults.RateLimited(1), times=3)
    assert on_fake().create(BODY).id == fake.customers[0].id


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        (faults.Status(401), errors.Unauthorized, 401),
        (faults.Status(403), errors.Forbidden, 403),
        (faults.Status(503), errors.SDKError, 503),
        (faults.Status(404, body="<h1>404</h1>"), errors.SDKError, 404),  # the response of a proxy
        (faults.Status(302), errors.SDKError, 302),
        (faults.RateLimited(3_600), errors.RateLimitExceeded, 429),
    ],
)
def test_failed_lookup_after_lost_response_raises_lookup_error(
    fake: Any, on_fake: Any, fault: Any, error: type[errors.APIStatusError], status: int
) -> None:
    """The customer may exist, so the error of the lookup is raised instead of Conflict."""
    fake.faults.add(faults.DropAfter())
    fake.faults.add(fault, method="GET", times=None)
    with pytest.raises(error) as caught:
        on_fake().create(BODY)
    assert caught.value.status_code == status
    assert not isinstance(caught.value, errors.Conflict)


def test_lookup_without_response_raises_connection_error(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.DropAfter())
    fake.faults.add(faults.DropBefore(), method="GET", times=None)
    with pytest.raises(errors.APIConnectionError):
        on_fake().create(BODY)


def test_lookup_with_invalid_body_raises_validation_error(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.DropAfter())
    fake.faults.add(faults.Garbage(), method="GET")
    with pytest.raises(errors.ResponseValidationError):
        on_fake().create(BODY)


@pytest.mark.parametrize("fault", APPLIED, ids=str)
def test_delete_with_a_lost_response_succeeds(fake: Any, on_fake: Any, fault: Any) -> None:
    customer = fake.add(**BODY)
    fake.faults.add(fault)
    assert on_fake().delete(customer.id).id == customer.id
    assert fake.customers == []
    assert [request.status for request in fake.requests][1:] == [404]


@pytest.mark.parametrize(
    "fault", [faults.RateLimited(1, "unix_ms"), faults.Status(429), faults.Truncate(9)], ids=str
)
def test_delete_of_an_unknown_customer_raises_not_found(
    fake: Any, on_fake: Any, fault: Any
) -> None:
    """After a 429 or a truncated 404 no attempt can have deleted the customer."""
    fake.faults.add(fault)
    with pytest.raises(errors.NotFound) as caught:
        on_fake().delete("ext_nobody")
    assert caught.value.attempts == 2
    with pytest.raises(errors.NotFound):
        on_fake().delete("ext_nobody")


@pytest.mark.parametrize(
    "missing",
    [
        faults.Status(404, body="<h1>404</h1>"),
        faults.Status(404, body={"error": {"code": "gone", "message": "gone"}}),
        faults.Status(
            404, body={"error": {"code": "not_found", "message": "Workspace ID not found."}}
        ),
        faults.Status(410),
    ],
)
def test_delete_with_lost_response_succeeds_only_after_a_dub_404(
    fake: Any, on_fake: Any, missing: Any
) -> None:
    customer = fake.add(**BODY)
    fake.faults.add(faults.DropBefore())
    fake.faults.add(missing)
    with pytest.raises(errors.APIStatusError):
        on_fake().delete(customer.id)
    assert len(fake.customers) == 1


@pytest.mark.parametrize("fault", APPLIED, ids=str)
def test_external_id_update_with_lost_response_finds_the_new_id(
    fake: Any, on_fake: Any, fault: Any
) -> None:
    customer = fake.add(**BODY, link={"key": "sale"}, program_id="prog_1")
    fake.faults.add(fault)
    updated = on_fake().update(
        "ext_user_1",
        {"external_id": "user_2", "name": "Grace", "country": "US"},
        include_expanded_fields=True,
    )
    assert (updated.id, updated.external_id, updated.name) == (customer.id, "user_2", "Grace")
    assert updated.program_id == "prog_1", "the lookup must request expanded fields"
    assert requests_of(fake)[1:] == ["PATCH /customers/ext_user_1", "GET /customers/ext_user_2"]


@pytest.mark.parametrize("fault", APPLIED, ids=str)
def test_update_by_dub_id_with_a_lost_response_is_retried(
    fake: Any, on_fake: Any, fault: Any
) -> None:
    customer = fake.add(**BODY)
    fake.faults.add(fault, times=2)
    updated = on_fake().update(customer.id, {"external_id": "user_2", "name": None})
    assert (updated.id, updated.external_id) == (customer.id, "user_2")
    assert requests_of(fake) == [f"PATCH /customers/{customer.id}"] * 3


@pytest.mark.parametrize("others", [{"name": "Grace"}, {"email": "grace@example.com"}])
def test_external_id_update_of_unknown_customer_raises_not_found(
    fake: Any, on_fake: Any, others: dict[str, Any]
) -> None:
    fake.add(external_id="user_2", **others)
    fake.faults.add(faults.Status(503))
    with pytest.raises(errors.NotFound):
        on_fake().update("ext_nobody", {"external_id": "user_2", "name": "A", "email": "a@b.co"})


def test_update_of_an_unknown_customer_raises_not_found(fake: Any, on_fake: Any) -> None:
    for body in ({"name": "A"}, {"external_id": "nobody"}, {"external_id": "user_2"}):
        fake.faults.add(faults.Status(503))
        with pytest.raises(errors.NotFound):
            on_fake().update("ext_nobody", body)
    # Only a change of the external id needs a lookup.
    assert [line for line in requests_of(fake) if "GET" in line] == ["GET /customers/ext_user_2"]


class Raw(CustomersConsumer):
    """Endpoints that return the raw responses."""

    @uplink.json
    @declare.post("customers", args={"body": uplink.Body})
    def make(self, body: Any) -> Response:
        raise NotImplementedError

    @uplink.json
    @declare.patch("customers/{customer_id}", args={"body": uplink.Body})
    def change(self, customer_id: str, body: Any) -> Response:
        raise NotImplementedError

    @declare.delete("customers/{customer_id}")
    def remove(self, customer_id: str) -> Response:
        raise NotImplementedError


def test_result_after_a_lookup_equals_the_lost_response(fake: Any, on_fake: Any) -> None:
    customers = on_fake(cls=Raw)
    fake.faults.add(faults.DropAfter())
    created = customers.make({"externalId": "user_1", "country": "GB"})
    fake.faults.add(faults.DropAfter())
    changed = customers.change("ext_user_1", {"externalId": "user_2"})
    fake.faults.add(faults.DropAfter())
    removed = customers.remove("ext_user_2")
    assert [response.status_code for response in (created, changed, removed)] == [201, 200, 200]
    assert [response.json()["id"] for response in (created, changed)] == [created.json()["id"]] * 2
    assert changed.json()["externalId"] == "user_2"
    assert fake.customers == []


def test_lookup_sends_the_headers_of_the_call(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.DropAfter())
    on_fake().create(BODY, http_headers={"X-Trace": "1"}, timeout_ms=5_000)
    lookup = fake.requests[-1]
    assert lookup.headers["x-trace"] == "1"
    assert "content-type" not in lookup.headers
    assert lookup.body == b""


@pytest.mark.parametrize("method", ["create", "update", "delete"])
def test_error_sent_is_true_if_any_attempt_was_sent(
    wire: Any, step: Any, connect: Any, method: str
) -> None:
    server = wire(step(b"", "close"))
    arguments = {"create": [BODY], "update": ["cus_1", {"name": "Ada"}], "delete": ["cus_1"]}
    client = connect(server.url, on_retry=lambda *_: server.close())
    with pytest.raises(errors.APIConnectionError, match=r"[Rr]efused") as caught:
        getattr(client, method)(*arguments[method])
    assert caught.value.attempts > 1
    assert caught.value.sent is True


def test_error_sent_is_false_if_no_attempt_was_sent(wire: Any, connect: Any) -> None:
    server = wire()
    server.close()
    with pytest.raises(errors.APIConnectionError) as caught:
        connect(server.url).create(BODY)
    assert caught.value.attempts > 1
    assert caught.value.sent is False
