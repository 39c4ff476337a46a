# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""Use the client in typical user code, for strict type checkers; test_user_code.py runs it."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Mapping
from typing import Any, Unpack, assert_type, cast

import requests

import dub_uplink
from dub_uplink import (
    UNSET,
    BackoffStrategy,
    Clock,
    CustomerPage,
    CustomersConsumer,
    DeadlineAdapter,
    Dub,
    RateLimit,
    RateLimitStatus,
    RawResponse,
    Response,
    RetryBudget,
    RetryConfig,
    Unset,
    declare,
    map_unordered,
)
from dub_uplink.declare import CallContext, CallOptions
from dub_uplink.models import components, errors, operations
from dub_uplink.models.components import Customer, Discount, Link, Partner
from dub_uplink.models.operations import DeleteCustomerResponseBody
from dub_uplink.types import ListOptions

POLICY = RetryConfig("backoff", BackoffStrategy(200, 5_000, 2.0, 30_000), True)


def policies() -> None:
    assert_type(POLICY.backoff, BackoffStrategy)
    assert_type(POLICY.backoff.exponent, float)
    assert_type(POLICY.retry_connection_errors, bool)
    RetryConfig("none")
    RetryConfig("sometimes")  # type: ignore[arg-type]


class Notes(list[dict[str, Any]]):
    """A page of notes, with the number of the page."""

    number: str


def make_notes(call: CallContext, notes: list[dict[str, Any]]) -> Notes:
    page = Notes(notes)
    page.number = assert_type(call.query, Mapping[str, Any])["page"]
    assert_type(call.options, dict[str, Any])
    assert isinstance(call.consumer, Leads)
    return page


class Leads(CustomersConsumer):
    """A subclass with typed endpoints."""

    @declare.result_handler(make_notes)
    @declare.returns.json
    @declare.get("customers", args={"page": declare.Query})
    def numbered(self, *, page: int = 1, **options: Unpack[CallOptions]) -> Notes:
        raise NotImplementedError

    @declare.returns.json(type=int)
    @declare.get("customers/{id}/notes", args={"author": declare.Query})
    def notes(self, id: str, *, author: str | None = None) -> int:
        raise NotImplementedError

    @declare.get("customers/{id}", args={"options": declare.Options})
    def response(self, id: str, **options: Unpack[CallOptions]) -> Response:
        raise NotImplementedError

    @declare.returns.json
    @declare.get("customers")
    def raw(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def newest(self, country: str) -> Customer | None:
        page = super().list(country=country, page_size=1)
        return page[0] if page else None

    def british(self, **options: Unpack[ListOptions]) -> CustomerPage:
        options.setdefault("country", "GB")
        return self.list(**options)


class LeadFilters(CallOptions, total=False):
    author: str
    page_size: int


class FilteredLeads(CustomersConsumer):
    """A subclass with an endpoint that takes typed keyword arguments."""

    @declare.returns.json
    @declare.get("customers", args={"params": declare.QueryMap})
    def filtered(self, **params: Unpack[LeadFilters]) -> list[dict[str, Any]]:
        raise NotImplementedError


def operations_of(dub: Dub) -> None:
    assert_type(dub.customers, CustomersConsumer)
    assert_type(dub.rate_limit_status, RateLimitStatus | None)

    created = dub.customers.create(
        request={"external_id": "user_1", "email": "ada@example.com", "country": "GB"}
    )
    assert_type(created, Customer)
    body = operations.CreateCustomerRequestBody(external_id="user_2", email=None, country="GB")
    other = dub.customers.create(body, retries=POLICY, timeout_ms=5_000, http_headers={"X-A": "b"})
    assert_type(other, Customer)

    assert_type(dub.customers.count(country="GB"), int)
    newer = dub.customers.update("ext_user_1", extra_body={"tier": 1}, extra_query={"a": "b"})
    assert_type(newer, Customer)
    for group in dub.customers.count(group_by="country", timeout_ms=5_000):
        assert_type(group, components.CustomerCount)
        assert_type(group.country, str | None)
        assert_type(group.count, int)

    assert_type(dub.customers.get("ext_user_1"), Customer)
    bodies: list[Mapping[str, Any]] = [{"external_id": "user_1"}, {"external_id": "user_2"}]
    ensured = map_unordered(dub.customers.ensure, bodies, workers=2)
    for given, result in ensured:
        assert_type(given, Mapping[str, Any])
        assert_type(result, Customer | errors.DubError | ValueError | TypeError)
    ensured.close()
    with contextlib.closing(dub.customers.create_many(bodies, workers=2)) as made:
        for outcome in made:
            assert_type(outcome, Customer | errors.DubError | ValueError | TypeError)
    assert_type(dub.customers.upsert({"external_id": "user_1", "country": "GB"}), Customer)
    changes: list[tuple[str, Mapping[str, Any]]] = [("ext_user_1", {"name": "Ada"})]
    for batch in (dub.customers.upsert_many(bodies), dub.customers.update_many(changes)):
        with contextlib.closing(batch):
            for outcome in batch:
                assert_type(outcome, Customer | errors.DubError | ValueError | TypeError)
    with contextlib.closing(dub.customers.delete_many(["ext_nobody"])) as deleted:
        for end in deleted:
            assert_type(end, DeleteCustomerResponseBody | errors.DubError | ValueError | TypeError)
    assert_type(dub.customers.get({"id": created.id}, retries=None), Customer)
    assert_type(dub.customers.get(request=operations.GetCustomerRequest(id=created.id)), Customer)
    assert_type(
        dub.customers.get(created.id, include_expanded_fields=True, retries=UNSET), Customer
    )

    assert_type(dub.customers.update(id=created.id), Customer)
    assert_type(dub.customers.update(created.id, {"name": None}), Customer)
    change = operations.UpdateCustomerRequestBody(name="Ada", email=UNSET)
    assert_type(dub.customers.update(id=created.id, request_body=change), Customer)
    assert_type(change.name, str | Unset | None)

    gone = dub.customers.delete(id=other.id)
    assert_type(gone, DeleteCustomerResponseBody)
    assert_type(gone.id, str)


def pages_of(dub: Dub) -> list[str]:
    page = dub.customers.list(country="GB", page_size=50, sort_by="createdAt")
    assert_type(page, CustomerPage)
    as_list: list[Customer] = page
    assert_type(as_list[0], Customer)
    assert_type(page.has_next, bool)
    assert_type(page.next(), CustomerPage | None)
    dub.customers.list(operations.GetCustomersRequest(email="ada@example.com"))
    return [customer.id for customer in dub.customers.list({"country": "GB"})]


def fields_of(customer: components.Customer) -> None:
    assert_type(customer.id, str)
    assert_type(customer.name, str | None)
    assert_type(customer.sale_amount, int | None)
    assert_type(customer.created_at, dt.datetime | None)
    assert_type(customer.link, Link | None)
    assert_type(customer.partner, Partner | None)
    assert_type(customer.discount, Discount | None)
    assert_type(customer.extra, dict[str, Any])
    assert_type(customer.to_dict(), dict[str, Any])
    assert_type(Customer.from_dict(customer.to_dict()), Customer)
    same: operations.GetCustomerResponseBody = customer
    assert_type(same, Customer)


def errors_of(customers: CustomersConsumer) -> str | None:
    try:
        customers.get("ext_nobody")
    except errors.NotFound as error:
        assert_type(error.status_code, int)
        assert_type(error.code, str | None)
        assert_type(error.message, str)
        assert_type(error.doc_url, str | None)
        assert_type(error.body, str)
        assert_type(error.headers, Mapping[str, str])
        assert_type(error.response, Response)
        assert_type(error.attempts, int)
        assert_type(error.retry_after, float | None)
        return error.data.error.code if error.data is not None else None
    except (errors.RateLimitExceeded, errors.APITimeoutError) as error:
        assert_type(error.elapsed, float)
    except errors.APIConnectionError as error:
        assert_type(error.sent, bool)
    except errors.ResponseValidationError as error:
        assert_type(error.status_code, int)
    except errors.DubError as error:
        assert_type(error.message, str)
    return None


def views_of(dub: Dub, leads: Leads) -> None:
    assert_type(dub.with_options(retries=None, timeout_ms=5_000), Dub)
    assert_type(dub.customers.with_options(http_headers={"X-Team": "a"}), CustomersConsumer)
    assert_type(leads.with_options(retries=POLICY), Leads)
    dub.with_options(retry=None)  # type: ignore[call-arg]


def raw_responses_of(dub: Dub) -> None:
    raw = dub.customers.with_raw_response
    assert_type(raw.list(country="GB", page_size=1), RawResponse[CustomerPage])
    assert_type(raw.list(country="GB").parse(), CustomerPage)
    response = raw.get("ext_user_1", include_expanded_fields=True)
    assert_type(response, RawResponse[Customer])
    assert_type(response.status_code, int)
    assert_type(response.headers, Mapping[str, str])
    assert_type(response.content, bytes)
    assert_type(response.attempts, int)
    assert_type(response.elapsed, float)
    assert_type(response.parse(), Customer)
    assert_type(raw.create({"external_id": "raw", "country": "GB"}).parse(), Customer)
    assert_type(raw.update(id="ext_raw", request_body={"name": None}), RawResponse[Customer])
    assert_type(raw.delete("ext_raw", retries=None).parse(), DeleteCustomerResponseBody)
    assert_type(raw.count(country="GB"), RawResponse[int])
    assert_type(raw.count(group_by="country").parse(), list[components.CustomerCount])
    assert_type(raw.upsert({"external_id": "user_1"}, retries=None), RawResponse[Customer])
    assert_type(raw.ensure({"external_id": "user_1"}).parse(), Customer)


class Shop(Dub):
    """A subclass with another method."""

    def country(self) -> str:
        return "GB"


def context_managers(server_url: str) -> None:
    with Shop("dub_test", server_url=server_url) as shop:
        assert_type(shop.country(), str)
    with Leads("dub_test", server_url=server_url) as leads:
        assert_type(leads, Leads)


def subclass_of(leads: Leads) -> int:
    assert_type(leads.notes("cus_1", author="Ada"), int)
    assert_type(leads.response("cus_1", timeout_ms=500), Response)
    assert_type(leads.raw(), list[dict[str, Any]])
    assert_type(leads.list(), CustomerPage)
    assert_type(leads.newest("GB"), "Customer | None")
    with leads as same:
        assert_type(same, Leads)
        return leads.notes("cus_1")


def note(attempt: int, seconds: float, failed: errors.DubError | Response) -> None:
    assert_type(failed.attempts, int)


def clients(server_url: str) -> None:
    session = requests.Session()
    session.mount("https://", DeadlineAdapter())
    with Dub(
        lambda: "dub_test",
        server_url=server_url,
        client=session,
        retry_config=None,
        timeout_ms=10_000,
        retry_budget=RetryBudget(20),
        on_retry=note,
        clock=Clock(),
        rate_limit=RateLimit(600, per="minute"),
    ) as dub:
        assert_type(dub, Dub)
        assert_type(dub.rate_limit_status, RateLimitStatus | None)
    CustomersConsumer(token="dub_test", retry_config=UNSET, retry_budget=None).close()
    assert_type(dub_uplink.__version__, str)


def mistakes(dub: Dub, leads: Leads) -> None:
    """Make calls that a type checker must reject; never run."""
    dub.customers.create()  # type: ignore[call-arg]
    dub.customers.get(5)  # type: ignore[arg-type]
    dub.customers.list(limit=5)  # type: ignore[call-arg]
    dub.customers.delete("x", retries=3)  # type: ignore[arg-type]
    dub.customer  # type: ignore[attr-defined] # noqa: B018
    dub.customers.list(page_size="5")  # type: ignore[arg-type]
    dub.customers.get("x", colour=1)  # type: ignore[call-arg]
    leads.british(colour=1)  # type: ignore[call-arg]
    FilteredLeads("dub_test").filtered(page_size="1")  # type: ignore[arg-type]
    dub.customers.iterate(page=2)  # type: ignore[call-arg]
    dub.customers.count(group_by="city")  # type: ignore[call-overload]
    dub.customers.list(extra_body={"tier": 1})  # type: ignore[call-arg]
    dub.customers.with_raw_response.get(5)  # type: ignore[arg-type]
    dub.customers.with_raw_response.list(limit=5)  # type: ignore[call-arg]
    dub.customers.with_raw_response.iterate()  # type: ignore[attr-defined]
    leads.with_raw_response.notes("cus_1")  # type: ignore[attr-defined]
    dub.customers.with_raw_response.upsert({}, expand=True)  # type: ignore[call-arg]
    Customer.from_dict("{}")  # type: ignore[arg-type]
    dub.customers.upsert("user_1")  # type: ignore[arg-type]
    dub.customers.update_many(["user_1"])  # type: ignore[list-item]
    dub.customers.count(page=2)  # type: ignore[call-overload]
    dub.customers.ensure({}, include_expanded_fields=True)  # type: ignore[call-arg]
    dub.customers.create({}, timeout_ms="1")  # type: ignore[arg-type]
    leads.notes("cus_1", city="x")  # type: ignore[call-arg]
    leads.response("cus_1", retries=3)  # type: ignore[arg-type]
    declare.get(5)  # type: ignore[arg-type]
    declare.result_handler(len)  # type: ignore[arg-type]
    leads.numbered(page="2")  # type: ignore[arg-type]
    operations.CreateCustomerRequestBody()  # type: ignore[call-arg]
    Dub(rate_limit=600)  # type: ignore[arg-type]
    RateLimit(600, per="week")  # type: ignore[arg-type]


def narrowed(value: str | Unset | None) -> str:
    """Return a text; the comparison removes UNSET from the type, because UNSET is an enum."""
    if value is UNSET or value is None:
        return ""
    return assert_type(value, str)


def main(server_url: str) -> list[str]:
    """Run all functions against a server."""
    policies()
    clients(server_url)
    context_managers(server_url)
    with Dub("dub_test", server_url=server_url, retry_config=None) as dub:
        operations_of(dub)
        fields_of(dub.customers.get("ext_user_1"))
        raw_responses_of(dub)
        ids = pages_of(dub)
    with Leads("dub_test", server_url=server_url, retry_config=None) as leads:
        assert errors_of(leads) == "not_found"
        assert cast("Customer", leads.newest("GB")).id == ids[0]
        assert leads.response("ext_user_1").status_code == 200
        assert leads.raw()[0]["id"] == ids[0]
        assert assert_type(leads.numbered(page=1, timeout_ms=5_000), Notes).number == "1"
        assert assert_type(leads.british(page_size=1), CustomerPage)[0].id == ids[0]
    with FilteredLeads("dub_test", server_url=server_url, retry_config=None) as leads_by_size:
        assert len(leads_by_size.filtered(page_size=1, timeout_ms=5_000)) == 1
    assert narrowed(UNSET) == ""
    return ids
