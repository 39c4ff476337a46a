"""An id is one segment of the path whatever it holds, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import pytest

from dub_uplink import CustomersConsumer, operations

CALLS: dict[str, Callable[[CustomersConsumer, Any], Any]] = {
    "get": lambda c, x: c.get(x),
    "get by a mapping": lambda c, x: c.get({"id": x}),
    "get by a request": lambda c, x: c.get(operations.GetCustomerRequest(x)),
    "update": lambda c, x: c.update(x, {"name": "Ada"}),
    "delete": lambda c, x: c.delete(x),
}
EACH_CALL = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
CUSTOMER = '{"id": "cus_1"}'


@pytest.mark.promise("id-is-one-segment")
@EACH_CALL
def test_id_that_would_change_the_route_is_rejected(serving: Any, connect: Any, call: Any) -> None:
    server = serving(200, CUSTOMER)
    customers = connect(server.url)
    for customer_id in ("", ".", "..", "count", "export", "search-stripe"):
        with pytest.raises(ValueError, match=r"^id must not be ") as caught:
            call(customers, customer_id)
        assert repr(customer_id) in str(caught.value)
    assert server.connections == 0


@EACH_CALL
def test_id_that_is_not_a_string_is_rejected(serving: Any, connect: Any, call: Any) -> None:
    server = serving(200, CUSTOMER)
    customers = connect(server.url)
    for customer_id in (None, 7, b"cus_1", 1.5, True, ["cus_1"], object()):
        with pytest.raises(ValueError, match=r"\bid\b"):
            call(customers, customer_id)
    assert server.connections == 0


@EACH_CALL
def test_id_with_a_lone_surrogate_is_rejected(serving: Any, connect: Any, call: Any) -> None:
    server = serving(200, CUSTOMER)
    with pytest.raises(ValueError, match=r"id contains an unpaired surrogate.*remove it"):
        call(connect(server.url), "ext_\udcff")
    assert server.connections == 0


NASTY = [
    "cus_1/../cus_2",
    "a/b",
    "a?b=c",
    "a#b",
    "a%2Fb",
    "%2e%2e",
    "a b",
    " ",
    "a+b",
    "...",
    "ext_.",
    "ext_..",
    "ext_count",
    "Count",
    "{id}",
    "a;b,c:d@e&f=g$h!i'j(k)l*m",
    "ü/🦊",
    "\n\x00\x7f",
    '"\\<>^`|',
    "~-._",
]


@EACH_CALL
def test_valid_id_is_sent_as_one_encoded_path_segment(
    serving: Any, connect: Any, client: Any, call: Any
) -> None:
    server = serving(200, CUSTOMER)
    customers = connect(server.url + "/prefix", client=client)
    for customer_id in NASTY:
        call(customers, customer_id)
        path = server.received[-1].target
        assert path.startswith("/prefix/customers/")
        segment = path.removeprefix("/prefix/customers/")
        assert not set(segment) & set("/?#")
        assert unquote(segment) == customer_id
    assert len(server.received) == len(NASTY)


@pytest.mark.parametrize("request_", [{}, {"includeExpandedFields": True}])
def test_get_without_an_id_is_rejected(connect: Any, serving: Any, request_: Any) -> None:
    server = serving(200, CUSTOMER)
    with pytest.raises(ValueError, match=r"^get\(\): id: Missing"):
        connect(server.url).get(request_)
    assert server.connections == 0


@pytest.mark.parametrize(
    ("call", "query"),
    [
        (lambda c: c.get("x"), {}),
        (lambda c: c.get("x", include_expanded_fields=True), {"includeExpandedFields": "true"}),
        (lambda c: c.get("x", include_expanded_fields=False), {"includeExpandedFields": "false"}),
        (lambda c: c.get("x", include_expanded_fields=None), {}),
        (
            lambda c: c.get({"id": "x", "include_expanded_fields": True}),
            {"includeExpandedFields": "true"},
        ),
        (lambda c: c.get(operations.GetCustomerRequest("x")), {}),
        (
            lambda c: c.get(operations.GetCustomerRequest("x", True)),
            {"includeExpandedFields": "true"},
        ),
        (
            lambda c: c.get(
                {"id": "x", "include_expanded_fields": False}, include_expanded_fields=False
            ),
            {"includeExpandedFields": "false"},
        ),
        (lambda c: c.update("x", include_expanded_fields=True), {"includeExpandedFields": "true"}),
    ],
)
def test_include_expanded_fields_is_sent_as_true_or_false(
    serving: Any, connect: Any, call: Any, query: dict[str, str]
) -> None:
    server = serving(200, CUSTOMER)
    call(connect(server.url))
    assert server.received[0].query == query


@pytest.mark.parametrize("flag", ["yes", "true", 1, 0])
def test_include_expanded_fields_rejects_types_except_bool(
    serving: Any, connect: Any, flag: Any
) -> None:
    server = serving(200, CUSTOMER)
    customers = connect(server.url)
    with pytest.raises(ValueError, match="include_expanded_fields: "):
        customers.get({"id": "x", "include_expanded_fields": flag})
    with pytest.raises(ValueError, match="include_expanded_fields: "):
        customers.list(include_expanded_fields=flag)
    with pytest.raises(ValueError, match="include_expanded_fields must be True or False"):
        customers.get("x", include_expanded_fields=flag)
    with pytest.raises(ValueError, match="include_expanded_fields must be True or False"):
        customers.update("x", include_expanded_fields=flag)
    assert server.connections == 0


@pytest.mark.parametrize("flag", [True, False])
@pytest.mark.parametrize("as_mapping", [True, False])
def test_include_expanded_fields_given_twice_is_rejected(
    serving: Any, connect: Any, flag: bool, as_mapping: bool
) -> None:
    server = serving(200, CUSTOMER)
    request = operations.GetCustomerRequest("x", flag)
    given = {"id": "x", "includeExpandedFields": flag} if as_mapping else request
    with pytest.raises(
        ValueError, match=r"^include_expanded_fields is given twice, in the request"
    ):
        connect(server.url).get(given, include_expanded_fields=not flag)
    assert server.connections == 0
