"""Test writes of subclasses: retries of known endpoints, and no unsafe retries of others."""

from __future__ import annotations

from typing import Any, Unpack

import pytest
import requests
import uplink

from dub_uplink import CustomersConsumer, declare
from dub_uplink.declare import CallOptions
from dub_uplink.models import errors
from dub_uplink.models.components import Customer
from dub_uplink.testing import faults

BODY = {"external_id": "user/1", "email": "ada@example.com", "country": "GB"}
JSON_BODY = {"externalId": "user/1", "email": "ada@example.com", "country": "GB"}


class Extends(CustomersConsumer):
    """Overrides create and delete, and calls the methods of the base class."""

    def create(self, request: Any, **options: Any) -> Customer:
        return super().create({**request, "name": "Extended"}, **options)

    def delete(self, id: str, **options: Any) -> Any:
        return super().delete(f"ext_{id}", **options)


class Declares(CustomersConsumer):
    """Redeclares the endpoints with uplink bodies."""

    @declare.returns.json
    @declare.post(  # type: ignore[override]
        "/customers", args={"request": uplink.Body, "options": declare.Options}
    )
    def create(self, request: bytes, **options: Unpack[CallOptions]) -> dict[str, Any]:
        raise NotImplementedError

    @uplink.json
    @declare.returns.json
    @declare.post("customers", args={"request": uplink.Body})
    def create_json(self, request: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    @declare.returns.json
    @declare.delete("customers/{id}")  # type: ignore[override]
    def delete(self, id: str) -> dict[str, Any]:
        raise NotImplementedError

    @declare.returns.json
    @declare.patch("customers/{key}", args={"body": uplink.Body})
    def rename(self, key: str, body: bytes) -> dict[str, Any]:
        raise NotImplementedError


class Tracks(CustomersConsumer):
    """Declares endpoints of other resources."""

    @declare.returns.json
    @declare.post("track/lead", args={"event": uplink.Body})
    def lead(self, event: bytes) -> dict[str, Any]:
        raise NotImplementedError

    @declare.idempotent
    @declare.returns.json
    @declare.post("track/sale", args={"event": uplink.Body})
    def sale(self, event: bytes) -> dict[str, Any]:
        raise NotImplementedError

    @declare.returns.json
    @declare.put("links/upsert", args={"link": uplink.Body})
    def upsert(self, link: bytes) -> dict[str, Any]:
        raise NotImplementedError


def test_overridden_create_with_lost_response_is_applied_once(fake: Any, on_fake: Any) -> None:
    client = on_fake(cls=Extends)
    fake.faults.add(faults.DropAfter())
    created = client.create(BODY)
    assert (created.id, created.name) == (fake.customers[0].id, "Extended")
    fake.faults.add(faults.DropAfter())
    assert client.delete("user/1").id == "ext_user/1"
    assert fake.customers == []


@pytest.mark.parametrize("name", ["create", "create_json"])
def test_redeclared_create_with_lost_response_is_applied_once(
    fake: Any, on_fake: Any, name: str
) -> None:
    import json

    client = on_fake(cls=Declares)
    body: Any = JSON_BODY if name == "create_json" else json.dumps(JSON_BODY).encode()
    fake.faults.add(faults.DropAfter())
    created = getattr(client, name)(body)
    assert created["id"] == fake.customers[0].id
    with pytest.raises(errors.Conflict):
        getattr(client, name)(body)
    fake.faults.add(faults.DropAfter())
    assert client.rename("ext_user/1", b'{"externalId": "b"}')["id"] == created["id"]
    fake.faults.add(faults.DropAfter())
    assert client.delete("ext_b") == {"id": "ext_b"}


@pytest.mark.parametrize(
    "fault",
    [
        faults.DropBefore(),
        faults.DropAfter(),
        faults.Status(500),
        faults.Status(503, {"Retry-After": "1"}),
        faults.Status(504),
        faults.Status(200, body="[{"),
    ],
    ids=str,
)
def test_subclass_post_is_not_retried_if_possibly_applied(
    fake: Any, on_fake: Any, timeline: Any, fault: Any
) -> None:
    """A second lead could cause a second payment."""
    fake.faults.add(fault)
    with pytest.raises(errors.DubError) as caught:
        on_fake(cls=Tracks).lead(b"{}")
    assert caught.value.attempts == len(fake.requests) == 1
    assert timeline.slept == []


def test_subclass_post_is_retried_after_a_429(fake: Any, on_fake: Any) -> None:
    fake.faults.add(faults.RateLimited(1, "unix_ms"), times=2)
    fake.faults.add(faults.Status(201, body={"ok": True}))
    assert on_fake(cls=Tracks).lead(b"{}") == {"ok": True}
    assert len(fake.requests) == 3


def test_subclass_post_is_retried_after_a_refused_connection(
    connect: Any, wire: Any, http_response: Any, timeline: Any
) -> None:
    server = wire(http_response(201, {"ok": True}))
    port = int(server.url.rpartition(":")[2])

    class RefusedOnce(requests.adapters.HTTPAdapter):
        """An adapter whose first attempt goes to a closed port."""

        def send(self, request: Any, *args: Any, **options: Any) -> requests.Response:
            if not timeline.slept:
                request.url = request.url.replace(str(port), "1")
            else:
                request.url = request.url.replace("127.0.0.1:1/", f"127.0.0.1:{port}/")
            return super().send(request, *args, **options)

    session = requests.Session()
    session.mount("http://", RefusedOnce())
    assert connect(server.url, cls=Tracks, client=session).lead(b"{}") == {"ok": True}
    assert timeline.slept == [0.375]
    assert server.seen == ["POST /track/lead"]


@pytest.mark.parametrize("name", ["sale", "upsert"])
def test_subclass_post_declared_idempotent_is_retried(fake: Any, on_fake: Any, name: str) -> None:
    fake.faults.add(faults.DropAfter())
    fake.faults.add(faults.Status(503))
    fake.faults.add(faults.Status(200, body={"ok": True}))
    assert getattr(on_fake(cls=Tracks), name)(b"{}") == {"ok": True}
    assert len(fake.requests) == 3


@pytest.mark.parametrize("name", ["lead", "sale"])
def test_409_of_a_subclass_post_raises_without_lookup(fake: Any, on_fake: Any, name: str) -> None:
    fake.faults.add(faults.RateLimited(1))
    fake.faults.add(faults.Status(409))
    with pytest.raises(errors.Conflict):
        getattr(on_fake(cls=Tracks), name)(b'{"externalId": "user_1"}')
    assert len(fake.requests) == 2


def test_calls_through_an_uplink_client_are_retried(fake: Any, connect: Any) -> None:
    client = connect(fake.base_url, client=uplink.RequestsClient(fake.session()))
    fake.faults.add(faults.DropAfter())
    assert client.create(BODY).id == fake.customers[0].id
    fake.faults.add(faults.RateLimited(1, "unix_ms"))
    fake.faults.add(faults.Truncate(5))
    assert len(client.list()) == 1
